// A button at each block of code: it copies the commands, not their prompts and outputs.
(() => {
  const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
  const COPY = icon("M8 8h12v12H8zM16 8V4H4v12h4");
  const DONE = icon("M5 12l5 5L20 7");

  function text(block) {
    const copy = block.cloneNode(true);
    for (const part of copy.querySelectorAll(".linenos, .gp, .go")) {
      const after = part.nextSibling;
      if (part.matches(".go") && after?.data) after.data = after.data.replace(/^\n/, ""); // an output goes with its line
      part.remove();
    }
    return copy.textContent.trimEnd();
  }

  async function put(copied) {
    if (navigator.clipboard) return navigator.clipboard.writeText(copied);
    // A page that came over plain http may not use the clipboard itself.
    const field = Object.assign(document.createElement("textarea"), { value: copied });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }

  for (const block of document.querySelectorAll("div.highlight > pre")) {
    const button = Object.assign(document.createElement("button"), { className: "copybtn", type: "button", title: "Copy", innerHTML: COPY });
    button.addEventListener("click", () => put(text(block)).then(() => {
      Object.assign(button, { title: "Copied", innerHTML: DONE }).classList.add("success");
      setTimeout(() => Object.assign(button, { title: "Copy", innerHTML: COPY }).classList.remove("success"), 1500);
    }));
    block.after(button);
  }
})();
