// The reference pages: a box that finds any entry of them all, and links to entries that were
// on the hub before they got pages of their own. What is searched comes with the first use (reference-index.js).
(() => {
  const root = document.documentElement.dataset.content_root;
  const box = document.querySelector(".gym-finder");
  const input = box.querySelector("input");
  const status = box.querySelector("[role=status]");
  const list = box.querySelector("ol");
  const SHOWN = 12;
  let loading;

  function load() {
    loading ??= new Promise((done) => {
      const script = Object.assign(document.createElement("script"), { src: `${root}reference-index.js` });
      script.onload = () => done(REFERENCE);
      document.head.append(script);
    });
    return loading;
  }

  // Names before prose, the exact name before all: for one word of the query, the smaller the better; Infinity if it is not there.
  function rank(entry, word) {
    const name = entry[2].toLowerCase();
    const key = name.split(" › ").pop();
    const bare = word.replace(/^-+/, "").replaceAll("-", "_");
    if (key === word || name === word) return 0;
    if (entry[3].toLowerCase().split(" ").includes(word)) return 0.5;
    if (key === bare) return 1;
    if (key.startsWith(word) || key.startsWith(bare)) return 2;
    if (key.includes(word) || key.includes(bare)) return 3;
    if (name.includes(word) || entry[3].toLowerCase().includes(word)) return 4;
    return entry[4].toLowerCase().includes(word) ? 5 : Infinity;
  }

  function address([page, anchor], pages) {
    return `${root}${pages[page][0]}#${anchor}`;
  }

  async function find() {
    const words = input.value.toLowerCase().replaceAll("›", " ").split(/\s+/).filter(Boolean);
    const query = input.value;
    if (!words.length) {
      status.textContent = "";
      list.replaceChildren();
      return;
    }
    const { entries, pages } = await load();
    if (input.value !== query) return; // typed on while the index came
    const found = entries
      .filter(([page]) => box.dataset.here === undefined || location.pathname.endsWith(pages[page][0]))
      .map((entry) => ({ entry, ranks: words.map((word) => rank(entry, word)) }))
      .map(({ entry, ranks }) => ({ entry, worst: Math.max(...ranks), sum: ranks.reduce((a, b) => a + b) }))
      .filter(({ worst }) => worst < Infinity)
      .sort((a, b) => a.worst - b.worst || a.sum - b.sum);
    status.textContent = found.length > SHOWN ? `${SHOWN} of ${found.length}, best first` : `${found.length} found`;
    list.replaceChildren(...found.slice(0, SHOWN).map(({ entry }) => {
      const link = Object.assign(document.createElement("a"), { href: address(entry, pages), textContent: entry[2] });
      const item = document.createElement("li");
      const prose = Object.assign(document.createElement("span"), { textContent: entry[4] || pages[entry[0]][1] });
      item.append(link, " ", prose);
      return item;
    }));
  }

  // A link to what this page does not have (any more): where it is now.
  async function forward() {
    const hash = decodeURIComponent(location.hash.slice(1));
    if (hash.startsWith("filter=")) {
      input.value = hash.slice("filter=".length);
      find();
    } else if (hash && !document.getElementById(hash)) {
      const { entries, sections, pages } = await load();
      const place = entries.find((entry) => entry[1] === hash) || sections.find((section) => section[1] === hash);
      if (place) location.replace(address(place, pages));
    }
  }

  input.addEventListener("focus", load, { once: true });
  input.addEventListener("input", find);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && input.value) {
      event.preventDefault();
      input.value = "";
      find();
    } else if (event.key === "Enter" && list.firstChild) {
      list.querySelector("a").click();
    }
  });
  addEventListener("hashchange", forward);
  box.hidden = false;
  forward();
})();
