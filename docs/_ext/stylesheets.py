"""Stylesheets without the rules that no page of this site can match, and without the variables that none of them reads.

A selector is kept if each class, element and id that it names stands in a page, or is set by a script.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

COMMENT, RULE = re.compile(r"/\*.*?\*/", re.S), re.compile(r"([^{}]+)\{([^{}]*)\}")
EMPTY_BLOCK = re.compile(r"@(?:media|supports)[^{}]*\{\s*\}")
COMMA = re.compile(r",(?![^()]*\))")  # those within :not(...) and :is(...) do not separate selectors
PSEUDO, ATTRIBUTE = re.compile(r"::?[\w-]+(?:\((?:[^()]|\([^()]*\))*\))?"), re.compile(r"\[[^\]]*\]")
NAMES = re.compile(r"\.-?[_a-zA-Z][\w-]*|#[\w-]+|(?:^|(?<=[\s>+~]))[a-z][a-z0-9-]*")
IN_PAGE = re.compile(r'<([a-z][a-z0-9-]*)|\b(class|id)="([^"]*)"')
WORD, SET_BY_SCRIPT = re.compile(r"[_a-zA-Z][\w-]*"), re.compile(r"""classList\.(?:add|toggle)\(["']([\w-]+)""")
READ = re.compile(r"var\(\s*(--[\w-]+)")
DECLARED = re.compile(r"""(--[\w-]+)\s*:(?:"[^"]*"|'[^']*'|[^;{}"'])*(?:;|(?=\}))""")


def names_of_page(html: str) -> set[str]:
    """What selectors can name: ``p``, ``.table``, ``#main-content``; and the variables that its drawings read."""
    found = set(READ.findall(html))
    for element, kind, value in IN_PAGE.findall(html):
        found.update([element] if element else ({"class": ".", "id": "#"}[kind] + name for name in value.split()))
    return found


def names_of_pages(folder: Path, kept: Path) -> set[str]:
    """Of all pages below ``folder``; those of a page that did not change come from the file ``kept``."""
    before = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    now = {}
    for page in folder.rglob("*.html"):
        stat = page.stat()
        name, state = page.relative_to(folder).as_posix(), [stat.st_mtime_ns, stat.st_size]
        same = before.get(name, [None])[0] == state
        now[name] = before[name] if same else [state, sorted(names_of_page(page.read_text(encoding="utf-8")))]
    kept.write_text(json.dumps(now), encoding="utf-8")
    return {name for _, names in now.values() for name in names}


def names_of_scripts(own: Iterable[Path], foreign: Iterable[Path]) -> set[str]:
    """Every word of our own scripts; of others, the classes that they set."""
    words = {word for script in own for word in WORD.findall(script.read_text(encoding="utf-8"))}
    words.update(name for script in foreign for name in SET_BY_SCRIPT.findall(script.read_text(encoding="utf-8")))
    return words | {f"{mark}{word}" for word in words for mark in ".#"}


def without_dead_rules(stylesheet: str, known: set[str]) -> str:
    def alive(rule: re.Match) -> str:
        selectors, declarations = rule.groups()
        if selectors.lstrip().startswith("@") or selectors.rstrip().endswith("%") or selectors.strip() in ("from", "to"):
            return rule[0]
        kept = [part for part in COMMA.split(selectors) if known.issuperset(NAMES.findall(ATTRIBUTE.sub("", PSEUDO.sub("", part)).strip()))]
        return f"{','.join(kept)}{{{declarations}}}" if kept else ""

    return EMPTY_BLOCK.sub("", RULE.sub(alive, COMMENT.sub("", stylesheet)))


def without_dead_variables(stylesheets: list[str], known: set[str]) -> list[str]:
    """A variable may be read by another one: what nobody reads goes first, then what only that has read."""
    while True:
        read = known.union(*(READ.findall(text) for text in stylesheets))
        slimmer = [RULE.sub(lambda rule: rule[0] if rule[2].strip() else "", DECLARED.sub(lambda one: one[0] if one[1] in read else "", text)) for text in stylesheets]
        if slimmer == stylesheets:
            return slimmer
        stylesheets = slimmer


def slimmed(stylesheets: list[str], known: set[str], kept: Path) -> list[str]:
    """The stylesheets without what is dead; from the file ``kept`` if nothing has changed since."""
    state = hashlib.sha256(json.dumps([stylesheets, sorted(known), Path(__file__).stat().st_mtime_ns]).encode()).hexdigest()
    before = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if before.get("state") != state:
        before = {"state": state, "css": without_dead_variables([without_dead_rules(text, known) for text in stylesheets], known)}
        kept.write_text(json.dumps(before), encoding="utf-8")
    return before["css"]
