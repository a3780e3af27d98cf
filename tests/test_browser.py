"""What only a browser can tell: accessibility, width, requests, copying, tabs that stay."""

from __future__ import annotations

import gzip
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from measure import BUDGET, weight_limit
from site_map import GUIDES, HTML, PAGES, SourcePage

pytestmark = pytest.mark.live

UNFOLD = "document.querySelectorAll('details').forEach(fold => fold.open = true)"  # the setup is folded

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture
def open_page(browser, address):
    """Open a page of the site in a fresh profile; console errors and foreign requests end up in `.trouble`."""
    contexts = []

    def open_page(name: str, width: int = 1440, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        tab = context.new_page()
        tab.trouble = []
        tab.on("console", lambda message: message.type == "error" and tab.trouble.append(message.text))
        tab.on("request", lambda request: urlsplit(request.url).hostname not in ("127.0.0.1", None) and tab.trouble.append(request.url))
        tab.goto(f"{address}/{name}.html")
        return tab

    yield open_page
    for context in contexts:
        context.close()


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_accessibility_violation(page: SourcePage, scheme: str, width: int, open_page) -> None:
    tab = open_page(page.name, width, scheme)
    assert tab.evaluate("document.fonts.size >= 0 && document.body.getBoundingClientRect().height > 100")
    result = Axe().run(tab)
    found = [(v["id"], [node["html"][:120] for node in v["nodes"]][:3]) for v in result.response["violations"]]
    assert found == []
    assert tab.trouble == []


@every_page
def test_no_sideways_scrolling_on_a_small_phone(page: SourcePage, open_page) -> None:
    tab = open_page(page.name, 320)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320


@every_page
def test_a_page_is_light(page: SourcePage, open_page, address) -> None:
    """What a first visit asks for, compressed as a server would, within the budgets of `make measure`."""
    tab = open_page("404")
    asked: list[str] = []
    visit = tab.context.new_page()  # the first tab may still be asking for its own files
    visit.on("request", lambda request: asked.append(request.url))
    visit.goto(f"{address}/{page.name}.html", wait_until="networkidle")
    files = [HTML / unquote(urlsplit(url).path).lstrip("/") for url in asked if url.startswith(address)]
    weight = sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)
    assert len(files) == len(asked) <= BUDGET["requests"]
    assert weight / 1000 <= weight_limit(page.name)


def test_copy_takes_commands_without_prompts_and_outputs(open_page) -> None:
    tab = open_page(GUIDES[0].name)
    tab.evaluate(UNFOLD)
    block = tab.locator(".highlight-console:has(.go)").first
    block.locator("button.copybtn").click()
    tab.wait_for_timeout(200)
    copied = tab.evaluate("navigator.clipboard.readText()")
    shown = block.locator("pre").inner_text()
    commands = [line.removeprefix("$ ") for line in shown.splitlines() if line.startswith("$ ")]
    assert copied.splitlines()[0] == commands[0]
    assert not re.search(r"^\$ ", copied, re.M)
    assert len(copied) < len(shown)


def test_the_choice_of_endpoint_stays_over_pages(open_page) -> None:
    tab = open_page(GUIDES[0].name)
    tab.evaluate(UNFOLD)
    tab.get_by_text("Your vLLM", exact=True).first.click()
    tab.goto(tab.url.replace(GUIDES[0].path.stem, GUIDES[1].path.stem))
    assert tab.locator(".sd-tab-set label", has_text="Your vLLM").first.evaluate("label => label.previousElementSibling.checked")


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_the_zip_can_be_downloaded(page: SourcePage, open_page, tmp_path: Path) -> None:
    tab = open_page(page.name)
    tab.evaluate(UNFOLD)
    with tab.expect_download() as download:
        tab.locator(f'a[href$="{page.path.stem}.zip"]').first.click()
    target = tmp_path / "page.zip"
    download.value.save_as(target)
    names = zipfile.ZipFile(target).namelist()
    assert f"{page.path.stem}/practice_endpoint.py" in names
