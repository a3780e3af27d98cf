"""The checker of each task card lets the right end state pass, and no wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert why and "\n" not in why and why != "", f"{state.__name__} passes"
