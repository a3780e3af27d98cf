"""What the search knows of a text: its terms, as numbers into one vocabulary, written in few bytes.

A term is an identifier, its words joined with "_" ("max_output_tokens", "concurrency"), or "=N" for the group N of synonyms
that a phrase of the text belongs to. ``engine.js`` takes terms apart into words and stems them; it splits questions by the
same rules, so `split` here and there must agree (a test compares them).
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml
from sphinx.search.en import SearchEnglish

TERMS = Path(__file__).with_name("terms.yaml")
IDENTIFIER, POSSESSIVE = re.compile(r"[^\W_]+(?:[_.@/-]+[^\W_]+)*"), re.compile(r"[’']s?\b")
FIGURE = re.compile(r"(?![45]\d\d$)[\d_]+(?:[kmgs]b?|ms|x)?")  # a measured value: nobody searches for it, but for an HTTP status
SEPARATORS, STEMMED = re.compile(r"[_.@/-]+"), re.compile(r"[a-z]{3,}")
# The digits of a coded number: printable, and none that JSON writes in two characters.
DIGITS = "".join(chr(code) for code in range(35, 127) if chr(code) != "\\")
ONE, TWO = 80, 10  # a first digit below ONE is the number, the next TWO begin a second digit, the last three more


@functools.cache
def known() -> dict:
    return yaml.load(TERMS.read_text(encoding="utf-8"), yaml.CSafeLoader)  # ten times as fast as the safe loader


@functools.cache
def term(text: str) -> str:
    """``maxTokens``, ``max_tokens``, ``--max-tokens``: one term."""
    if text.isalpha() and text.islower():
        return text
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)).lower()
    return "_".join(filter(None, SEPARATORS.split(text)))


def split(text: str) -> list[str]:
    return list(map(term, IDENTIFIER.findall(POSSESSIVE.sub(" ", text))))


STEMS: dict[str, str] = {}  # those known already; a build keeps them for the next one


def stem(word: str) -> str:
    if (found := STEMS.get(word)) is None:
        found = STEMS[word] = _stemmer().stem(word) if STEMMED.fullmatch(word) else word
    return found


@functools.cache
def _stemmer() -> SearchEnglish:
    return SearchEnglish({})


@functools.cache
def stems_of(term: str) -> tuple[str, ...]:
    return tuple(map(stem, term.split("_")))


def stems(terms: Iterable[str]) -> list[str]:
    return [word for found in terms for word in stems_of(found)]


@functools.cache
def phrases() -> dict[str, list[tuple[list[str], str]]]:
    """By its first stem, each phrase that has synonyms, with the concept that stands for them all."""
    found: dict[str, list[tuple[list[str], str]]] = {}
    for number, group in enumerate(known()["synonyms"]):
        for phrase in group:
            wanted = stems(split(str(phrase)))
            found.setdefault(wanted[0], []).append((wanted, f"={number}"))
    return found


@functools.cache
def silent() -> set[str]:
    return set(known()["stop"].split())


@functools.cache
def searched(name: str) -> bool:
    return name not in silent() and not FIGURE.fullmatch(name)


def terms(texts: Iterable[str]) -> list[str]:
    """Each term and concept of the texts once."""
    found: dict[str, None] = {}
    begin = phrases()
    for text in texts:
        its = split(text)
        found |= dict.fromkeys(filter(searched, its))
        words = stems(its)
        if begin.keys().isdisjoint(words):
            continue
        for at, first in enumerate(words):
            for wanted, concept in begin.get(first, ()):
                if words[at:at + len(wanted)] == wanted:
                    found[concept] = None
    return list(found)


def vocabulary(records: Iterable[Iterable[str]]) -> tuple[list[str], dict[str, int]]:
    """The vocabulary, terms of many records first, and the place of every term in it: words of one stem share one place."""
    counts = Counter(name for record in records for name in record)
    likes: dict[str, list[str]] = {}
    for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        likes.setdefault(stem(name), []).append(name)
    ordered = sorted(likes.values(), key=lambda names: (-sum(counts[name] for name in names), names[0]))
    return [names[0] for names in ordered], {name: number for number, names in enumerate(ordered) for name in names}


def digits(number: int) -> str:
    if number < ONE:
        return DIGITS[number]
    if number < ONE + TWO * ONE:
        return DIGITS[ONE + (number - ONE) // ONE] + DIGITS[(number - ONE) % ONE]
    base = len(DIGITS)
    return DIGITS[-1] + DIGITS[number // base**2] + DIGITS[number // base % base] + DIGITS[number % base]


def coded(found: Iterable[str], numbers: dict[str, int]) -> str:
    """The numbers of the terms in rising order, each as its distance from the one before."""
    own = sorted({numbers[name] for name in found})
    return "".join(digits(number - before - 1) for before, number in zip([-1, *own], own))
