// The search page: what the reader asks becomes results while it is typed, and the address of the page, so that it can be shared.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector(".search-page form");
  const field = form.querySelector("input");
  const status = document.getElementById("search-status");
  const results = document.getElementById("search-results");
  const PAGES = 10, MORE = 6; // results: the best pages, one section each; after them, further sections
  let search;
  let shown;

  function element(name, content, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...content);
    return made;
  }

  // A long table row is cut before the first word that was asked for, and after enough of what follows.
  function sentence(pieces) {
    const first = Math.max(0, pieces.findIndex(([, asked]) => asked));
    let [start, before, length] = [first, 0, 0];
    while (start > 0 && before < 80) before += pieces[--start][0].length;
    const kept = pieces.slice(start).filter(([text]) => (length += text.length) < 320);
    const all = kept.map(([text, asked]) => (asked ? element("mark", [text]) : text));
    return element("p", [start ? "… " : "", ...all, start + kept.length < pieces.length ? " …" : ""]);
  }

  function result(page, section, quote) {
    const { id = "", title, text } = section || { text: [] }; // a page may match by its title or its description alone
    const name = id ? [element("span", [page.title]), " ", element("strong", [title])] : [element("strong", [page.title])];
    const link = element("a", name, { href: page.url + (id && `#${encodeURIComponent(id)}`) });
    return element("li", [link, sentence(text.length ? quote(section) : [[page.description, false]])]);
  }

  function show(question) {
    if (question === shown) return;
    shown = question;
    const { pages, quote } = question ? search(question) : { pages: [] };
    const best = pages.slice(0, PAGES).map(({ page, sections }) => ({ page, section: sections[0]?.section }));
    const more = pages.flatMap(({ page, sections }) => sections.slice(1, MORE + 1).map((each) => ({ ...each, page })))
      .filter(({ section }) => section.id).sort((a, b) => b.score - a.score).slice(0, MORE);
    const list = (all, kind) => element(kind, all.map(({ page, section }) => result(page, section, quote)));
    results.replaceChildren(...(best.length ? [list(best, "ol")] : []), ...(more.length ? [element("h2", ["More sections"]), list(more, "ul")] : []));
    document.getElementById("search-nothing").hidden = !question || best.length > 0;
    status.textContent = !question ? "" : best.length ? `${best.length} page${best.length > 1 ? "s" : ""} for “${question}”, the best first` : `Nothing matches “${question}”`;
    document.title = document.title.replace(/^.*?Search/, question ? `${question} - Search` : "Search");
    const address = new URL(location);
    address.search = question ? new URLSearchParams({ q: question }) : "";
    try { history.replaceState(null, "", address); } catch (error) { /* a browser may refuse this for a page from disk */ }
  }

  // The index is built after the first paint. What is typed before that is searched for then.
  const current = () => field.value.trim().slice(0, 2000);
  field.value ||= new URLSearchParams(location.search).get("q") || "";
  field.focus();
  status.textContent = field.value ? "Searching …" : "";
  setTimeout(() => {
    search = createSearch(SEARCH_DATA);
    show(current());
    results.dataset.ready = "";
  });

  let typing;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => search && show(current()), 150);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (search) show(current());
  });
  // The arrows move between the field and the results.
  document.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [field, ...results.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    if (!step || at < 0 || !stops[at + step]) return;
    event.preventDefault();
    stops[at + step].focus();
  });
});
