// Narrows the entries of a reference page to those that hold every word of the filter box. Escape clears it. The words are
// in the address (#filter=...), so that a filtered page can be linked to and gone back to.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector(".gym-filter");
  const input = box.querySelector("input");
  const status = box.querySelector("[role=status]");
  const article = box.closest("article");
  // What is found: an entry with its prose, and a row of a table together with the name of the box it is in.
  const entries = [...article.querySelectorAll("dl.gym, :is(.gym-fields, .gym-table) tbody tr")].filter((entry) => !entry.parentElement.closest("dl.gym"));
  const found = entries.map((entry) => {
    const names = [...entry.querySelectorAll("[id]")].map((named) => named.id);
    const within = entry.closest("details");
    const title = within ? within.querySelector("summary").textContent : "";
    return { entry, text: [title, entry.textContent, ...names].join(" ").toLowerCase() };
  });
  const openBefore = new Set(article.querySelectorAll("details[open]"));
  const normal = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  function apply() {
    const words = normal(input.value);
    let count = 0;
    for (const { entry, text } of found) {
      const matches = words.every((word) => text.includes(word));
      entry.classList.toggle("gym-out", !matches);
      count += matches;
    }
    article.classList.toggle("gym-filtering", words.length > 0);
    // What holds no match goes, too: tables, boxes and sections.
    for (const part of article.querySelectorAll("section section, details, .gym-fields, .gym-table")) {
      const holds = part.querySelector("dl.gym:not(.gym-out), :is(.gym-fields, .gym-table) tr:not(.gym-out) > td");
      part.classList.toggle("gym-out", words.length > 0 && !holds);
      if (part.matches("details")) part.open = words.length ? Boolean(holds) : openBefore.has(part);
    }
    status.textContent = words.length ? `${count} of ${found.length} entries` : "";
    const address = words.length ? `#filter=${encodeURIComponent(words.join(" "))}` : location.pathname + location.search;
    if (words.length || location.hash.startsWith("#filter=")) history.replaceState(null, "", address);
  }

  function fromAddress() {
    if (location.hash.startsWith("#filter=")) {
      input.value = decodeURIComponent(location.hash.slice("#filter=".length));
      apply();
    }
  }

  input.addEventListener("input", apply);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && input.value) {
      event.preventDefault();
      input.value = "";
      apply();
    }
  });
  // A link to an entry that the filter hides leads nowhere: show all again.
  addEventListener("hashchange", () => {
    fromAddress();
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest(".gym-out")) {
      input.value = "";
      const hash = location.hash;
      apply();
      location.replace(hash);
    }
  });
  box.hidden = false;
  fromAddress();
});
