"""Each page keeps the limits of `make figures`."""

from __future__ import annotations

import statistics

import pytest
import style
from page_figures import HOME, MEDIAN_WORDS, in_browser, missed, still
from site_map import PAGES, SourcePage

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_a_page_keeps_its_limits(page: SourcePage) -> None:
    assert missed(page, still(page)) == {}


def test_the_median_guide_keeps_its_length() -> None:
    assert statistics.median(still(page)["words"] for page in PAGES if page.type == "guide" and page.name != HOME) <= MEDIAN_WORDS


@pytest.mark.live
@every_page
def test_the_job_starts_soon_and_code_fits_its_box(page: SourcePage, browser, address: str) -> None:
    assert [missed(page, seen) for page, seen in in_browser([page], browser, address)] == [{}]


def test_phrases_are_counted_outside_code() -> None:
    assert style.stiff("When in doubt, a. When in\ndoubt, b. `when in doubt`") == []
    assert len(style.stiff("When in doubt, a. when in\ndoubt, b. When in doubt, c.")) == 1
    assert style.stiff("We do it in order to win.")[0].endswith("to")


def test_a_sentence_ends_where_its_reader_breathes() -> None:
    prose = "One two three. Four `five. Six` seven:\n\n- eight nine\n- ten\n\n| a | table |\n\n[A link](with.many#words) ends."
    assert [len(sentence.split()) for sentence in style.sentences(prose)] == [3, 3, 2, 1, 3]
