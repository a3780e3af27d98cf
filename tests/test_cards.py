"""The checker of each task card lets the right end state pass, and no wrong one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import verified
from cards.__main__ import HERE, NAMES, card, check, lay

GYM = {name for name in NAMES if getattr(card(name), "NEEDS_GYM", False)}
GUIDES = {path.stem for path in (HERE.parent / "docs/training/how-to").glob("*.md")}


def params(states):
    return [pytest.param(name, state, id=f"{name}-{state.__name__}", marks=[pytest.mark.gym] if name in GYM else []) for name in NAMES for state in states(card(name))]


@pytest.mark.parametrize("name, state", params(lambda one: [one.right]))
def test_the_right_state_passes(name: str, state, tmp_path: Path) -> None:
    lay(name, tmp_path / "work")
    state(tmp_path / "work")
    assert check(name, tmp_path / "work") is None


@pytest.mark.parametrize("name, state", params(lambda one: one.WRONG))
def test_a_wrong_state_does_not(name: str, state, tmp_path: Path) -> None:
    lay(name, tmp_path / "work")
    assert check(name, tmp_path / "work"), "the given files alone pass"
    state(tmp_path / "work")
    why = check(name, tmp_path / "work")
    assert why and "\n" not in why, f"{state.__name__} passes"


def test_every_guide_has_a_card_and_four_cards_cross_guides() -> None:
    of = {name: card(name).GUIDES for name in NAMES}
    assert len(NAMES) >= 15
    assert {guide for guides in of.values() for guide in guides} == GUIDES
    assert sum(len(guides) > 1 for guides in of.values()) >= 4
    assert all(len(card(name).WRONG) >= 3 for name in NAMES)


def test_a_card_gives_the_same_files_each_time_and_says_nothing_of_how_to(tmp_path: Path) -> None:
    scripts = {path.name for path in (HERE.parent / "docs/training").rglob("*.py")} - {"app.py"}  # the file of any server
    for name in NAMES:
        assert card(name).files() == card(name).files()
        text = (HERE / name / "card.md").read_text()
        assert len(text.split()) < 100
        assert not [script for script in scripts if script in text]


def test_results_are_of_cards_that_exist_and_of_their_guides() -> None:
    path = HERE / "results.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for row in rows:
        assert row["card"] in NAMES and tuple(row["guides"]) == card(row["card"]).GUIDES
        assert row["start"] in ("llms.txt", "search") and isinstance(row["done"], bool)
        assert row["done"] == (row["why"] is None)
    assert max(Counter((row["card"], row["reader"]) for row in rows).values(), default=1) == 1, "who did a card is no fresh reader of it"


def test_a_guide_says_how_many_did_its_tasks() -> None:
    row = {"card": "a", "start": "search", "guides": ["one"], "done": False, "date": "2026-11-29"}
    again, other = row | {"done": True, "date": "2026-11-30"}, row | {"start": "llms.txt"}
    text = "".join(f"{json.dumps(one)}\n" for one in (row, other, again))
    assert verified.readers(text, "one") == "Tasks of this guide done from this site alone: by 1 of 2 readers, all of them programs, 2026-11-30."
    assert verified.readers(text, "two") is None
