"""The built site: every link and anchor resolves, nothing is asked of another host, every copyable block is verified."""

from __future__ import annotations

import json
import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag, urlsplit

import front_matter
import order
import pytest
from bs4 import BeautifulSoup
from pages import DOCS, SILENT, blocks_of, path_from
from site_map import HTML, PAGES, SourcePage

LINKS = DOCS / "external_links.txt"
VOID_OF_CONTENT = {"genindex.html", "search.html"}
RESOURCES = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src"), ("object", "data")}


class Parsed(HTMLParser):
    """Links, resources, ids, sections, pictures and highlighted blocks of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.ids: list[str] = []
        self.pictures_without_text: list[str] = []
        self.sections: list[str] = []
        self.on_this_page: list[str] = []
        self.navigation = ""
        self.highlighted = self.titles = self.depth = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if values.get("id"):
            self.ids.append(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
            if self.navigation == "pst-page-toc-nav":
                self.on_this_page.append(values["href"])
        if tag == "nav":
            self.navigation = values.get("id") or ""
        if tag == "section":
            self.depth += 1
            if self.depth <= 3:
                self.sections.append(values.get("id") or "")
        self.resources += [values[key] for name, key in RESOURCES if name == tag and values.get(key)]
        if (tag == "img" and values.get("alt") is None) or (values.get("role") == "img" and not values.get("aria-label")):
            self.pictures_without_text.append(str(values))
        self.highlighted += "highlight" in (values.get("class") or "").split()
        self.titles += tag == "h1"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "section"
        if tag == "nav":
            self.navigation = ""


BUILT = {path.relative_to(HTML).as_posix(): Parsed(path) for path in sorted(HTML.rglob("*.html"))} if HTML.exists() else {}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_file = pytest.mark.parametrize("name", BUILT)


def test_the_site_is_built() -> None:
    assert set(BUILT) >= {f"{page.name}.html" for page in PAGES}, "run `make html` first"


@every_file
def test_links_and_anchors_resolve(name: str) -> None:
    broken = []
    for link in BUILT[name].links:
        if urlsplit(link).scheme or link.startswith("//"):
            continue
        address, anchor = urldefrag(link)
        address = unquote(address.split("?")[0])
        target = (HTML / name).parent / address if address else HTML / name
        inside = target.resolve().is_relative_to(HTML.resolve())
        if not inside or not target.is_file():
            broken.append(link)
        elif anchor and target.suffix == ".html" and unquote(anchor) not in BUILT[target.resolve().relative_to(HTML.resolve()).as_posix()].ids:
            broken.append(link)
    assert broken == []


@every_file
def test_nothing_comes_from_another_host(name: str) -> None:
    assert [r for r in BUILT[name].resources if urlsplit(r).scheme in ("http", "https") or r.startswith("//")] == []


def test_external_links_are_those_of_the_list() -> None:
    """One list holds every address outside of this site, so that each was looked up by somebody, and none is forgotten."""
    listed = LINKS.read_text(encoding="utf-8").split()
    assert listed == sorted(set(listed)), "in order, each once"
    used = {link for parsed in BUILT.values() for link in parsed.links if urlsplit(link).scheme in ("http", "https") and urlsplit(link).hostname != "127.0.0.1"}
    assert sorted(used - set(listed)) == [], f"look these up, then add them to {LINKS.name}"
    assert sorted(set(listed) - used) == [], f"no page links there: take these out of {LINKS.name}"


@every_file
def test_ids_are_unique_and_pictures_have_a_text(name: str) -> None:
    ids = BUILT[name].ids
    assert sorted({i for i in ids if ids.count(i) > 1}) == []
    assert BUILT[name].pictures_without_text == []
    assert BUILT[name].titles == 1 or name in VOID_OF_CONTENT


@every_file
def test_no_role_is_left_in_the_text(name: str) -> None:
    """As in a title that only knows code."""
    assert re.findall(r"\{[a-z][\w:-]*\}(?:`|<code).{,60}", (HTML / name).read_text(encoding="utf-8")) == []


@every_page
def test_a_page_lists_its_sections(page: SourcePage) -> None:
    """Beside the text, in the order of the text, with what is in each of them; the front page is one screen and has no such list."""
    built = BUILT[f"{page.name}.html"]
    assert built.on_this_page == [f"#{section}" for section in built.sections[1:]]


@every_page
def test_every_copyable_block_is_a_verified_one(page: SourcePage) -> None:
    """A block can reach the page by other ways than a fence (an indented block, a directive); the test run sees fences."""
    count = 0
    for _, block in blocks_of(page.text, page.path):
        if block.kind == "{include}":
            path = path_from(block)
            count += sum(1 for _ in blocks_of(path.read_text(encoding="utf-8"), path))
        elif block.kind.strip("{}") not in SILENT:
            count += 1
    assert BUILT[f"{page.name}.html"].highlighted == count


def test_the_record_in_the_repository_knows_every_guide_and_reference_page() -> None:
    """A fresh clone shows it. A page that was changed since says so; one that is missing would claim that it never ran."""
    record = json.loads((DOCS / "verification.json").read_text(encoding="utf-8"))
    assert {page.name for page in PAGES if page.path.parent.name in ("how-to", "reference")} <= set(record["pages"])


def test_a_new_title_reaches_the_sidebar_of_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages carry the sidebar: a build that writes only what changed must write them all again."""
    titles = ["One"]
    found = lambda env: [("Caption", [front_matter.Page("page", Path("page.md"), title, {}) for title in titles])]  # noqa: E731
    monkeypatch.setattr(order, "groups", found)
    env = SimpleNamespace(found_docs={"index", "page"})
    assert order.sidebar_changed(None, env) == []
    titles[0] = "Another"
    assert order.sidebar_changed(None, env) == ["index", "page"]
    assert order.sidebar_changed(None, env) == []


def test_one_order_of_the_pages() -> None:
    """The sidebar, the pager, the cards of the index and the first of the "Next steps" tell the same."""
    index = BeautifulSoup((HTML / "training" / "index.html").read_text(encoding="utf-8"), "html.parser")
    listed = re.findall(r"^((?:how-to|reference)/\S+)$", (DOCS / "training" / "index.md").read_text(encoding="utf-8"), re.M)
    paths = lambda links: [link["href"].removesuffix(".html") for link in links]  # noqa: E731
    assert paths(index.select("nav.guides ul a")) == listed
    guides = [name for name in listed if name.startswith("how-to/")]
    assert paths(index.select("ul.cards .card-title a")) == guides
    for here, following in zip(guides, listed[1:]):
        page = BeautifulSoup((HTML / "training" / f"{here}.html").read_text(encoding="utf-8"), "html.parser")
        after = posixpath.relpath(following, posixpath.dirname(here)) + ".html"
        assert page.select_one("a.right-next")["href"] == after
        assert page.select_one("#next-steps li a")["href"].partition("#")[0] == after
