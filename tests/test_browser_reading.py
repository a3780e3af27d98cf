"""The ways to read a page other than on a screen: copied as Markdown, printed, without motion, at an address that is gone."""

from __future__ import annotations

import pytest
from site_map import GUIDES, HTML, PAGES, SourcePage

pytestmark = pytest.mark.live
PAGE = GUIDES[0]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_the_button_copies_the_twin(opened, address: str) -> None:
    tab = opened(f"{address}/{PAGE.name}.html")
    button = tab.locator(".twin button")
    assert button.inner_text() == "Copy page as Markdown"
    button.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('.twin [role=status]').textContent === 'Copied'")
    assert tab.evaluate("navigator.clipboard.readText()") == (HTML / f"{PAGE.name}.md").read_text(encoding="utf-8")


def test_from_disk_the_button_opens_the_twin(opened) -> None:
    tab = opened((HTML / f"{PAGE.name}.html").as_uri())
    tab.route("**/*.md", lambda route: route.fulfill(body="opened", content_type="text/plain"))
    tab.locator(".twin button").click()
    tab.wait_for_url("**/*.md")


def test_without_scripts_the_twin_is_one_link_away(opened, address: str) -> None:
    tab = opened(f"{address}/{PAGE.name}.html", java_script_enabled=False)
    assert not tab.locator(".twin button").is_visible()
    assert tab.locator(".twin a").get_attribute("href") == f"{PAGE.path.stem}.md"


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_prints_all_of_its_text_in_black_and_nothing_else(page: SourcePage, scheme: str, opened, address: str) -> None:
    # The printable width of A4 with the margins of the stylesheet.
    tab = opened(f"{address}/{page.name}.html", color_scheme=scheme, viewport={"width": 688, "height": 1000})
    tab.emulate_media(media="print", color_scheme=scheme)
    shown = "header, .bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-footer, .bd-footer, button, .headerlink, .gym-filter"
    assert tab.locator(shown).evaluate_all("all => all.filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))") == []
    assert tab.locator(".bd-article :not(svg *)").evaluate_all("all => all.filter(e => getComputedStyle(e).color !== 'rgb(0, 0, 0)').length") == 0
    assert tab.locator(".bd-article .sd-tab-content").evaluate_all("all => all.filter(e => !e.checkVisibility()).length") == 0
    assert tab.locator(".bd-article details > :not(summary)").evaluate_all("all => all.filter(e => !e.getBoundingClientRect().height && e.textContent.trim()).length") == 0
    assert tab.locator(".bd-article :is(pre, table)").evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent.slice(0, 80))") == []
    links = tab.locator(".bd-article a[href^=http]").evaluate_all("all => all.map(e => [e.getAttribute('href'), getComputedStyle(e, '::after').content])")
    assert [link for link, after in links if link not in after and "attr(href)" not in after] == []


def test_nothing_moves_for_a_reader_who_asked_for_that(opened, address: str) -> None:
    moving = "[...document.querySelectorAll('*')].filter(e => [e, '::before', '::after'].some((p, i) => { const s = i ? getComputedStyle(e, p) : getComputedStyle(e); return parseFloat(s.transitionDuration) > 0 || s.animationName !== 'none' || s.scrollBehavior === 'smooth'; })).length"
    assert opened(f"{address}/{PAGE.name}.html").evaluate(moving) > 0, "without the wish, something moves: else this test sees nothing"
    assert opened(f"{address}/{PAGE.name}.html", reduced_motion="reduce").evaluate(moving) == 0


def test_the_page_for_missing_ones_starts_a_search_with_the_words_of_the_address(opened, address: str) -> None:
    tab = opened(f"{address}/404.html")
    assert tab.locator("#not-found").input_value() == ""
    page = (HTML / "404.html").read_text(encoding="utf-8")
    tab.route("**/optimize_rollouts-fast.html", lambda route: route.fulfill(body=page, content_type="text/html"))
    tab.goto(f"{address}/optimize_rollouts-fast.html")
    assert tab.locator("#not-found").input_value() == "optimize rollouts fast"


def test_an_old_address_leads_to_the_new_one(opened, address: str) -> None:
    tab = opened(f"{address}/training/how-to/index.html#guides")
    tab.wait_for_url("**/training/index.html#guides")
    tab.goto(f"{address}/index.html#guides")
    tab.wait_for_url("**/training/index.html#guides")
