"""A number that the package states is taken from it: typed beside a linked setting, it would be wrong one release later."""

from __future__ import annotations

import json
import re

import pytest
from facts import Facts
from pages import DOCS

FACTS = Facts(json.loads((DOCS / "_ext" / "facts.json").read_text(encoding="utf-8")))
SOURCES = sorted(path for path in (DOCS / "training").rglob("*.md"))
FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2 *$", re.S | re.M)
ENTRY = re.compile(r"^:::\{gym:(?:setting|variable)\} (.+)\n((?:.*\n)*?):::$", re.M)
LINK = re.compile(r"\{gym:(?:setting|variable)\}`(?:[^`<]*<)?([^`>]+)>?`")
NOT_PROSE = re.compile(r"\{gym:\w+\}`[^`]*`|\]\([^)]*\)|^:[\w-]+:", re.M)
NUMBER = re.compile(r"(?<![\w.,/:=+-])(\d[\d,]*(?:\.\d+)?)(?![\w/:]|[.,]\d)")
IN_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


def default(name: str) -> float | None:
    """The default of a setting or variable if it is a number."""
    kind = "setting" if name in FACTS.data["settings"] else "variable" if name in FACTS.data["variables"] else ""
    try:
        value = FACTS.default(name) if kind else None
    except (KeyError, StopIteration):
        return None
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        value = float(value)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


def typed(text: str) -> list[str]:
    """Each typed number that a linked setting's default is, or that a sentence calls its default."""
    found = []
    prose = FENCE.sub("", text)
    units = [(names.split(), body) for names, body in ENTRY.findall(prose)]
    units += [([], line) for part in re.split(r"\n\s*\n", ENTRY.sub("", prose)) for line in (part.split("\n") if part.lstrip().startswith("|") else [part])]
    for names, unit in units:
        linked = {name: value for name in [*names, *LINK.findall(unit)] if (value := default(name)) is not None}
        for sentence in re.split(r"(?<=[.;:])\s|\|", unit) if linked else ():
            plain = NOT_PROSE.sub(" ", sentence)
            said = re.search(r"\bdefaults?\b(?! `)", plain, re.I)
            for match in NUMBER.finditer(plain):
                number = float(match[1].replace(",", ""))
                factor = next((value for word, value in IN_SECONDS.items() if re.match(rf"[- ]{word}", plain[match.end():])), 1)
                is_default = number > 2 and number * factor in linked.values()
                if said or is_default:
                    found.append(f"{' '.join(linked)}: {' '.join(sentence.split())}")
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("text", [
    ":::{gym:setting} global.global_aiohttp_connector_limit_per_host\nThe default is 512. More wait.\n:::",
    "| {gym:setting}`global.global_aiohttp_connector_limit_per_host` | 512 by default, and divided among the workers |",
    "With {gym:setting}`global.global_aiohttp_connector_limit_per_host` at most 1,024 connections are open.",
    "Gym waits for 10 minutes: {gym:setting}`global.server_spinup_timeout_seconds`.",
])  # fmt: skip
def test_what_is_refused(text: str) -> None:
    assert len(typed(text)) == 1


@pytest.mark.parametrize("text", [
    "{gym:setting}`global.global_aiohttp_connector_limit_per_host` is {gym:default}`global.global_aiohttp_connector_limit_per_host` by default.",
    "Set {gym:setting}`global.global_aiohttp_connector_limit_per_host` to 4096, or `++limit=1024`.",
    "Our script makes 1024 requests by default.",
])  # fmt: skip
def test_what_is_not(text: str) -> None:
    assert typed(text) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_no_default_is_typed(path) -> None:
    assert typed(path.read_text(encoding="utf-8")) == []
