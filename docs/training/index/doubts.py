"""What speaks against a reward: its own row, a copy of the answer, the same answer rewarded differently.

Shared by the scripts that check rollouts. Nothing here reads files; `rollouts.py` does.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from functools import lru_cache

# Fields in which shipped verifiers say that all is right (1) or not (0), as far as no shipped rollout has a reward against them.
RIGHT = frozenset((
    "all_pass", "all_passed", "correct", "exact_match", "execution_match", "follow_all_instructions", "is_correct", "judge_passed",
    "passed", "resolved", "rubric_all_pass", "solved", "success",
))
WRONG = frozenset(("is_hallucination", "is_incorrect"))
# How many parts are right, of how many.
PARTS = {
    "checkpoints_correct": "checkpoints_total", "num_correct": "num_expected", "num_criteria_passed": "num_criteria",
    "num_passed": "num_total", "passed_count": "total_count", "rubric_passed": "rubric_total", "tests_passed": "tests_total",
}
EXPECTED = ("expected_answer", "ground_truth", "expected_output", "target")
VERDICTS = RIGHT | WRONG | set(PARTS)
# One or two plain words or numbers: a verifier that pays for an answer without them has not read it. Formulas and sentences can be
# said in other words, and so can these.
PLAIN = re.compile(r"[\w.,%$€-]+(?: [\w.,%$€-]+)?")
SAID_OTHERWISE = frozenset(("true", "false", "yes", "no", "none"))

NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

MOST = 2**32 - 1
EDGES = " .!?\"'`*\t\n\v\f\r\x1c\x1d\x1e\x1f"
BEGIN = EDGES.replace(".", "")  # .5 is not 5


def plain(text: object) -> str:
    """Lower case, Unicode forms and spaces made equal, quotes and full stops around the text dropped."""
    text = str(text)
    text = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.split()).rstrip(EDGES).lstrip(BEGIN)


def number(value: object) -> float | None:
    """A finite number or a truth value as a float."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e300 else None


@lru_cache(256)
def known_fields(names: tuple[str, ...]) -> tuple[list[str], list[str], bool]:
    """Those fields of a row that can contradict its reward: verdicts, an expected answer, expected calls. Most rows have the fields of the row before."""
    return [name for name in names if name in VERDICTS], [name for name in EXPECTED if name in names], "expected_answers" in names


@lru_cache(1024, typed=True)
def plain_expected(value: str | int | float) -> str:
    """``plain`` of an expected answer, which all rollouts of a task have."""
    return plain(value)


def contradiction(row: dict, text: str, calls: list[tuple[str, str]], reward: float, full: float = 1.0) -> str | None:
    """Why the row contradicts its reward, or None. Only a full reward, and none at all, can be contradicted: not partial credit.

    ``text`` is what was answered, ``calls`` the tool calls as (name, arguments), ``full`` the reward of a success.
    """
    verdicts, expected, called = known_fields(tuple(row))
    if 0 < reward < full:
        return None
    paid = reward >= full
    for name in verdicts:
        value = row[name]
        if name in RIGHT or name in WRONG:
            said = number(value)
            if said in (0.0, 1.0) and bool(said) != (paid == (name in RIGHT)):
                # `is_incorrect: false` may still be an answer that was not attempted.
                if name in RIGHT or paid:
                    return f"reward {reward:g}, {name} is {str(value).lower()}"
        elif name in PARTS:
            part, whole = number(value), number(row.get(PARTS[name]))
            if part is None or not whole or (number(row.get("num_predicted")) or whole) != whole:
                continue
            if paid != (part >= whole) and (paid or part >= whole):
                return f"reward {reward:g}, {name} is {part:g} of {whole:g}"
    for name in expected:
        if isinstance(row[name], (str, int, float)) and not isinstance(row[name], bool):
            return answer_contradiction(row, name, text, calls, reward, paid)
    wanted = row["expected_answers"] if called and paid else None
    if isinstance(wanted, list) and wanted and all(isinstance(call, dict) and "name" in call for call in wanted):
        if sorted(str(call["name"]) for call in wanted) != sorted(str(name) for name, _ in calls):
            return f"reward {reward:g}, the calls are not the expected_answers"
    return None


def answer_contradiction(row: dict, name: str, text: str, calls: list, reward: float, paid: bool) -> str | None:
    """The answer held against what the row expects: the same without a reward, or rewarded without it."""
    expected, extracted = row[name], row.get("extracted_answer")
    if not paid:
        wanted = plain_expected(expected)
        start = wanted.partition(" ")[0]  # mostly the text begins with another word, which is cheap to see
        near = len(text) < 300 and not (text.isascii() and text.lstrip(BEGIN)[: len(start)].lower() != start)
        for candidate in (text if near else "", extracted):
            if candidate and isinstance(candidate, (str, int, float)) and plain(candidate) == wanted != "":
                return f"reward {reward:g}, the answer is the {name}"
        return None
    said = extracted is None or extracted == expected
    if calls or not text or said and holds(text, str(expected)):
        return None
    return unread(name, plain_expected(expected), text, extracted, reward)


def unread(name: str, expected: str, text: str, extracted: object, reward: float) -> str | None:
    """Whether a full reward was paid for a text that does not hold the expected answer, one or two plain words or numbers."""
    if len(expected) > 60 or not PLAIN.fullmatch(expected) or expected in SAID_OTHERWISE:
        return None
    if extracted is not None:
        said = plain(extracted) if isinstance(extracted, (str, int, float)) else ""
        if said == expected:
            return None
        if said.isalpha() and expected.isalpha() and said not in SAID_OTHERWISE:
            return f"reward {reward:g}, the {name} is not the extracted_answer"
    if holds(text, expected) or not text.strip() or same_number(text, expected) or holds(plain(text).replace(",", ""), expected.replace(",", "")):
        return None
    return f"reward {reward:g}, the {name} is not in the answer"


def same_number(text: str, expected: str) -> bool:
    """Whether the text holds the expected number in another form: 12 for 12.0, .5 for 0.50, or with another sign for minus."""
    try:
        wanted = float(expected)
        return any(float(found) == wanted for found in NUMBER.findall(text.replace(",", "").replace("\u2212", "-")))
    except ValueError:
        return False


def holds(text: str, word: str) -> bool:
    """Whether a text holds a word by itself. Looks for it before it looks at its neighbors: texts are long."""
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        if not (text[place - 1 : place].isalnum() or text[end : end + 1].isalnum()):
            return True
        place = text.find(word, place + 1)
    return False


class Repeats:
    """Answers seen before, in 24 bytes a rollout: copies of one response, and one answer with different rewards."""

    def __init__(self) -> None:
        # Hashes. What is only compared within one id, or within the equal answers of one task, needs 32 bits of them.
        self.ids, self.answers, self.ours, self.rewards = array("q"), array("I"), array("q"), array("I")

    def add(self, task: object, response_id: object, answer: int, reward: float | None) -> None:
        """``answer`` is a hash of what was said and called; a rollout without a reward has None."""
        if response_id and isinstance(response_id, str):
            self.ids.append(hash(response_id))
            self.answers.append(answer & MOST)
        if reward is not None:
            self.ours.append(hash((task, answer)))
            self.rewards.append(hash((reward, reward == -1)) & MOST)  # of -1 and -2 Python has one hash

    @staticmethod
    def grouped(keys: array, values: array):
        """(how often, whether all its values are equal) of each key that is there twice; in passes, so that the table stays small."""
        passes = 1 + len(keys) // 128_000
        for turn in range(passes):
            first, again = {}, {}
            for key, value in zip(keys, values):
                if key % passes != turn:
                    continue
                if key in first:
                    count, equal = again.get(key, (1, True))
                    again[key] = count + 1, equal and first[key] == value
                else:
                    first[key] = value
            yield from again.values()

    def copied(self) -> tuple[int, int]:
        """(rollouts that repeat the response of another one, rollouts with an id).

        Some agents give every response of a task the same id: it counts only if all its answers are equal.
        """
        return sum(count - 1 for count, equal in self.grouped(self.ids, self.answers) if equal), len(self.ids)

    def unequal(self) -> tuple[int, int]:
        """(rollouts whose answer got another reward in another repeat of their task, rollouts with a reward)."""
        return sum(count for count, equal in self.grouped(self.ours, self.rewards) if not equal), len(self.ours)
