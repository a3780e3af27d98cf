"""How an entry of the troubleshooting guide is proven.

A test with the mark ``proves(ID, ...)`` causes the problem with the real package and hands over what was printed, then applies
the fix and hands over what is printed now:

    @proves("no-pair-written")
    def test_pairs_need_good_and_bad_tries(proof):
        proof.wrong("no-pair-written", printed)    # its messages are in it
        proof.cured("no-pair-written", printed)    # none is in it, but what the entry names as the sign that it worked

A silent problem prints nothing, so its evidence is a fact: ``proof.wrong(ID, reward == 0)``. The fixture ``proof`` fails a test
that does not do both for each id of its mark; ``NOT_CURED`` names the entries whose fix cannot be seen here, and why.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import problems
import pytest
from pages import DOCS, ROOT

ENTRIES = {entry.id: entry for entry in problems.read(DOCS)}
GUIDE = DOCS / "training" / "how-to"
proves = pytest.mark.proves

# Proven by less than the command whose output the entry names as the sign that it worked.
PARTLY_RUN = {
    "fixture-reward-mismatch": "the cases are run without pytest around them",
    "ray-socket-path-too-long": "Ray is started without servers",
}
SIGN = re.compile(r"\b(?:prints|says|ends\s+with|shows)\s+`([^`]+)`")

NOT_CURED = {
    "profiling-needs-graphviz": "needs a program that is not installed",
    "verl-keyerror-prompt": "needs the recipe's own checkout",
    "export-rejected": "the fix is another file",
    "compare-precision-loss": "needs no fix",
    "submit-without-pyxis": "needs a cluster with Pyxis",
}


def shows(message: str, printed: str) -> bool:
    """Is the message in what was printed? ``...`` stands for what varies, and line ends do not count."""
    pattern = r"\s+".join(re.escape(word).replace(r"\.\.\.", ".*?") for word in message.split())
    return re.search(pattern, printed, re.S) is not None


def signs(id: str) -> list[str]:
    """What the entry says is printed when the fix has worked."""
    worked = problems.PARTS.search(ENTRIES[id].body)["worked"]
    return SIGN.findall(worked)


class Proof:
    """What a test has shown so far of the entries that it proves."""

    def __init__(self, ids: set[str]) -> None:
        self.ids, self.seen, self.gone = ids, set(), set()

    def wrong(self, id: str, evidence: str | bool) -> None:
        """The problem is there: its messages are in the evidence, or the fact holds."""
        if isinstance(evidence, str):
            assert ENTRIES[id].messages, f"{id} has no message to look for: give a fact"
            missing = [message for message in ENTRIES[id].messages if not shows(message, evidence)]
            assert missing == [], f"{id}: not printed\n{evidence[-3000:]}"
            early = [sign for sign in signs(id) if shows(sign, evidence)]
            assert early == [], f"{id}: a sign that it worked is printed while the problem is there\n{evidence[-3000:]}"
        assert evidence, f"{id} was not caused"
        self.seen.add(id)

    def cured(self, id: str, evidence: str | bool) -> None:
        """The fix helped: no message is in the evidence, or the fact holds."""
        if isinstance(evidence, str):
            left = [message for message in ENTRIES[id].messages if shows(message, evidence)]
            assert left == [], f"{id}: still printed\n{evidence[-3000:]}"
            absent = [sign for sign in signs(id) if not shows(sign, evidence)]
            assert absent == [] or id in PARTLY_RUN, f"{id}: not printed after the fix: {absent}\n{evidence[-3000:]}"
        assert evidence is not False, f"{id} was not cured"
        self.gone.add(id)

    def finish(self) -> None:
        assert self.seen == self.ids, "the mark names other entries than the test has caused"
        assert self.gone == self.ids - NOT_CURED.keys(), "each fix is applied, or NOT_CURED says why it cannot be"


def rows(*items: object) -> str:
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items)


class Worker:
    """Runs many `gym` commands in the environment that has the package, without starting Python anew for each."""

    def __init__(self, python: Path) -> None:
        environment = os.environ | {"COLUMNS": "10000", "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [python, ROOT / "tests" / "support" / "gym_cli.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip

    def ask(self, folder: Path, do: list[str] | str, **environment: str) -> str:
        """What a command (a list) or Python code (a text) prints. Its last line is the exit code."""
        arguments, code = ([], do) if isinstance(do, str) else (do, None)
        question = {"arguments": arguments, "code": code, "folder": str(folder), "environment": environment}
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return f"{answer['printed']}\nexit code {answer['status']}"

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(120)
