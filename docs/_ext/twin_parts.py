"""The parts of a Markdown twin that is too long for many programs to read: each a file of its own, none above ``LIMIT`` bytes.

The twin itself keeps what stands before the first section, and lists the parts with the sections that each holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

LISTING = "## Parts of this page"
LIMIT, FULL = 58_000, 50_000  # no twin is larger; a part takes sections until it has as much
FENCE, HEADING = re.compile(r"^\s*(`{3,}|~{3,})"), re.compile(r"^(#{2,6}) (?:\ue000[^\ue001]*\ue001\s?)*(.+)$")

MARK = re.compile(r"\s*(?:\ue000[^\ue001]*\ue001\s*)*")


class Part(NamedTuple):
    name: str
    titles: list[str]
    text: str


def headings(text: str) -> list[tuple[int, str]]:
    """Level and title of each heading outside code."""
    return [(level, title) for level, title, _ in lines_of(text) if level]


def lines_of(text: str) -> Iterator[tuple[int, str, str]]:
    """Each line with the level and the title of the heading that it is, 0 and "" if it is none."""
    fence = ""
    for line in text.splitlines(keepends=True):
        if ("```" in line or "~~~" in line) and (mark := FENCE.match(line)):
            fence = fence or mark[1] if not fence.startswith(mark[1][:3]) or len(mark[1]) < len(fence) else ""
        heading = HEADING.match(line) if not fence and line.startswith("##") else None
        yield (len(heading[1]), heading[2].strip(), line) if heading else (0, "", line)


def pieces(text: str, level: int) -> list[tuple[str, str]]:
    """The text cut before each heading of this level: (title, piece). What comes before the first has no title."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for depth, title, line in lines_of(text):
        if depth == level:
            before, own = found[-1][1], []
            while before and MARK.fullmatch(before[-1]):  # its anchors stand before it
                own.insert(0, before.pop())
            found.append((title, own))
        found[-1][1].append(line)
    return [(title, "".join(lines)) for title, lines in found if title or any(map(str.strip, lines))]


def small(title: str, text: str, level: int) -> list[tuple[str, str]]:
    """A section, cut along its headings until no piece is too large."""
    if len(text.encode()) <= LIMIT or level > 5:
        return [(title, text)]
    return [piece for own, below in pieces(text, level) for piece in small(own or title, below, level + 1)]


def split(text: str, slug: Callable[[str], str]) -> tuple[str, list[Part]]:
    """What stays in the twin, and its parts; ``slug`` makes a file name of a title."""
    if len(text.encode()) <= LIMIT:
        return text, []
    (_, head), *sections = pieces(text, 2)
    groups: list[list[tuple[str, str]]] = []
    for title, piece in (found for own, section in sections for found in small(own, section, 3)):
        if not groups or sum(len(each.encode()) for _, each in [*groups[-1], (title, piece)]) > FULL:
            groups.append([])
        groups[-1].append((title, piece))
    parts: list[Part] = []
    for group in groups:
        titles = list(dict.fromkeys(title for title, _ in group))
        name, taken = slug(titles[0])[:60].strip("-") or "part", {part.name for part in parts}
        name = next(each for each in (name, *(f"{name}-{number}" for number in range(2, 99))) if each not in taken)
        parts.append(Part(name, titles, "".join(piece for _, piece in group)))
    return head, parts
