"""Finding the way with a mouse, a finger or the keyboard: menus, neighbors, anchors, copy buttons, colors that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pages import blocks_of
from site_map import GUIDES, PAGES, SourcePage

pytestmark = pytest.mark.live

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
both_widths = pytest.mark.parametrize("width", [1440, 390])
BELOW_INDEX = [page for page in PAGES if page.type != "index"]
PAGE, OTHER = GUIDES[:2]
# Where the keyboard is: what has the focus, and whether a reader sees it there.
FOCUS = """() => {
    const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
    return {
        name: (at.getAttribute("aria-label") || at.innerText || at.name || at.id).trim(),
        tag: at.tagName,
        marked: at.matches(":focus-visible") && (parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== "none" || style.boxShadow !== "none"),
        onScreen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.left < innerWidth,
    };
}"""


def opened_at(opened: Callable, address: str, page: SourcePage | str, width: int = 1440, **options):
    name = page if isinstance(page, str) else page.name
    return opened(f"{address}/{name}.html", viewport={"width": width, "height": 900}, reduced_motion="reduce", **options)


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.name)
def page_and_tab(request, browser, address: str) -> Iterator[tuple[SourcePage, object]]:
    """Each page once, on a phone, for the tests that change nothing on it."""
    context = browser.new_context(viewport={"width": 390, "height": 900}, reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(f"{address}/{request.param.name}.html")
    yield request.param, tab
    context.close()


@both_widths
def test_the_menu_leads_to_every_page(width: int, opened: Callable, address: str) -> None:
    tab = opened_at(opened, address, "training/index", width)
    for page in BELOW_INDEX[:: 1 if width > 960 else 3]:
        if width < 960:
            tab.get_by_role("button", name="Site navigation").click()
        tab.get_by_role("navigation", name="Training").get_by_role("link", name=page.headings[0][1], exact=True).click()
        tab.wait_for_url(f"{address}/{page.name}.html", wait_until="domcontentloaded")
        assert tab.locator("h1").inner_text().startswith(page.headings[0][1])
        assert tab.locator(".guides [aria-current=page]").all_inner_texts() in ([page.headings[0][1]], [""])


def test_next_leads_through_all_pages_and_the_path_back_to_the_start(opened: Callable, address: str) -> None:
    tab = opened_at(opened, address, "training/index", 390)
    seen = [tab.url]
    while (following := tab.locator("a.right-next")).count():
        before = tab.url
        following.click()
        tab.wait_for_url(lambda url: url != before, wait_until="domcontentloaded")
        assert tab.url not in seen
        seen.append(tab.url)
    assert sorted(seen) == sorted(f"{address}/{page.name}.html" for page in PAGES)
    tab.locator(".bd-breadcrumbs").get_by_role("link", name="Home").click()
    assert tab.url == f"{address}/training/index.html"


def test_every_copy_button_takes_the_commands_and_nothing_else(page_and_tab: tuple) -> None:
    page, tab = page_and_tab
    copied = tab.evaluate("""() => {
        const copied = [];
        document.execCommand = () => copied.push(document.activeElement.value);
        document.querySelectorAll(".highlight-console button.copybtn").forEach(button => button.click());
        return copied;
    }""")
    shown = tab.locator(".highlight-console pre").all_text_contents()
    commands = [[line[2:] for line in text.splitlines() if line.startswith(("$ ", "> "))] for text in shown]
    assert len(copied) == len(shown) and all(commands)
    for text, expected in zip(copied, commands):
        # A command that goes on after a backslash has no prompt on its further lines.
        assert [line for line in text.splitlines() if line in expected] == expected
        assert not any(line.startswith(("$ ", "> ")) for line in text.splitlines())
    written = [block for _, block in blocks_of(page.text, page.path) if block.kind == "console"]
    for block in written:
        assert any(all(command.splitlines()[0] in text for command, _ in block.commands()) for text in copied)


def test_the_color_mode_stays_over_pages(opened: Callable, address: str) -> None:
    tab = opened_at(opened, address, PAGE, color_scheme="light")
    theme = "document.documentElement.dataset.theme"
    assert tab.evaluate(theme) == "light"
    tab.get_by_role("button", name="Dark").click()
    tab.get_by_role("navigation", name="Training").get_by_role("link", name=OTHER.headings[0][1], exact=True).click()
    tab.wait_for_url(f"**/{OTHER.name}.html")
    assert tab.evaluate(theme) == "dark"
    assert tab.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    tab.get_by_role("button", name="System").click()
    tab.reload()
    assert tab.evaluate(theme) == "light"


def test_no_target_hides_below_the_header(page_and_tab: tuple) -> None:
    page, tab = page_and_tab
    hidden = tab.evaluate("""() => {
        const bar = document.querySelector(".gym-filter:not([hidden])");
        const hidden = [];
        const links = [...document.querySelectorAll(".bd-article :is(h2, h3, h4, dt, figcaption, .code-block-caption) > .headerlink")];
        const step = Math.ceil(links.length / 60);  // of a reference with hundreds of entries, a part
        for (const link of links.filter((link, number) => number % step === 0)) {
            if (!link.checkVisibility() || link.closest("details:not([open])")) continue;
            location.hash = link.hash;
            const target = link.parentElement.getBoundingClientRect();
            const covering = [document.querySelector("#pst-header"), ...(bar && bar.getBoundingClientRect().top < 200 ? [bar] : [])];
            const edge = Math.max(...covering.map(part => part.getBoundingClientRect().bottom));
            if (target.top < edge || target.top > innerHeight) hidden.push([link.hash, target.top, edge]);
        }
        return hidden;
    }""")
    assert hidden == []


def test_a_page_opened_at_a_target_shows_it(opened: Callable, address: str) -> None:
    """The last heading of a long page, on a first visit: nothing that comes later may push it away."""
    page = max(PAGES, key=lambda page: len(page.text))
    tab = opened_at(opened, address, page)
    anchor = tab.locator(".bd-article h2 > .headerlink").last.get_attribute("href")
    tab.goto("about:blank")
    tab.goto(f"{address}/{page.name}.html{anchor}")
    top, edge = tab.evaluate("anchor => [document.querySelector(anchor).getBoundingClientRect().top, document.querySelector('#pst-header').getBoundingClientRect().bottom]", anchor)
    assert edge <= top <= 900


@both_widths
def test_the_keyboard_skips_to_the_text(width: int, opened: Callable, address: str) -> None:
    tab = opened_at(opened, address, PAGE, width)
    tab.keyboard.press("Tab")
    assert tab.evaluate(FOCUS)["name"] == "Skip to main content"
    assert tab.evaluate(FOCUS)["onScreen"]
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('#main-content') !== null")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_keyboard_goes_through_a_page_in_sight(width: int, scheme: str, opened: Callable, address: str) -> None:
    """From the header over the menu to the text, in the order of the page, and each stop can be seen."""
    tab = opened_at(opened, address, PAGE, width, color_scheme=scheme)
    stops = []
    for _ in range(60):
        tab.keyboard.press("Tab")
        stops.append(tab.evaluate(FOCUS))
    assert [stop["name"] for stop in stops if not (stop["marked"] and stop["onScreen"])] == []
    names = [stop["name"].split("\n")[0] for stop in stops]
    wanted = ["Skip to main content", "NeMo Gym Training", "Home"]  # the path stands above the title
    places = [names.index(name) for name in wanted]
    assert places == sorted(places)
    assert any(name.startswith("Search") for name in names[:6])


@pytest.mark.parametrize("menu", ["Site navigation", "On this page"])
def test_a_menu_opens_and_closes_by_keyboard(menu: str, opened: Callable, address: str) -> None:
    tab = opened_at(opened, address, PAGE, 390)
    button = tab.get_by_role("button", name=menu)
    button.focus()
    tab.keyboard.press("Enter")
    dialog = tab.locator("dialog[open]")
    dialog.wait_for()
    tab.keyboard.press("Tab")
    assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    tab.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert button.evaluate("button => button === document.activeElement")


def unfold(tab) -> None:
    """Open what holds tabs, as a reader would: the setup of a guide is folded."""
    for summary in tab.locator("details:not([open]):has(.sd-tab-set) > summary").all():
        summary.click()


def test_tabs_change_by_keyboard(opened: Callable, address: str) -> None:
    tab = opened_at(opened, address, PAGE)
    unfold(tab)
    tab.locator(".sd-tab-set > input").first.focus()
    before = tab.locator(".sd-tab-content:visible").first.inner_text()
    tab.keyboard.press("ArrowRight")
    assert tab.locator(".sd-tab-content:visible").first.inner_text() != before


@every_page
def test_a_page_can_be_read_without_scripts(page: SourcePage, opened: Callable, address: str) -> None:
    """All of the text is there, no button that needs a script shows, and a link leads on."""
    tab = opened_at(opened, address, page, 390, java_script_enabled=False)
    assert tab.locator("h1").is_visible()
    assert tab.locator(".bd-article .headerlink").count() >= 2
    shown = tab.locator(".bd-article :is(p, li, td, pre):not(details *)")
    assert shown.first.is_visible() and shown.last.is_visible()
    assert not any(button.is_visible() for button in tab.locator(".bd-main button, .bd-header-article button, .gym-filter").all())
    assert tab.locator(".prev-next-footer a").first.is_visible()
    choices = tab.locator(".sd-tab-set label")
    if choices.count() > 1:
        unfold(tab)
        before = tab.locator(".sd-tab-content:visible").first.inner_text()
        choices.nth(1).click()
        assert tab.locator(".sd-tab-content:visible").first.inner_text() != before
