"""What pages tell readers to install is what the tests use. The block for the trainers is not run: `make trainers` does the same."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pages import DOCS, MINIMUM, ROOT, blocks_of

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
INSTALLS = re.compile(r"^\$ (uv|trainers/bin/pip) (pip )?install", re.M)
GYM, TRAINERS = "index", "how-to/integrate-with-rl-frameworks"


def commands(page: str) -> list[list[str]]:
    """The words of each command of the page's one block that installs what all of it needs."""
    path = DOCS / "training" / f"{page}.md"
    block, = (block for _, block in blocks_of(path.read_text(encoding="utf-8"), path) if INSTALLS.search(block.text))
    return [shlex.split(command.replace("\\\n", " ")) for command, _ in block.commands()]


def pinned(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def installed(page: str) -> tuple[list[str], list[str]]:
    """What the block installs with its dependencies, and what without."""
    found: tuple[list[str], list[str]] = [], []
    for words in commands(page):
        if "install" in words:
            named = words[words.index("install") + 1 :]
            if "-r" in named:
                named += pinned(DOCS / "training" / page / named.pop(named.index("-r") + 1))
            found["--no-deps" in named].extend(word for word in named if word not in ("--no-deps", "-r"))
    return found


def specifiers(requirements: list[str]) -> dict[str, str]:
    return {its.name: str(its.specifier) for its in map(Requirement, requirements)}


@pytest.mark.gym
def test_readers_install_the_release_that_the_tests_use() -> None:
    metadata = next((ROOT / ".venv-gym").glob("lib/python3.*/site-packages/nemo_gym-*/METADATA")).read_text(encoding="utf-8")
    asked = re.search(r"^Requires-Python: >=(\S+)$", metadata, re.M)[1]
    assert MINIMUM == asked
    assert commands(GYM)[0][:5] == ["uv", "venv", "-q", "--python", asked]
    assert installed(GYM) == ([GROUPS["gym"][0]], [])


def test_readers_install_the_trainers_that_the_tests_use() -> None:
    with_dependencies, alone = installed(TRAINERS)
    ours = {name: its if "<" in its or "==" in its else "" for name, its in specifiers(GROUPS["trainers"]).items()}  # pip takes the newest
    assert specifiers(with_dependencies) == ours
    axolotl = re.search(r"axolotl==[\d.]+", (ROOT / "Makefile").read_text(encoding="utf-8"))[0]  # on its own there: it asks for another Python
    assert sorted(alone) == sorted(GROUPS["loaders"] + pinned(ROOT / "constraints-loaders.txt") + [axolotl])
    assert commands(TRAINERS)[0][-3:] == ["--python", "3.12", "trainers"], "verl has no wheel for 3.13, and Axolotl asks for 3.12"


@pytest.mark.gym
@pytest.mark.parametrize(("page", "folder"), [(GYM, ".venv-gym"), (TRAINERS, ".venv-trainers")])
def test_the_environments_of_the_tests_hold_what_readers_install(page: str, folder: str) -> None:
    wanted = specifiers(sum(installed(page), []))
    code = "import json, sys; from importlib.metadata import version; print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    seen = json.loads(subprocess.run([ROOT / folder / "bin" / "python", "-c", code, *wanted], capture_output=True, text=True, check=True).stdout)
    assert {name: version for name, version in seen.items() if not Requirement(name + wanted[name]).specifier.contains(version)} == {}
