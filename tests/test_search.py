"""The site's search: what it finds for the questions of readers, and how it behaves.

`search_questions.jsonl` holds the questions with the pages that answer them. Those of source "own, untouched" were never
looked at while weights and synonyms were chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import problems
import pytest
import search_terms
from axe_playwright_python.sync_playwright import Axe
from measure import SEARCH_KB, search_weight
from site_map import HTML, PAGES

pytestmark = pytest.mark.live

QUESTIONS = [json.loads(line) for line in Path(__file__).with_name("data").joinpath("search_questions.jsonl").read_text(encoding="utf-8").splitlines()]
RANK = """questions => {
  const search = createSearch(SEARCH_DATA);
  return questions.map((question) => search(question).pages.slice(0, 3).map(({ page, sections }) =>
    [page.url.replace(/^training\\/|\\.html$/g, ""), sections[0]?.section.id]));
}"""
READY = "#search-results[data-ready]"


def ask(opened: Callable, address: str, **options):
    tab = opened(address, **options)
    tab.wait_for_selector(READY, state="attached")
    return tab


@pytest.fixture(scope="module")
def rank(browser) -> Callable[[list[str]], list[list[list[str]]]]:
    """For each question the best three pages, with the section that answers best."""
    tab = browser.new_page()
    tab.goto((HTML / "search.html").as_uri())
    tab.wait_for_selector(READY, state="attached")
    yield lambda questions: tab.evaluate(RANK, questions)
    tab.close()


def hub_of(page: str) -> str:
    """A question about a hub may be answered by a page below it."""
    return "/".join(page.split("/")[:2])


@pytest.mark.parametrize("untouched", [True, False], ids=["untouched", "others"])
def test_the_right_page_is_among_the_first(untouched: bool, rank) -> None:
    """First for at least 80 % of the questions, among the first three for at least 95 %."""
    questions = [row for row in QUESTIONS if (row["source"] == "own, untouched") == untouched]
    right = [[hub_of(page) in row["expected"] for page, _ in found] for row, found in zip(questions, rank([row["q"] for row in questions]))]
    missed = [row["q"] for row, hits in zip(questions, right) if not any(hits)]
    assert len(missed) <= 0.05 * len(questions), missed
    first = sum(hits[0] for hits in right if hits) / len(questions)
    assert first >= 0.8, [row["q"] for row, hits in zip(questions, right) if not (hits and hits[0])]


def test_the_first_search_is_light() -> None:
    assert search_weight() <= SEARCH_KB


def test_questions_are_split_as_texts_are(browser) -> None:
    """The terms of the index come from Python, those of a question from the script."""
    texts = ["maxTokens of HTTPServer's /v1/chat-completions", "pass@8, top_p=0.95 (--max-output-tokens)", "naïve café Größe", "a.b_c/d", "the judges' retries"]
    tab = browser.new_page()
    tab.goto((HTML / "search.html").as_uri())
    tab.wait_for_selector(READY, state="attached")
    found = tab.evaluate("texts => texts.map((text) => createSearch.split(text).map(({ words, stems }) => [words.join('_'), stems.join('_')]))", texts)
    assert found == [[[term, "_".join(search_terms.stems([term]))] for term in search_terms.split(text)] for text in texts]
    tab.close()


def test_no_message_of_the_parser_is_in_pages_or_index() -> None:
    said = re.compile(r"system-message|Duplicate (?:implicit|explicit) target|Unknown target name|Inline \\w+ start-string")
    files = [*HTML.rglob("*.html"), *HTML.rglob("*.md"), *HTML.glob("llms*.txt"), HTML / "search-index.js"]
    assert len(files) > 20 and [file.name for file in files if said.search(file.read_text(encoding="utf-8"))] == []


def test_the_questions_are_many_and_about_every_page() -> None:
    assert len(QUESTIONS) > 150 and len({row["q"].lower() for row in QUESTIONS}) == len(QUESTIONS)
    names = {hub_of(page.name.removeprefix("training/")) for page in PAGES if page.name.startswith("training/")}
    assert {page for row in QUESTIONS for page in row["expected"]} == names


def test_a_pasted_message_finds_its_entry(rank) -> None:
    """Every message of the catalog, first, at its own place."""
    home = problems.HOME.removeprefix("training/")
    messages = {text: anchor for anchor, text in catalog()}
    found = rank(list(messages))
    wrong = [(text, hits[:1]) for (text, anchor), hits in zip(messages.items(), found) if hits[:1] != [[home, anchor]]]
    assert len(messages) > 60 and wrong == []


def catalog() -> list[tuple[str, str]]:
    """(anchor, message as the page shows it) of each entry."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup((HTML / f"{problems.HOME}.html").read_text(encoding="utf-8"), "html.parser")
    entries = [(section["id"], section.find(["h3", "h4", "h5"])) for section in page.select("section.problem")]
    for _, heading in entries:
        for mark in heading.select(".headerlink"):
            mark.decompose()
    return [(anchor, " ".join(heading.get_text().split())) for anchor, heading in entries]


@pytest.mark.parametrize(("one", "other"), [
    ("concurency", "concurrency"), ("dataset", "datasets"), ("OOM", "out of memory"),
    ("max-output-tokens", "max_output_tokens"), ("data set", "dataset"), ("rewrad hacking", "reward hacking"), ("judges", "judge"),
])
def test_spelling_makes_no_difference(one: str, other: str, rank) -> None:
    first, second = rank([one, other])
    assert first[0][0] == second[0][0]


@pytest.mark.parametrize("where", ["disk", "server", "sub-path"])
def test_a_question_in_the_address_is_answered(where: str, opened, address, tmp_path: Path) -> None:
    """The first three links lead to three pages, and the first of them to a place that exists."""
    start = {"disk": HTML.as_uri(), "server": address, "sub-path": f"{address}/sub"}[where]
    link = HTML / "sub"
    if where == "sub-path":
        link.symlink_to(".")
    try:
        tab = ask(opened, f"{start}/search.html?q=what+concurrency+should+I+use%3F")
        links = tab.eval_on_selector_all("#search-results a", "all => all.map((link) => link.href)")
        assert len({address.partition("#")[0] for address in links[:3]}) == 3
        assert links[0].startswith(f"{start}/training/how-to/optimize-rollout-collection.html")
        assert "best first" in tab.inner_text("[role=status]")
        assert tab.locator("#search-results mark").count() > 3, "the sentence shows what was asked for"
        tab.click("#search-results a")
        tab.wait_for_load_state()
        assert tab.evaluate("!location.hash || !!document.getElementById(decodeURIComponent(location.hash.slice(1)))")
    finally:
        if where == "sub-path":
            link.unlink()


def test_results_follow_the_typing_and_the_address_follows_them(opened, address) -> None:
    tab = ask(opened, f"{address}/search.html")
    assert tab.evaluate("document.activeElement.name") == "q"
    tab.keyboard.type("reward hacking")
    tab.wait_for_selector("#search-results a")
    tab.wait_for_url("**?q=reward+hacking")  # a slow machine shows what was typed so far before that
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement === document.querySelector('#search-results a')")
    tab.keyboard.press("ArrowUp")
    assert tab.evaluate("document.activeElement.name") == "q"


def test_each_word_of_titles_and_descriptions_is_answered(opened, address) -> None:
    """Alone, as readers type it: a page may match without any of its sections."""
    tab = ask(opened, f"{address}/search.html")
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    unanswered = tab.evaluate("""() => {
      const field = document.querySelector(".search-page input");
      const texts = SEARCH_DATA.pages.flatMap((page) => [page.title, page.description, ...page.sections.title]);
      const words = new Set(texts.join(" ").toLowerCase().match(/[a-z0-9@_-]{2,}/g));
      return [...words].filter((word) => {
        field.value = word;
        field.form.requestSubmit();
        return !document.getElementById("search-status").textContent.includes(`“${word}”`);
      });
    }""")
    assert (unanswered, errors) == ([], [])


@pytest.mark.parametrize("key", ["Control+k", "/"])
def test_a_key_opens_the_search_of_any_page(key: str, opened, address) -> None:
    tab = opened(f"{address}/training/how-to/monitor-data-quality.html")
    tab.keyboard.press(key)
    tab.keyboard.type("pass@k")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=pass%40k")
    tab.wait_for_selector("#search-results a")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_dialog_answers_while_one_types(scheme: str, width: int, opened, address) -> None:
    tab = opened(f"{address}/training/how-to/monitor-data-quality.html", viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.keyboard.press("/")
    tab.keyboard.type("num_repeats_add_seed")
    tab.wait_for_selector("dialog[open] .search-results li:first-child :text('num_repeats_add_seed')")
    assert [violation["id"] for violation in Axe().run(tab).response["violations"]] == []
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/training/reference/configuration-options/rollout-collection.html#setting-rollout.num_repeats_add_seed")


def test_the_dialog_closes_for_a_place_on_its_own_page(opened, address) -> None:
    tab = opened(f"{address}/training/reference/configuration-options/rollout-collection.html")
    tab.keyboard.press("/")
    tab.keyboard.type("num_repeats_add_seed")
    tab.click("dialog[open] .search-results a:has(:text('num_repeats_add_seed'))")
    tab.wait_for_selector("dialog[open]", state="detached")
    assert tab.evaluate("location.hash") == "#setting-rollout.num_repeats_add_seed"


def test_the_dialog_stays_for_a_result_that_opens_beside(opened, address) -> None:
    tab = opened(f"{address}/training/index.html")
    tab.keyboard.press("/")
    tab.keyboard.type("num_repeats_add_seed")
    link = tab.locator("dialog[open] .search-results a", has_text="num_repeats_add_seed").first
    with tab.context.expect_page():
        link.click(modifiers=["ControlOrMeta"])
    assert link.is_visible()


def test_the_dialog_says_that_nothing_matches(opened, address) -> None:
    tab = opened(f"{address}/training/index.html")
    tab.keyboard.press("/")
    tab.keyboard.type("zzqqxxyy")
    tab.get_by_text("Nothing matches").wait_for()


def test_nothing_found_leads_on(opened, address) -> None:
    tab = ask(opened, f"{address}/search.html?q=zzqqxxyy")
    assert tab.inner_text("[role=status]").startswith("Nothing matches")
    assert tab.is_visible("#search-nothing a[href*=which-guide]")


def test_without_scripts_every_page_is_listed(opened, address) -> None:
    tab = opened(f"{address}/search.html", java_script_enabled=False)
    links = {link.split("/")[-1] for link in tab.eval_on_selector_all("noscript a", "all => all.map((link) => link.href)")}
    assert {f"{page.path.stem}.html" for page in PAGES if page.path.parent.name in ("training", "how-to", "reference")} <= links


def test_pages_do_not_carry_the_search(opened, address) -> None:
    """Neither engine nor index: they come when search opens. Sphinx's own are not built."""
    tab = opened(f"{address}/training/index.html")
    loaded = tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if "search" in name] == []
    assert not (HTML / "searchindex.js").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_results_are_accessible(scheme: str, width: int, opened, address) -> None:
    tab = ask(opened, f"{address}/search.html?q=judge", viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert [violation["id"] for violation in Axe().run(tab).response["violations"]] == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
