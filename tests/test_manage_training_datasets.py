"""The scripts of `manage-training-datasets`: what they do, and what they say to bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "manage-training-datasets"
TASKS = DOCS / "training" / "index" / "practice_tasks.jsonl"


def tool(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FOLDER / "dataset_tool.py", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def task(question: str, **fields: object) -> dict:
    return {"responses_create_params": {"input": [{"role": "user", "content": question}]}, **fields}


def questions(path: Path) -> set[str]:
    return {json.loads(line)["responses_create_params"]["input"][-1]["content"] for line in path.open()}


def test_split_shares_no_task_and_moves_no_old_one(tmp_path: Path) -> None:
    rows = [task(f"Question {n}") for n in range(200)]
    assert tool("split", write(tmp_path / "a.jsonl", *rows[:150], *rows[:20]), cwd=tmp_path).returncode == 0
    train, validation = questions(tmp_path / "data/train.jsonl"), questions(tmp_path / "data/validation.jsonl")
    assert not train & validation and len(train | validation) == 150
    assert tool("split", write(tmp_path / "a.jsonl", *rows), cwd=tmp_path).returncode == 0
    assert train <= questions(tmp_path / "data/train.jsonl") and validation <= questions(tmp_path / "data/validation.jsonl")


def test_stats_finds_duplicates_and_leaks(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", task("One?"), task("one? "), task("Two?"))
    clean, leaking = write(tmp_path / "b.jsonl", task("Three?")), write(tmp_path / "c.jsonl", task("Two?"))
    good = tool("stats", first, clean, cwd=tmp_path)
    assert good.returncode == 0 and "3 rows, 2 tasks, 1 rows repeat a task" in good.stdout
    bad = tool("stats", first, leaking, cwd=tmp_path)
    assert bad.returncode == 1 and "1 tasks are in both" in bad.stdout


def test_agent_ref_wants_an_agent_for_each_source(tmp_path: Path) -> None:
    rows = write(tmp_path / "a.jsonl", task("One?", task_source="x"), task("Two?", task_source="y"))
    missing = tool("agent-ref", rows, "x=agent", "-o", "out.jsonl", cwd=tmp_path)
    assert missing.returncode == 2 and "a.jsonl:2" in missing.stderr and not (tmp_path / "out.jsonl").exists()
    assert tool("agent-ref", rows, "x=agent", "y=other", "-o", "out.jsonl", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])["agent_ref"] == {"type": "responses_api_agents", "name": "other"}


def test_chat_rows_keep_their_tool_calls(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": '{"city": "Oslo"}'}}
    messages = [
        {"role": "user", "content": "Time in Oslo?"}, {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "noon"}, {"role": "assistant", "content": "Noon."},
    ]
    assert tool("from-chat", write(tmp_path / "a.jsonl", {"messages": messages, "id": 7}), "-o", "b.jsonl", cwd=tmp_path).returncode == 0
    row = json.loads((tmp_path / "b.jsonl").read_text())
    assert [item.get("type", "message") for item in row["responses_create_params"]["input"]] == ["message", "function_call", "function_call_output"]
    assert row["expected_answer"] == "Noon." and row["id"] == 7


def test_a_manifest_is_what_sha256sum_reads(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", task("One?"))
    result = tool("manifest", "a.jsonl", "--note", "source=x", cwd=tmp_path)
    (tmp_path / "SUMS").write_text(result.stdout)
    assert subprocess.run(["sha256sum", "--quiet", "-c", "SUMS"], cwd=tmp_path).returncode == 0
    record = json.loads((tmp_path / "manifest.json").read_text())
    assert record["source"] == "x" and record["files"]["a.jsonl"]["rows"] == 1


def test_repeats_are_named_and_dropped(tmp_path: Path) -> None:
    rows = write(tmp_path / "a.jsonl", *(task(f"Question {n}") for n in range(20)), task("question  3"), task("Question 7"))
    named = tool("stats", rows, cwd=tmp_path).stdout
    assert "  line 21 repeats the task of line 4\n  line 22 repeats the task of line 8\n" in named
    assert "2 rows dropped" in tool("split", rows, "--unique", cwd=tmp_path).stdout
    left = [line for name in ("train", "validation") for line in (tmp_path / f"data/{name}.jsonl").open()]
    assert len(left) == 20 and not any("question  3" in line for line in left)
    assert sum(len((tmp_path / f"data/{name}.jsonl").read_text().splitlines()) for name in ("train", "validation")
               if tool("split", rows, cwd=tmp_path).returncode == 0) == 22


def test_rewards_name_the_lines_without_a_signal(tmp_path: Path) -> None:
    means = [0, 0.5, 1, 0]
    rows = write(tmp_path / "a.jsonl", *({"_ng_task_index": n, "mean/reward": m, "sample": {}} for n, m in enumerate(means)))
    out = tool("rewards", rows, cwd=tmp_path).stdout
    assert "  never solved: lines 1, 4\n" in out and "  always solved: lines 3\n" in out


def test_fields_are_dropped_renamed_and_set(tmp_path: Path) -> None:
    rows = write(tmp_path / "a.jsonl", {"q": "One?", "answer": "1", "path": "/home/me"}, {"q": "Two?", "answer": "2", "mode": "own"})
    options = ["--drop", "path", "--rename", "answer=expected_answer", "--set", "mode=all"]
    assert tool("fields", rows, *options, "-o", "b.jsonl", cwd=tmp_path).returncode == 0
    first, second = map(json.loads, (tmp_path / "b.jsonl").open())
    assert first == {"mode": "all", "q": "One?", "expected_answer": "1"} and second == {"mode": "own", "q": "Two?", "expected_answer": "2"}
    for wrong, message in (("q=answer", "a.jsonl:1: cannot rename q to answer"), ("none=x", "a.jsonl:1: cannot rename none"), ("q", "write OLD=NEW")):
        refused = tool("fields", rows, "--rename", wrong, "-o", "c.jsonl", cwd=tmp_path)
        assert refused.returncode == 2 and message in refused.stderr and not (tmp_path / "c.jsonl").exists()


def test_from_chat_says_where_questions_with_answers_go(tmp_path: Path) -> None:
    result = tool("from-chat", write(tmp_path / "qa.jsonl", {"question": "One?", "answer": "1"}), "-o", "b.jsonl", cwd=tmp_path)
    assert result.returncode == 2 and "qa.jsonl:1: no messages, its fields are question, answer" in result.stderr
    assert "gym dataset render" in result.stderr and not (tmp_path / "b.jsonl").exists()


@pytest.mark.parametrize("command", ["split FILE", "stats FILE", "rewards FILE", "agent-ref FILE a=b -o out", "from-chat FILE -o out", "fields FILE -o out"])
@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), ("", "no rows"), ('{"a": 1}\n{"a"\n', ":2: not JSON"), ("[1]\n", ":1: a row is a JSON object")])
def test_bad_files_get_one_clear_line(command: str, content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    if content is not None:
        path.write_text(content)
    if "not JSON" in message and command.startswith(("rewards", "agent-ref", "from-chat")):
        path.write_text('{"mean/reward": 1, "task_source": "a", "messages": []}\n{"a"\n')
    result = tool(*command.replace("FILE", str(path)).split(), cwd=tmp_path)
    assert result.returncode == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file() and p != path) == []


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["split"], ["split", "a", "--validation", "2"], ["manifest", "a", "--note", "x"]])
def test_wrong_options_are_refused(arguments: list[str], tmp_path: Path) -> None:
    result = tool(*arguments, cwd=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr


def test_the_release_script_explains_itself() -> None:
    result = subprocess.run(["bash", FOLDER / "release_dataset.sh"], capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith("Usage:")


def test_a_release_is_never_overwritten(tmp_path: Path) -> None:
    command = ["bash", FOLDER / "release_dataset.sh", "c.yaml", "server", tmp_path, "rows.jsonl"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2 and "exists already" in result.stderr


# Stands for `gym dataset collate`: the given files, each row on a line of its own, in the folder after --output-dir.
COLLATE = '''#!/bin/bash
while [ "$1" != --output-dir ]; do shift; done
grep -ah '' train.jsonl > "$2/train.jsonl"
echo '{}' > "$2/train_metrics.json"
[ "$LOSE" != yes ] || sed -i 1d "$2/train.jsonl"
[ "$LOSE" != other ] || cp other.jsonl "$2/train.jsonl"
'''


def release(folder: Path, *arguments: str, lose: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "bin").mkdir(exist_ok=True)
    for name, text in {"gym": COLLATE, "python": f'#!/bin/bash\n[ "$1" = check_rows.py ] || exec {sys.executable} "$@"\n'}.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    shutil.copy(FOLDER / "dataset_tool.py", folder)
    (folder / "c.yaml").write_text("{}\n")
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LOSE": lose}
    command = ["bash", FOLDER / "release_dataset.sh", "c.yaml", "server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def test_a_release_counts_rows_records_notes_and_covers_its_logs(tmp_path: Path) -> None:
    # One kind of file, and no newline after the last row.
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps(task(f"Question {n}")) for n in range(3)))
    done = release(tmp_path, "new/r1", "train.jsonl", "split_seed=4")
    assert done.returncode == 0 and "new/r1: 3 rows" in done.stdout, done.stderr
    record = json.loads((tmp_path / "new/r1/manifest.json").read_text())
    assert record["split_seed"] == "4" and record["resources_server"] == "server" and record["files"]["train.jsonl"]["rows"] == 3
    assert {"stats.txt", "collate.log", "config.yaml"} <= set(record["files"])
    assert subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "new/r1").returncode == 0


def test_a_release_that_loses_rows_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", task("One?"), task("Two?"))
    lost = release(tmp_path, "new/r1", "train.jsonl", lose="yes")
    assert lost.returncode == 1 and "2 rows went in, 1 came out" in lost.stderr and list((tmp_path / "new").iterdir()) == []


def test_a_release_checks_what_is_written(tmp_path: Path) -> None:
    """A configuration may declare another file than the one that was named."""
    write(tmp_path / "train.jsonl", task("One?"), task("Two?"))
    (tmp_path / "other.jsonl").write_text("{broken\n{broken\n")
    other = release(tmp_path, "new/r1", "train.jsonl", lose="other")
    assert other.returncode == 1 and list((tmp_path / "new").iterdir()) == [], other.stdout


def test_a_release_needs_a_file(tmp_path: Path) -> None:
    result = release(tmp_path, "new/r1", "split_seed=4")
    assert result.returncode == 2 and result.stderr.startswith("Usage:") and not (tmp_path / "new").exists()


@pytest.mark.gym
def test_check_rows_names_file_line_and_reason(tmp_path: Path, gym_python: Path) -> None:
    def check(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [gym_python, FOLDER / "check_rows.py", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert check("--resources-server", "string_match", TASKS).stdout.endswith("40 rows, 0 bad\n")
    good = task("One?", expected_answer="1")
    write(
        tmp_path / "bad.jsonl", good, {"messages": []}, {"responses_create_params": {"input": "x", "max_tokens": 1}}, "{", "[1]", "",
        {"responses_create_params": {"input": []}}, {"responses_create_params": {"input": [{"role": "human", "content": "x"}]}},
        task("No answer?"), {"responses_create_params": {"input": "x", "temperature": "hot"}, "expected_answer": "1"},
    )
    result = check("--resources-server", "string_match", "bad.jsonl")
    assert result.returncode == 1 and result.stdout.endswith("10 rows, 9 bad\n")
    for line, reason in {2: "responses_create_params: Field required", 3: "max_tokens: Extra inputs", 4: "not JSON", 5: "not a JSON object",
                         6: "blank line", 7: "is empty", 8: "input.0", 9: "expected_answer: Field required", 10: "temperature"}.items():
        assert any(f"bad.jsonl:{line}: " in out and reason in out for out in result.stdout.splitlines()), (line, result.stdout)
    assert not any("bad.jsonl:1:" in out for out in result.stdout.splitlines())
    for arguments, message in ((["none.jsonl"], "No such file"), ([os.devnull], "no rows"), (["--resources-server", "no_such", TASKS], "No schema")):
        wrong = check(*arguments)
        assert wrong.returncode == 2 and message in wrong.stderr and wrong.stderr.count("\n") == 1

    # Before a conversion only JSON counts, and an answer has to be there.
    write(tmp_path / "qa.jsonl", {"question": "One?"}, "{", "[1]")
    raw = check("--raw", "qa.jsonl")
    assert raw.returncode == 1 and [line.split(" ")[0] for line in raw.stdout.splitlines()] == ["qa.jsonl:2:", "qa.jsonl:3:", "qa.jsonl:"]
    write(tmp_path / "empty.jsonl", task("One?", expected_answer=" ", id=1), task("Two?", id=2), task("Three?", expected_answer="3", id=3))
    empty = check("--resources-server", "string_match", "empty.jsonl")
    assert empty.stdout == (
        "empty.jsonl:1: expected_answer: is empty\nempty.jsonl:2: expected_answer: Field required\n"
        "empty.jsonl: 3 rows have a field that string_match does not read: id\nempty.jsonl: 3 rows, 2 bad\n"
    )
