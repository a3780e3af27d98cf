"""What a published site needs: its address where it is configured and nowhere else, redirects, a page for missing ones."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit
from xml.etree import ElementTree

import moved
import pytest
from bs4 import BeautifulSoup
from pages import DOCS, ROOT
from site_map import HTML, PAGES

ADDRESS = "https://example.com/deep/docs"
REPOSITORY = "https://github.com/OWNER/NAME"
REDIRECTS = [line.split() for line in (DOCS / "redirects.txt").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def head_of(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8").partition("</head>")[0], "html.parser").head


def test_without_an_address_nothing_names_one() -> None:
    assert not (HTML / "sitemap.xml").exists()
    for page in PAGES:
        assert head_of(HTML / f"{page.name}.html").select('[rel=canonical], [property^="og:"]') == []


@pytest.mark.parametrize(("old", "new"), REDIRECTS, ids=lambda name: name)
def test_a_redirect_leads_to_a_page(old: str, new: str) -> None:
    assert (DOCS / new).is_file() and not (DOCS / old).exists()
    stub = HTML / Path(old).with_suffix(".html")
    assert (stub.parent / read(stub).a["href"]).resolve() == HTML / Path(new).with_suffix(".html")


def test_the_page_for_missing_ones_lists_every_page() -> None:
    links = {link["href"] for link in read(HTML / "404.html").article.select("a[href]")}
    below = {page.name for page in PAGES if page.path.parent.name not in ("training", "how-to", "reference")}  # their hub lists them
    assert links == {f"{page.name}.html" for page in PAGES if page.name not in below}
    assert read(HTML / "404.html").select_one("article form[action='search.html'] input[name=q]")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with an address."""
    target = tmp_path_factory.mktemp("published")
    command = [sys.executable, "-m", "sphinx", "-c", ".", "-W", "-n", "--keep-going", "-q", "docs", str(target)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "SITE_ADDRESS": ADDRESS, "SITE_REPOSITORY": REPOSITORY}, check=True)
    return target


@pytest.mark.live
def test_with_a_repository_each_page_has_its_ways_out(published: Path) -> None:
    for page in PAGES:
        links = {link.get_text(): link["href"] for link in read(published / f"{page.name}.html").select(".ways-out a")}
        assert links["Edit this page"] == f"{REPOSITORY}/edit/main/docs/{page.name}.md"
        report = parse_qs(urlsplit(links["Report a problem"]).query)
        assert report["title"] == [f"{page.headings[0][1]}: "] and report["body"][0].splitlines()[0] == f"Page: {page.name}"
        assert links["Repository"] == REPOSITORY


def test_without_a_repository_no_way_leads_to_one() -> None:
    links = [link.get_text() for link in read(HTML / f"{PAGES[0].name}.html").select(".ways-out a")]
    assert links == ["NeMo Gym documentation", "NeMo Gym on GitHub", "License"]
    assert "Apache License" in (HTML / "LICENSE.txt").read_text(encoding="utf-8")


@pytest.mark.live
def test_with_an_address_each_page_has_a_card_and_says_where_it_is(published: Path) -> None:
    for page in PAGES:
        head = head_of(published / f"{page.name}.html")
        here = f"{ADDRESS}/{page.name}.html"
        card = {tag["property"]: tag["content"] for tag in head.select('[property^="og:"]')}
        assert head.select_one("[rel=canonical]")["href"] == card["og:url"] == here
        assert card["og:title"] == page.headings[0][1].replace("`", "")
        assert card["og:description"] == head.select_one("[name=description]")["content"] == page.front_matter["description"]
        assert (published / urlsplit(card["og:image"]).path.removeprefix("/deep/docs/")).read_bytes().startswith(b"\x89PNG")


@pytest.mark.live
def test_the_sitemap_lists_every_page_and_nothing_else(published: Path) -> None:
    found = {element.text for element in ElementTree.parse(published / "sitemap.xml").iter() if element.tag.endswith("loc")}
    assert found == {f"{ADDRESS}/{page.name}.html" for page in PAGES}


@pytest.mark.live
def test_the_page_for_missing_ones_works_at_any_depth(published: Path) -> None:
    page = read(published / "404.html")
    asked = f"{ADDRESS}/a/b/missing.html"
    links = [element.get(key) for key in ("href", "src", "action") for element in page.select(f"[{key}]")]
    paths = [urlsplit(urljoin(asked, link)).path for link in links if not link.startswith(("#", "https:"))]
    assert [path for path in paths if not (published / path.removeprefix("/deep/docs/")).is_file()] == []
    assert page.html["data-content_root"] == "/deep/docs/"


@pytest.mark.live
def test_the_twins_name_the_address(published: Path) -> None:
    for name in ("llms.txt", "llms-full.txt", *(f"{page.name}.md" for page in PAGES)):
        text = re.sub(r"^( *)(`{3,}).*?^\1\2$", "", (published / name).read_text(encoding="utf-8"), flags=re.S | re.M)
        assert [link for link in re.findall(r"\]\(<?([^)>\s]+)", text) if not re.match(r"https?:|#", link)] == [], name




OLD_ANCHORS = {page: anchors.split() for page, anchors in json.loads((ROOT / "tests/data/old_anchors.json").read_text(encoding="utf-8")).items()}
MOVED = moved.read(DOCS)


@functools.cache
def anchors_of(page: str) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', (HTML / f"{page}.html").read_text(encoding="utf-8")))


@functools.cache
def known_to_the_finder() -> dict[str, str]:
    """The anchors that ``reference.js`` leads on, with their pages."""
    data = json.loads((HTML / "reference-index.js").read_text(encoding="utf-8").removeprefix("const REFERENCE = ").strip().removesuffix(";"))
    return {row[1]: data["pages"][row[0]][0].removesuffix(".html") for row in [*data["sections"], *data["entries"]]}


@pytest.mark.parametrize("page", OLD_ANCHORS)
def test_no_link_to_an_old_place_is_dead(page: str) -> None:
    """All anchors of the pages before the reference got pages of its own."""
    dead = []
    for anchor in OLD_ANCHORS[page]:
        if anchor in anchors_of(page):
            continue
        new, _, at = MOVED.get(page, {}).get(anchor, "").partition("#")
        if not new and page.endswith("configuration-options"):
            new, at = known_to_the_finder().get(anchor, ""), anchor
        if not new or at not in anchors_of(new):
            dead.append(anchor)
    assert dead == []


def test_what_moved_is_gone_from_its_page_and_there_where_it_leads() -> None:
    for page, its in MOVED.items():
        assert anchors_of(page).isdisjoint(its)
        assert [new for new in its.values() if new.partition("#")[2] not in anchors_of(new.partition("#")[0])] == []


@pytest.mark.live
@pytest.mark.parametrize(("old", "new"), [
    ("how-to/monitor-data-quality.html#problem-stalled-run", "how-to/troubleshoot-common-issues.html#problem-stalled-run"),
    ("how-to/integrate-with-rl-frameworks.html#trl-integration", "how-to/integrate-with-rl-frameworks.html#set-up-your-trainer"),
    ("reference/configuration-options.html#keys-vllm_model", "reference/configuration-options/models.html#keys-vllm_model"),
    ("reference/configuration-options.html#setting-rollout.num_repeats", "reference/configuration-options/rollout-collection.html#setting-rollout.num_repeats"),
])
def test_a_browser_follows_an_old_place(old: str, new: str, opened, address: str) -> None:
    tab = opened(f"{address}/training/{old}")
    tab.wait_for_url(f"{address}/training/{new}")
