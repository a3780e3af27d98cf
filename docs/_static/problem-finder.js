// Finds the entry of the troubleshooting guide for a message that somebody pasted: a whole traceback will do. What an entry's
// title quotes is a pattern ("..." stands for any text, a number for any number); a message that holds it entirely comes first, else
// the entry that shares the most of its rarer words.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector(".problem-finder");
  const input = box.querySelector("textarea");
  const list = box.querySelector("ol");
  const status = box.querySelector("[role=status]");
  const plain = (text) => text.toLowerCase().replace(/[\x60'"“”‘’]/g, "").replace(/\d+/g, "0").replace(/\s+/g, " ").trim();
  const words = (text) => new Set(plain(text).match(/[a-z_][\w.]{2,}/g) || []);

  const entries = [...document.querySelectorAll("section.problem")].map((section) => {
    const title = section.querySelector("h2, h3, h4, h5, h6");
    const codes = [...title.querySelectorAll("code")].map((code) => plain(code.textContent));
    // Pieces of a few letters between ellipses are in every message.
    const patterns = codes.map((code) => code.split("...").map((piece) => piece.trim()).filter((piece) => piece.length > 5));
    const text = title.cloneNode(true);
    text.querySelectorAll(".headerlink").forEach((mark) => mark.remove());
    return { id: section.id, title: text, patterns: patterns.filter((pieces) => pieces.length), words: words(title.textContent) };
  });
  const rarity = new Map();
  for (const entry of entries) for (const word of entry.words) rarity.set(word, (rarity.get(word) || 0) + 1);
  const weight = (word) => Math.log(1 + entries.length / rarity.get(word));

  function score(entry, message, pasted) {
    let best = 0;
    for (const pieces of entry.patterns) {
      let from = 0;
      const whole = pieces.every((piece) => {
        const at = message.indexOf(piece, from);
        from = at + piece.length;
        return at >= 0;
      });
      if (whole) best = Math.max(best, 1000 + pieces.join("").length);
    }
    if (best) return best;
    let shared = 0, all = 0;
    for (const word of entry.words) {
      all += weight(word);
      if (pasted.has(word)) shared += weight(word);
    }
    return all && shared / all > 0.4 ? shared : 0;
  }

  function find() {
    const message = plain(input.value);
    const pasted = words(input.value);
    const found = entries
      .map((entry) => ({ entry, points: message ? score(entry, message, pasted) : 0 }))
      .filter(({ points }) => points)
      .sort((one, other) => other.points - one.points);
    const exact = found.filter(({ points }) => points >= 1000);
    const shown = (exact.length ? exact : found).slice(0, 4);
    list.replaceChildren(...shown.map(({ entry }) => {
      const link = document.createElement("a");
      link.href = `#${entry.id}`;
      link.append(...entry.title.cloneNode(true).childNodes);
      const item = document.createElement("li");
      item.append(link);
      return item;
    }));
    status.textContent = !message ? "" : exact.length ? "Found:" : shown.length ? "No entry has exactly this message. Closest:" : "No entry has this message. Paste the last line of the error, or try the search of the site.";
  }
  input.addEventListener("input", find);
  box.hidden = false;
});
