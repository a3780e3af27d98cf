"""Nothing that a page shows is missing in its Markdown twin: its titles, links, tables, blocks, and each word in its order."""

from __future__ import annotations

import hashlib
import json
import re
from difflib import unified_diff
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag

import llms
import minutes
import problems
import pytest
import twin_parts
import yaml
from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from site_map import GUIDES, HTML, PAGES, SourcePage

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
FOR_THE_SCREEN = "a.headerlink, search, form, script, style, button, input, label[for=gym-filter], .sd-octicon"


@cache
def whole_page(page: SourcePage) -> Tag:
    return BeautifulSoup((HTML / f"{page.name}.html").read_text(encoding="utf-8"), "html.parser")


@cache
def rendered(text: str) -> Tag:
    """As a Markdown program reads it."""
    return BeautifulSoup(MarkdownIt("commonmark").enable("table").render(text), "html.parser")


@cache
def body(page: SourcePage) -> Tag:
    """What the page shows, without what only works on a screen. A drawing counts as its text alternative."""
    soup = whole_page(page).find("article")
    for element in soup.select(FOR_THE_SCREEN):
        element.decompose()
    for drawing in soup.find_all("svg"):
        drawing.replace_with(f"Figure: {drawing['aria-label']}")
    return soup


@cache
def parts(page: SourcePage) -> list[str]:
    """The parts of a twin that is too long for one file, in order."""
    text = (HTML / f"{page.name}.md").read_text(encoding="utf-8")
    listing = text.partition(f"{twin_parts.LISTING}\n")[2]
    return [f"{page.name}/{name}.md" for name in re.findall(rf"\]\({re.escape(page.path.stem)}/([^)]+)\.md\)", listing)]


@cache
def text_of(page: SourcePage) -> str:
    """The twin, with its parts in their place."""
    text = (HTML / f"{page.name}.md").read_text(encoding="utf-8").partition(f"{twin_parts.LISTING}\n")[0]
    return text + "".join((HTML / part).read_text(encoding="utf-8").partition("\n\n")[2] for part in parts(page))


@cache
def files(page: SourcePage) -> list[tuple[str, Tag]]:
    """The twin and its parts, each by its address, without what only leads from one to the other."""
    found = [(f"{page.name}.md", (HTML / f"{page.name}.md").read_text(encoding="utf-8").partition(f"{twin_parts.LISTING}\n")[0])]
    found += [(part, (HTML / part).read_text(encoding="utf-8").partition("\n\n")[2]) for part in parts(page)]
    return [(place, rendered(text)) for place, text in found]


WHOLE = {part: f"{page.name}.md" for page in PAGES for part in parts(page)} if (HTML / "llms.txt").exists() else {}


def twin(page: SourcePage) -> Tag:
    return rendered(text_of(page))


def words(element: Tag) -> list[str]:
    return re.sub(r"\s+", " ", element.get_text(" ")).split()


def joined(element: Tag) -> str:
    return "".join(words(element))


def same(page: list, other: list) -> str:
    return "\n".join(unified_diff([str(x) for x in page], [str(x) for x in other], "page", "twin", lineterm="", n=1))


@every_page
def test_no_title_is_lost(page: SourcePage) -> None:
    titles = [[(e.name, joined(e)) for e in tree(page).select("h1, h2, h3, h4, h5, h6")] for tree in (body, twin)]
    assert same(*titles) == ""


@every_page
def test_no_link_is_lost_or_leads_elsewhere(page: SourcePage) -> None:
    """In order; a link into a long twin leads to the part that holds the anchor."""

    def named(place: str, link: str) -> str:
        if ":" in link:
            return link
        address, anchor = urldefrag(link)
        path = (HTML / place).parent.joinpath(unquote(address)).resolve() if address else HTML / place
        name = path.relative_to(HTML).as_posix()
        return f"{WHOLE.get(name, name).replace('.html', '.md')}#{anchor}"

    written = [(joined(e), named(place, e["href"])) for place, tree in files(page) for e in tree.select("a[href]")]
    shown = [(joined(e), named(f"{page.name}.html", e["href"])) for e in body(page).select("a[href]")]
    assert same(shown, written) == ""


@every_page
def test_no_cell_of_a_table_is_lost(page: SourcePage) -> None:
    tables = [
        [[[joined(cell) for cell in row.select("th, td")] for row in table.select("tr")] for table in tree(page).select("table")]
        for tree in (body, twin)
    ]
    assert same([row for table in tables[0] for row in table], [row for table in tables[1] for row in table]) == ""
    assert len(tables[0]) == len(tables[1])


@every_page
def test_no_block_is_lost_or_changed(page: SourcePage) -> None:
    shown = [(re.search(r"highlight-(\S+)", " ".join(e.parent["class"]))[1], e.pre.get_text()) for e in body(page).select("div.highlight")]
    written = [((e.code.get("class") or ["language-"])[0].removeprefix("language-"), e.get_text()) for e in twin(page).select("pre")]
    assert same([(kind, text.rstrip()) for kind, text in shown], [(kind, text.rstrip()) for kind, text in written]) == ""


@every_page
def test_no_word_is_lost(page: SourcePage) -> None:
    """All words, in their order. The description, and how the page was verified, stand around the body of the page."""
    description = " ".join(page.front_matter["description"].split())
    assert text_of(page).splitlines()[2] == f"> {description}"
    quote = twin(page).find("blockquote")
    around = whole_page(page).select("p.verified")
    shown = "".join(joined(element) for element in [body(page), *around])
    written = re.sub(r"\s+", "", "".join(text for text in twin(page).strings if quote not in text.parents))
    at = next((i for i, (a, b) in enumerate(zip(shown, written)) if a != b), min(len(shown), len(written)))
    assert shown[at : at + 100] == written[at : at + 100], f"after {shown[max(at - 60, 0) : at]!r}"


@every_page
def test_links_of_the_twin_resolve(page: SourcePage) -> None:
    for place, tree in files(page):
        assert broken(place, tree) == []


def broken(place: str, tree: Tag) -> list[str]:
    result = []
    for link in (element["href"] for element in tree.select("a[href]")):
        if re.match(r"[a-z]+:", link):
            continue
        address, anchor = urldefrag(link)
        target = (HTML / place).parent.joinpath(unquote(address)).resolve() if address else HTML / place
        if not target.is_file() or not target.is_relative_to(HTML) or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            result.append(link)
    return result


@cache
def anchors(file: Path) -> set[str]:
    """What a Markdown viewer lets one link to: named places, and headings by their text in lower case."""
    text = file.read_text(encoding="utf-8")
    tree = rendered(text)
    titles = [re.sub(r"[^\w\- ]", "", e.get_text().strip().lower()).replace(" ", "-") for e in tree.select("h1, h2, h3, h4, h5, h6")]
    return set(re.findall(r'<a id="([^"]+)"></a>', text)) | set(titles)


@every_page
def test_no_twin_is_too_long_to_read(page: SourcePage) -> None:
    sizes = {name: (HTML / name).stat().st_size for name in [f"{page.name}.md", *parts(page)]}
    assert {name: size for name, size in sizes.items() if size > 60_000} == {}
    assert all(WHOLE[part] == f"{page.name}.md" for part in parts(page))


def test_a_program_finds_every_job_within_two_fetches() -> None:
    """llms.txt is the first; the file that it names for a job is the second, and holds the section."""
    text = (HTML / "llms.txt").read_text(encoding="utf-8")
    found = re.findall(r"^  - \[([^]]+)\]\(([^)#]+)#([^)]+)\)$", text, re.M)
    wanted = [job for its in yaml.safe_load(llms.JOBS.read_text(encoding="utf-8")).values() for job in its["jobs"]]
    assert [job for job, _, _ in found] and sorted(job for job, _, _ in found) == sorted(wanted)
    assert [(job, address) for job, address, anchor in found if anchor not in anchors(HTML / address)] == []
    named = {page.name for page in PAGES if page.type != "index" and page.path.parent.name in ("how-to", "reference")}
    assert {WHOLE.get(address, address).removesuffix(".md") for _, address, _ in found} >= named, "each guide and reference does a job"


def test_the_skill_is_where_managers_look() -> None:
    first, second = (json.loads((HTML / ".well-known" / folder / "index.json").read_text(encoding="utf-8")) for folder in ("skills", "agent-skills"))
    (entry,), (listed,) = first["skills"], second["skills"]
    for folder in ("skills", "agent-skills"):
        place = f".well-known/{folder}/{entry['name']}/SKILL.md"
        text = (HTML / place).read_text(encoding="utf-8")
        about = yaml.safe_load(text.split("---\n")[1])
        assert (about["name"], about["description"]) == (entry["name"], entry["description"]) == (listed["name"], listed["description"])
        assert len(about["description"]) <= 1024 and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", about["name"])
        assert broken(place, rendered(text.split("---\n", 2)[2])) == []
    assert listed["digest"] == "sha256:" + hashlib.sha256((HTML / ".well-known/agent-skills" / listed["url"]).read_bytes()).hexdigest()


def test_llms_txt_names_each_page_with_its_description() -> None:
    text = (HTML / "llms.txt").read_text(encoding="utf-8")
    assert re.match(r"# .+\n\n> .+\n", text)
    entries = re.findall(r"^- \[(.+?)\]\((training/.+?)\.md\): (.+)$", text, re.M)
    told = {name: description for _, name, description in entries}
    assert [page.name for page in PAGES if not told[page.name].startswith(page.front_matter["description"])] == []
    assert [page.name for page in GUIDES if " Read it when " not in told[page.name]] == []
    assert {(title, name) for title, name, _ in entries} == {(page.headings[0][1], page.name) for page in PAGES}


def test_llms_full_txt_holds_each_page_with_links_that_work_from_there() -> None:
    text = (HTML / "llms-full.txt").read_text(encoding="utf-8")
    tree = rendered(text)
    assert len(tree.select("h1")) == len(PAGES)
    assert len(tree.select("pre")) == sum(len(twin(page).select("pre")) for page in PAGES)
    assert broken("llms-full.txt", tree) == []


@every_page
def test_a_program_finds_the_twin(page: SourcePage) -> None:
    head = BeautifulSoup((HTML / f"{page.name}.html").read_text(encoding="utf-8").partition("</head>")[0], "html.parser").head
    assert head.select_one('link[rel=alternate][type="text/markdown"]')["href"] == f"{page.path.stem}.md"


# Where messages live is looked up, not read.
READ = [page for page in GUIDES if page.name != problems.HOME]


@pytest.mark.parametrize("page", READ, ids=lambda page: page.path.stem)
def test_the_minutes_of_a_guide_are_those_of_its_words(page: SourcePage) -> None:
    """Within three tenths: lists of files and addresses of links are not read."""
    text = (HTML / f"{page.name}.md").read_text(encoding="utf-8")
    words = len(re.findall(r"\w[\w'-]*", re.sub(r"^\s*```.*?^\s*```|^- \[`.*?$", "", text, flags=re.M | re.S)))
    assert int(re.search(r"^- read (\d+)(?: · do \d+)? min$", text, re.M)[1]) == pytest.approx(words / 230, rel=0.3)


def test_what_a_guide_says_of_its_minutes() -> None:
    assert minutes.told(460, 61) == "read 2 · do 2 min"
    assert minutes.told(20, None) == "read 1 min"
