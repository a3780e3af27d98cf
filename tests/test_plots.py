"""The drawings that are kept in `docs/_plots` are what the scripts draw of the data today."""

from __future__ import annotations

import importlib.metadata
import re

import plot
import pytest
from pages import ROOT

WANTED = sorted({(script, function, data) for script, function, data in plot.wanted()})


def test_each_plot_on_a_page_is_kept_and_no_other() -> None:
    assert WANTED
    assert {plot.kept(function, data) for _, function, data in WANTED} == set(plot.KEPT.iterdir()), "run `make plots`"
    assert len({plot.kept(function, data) for _, function, data in WANTED}) == len(WANTED), "two plots want one file"


@pytest.mark.parametrize("script, function, data", WANTED, ids=lambda value: getattr(value, "stem", value))
def test_a_kept_drawing_is_of_todays_script_and_data(script, function, data) -> None:
    inputs, _, svg = plot.kept(function, data).read_text(encoding="utf-8").partition("\n")
    assert inputs == f"<!-- {plot.inputs_of(script, function, data)} -->", "the script or its data changed since: run `make plots`"
    pinned = re.search(r"^matplotlib==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
    if importlib.metadata.version("matplotlib") == pinned:  # others place the same text a hundredth of a point aside
        assert svg == plot.draw(script, function, data, plot.inputs_of(script, function, data))


def test_changed_data_are_drawn_anew_at_once(tmp_path) -> None:
    script, function, data = next(entry for entry in WANTED if entry[1] == "draw_io")
    assert plot.drawing(script, function, data, tmp_path) == plot.kept(function, data).read_text(encoding="utf-8")
    changed = tmp_path / data.name
    changed.write_text(data.read_text(encoding="utf-8") + " ", encoding="utf-8")
    drawn = plot.drawing(script, function, changed, tmp_path / "plots")
    assert drawn != plot.kept(function, data).read_text(encoding="utf-8") and "<svg" in drawn
    assert [path.read_text(encoding="utf-8") for path in (tmp_path / "plots").iterdir()] == [drawn]
