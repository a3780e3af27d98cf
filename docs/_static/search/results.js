// What the reader asks becomes results while it is typed: on the search page, which keeps the question in its address, and in
// the dialog that every other page opens, which shows the best of them.
(() => {
  const page = document.querySelector(".search-page");
  const home = page || document.getElementById("pst-search-dialog");
  const form = home.querySelector("form");
  const field = form.querySelector("input");
  const [status, results] = page ? home.querySelectorAll("#search-status, #search-results") : inDialog();
  const [PAGES, MORE] = page ? [10, 6] : [6, 0]; // results: the best pages, one section each; after them, further sections
  const root = document.documentElement.dataset.content_root || "./";
  let search;
  let shown;

  function element(name, content, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...content);
    return made;
  }

  function inDialog() {
    const made = [element("p", [], { className: "search-status", role: "status" }), element("div", [], { className: "search-results" })];
    form.after(element("div", made, { className: "search-below" }));
    return made;
  }

  const sentence = (pieces) => element("p", pieces.map(([text, asked]) => (asked ? element("mark", [text]) : text)));

  function result(found, section, quote) {
    const { id = "", title, first } = section || {}; // a page may match by its title or its description alone
    const name = id ? [element("span", [found.title]), " ", element("strong", [title])] : [element("strong", [found.title])];
    const link = element("a", name, { href: root + found.url + (id && `#${encodeURIComponent(id)}`) });
    return element("li", [link, sentence(id && first ? quote(section) : [[found.description, false]])]);
  }

  function show(question) {
    if (question === shown) return;
    shown = question;
    const { pages, quote } = question ? search(question) : { pages: [] };
    const best = pages.slice(0, PAGES).map(({ page: found, sections }) => ({ found, section: sections[0]?.section }));
    const more = pages.flatMap(({ page: found, sections }) => sections.slice(1, MORE + 1).map((each) => ({ ...each, found })))
      .filter(({ section }) => section.id).sort((a, b) => b.score - a.score).slice(0, MORE);
    const list = (all, kind) => element(kind, all.map(({ found, section }) => result(found, section, quote)));
    results.replaceChildren(...(best.length ? [list(best, "ol")] : []), ...(more.length ? [element("h2", ["More sections"]), list(more, "ul")] : []));
    const count = `${best.length} page${best.length > 1 ? "s" : ""} for “${question}”, the best first`;
    status.textContent = !question ? "" : !best.length ? `Nothing matches “${question}”` : page ? count : "Enter shows all results";
    if (page) keepInAddress(question, best.length);
  }

  function keepInAddress(question, found) {
    document.getElementById("search-nothing").hidden = !question || found > 0;
    document.title = document.title.replace(/^.*?Search/, question ? `${question} - Search` : "Search");
    const address = new URL(location);
    address.search = question ? new URLSearchParams({ q: question }) : "";
    try { history.replaceState(null, "", address); } catch (error) { /* a browser may refuse this for a page from disk */ }
  }

  // The index is built after the first paint. What is typed before that is searched for then.
  const current = () => field.value.trim().slice(0, 2000);
  if (page) {
    field.value ||= new URLSearchParams(location.search).get("q") || "";
    field.focus();
  }
  status.textContent = field.value ? "Searching …" : "";
  const build = () => setTimeout(() => {
    search = createSearch(SEARCH_DATA);
    show(current());
    results.dataset.ready = "";
  });
  if (page) document.addEventListener("DOMContentLoaded", build); // the other scripts have run then
  else build();

  let typing;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => search && show(current()), 150);
  });
  if (page) form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (search) show(current());
  });
  // A link into the page that is open loads nothing, so the dialog closes itself; not for one that opens in another tab.
  if (!page) results.addEventListener("click", (event) => {
    if (event.target.closest("a") && !(event.ctrlKey || event.metaKey || event.shiftKey)) home.close();
  });
  // The arrows move between the field and the results.
  home.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [field, ...results.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    if (!step || at < 0 || !stops[at + step]) return;
    event.preventDefault();
    stops[at + step].focus();
  });
})();
