"""What `convert_for_trainers.py` says of rows that it writes or leaves out, and what it does with files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_files import files_of
from pages import DOCS, ROOT

NAME = "training/how-to/integrate-with-rl-frameworks"
TRAINERS = ROOT / ".venv-trainers/bin/python"
ALL = ("trl", "unsloth", "llamafactory", "ms-swift", "axolotl", "torchtune", "openrlhf", "nemo-rl")
ASKED, SHOWN, SAID = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}, {"role": "assistant", "content": "6"}
EXAMPLES = [{"role": "system", "content": "Be brief."}, ASKED, SHOWN, {"role": "user", "content": "3+3?"}]
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's scripts as a reader unpacks them."""
    for name, path in files_of(DOCS, NAME).items():
        if name.endswith((".py", ".jinja")):
            shutil.copy(path, tmp_path / Path(name).name)
    return tmp_path


def convert(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "convert_for_trainers.py", *map(str, command)], cwd=folder, capture_output=True, text=True)


def write(folder: Path, name: str, *rows: dict) -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rollout(task: int | None, given: list, *output: dict, reward: float = 1.0, repeat: int = 0, cut: bool = False, **params: object) -> dict:
    index = {} if task is None else {"_ng_task_index": task, "_ng_rollout_index": repeat}
    response = {"output": [*output]} | ({"incomplete_details": {"reason": "max_output_tokens"}} if cut else {})
    return index | {"responses_create_params": {"input": given} | params, "response": response, "reward": reward}


def test_answers_in_the_prompt_are_counted_where_they_are_trained(folder: Path) -> None:
    given = write(folder, "shots.jsonl", *(rollout(task, EXAMPLES, SAID) for task in range(3)), rollout(3, [ASKED], SHOWN))
    done = convert(folder, "sft", given, "--for", *ALL, "-o", "out")
    assert done.returncode == 0 and done.stdout.count("4 rows in, 4 out") == len(ALL), done.stderr
    assert done.stdout.count("  3 rows have answers in their prompt: this trainer trains on those, too\n") == len(ALL)
    one = convert(folder, "sft", write(folder, "one.jsonl", rollout(0, EXAMPLES, SAID)), "--for", "trl", "-o", "one_out.jsonl")
    assert "  1 row has answers in its prompt: this trainer trains on those, too\n" in one.stdout
    split = write(folder, "split.jsonl", {"prompt": EXAMPLES, "completion": [SAID]})
    assert "answers in" not in convert(folder, "sft", split, "--for", "trl", "unsloth", "-o", "split").stdout, "prompt and completion are trained apart"


def test_calls_of_tools_that_are_not_defined_are_counted(folder: Path) -> None:
    result = {"type": "function_call_output", "call_id": "c", "output": "here"}
    tool = {"type": "function", "name": "look", "parameters": {}}
    given = [rollout(0, [ASKED], CALL, result, SAID), rollout(1, [ASKED], CALL, result, SAID, tools=[tool]), rollout(2, [ASKED], CALL, result, SAID, tools=[tool | {"name": "find"}])]
    done = convert(folder, "sft", write(folder, "calls.jsonl", *given), "--for", "trl", "torchtune", "-o", "out")
    assert done.stdout.count("3 out") == 2 and done.stdout.count("  2 rows call tools that they do not define\n") == 2, done.stdout
    pairs = [rollout(0, [ASKED], CALL), rollout(0, [ASKED], SAID, reward=0.0, repeat=1)]
    done = convert(folder, "dpo", write(folder, "pairs.jsonl", *pairs), "--for", "trl", "-o", "pairs_out.jsonl")
    assert "  1 row calls tools that it does not define\n" in done.stdout, done.stdout


ROLES = """
import itertools
from rollouts import NoChat
from torchtune.data import Message, validate_messages
from trainer_rows import alternating
taken = 0
for length in (2, 3, 4, 5):
    for roles in itertools.product(("system", "user", "assistant"), repeat=length - 1):
        said = [{"role": role, "content": "x"} for role in (*roles, "assistant")]
        if said[:2] == said[:1] * 2 and roles[0] == "system":
            continue  # the converter makes one of them
        try:
            validate_messages([Message(**message) for message in said])
            theirs = True
        except ValueError:
            theirs = False
        try:
            ours = alternating(said) == said
        except NoChat:
            ours = False
        assert ours == theirs, roles
        taken += ours
print("taken", taken)
"""


@pytest.mark.gym
def test_rows_at_which_torchtune_stops_are_left_out(folder: Path) -> None:
    twice, late = [ASKED, ASKED], [ASKED, SHOWN, {"role": "system", "content": "Now in words."}, ASKED]
    done = convert(folder, "sft", write(folder, "turns.jsonl", rollout(0, twice, SAID), rollout(1, late, SAID), rollout(2, [ASKED], SAID)), "--for", "torchtune", "-o", "out.jsonl")
    assert "3 rows in, 1 out" in done.stdout and set(re.findall(r"1 left out: (.*)", done.stdout)) == {
        "user and assistant do not take turns: torchtune stops at such rows", "a system message after the start: torchtune takes one at the start"}
    checked = subprocess.run([TRAINERS, "-c", ROLES], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0 and int(checked.stdout.split()[-1]) == 4, checked.stderr[-2000:]


SWIFT = """
import itertools, json, pathlib
import practice_policy
from rollouts import NoChat
from trainer_loaders import ms_swift
from trainer_rows import for_ms_swift
talks = [[{"role": role, "content": f"{role}{place}"} for place, role in enumerate((*roles, "assistant"))]
         for length in (1, 2, 3) for roles in itertools.product(("system", "user", "assistant"), repeat=length) if "user" in roles and roles[:2] != ("system", "system")]
path = pathlib.Path("all.jsonl")
path.write_text("".join(json.dumps({"messages": talk}) + "\\n" for talk in talks))
tokenizer = practice_policy.tokenizer()
loaded, template = ms_swift(path, tokenizer, "train")
assert len(loaded) == len(talks)
for talk, row in zip(talks, loaded):
    try:
        shown = tokenizer.decode(template.encode(row)["input_ids"])
        theirs = all(f"\\n{message['content']}<|im_end|>" in shown for message in talk)
    except AssertionError:
        theirs = False
    try:
        ours = bool(for_ms_swift(talk))
    except NoChat:
        ours = False
    assert ours == theirs, (talk, shown)
"""


@pytest.mark.gym
def test_rows_that_ms_swift_would_change_are_left_out(folder: Path) -> None:
    twice, late = [ASKED, ASKED], [ASKED, SHOWN, {"role": "system", "content": "Now in words."}, ASKED]
    given = write(folder, "turns.jsonl", rollout(0, twice, SAID), rollout(1, late, SAID), rollout(2, [ASKED], SAID))
    done = convert(folder, "sft", given, "--for", "ms-swift", "-o", "out.jsonl")
    assert "3 rows in, 1 out" in done.stdout and set(re.findall(r"1 left out: (.*)", done.stdout)) == {
        "user and assistant do not take turns: ms-swift runs their texts together", "a system message after the start: ms-swift stops at such rows"}
    checked = subprocess.run([TRAINERS, "-c", SWIFT], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr[-2000:]


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto", "rl"])
def test_an_older_file_outlives_a_run_without_rows(folder: Path, kind: str) -> None:
    given = write(folder, "bad.jsonl", rollout(0, [], SAID, reward=0.0) | {"mask_sample": True})
    (folder / "old.jsonl").write_text("old\n")
    done = convert(folder, kind, given, "--for", "trl", "-o", "old.jsonl")
    assert done.returncode == 1 and "  nothing written: the older file of that name is kept\n" in done.stdout, done.stdout + done.stderr
    assert (folder / "old.jsonl").read_text() == "old\n"
    assert convert(folder, kind, given, "--for", "trl", "-o", "new.jsonl").stdout.endswith("  nothing written\n") and not (folder / "new.jsonl").exists()
    done = convert(folder, kind, write(folder, "odd.jsonl", {"a": 1}), "--for", "trl", "-o", "old.jsonl")
    assert done.returncode == 2 and (folder / "old.jsonl").read_text() == "old\n"


@pytest.mark.parametrize(("given", "reason"), [
    ([(1.0, False)], "only one rollout of the task"),
    ([(0.0, False), (1.0, True)], "all rollouts of the task but the worst one are cut off"),
    ([(1.0, False), (1.0, False)], "no two rollouts of the task differ enough in reward"),
    ([(0.0, True), (1.0, True)], "no rollout of the task is usable: cut off"),
])
@pytest.mark.parametrize("indexed", [True, False])
def test_a_task_without_a_pair_has_one_reason(folder: Path, given: list, reason: str, indexed: bool) -> None:
    talks = [rollout(0 if indexed else None, [ASKED], SAID | {"content": str(number)}, reward=reward, repeat=number, cut=cut) for number, (reward, cut) in enumerate(given)]
    done = convert(folder, "dpo", write(folder, "task.jsonl", *talks), "--for", "trl", "-o", "out.jsonl", "--min-gap", "0.1")
    assert re.findall(r"left out: (.*)", done.stdout) == [reason], done.stdout + done.stderr


def test_rows_of_rollouts_without_an_index_name_file_and_line(folder: Path) -> None:
    talks = [rollout(None, [ASKED], SAID | {"content": str(number)}, reward=float(number == 1)) for number in range(3)]
    given = write(folder, "plain.jsonl", *talks)
    places = [{"file": "plain.jsonl", "line": number, "reward": float(number == 2)} for number in (1, 2, 3)]
    for kind, wanted in (("sft", [places[1]]), ("dpo", [{"chosen": places[1], "rejected": places[0]}]), ("kto", places)):
        assert convert(folder, kind, given, "--for", "trl", "-o", f"{kind}.jsonl").returncode == 0
        assert [row["source"] for row in rows(folder / f"{kind}.jsonl")] == wanted
    scripts = DOCS / "training/how-to/filter-and-curate-data"
    for path in files_of(DOCS, "training/how-to/filter-and-curate-data").values():
        if path.suffix == ".py" and not (folder / path.name).exists():
            shutil.copy(path, folder / path.name)
    assert (scripts / "make_training_sets.py").exists()
    for kind, wanted in (("sft", places), ("dpo", [{"chosen": places[1], "rejected": places[2]}, {"chosen": places[1], "rejected": places[0]}])):
        done = subprocess.run([sys.executable, "make_training_sets.py", kind, given, "-o", "made.jsonl"], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made = [row["source"] for row in rows(folder / "made.jsonl")]
        assert made and all(one in wanted for one in made), made


def test_two_rows_on_one_line_are_named(folder: Path) -> None:
    one = json.dumps(rollout(0, [ASKED], SAID))
    for glue in ("", " ", "\ufeff"):
        (folder / "glued.jsonl").write_text(f"{one}{glue}{one}\n")
        done = convert(folder, "sft", "glued.jsonl", "--for", "trl", "-o", "out.jsonl")
        assert done.returncode == 2 and done.stderr == "convert_for_trainers.py: glued.jsonl:1: two rows on one line: put a line break between them\n"
    for broken in (one + ",", one[:-1], one + "x", "{" * 100_000):
        (folder / "broken.jsonl").write_text(broken + "\n")
        assert "broken.jsonl:1: not JSON" in convert(folder, "sft", "broken.jsonl", "--for", "trl", "-o", "out.jsonl").stderr


def test_several_inputs_are_several_runs(folder: Path) -> None:
    first, second = (write(folder, f"{name}.jsonl", rollout(0, [{"role": "user", "content": name}], SAID), rollout(0, [{"role": "user", "content": name}], SHOWN, reward=0.0, repeat=1)) for name in "ab")
    for kind, count in (("sft", "4 rows in, 2 out"), ("dpo", "2 pairs or tasks in, 2 out"), ("kto", "4 rollouts in, 4 out"), ("rl", "4 tasks in, 4 out")):
        done = convert(folder, kind, first, second, "--for", "trl", "-o", f"{kind}.jsonl")
        assert done.returncode == 0 and count in done.stdout, done.stdout + done.stderr
    assert [row["prompt"][0]["content"] for row in rows(folder / "dpo.jsonl")] == ["a", "b"]
    for command, said in ((("sft", first, second, "--for", "trl", "-o", second), "would overwrite the input"), (("sft", first, first, "--for", "trl", "-o", "out.jsonl"), "is given twice")):
        done = convert(folder, *command)
        assert done.returncode == 2 and said in done.stderr


def test_one_list_of_trainers_serves_all_kinds(folder: Path) -> None:
    given = write(folder, "run.jsonl", rollout(0, [ASKED], SHOWN), rollout(0, [ASKED], SAID, reward=0.0, repeat=1))
    for kind, skipped in (("dpo", "verl: no file: verl 0.9.1 has no DPO trainer"), ("kto", "verl: no file: kto rows are written for trl and unsloth")):
        done = convert(folder, kind, given, "--for", "trl", "verl", "-o", "out")
        assert done.returncode == 0 and skipped in done.stdout and rows(folder / f"out/trl_{kind}.jsonl"), done.stderr
        assert convert(folder, kind, given, "--for", "verl", "-o", "alone.jsonl").returncode == 2
