"""What a program can see of the style note in CONTRIBUTING.md: phrases, and sentences that are too long."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_SENTENCE = 45
# phrase -> (how often a page may have it, what to write)
PHRASES = {
    r"\bwhen in doubt\b": (2, "Default: ..., or once in the table of choices"),
    r"\bwithout a (?:word|message)\b": (2, "silently"),
    r"\btakes? no notice of\b": (0, "ignores"),
    r"\bbe here to\b": (0, "in this section"),
    r"\bgo elsewhere\b": (0, "elsewhere"),
    r"\bkeys answer what\b": (0, "these overrides prevent ..."),
    r"\bin order to\b": (0, "to"),
    r"\bwhatever you can copy\b": (0, "every command"),
    r"\bwere held against\b": (0, "checked against"),
    r"\bone by one:": (0, "(nothing)"),
    r"\bforeign token ids\b": (0, "another tokenizer's token ids"),
    r"\bspares? (?:a|you|the)\b": (0, "saves"),
    r"\binstalls for minutes\b": (0, "takes several minutes to install"),
    r"\bsee that .{1,20} took it\b": (0, "confirm that it took effect"),
    r"\bkeeps? their key\b": (0, "are unchanged"),
    r"\bin the (?:long|short) run of\b": (0, "over"),
    r"\bas it stands\b": (1, "unchanged"),
}
CODE, LINK, TABLE = re.compile(r"(`+).*?\1", re.S), re.compile(r"\]\([^)]*\)"), re.compile(r"^\s*\|.*$", re.M)
OPTION = re.compile(r"^:{1,6}(?:[\w-]+:.*|\{[^}]*\}.*|)$", re.M)
END = re.compile(r"(?<=[.!?:])[\"')*_]*\s+(?=[\"'(*_\[]*[A-Z`0-9])|\n\s*\n(?:\s*(?:[-*]|\d+\.)\s)?|\n\s*(?:[-*]|\d+\.)\s|;\s")


def plain(prose: str) -> str:
    return OPTION.sub("", LINK.sub("]", CODE.sub("X", TABLE.sub("\n", prose))))


def sentences(prose: str) -> Iterator[str]:
    """The sentences of paragraphs and lists. A table's cells are no sentences; a semicolon ends one as a full stop does."""
    return (" ".join(part.split()) for part in END.split(plain(prose)) if part and part.strip())


def stiff(prose: str) -> list[str]:
    """The phrases that a page has more often than it may, with what to write instead."""
    text = CODE.sub("X", prose)
    counts = {phrase: len(re.findall(phrase.replace(" ", r"\s+"), text, re.I)) for phrase in PHRASES}
    return [f"{phrase.strip(chr(92) + 'b')} ({counts[phrase]} times): {instead}" for phrase, (most, instead) in PHRASES.items() if counts[phrase] > most]


def missed(found: dict) -> dict[str, str]:
    """The style limits that a page does not keep; ``found`` has `stiff` (phrases) and `sentence` (words of the longest)."""
    wrong = {}
    if found.get("stiff"):
        wrong["stiff"] = f"stiff phrases: {'; '.join(found['stiff'])}"
    if found.get("sentence", 0) > LONGEST_SENTENCE:
        wrong["sentence"] = f"a sentence has {found['sentence']} words, at most {LONGEST_SENTENCE}"
    return wrong
