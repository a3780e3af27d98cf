"""The faults that `make faults` plants still fit what is there. Planting them takes half an hour; this takes none."""

from __future__ import annotations

import re

import pytest
from pages import ROOT
from planted_faults import BUILD, FAULTS, PAGE, Fault

TESTS = set(re.findall(r"^def (test_\w+)", "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py")), re.M))


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_can_be_planted_and_what_catches_it_exists(fault: Fault) -> None:
    path = ROOT / fault.file
    before = path.read_text() if path.exists() else None
    assert fault.change(before or "") != before
    assert fault.caught_by in (BUILD, PAGE) or any(name.startswith(fault.caught_by) for name in TESTS)
