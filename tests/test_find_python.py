"""Which Python the package under documentation gets: on a fresh machine uv installs it, and only where it cannot an older one stands in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pages import ROOT

UV = """#!/bin/bash
case "$*" in
"python find"*3.13.14) [ -e {folder}/installed ] && echo {folder}/3.13.14 ;;
"python find"*) {known} ;;
"python install"*) {install} ;;
esac
"""


@pytest.fixture
def find(tmp_path: Path):
    """Run the script where uv knows one Python 3.13, or none, and can install one, or not."""

    def find(known: str = "", installs: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        for version in ("3.13.0", "3.13.14", "3.13.20", "3.12.9"):
            program(version, f"#!/bin/bash\necho {version}\n")
        install = f"touch {tmp_path}/installed" if installs else "exit 1"
        uv = program("uv", UV.format(folder=tmp_path, known=f"echo {tmp_path}/{known}" if known else "exit 1", install=install))
        settings = {"PATH": "/usr/bin:/bin", "UV": str(uv), "MINIMUM": "3.13.14", **environment}
        return subprocess.run([ROOT / "tests" / "support" / "find_python.sh"], env=settings, capture_output=True, text=True)

    def program(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    return find


def test_one_that_is_new_enough_is_taken(find, tmp_path: Path) -> None:
    result = find(known="3.13.20", installs=True)
    assert (result.stdout, result.stderr) == (f"{tmp_path}/3.13.20\n", "") and not (tmp_path / "installed").exists()


@pytest.mark.parametrize("known", ["", "3.13.0"])
def test_on_a_fresh_machine_uv_installs_it(find, tmp_path: Path, known: str) -> None:
    result = find(known=known, installs=True)
    assert (result.stdout, result.stderr) == (f"{tmp_path}/3.13.14\n", "")


def test_an_older_one_stands_in_and_says_so(find, tmp_path: Path) -> None:
    result = find(known="3.13.0")
    assert result.returncode == 0 and result.stdout == f"{tmp_path}/3.13.0\n"
    assert result.stderr.splitlines() == [
        "Python 3.13.14 could not be installed: 3.13.0 stands in for it in this test set-up. Readers need 3.13.14."
    ]


def test_none_at_all_is_one_line_of_advice(find) -> None:
    result = find()
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "GYM_PYTHON=" in result.stderr


def test_the_named_one_comes_first(find, tmp_path: Path) -> None:
    assert find(known="3.13.20", GYM_PYTHON=str(tmp_path / "3.13.0")).stdout == f"{tmp_path}/3.13.0\n"
    wrong = find(GYM_PYTHON=str(tmp_path / "3.12.9"))
    assert wrong.returncode == 1 and "is not a Python 3.13" in wrong.stderr
