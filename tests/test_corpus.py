"""Every script that reads rollouts or tasks, on every example file of the installed package and on rows with odd values.

`corpus_worker.py` runs them all in one process and holds the invariants; each of them is a test here.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from pages import DOCS, ROOT

WORKER = ROOT / "tests" / "support" / "corpus_worker.py"
SCRIPTS = DOCS / "training"
INVARIANTS = [
    "no traceback", "one line for bad input", "rows in = rows out + counted", "kept byte for byte", "no masked row kept", "a prompt in each row",
    "turns apart", "no result without a call", "no turn after a call without a result", "no reasoning after a drop", "no masked row trained on",
    "no low reward trained on", "no empty prompt", "both routes give the same rows", "no task on both sides",
]
ODD = [None, True, -1, 1.5, "", "x", "\ud800", [], [None], [[]], [[{}]], {}, {"x": None}, [{"type": "message"}], [{"role": "assistant", "content": 1}], 10**400]

pytestmark = pytest.mark.gym


def held(report: dict, *invariants: str) -> list[list[str]]:
    return [fault for fault in report["faults"] if fault[0] in invariants]


def hold(gym_python: Path, scratch: Path, *files: Path) -> dict:
    command = [gym_python, WORKER, SCRIPTS, scratch, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def told(faults: list[list[str]]) -> str:
    """How often each script is at fault, and an example of each."""
    examples = {fault[2].split()[0]: fault for fault in reversed(faults)}
    counts = Counter(fault[2].split()[0] for fault in faults)
    return "\n".join(f"{script}, {count} times, such as {examples[script]}" for script, count in counts.most_common())


@pytest.fixture(scope="module")
def corpus(gym_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return hold(gym_python, tmp_path_factory.mktemp("corpus"))


def test_the_whole_corpus_is_run_in_time(corpus: dict) -> None:
    assert corpus["rollout files"] >= 219 and corpus["task files"] >= 213 and corpus["rows"] > 2500
    assert min(corpus["runs"].values()) >= 219, corpus["runs"]
    assert corpus["seconds"] < 90, "more than 90 s of one core"


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_on_all_that_the_package_ships(invariant: str, corpus: dict) -> None:
    found = held(corpus, invariant)
    assert not found, told(found)


def test_no_other_invariant_is_broken(corpus: dict) -> None:
    assert {fault[0] for fault in corpus["faults"]} <= set(INVARIANTS)


ROLLOUT = {
    "responses_create_params": {"input": [{"role": "user", "content": "Capital of Peru?"}], "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": None}]},
    "response": {
        "id": "r", "created_at": 1.0, "model": "m", "object": "response", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "completed",
        "incomplete_details": None, "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}, "metadata": None,
        "output": [
            {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "Look it up."}]},
            {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c1", "output": "Lima"},
            {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Lima", "annotations": []}]},
        ],
    },
    "reward": 1.0, "mask_sample": False, "failure_kind": None, "_ng_task_index": 0, "_ng_rollout_index": 0, "task_source": "geo", "agent_ref": {"name": "simple"},
    "instance_config": {}, "expected_answer": "Lima",
}


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The way to each field and item of a row."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, its in inner for found in ((*path, key), *places(its, (*path, key)))]


def with_value(path: tuple, value: object) -> dict:
    row = copy.deepcopy(ROLLOUT)
    holder = row
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return row


def test_no_script_stumbles_over_an_odd_value(gym_python: Path, tmp_path: Path) -> None:
    """A rollout file per field: the second row is whole, the first has another kind of value there, one after the other."""
    scratch, files = tmp_path / "scratch", []
    scratch.mkdir()
    for number, path in enumerate(places(ROLLOUT)):
        for kind in range(len(ODD)):
            if (number + kind) % 8 == 0:  # each field with two values, each value with every eighth field
                files.append(tmp_path / f"rollouts-{number}-{kind}.jsonl")
                rows = [with_value(path, ODD[kind]), ROLLOUT | {"_ng_task_index": 1, "_ng_rollout_index": 0}]
                files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = hold(gym_python, scratch, *files)
    found = held(report, "no traceback", "one line for bad input")
    assert not found, told(found)
