"""The scripts of `manage-training-datasets`: what they do, and what they say to bad input."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import scripts
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "manage-training-datasets"
TASKS = DOCS / "training" / "index" / "practice_tasks.jsonl"


def tool(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return scripts.run(FOLDER / "dataset_tool.py", *arguments, cwd=cwd)


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
    assert missing.returncode == 2 and "Add y=AGENT" in missing.stderr and not (tmp_path / "out.jsonl").exists()
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
    for wrong, message in (("q=answer", "2 left out: 2 that cannot rename q to answer: answer is there (lines 1, 2)"), ("none=x", "cannot rename none to x: no none"), ("q", "OLD=NEW")):
        refused = tool("fields", rows, "--rename", wrong, "-o", "c.jsonl", cwd=tmp_path)
        assert refused.returncode == 2 and message in refused.stderr and not (tmp_path / "c.jsonl").exists()


def test_from_chat_says_where_questions_with_answers_go(tmp_path: Path) -> None:
    result = tool("from-chat", write(tmp_path / "qa.jsonl", {"question": "One?", "answer": "1"}), "-o", "b.jsonl", cwd=tmp_path)
    assert result.returncode == 2 and "1 left out: 1 no messages, its fields are question, answer" in result.stderr
    assert "gym dataset render" in result.stderr and not (tmp_path / "b.jsonl").exists()


COMMANDS = ["split FILE", "stats FILE", "rewards FILE", "agent-ref FILE a=b -o out", "from-chat FILE -o out", "fields FILE -o out"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), ("", "no rows"), ('{"a"\n', "1 not JSON (line 1)"), ("[1]\n", "1 not a JSON object (line 1)")])
def test_bad_files_get_one_clear_line(command: str, content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    if content is not None:
        path.write_text(content)
    result = tool(*command.replace("FILE", str(path)).split(), cwd=tmp_path)
    assert result.returncode == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file() and p != path) == []


GOOD = {
    "messages": [{"role": "user", "content": "One?"}], "mean/reward": 0.5, "task_source": "a", "responses_create_params": {"input": "One?"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_row_never_stops_a_file(command: str, tmp_path: Path) -> None:
    good = {name: value for name, value in GOOD.items() if not (command.startswith("from-chat") and name.startswith("responses"))}
    lines = [json.dumps(good | {"n": n, "responses_create_params": {"input": f"Question {n}"}} if "responses_create_params" in good else good | {"n": n}) for n in range(30)]
    lines[7:7] = ["{", "", "[1]", '{"a": nan}', '"\\ud800"']
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n\xff\xfe\r\n")
    result = tool(*command.replace("FILE", str(path)).split(), cwd=tmp_path)
    assert result.returncode == 1 and "35 rows in, 30 out, 5 left out:\n  2 not JSON (lines 8, 11)\n  2 not a JSON object (lines 10, 12)\n  1 not UTF-8 (line 36)\n" in result.stderr
    written = [line for p in tmp_path.rglob("*") if p.is_file() and p != path for line in p.open()]
    assert len(written) in (0, 30) and (len(written) == 30) == (not command.startswith(("stats", "rewards")))


ODD = [None, True, 0, 1.5, "", "x", "\ud800", [], [None], [[]], {}, {"role": None}, [{"role": []}], [{"content": {}}], 10**400, {"input": 5}, {"output": [[7]]}]


@pytest.mark.parametrize("command", [*COMMANDS, "rewards FILE --by a.b", "split FILE --by messages", "from-chat FILE -o out --calls-field calls"])
def test_no_json_ends_in_a_traceback(command: str, tmp_path: Path) -> None:
    """Each field that a command reads, with each kind of value; rows in = rows out + counted."""
    names = ["messages", "tools", "prompt", "responses_create_params", "response", "mean/reward", "_ng_task_index", "task_source", "sample", "agent_ref", "task_input"]
    rows = [GOOD | {name: value} for name in names for value in ODD]
    inner = [{"role": role, "content": value, "tool_calls": calls} for role in ("user", "assistant", "tool") for value in ODD for calls in ODD]
    rows += [{"messages": [message, {"role": "assistant", "content": "A"}]} for message in inner] + [{"messages": [{"role": "user", "content": "Q"}, message]} for message in inner]
    rows += [{"responses_create_params": {"input": [{"role": "user", "content": value}, value]}, "response": {"output": [value]}} for value in ODD]
    if command.startswith("agent-ref"):
        rows = [row for row in rows if row.get("task_source") not in ("", "x", "\ud800")]
    write(tmp_path / "in.jsonl", *rows)
    result = tool(*command.replace("FILE", "in.jsonl").split(), cwd=tmp_path)
    assert "Traceback" not in result.stderr and result.returncode in (0, 1), result.stderr
    if "-o out" in command:
        found = re.search(r"(\d+) rows in, (\d+) out, (\d+) left out:((?:\n  .*)*| .*)", result.stderr)
        written = len((tmp_path / "out").read_text().splitlines())
        counted = sum(int(reason.split()[0]) for reason in re.split("\n|; ", found[4].strip())) if found else 0
        assert (int(found[1]) if found else written) == len(rows) == written + counted


def chat(*messages: object, **fields: object) -> dict:
    return {"messages": [{"role": role, **(said if isinstance(said, dict) else {"content": said})} for role, said in messages], **fields}


CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
PICTURE = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


@pytest.mark.parametrize(("row", "reason"), [
    (chat(("user", "Weather?"), ("assistant", {"content": None, "tool_calls": [CALL]})), "ends with a tool call"),
    (chat(("user", "One?"), ("assistant", {"content": None, "function_call": {"name": "f", "arguments": "{}"}}), ("user", "and?"), ("assistant", "1")), "legacy function_call"),
    (chat(("user", "One?"), ("function", {"name": "f", "content": "1"}), ("assistant", "1")), "legacy function_call"),
    (chat(("user", "One?"), ("assistant", "1"), functions=[{"name": "f"}]), "legacy functions"),
    (chat(("user", "One?"), ("assistant", {"content": "1", "weight": 0})), "weight 0"),
    (chat(("user", "One?"), ("assistant", {"content": PICTURE})), "a picture in an assistant message"),
    (chat(("user", [{"type": "image"}]), ("assistant", "1")), "neither text nor image_url"),
    (chat(("user", [{"type": "input_audio", "input_audio": {}}]), ("assistant", "1")), "neither text nor image_url"),
    (chat(("user", "One?"), ("assistant", {"content": None, "refusal": "No."})), "with refusal"),
    (chat(("user", "One?"), ("assistant", "1"), responses_create_params={"input": "Another?"}), "messages and responses_create_params"),
    (chat(("user", "<image>One?"), ("assistant", "1"), images=["a.png"]), "images beside the messages"),
    (chat(("user", "One?"), ("assistant", "2"), label=False), "label false"),
    (chat(("user", " \n"), ("assistant", "1")), "an empty user message"),
    (chat(("user", "One?"), ("assistant", "")), "closing answer is empty"),
    (chat(("user", "One?"), ("assistant", "<think>1 and 1")), "reasoning without an end"),
    (chat(("user", "One?"), ("assistant", "<tool_call>{}</tool_call>")), "a tool call as text"),
    (chat(("user", "One?"), ("assistant", "[THINK]1 and 1")), "reasoning without an end"),
    (chat(("user", "One?"), ("assistant", "2<think>1 and 1</think>")), "marks of reasoning that cannot be told from it"),
    (chat(("user", "One?"), ("assistant", '{"name": "f", "arguments": {}}'), tools=[{"type": "function", "function": {"name": "f"}}]), "a tool call as text"),
    (chat(("user", "One?"), ("assistant", {"tool_calls": [CALL]}), ("tool", {"tool_call_id": "c2", "content": "1"}), ("assistant", "1")), "a tool message that answers no call"),
    (chat(("user", "One?"), ("assistant", "1"), ("assistant", "2")), "two assistant messages"),
    (chat(("assistant", "1")), "no prompt before the answer"),
    (chat(("human", "One?"), ("assistant", "1")), "whose role is none of"),
    (chat(("user", "One?"), ("assistant", "1"), tools="[{"), "not JSON"),
    (chat(("user", "One?"), ("assistant", "1"), tools=[{"type": "function"}]), "a tool without a name"),
    (chat(("user", "One?"), ("assistant", "1"), response={"output": []}), "a rollout"),
    ({"responses_create_params": {"input": "One?"}}, "a task row already"),
])
def test_a_chat_row_is_never_silently_less(row: dict, reason: str, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", row, chat(("user", "Two?"), ("assistant", "2")))
    result = tool("from-chat", "a.jsonl", "-o", "b.jsonl", cwd=tmp_path)
    assert result.returncode == 1 and len((tmp_path / "b.jsonl").read_text().splitlines()) == 1
    assert "2 rows in, 1 out, 1 left out:\n  1 " in result.stderr and reason in result.stderr


def test_chat_rows_become_the_task_that_they_are(tmp_path: Path) -> None:
    schema, flat = {"name": "weather", "parameters": {"type": "object"}}, {"type": "function", "name": "weather"}
    rows = [
        chat(("user", PICTURE), ("assistant", "A cat")),
        chat(("user", "One?"), ("assistant", "1"), tools=[{"type": "function", "function": schema}]),
        chat(("user", "One?"), ("assistant", "1"), tools=[{"type": "function", **schema}]),
        chat(("user", "One?"), ("assistant", "1"), tools=json.dumps([{"type": "function", "function": schema}])),
        chat(("user", "Weather?"), ("assistant", {"content": None, "tool_calls": [CALL]}), tools=[flat]),
        chat(("user", "Weather?"), ("assistant", {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}), ("tool", {"name": "f", "content": "sun"}), ("assistant", "Sunny")),
        chat(("user", "One?"), ("assistant", [{"type": "text", "text": "fo"}, {"type": "text", "text": "ur"}])),
        chat(("user", "One?"), ("assistant", {"content": "<think>easy</think>4", "reasoning_content": "easy"})),
    ]
    result = tool("from-chat", write(tmp_path / "a.jsonl", *rows), "--calls-field", "expected_answers", "-o", "b.jsonl", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert result.stdout == ("b.jsonl: 8 rows, 0 without expected_answer\n  1 without what a task row has no place for: <think> of the answer\n"
                             "  1 without what a task row has no place for: reasoning_content\n")
    image, *with_tools, call, steps, joined, thought = map(json.loads, (tmp_path / "b.jsonl").open())
    assert image["responses_create_params"]["input"] == [{"role": "user", "content": [
        {"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}]}]
    for row in with_tools:
        assert row["responses_create_params"]["tools"] == [{"type": "function", "description": None, "strict": False, **schema}] and "tools" not in row
    assert call["expected_answers"] == [{"name": "weather", "arguments": {"city": "Rome"}}] and len(call["responses_create_params"]["input"]) == 1
    assert [item.get("call_id") for item in steps["responses_create_params"]["input"]] == [None, "call_1_0", "call_1_0"]
    assert joined["expected_answer"] == "four" and thought["expected_answer"] == "4"


@pytest.mark.parametrize("text", ["<thinking>easy</thinking>4", "[THINK]easy[/THINK]\n4", "easy</think> 4", "<seed:think>easy</seed:think>4"])
def test_no_reasoning_is_in_the_expected_answer(text: str, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", chat(("user", "2+2?"), ("assistant", text)))
    assert "<think> of the answer" in tool("from-chat", "a.jsonl", "-o", "b.jsonl", cwd=tmp_path).stdout
    assert json.loads((tmp_path / "b.jsonl").read_text())["expected_answer"] == "4"


def test_prompts_that_differ_in_a_file_are_two_tasks(tmp_path: Path) -> None:
    parts = [{"type": "input_file", "file_id": "a"}, {"type": "input_file", "file_id": "b"}, {"type": "input_audio", "input_audio": {"data": "x"}}, {"type": "input_image", "file_id": "a"}]
    rows = [{"responses_create_params": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Sum up."}, part]}]}} for part in parts]
    assert "4 rows, 4 tasks, 0 rows repeat" in tool("stats", write(tmp_path / "a.jsonl", *rows), cwd=tmp_path).stdout


@pytest.mark.live
def test_the_same_prompt_is_the_same_task_in_every_kind_of_file(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Capital  of Peru?"}]
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Lima"}]}
    kinds = {
        "task": {"responses_create_params": {"input": asked}},
        "parts": {"responses_create_params": {"input": [asked[0], {"role": "user", "content": [{"type": "input_text", "text": "capital of peru?"}]}]}},
        "developer": {"responses_create_params": {"input": [asked[0] | {"role": "developer"}, asked[1]]}},
        "rollout": {"responses_create_params": {"input": asked}, "response": {"output": [answer]}, "reward": 1},
        "brought": {"responses_create_params": {"input": []}, "response": {"output": [*asked, answer]}, "reward": 1},
        "chat": {"messages": [*asked, {"role": "assistant", "content": "Lima"}]},
        "pair": {"prompt": asked, "chosen": [{"role": "assistant", "content": "Lima"}], "rejected": []},
        "materialized": {"task_input": {"responses_create_params": {"input": asked}}},
    }
    other = {"responses_create_params": {"input": [{"role": "system", "content": "Shout."}, asked[1]]}}
    write(tmp_path / "other.jsonl", other)
    for name, row in kinds.items():
        write(tmp_path / f"{name}.jsonl", row)
        same = tool("stats", "task.jsonl", f"{name}.jsonl", cwd=tmp_path) if name != "task" else None
        assert not same or (same.returncode == 1 and f"1 tasks are in both task.jsonl and {name}.jsonl" in same.stdout and "median 5" in same.stdout), (name, same)
        different = tool("stats", "other.jsonl", f"{name}.jsonl", cwd=tmp_path)
        assert different.returncode == 0 and "0 tasks are in both" in different.stdout, name


def test_chat_rows_with_one_prompt_stay_on_one_side(tmp_path: Path) -> None:
    rows = [chat(("user", f"Question {n}"), ("assistant", f"Answer {k}")) for n in range(20) for k in range(2)]
    assert tool("split", write(tmp_path / "a.jsonl", *rows), "--validation", "0.5", cwd=tmp_path).returncode == 0
    result = tool("stats", "data/train.jsonl", "data/validation.jsonl", cwd=tmp_path)
    assert result.returncode == 0 and "0 tasks are in both" in result.stdout and "prompt words: min 2" in result.stdout
    sides = [(tmp_path / f"data/{name}.jsonl").read_text().splitlines() for name in ("train", "validation")]
    assert sorted(map(json.loads, sides[0] + sides[1]), key=str) == sorted(rows, key=str)


def test_long_numbers_keep_their_digits(tmp_path: Path) -> None:
    row = '{"responses_create_params":{"input":"q"},"expected_answer":618970019642690137449562111,"a":"b"}'
    assert tool("fields", write(tmp_path / "a.jsonl", row), "--set", "a=b", "-o", "b.jsonl", cwd=tmp_path).returncode == 0
    assert (tmp_path / "b.jsonl").read_text() == row + "\n"


def test_pairs_that_hold_their_prompt_stay_on_one_side(tmp_path: Path) -> None:
    sides = lambda n, k: [[{"role": "user", "content": f"Question {n}"}, {"role": "assistant", "content": f"{word} {k}"}] for word in ("Good", "Bad")]  # noqa: E731
    write(tmp_path / "a.jsonl", *[dict(zip(("chosen", "rejected"), sides(n, k))) for n in range(20) for k in range(2)])
    assert tool("split", "a.jsonl", "--validation", "0.5", cwd=tmp_path).returncode == 0
    asked = [{json.loads(line)["chosen"][0]["content"] for line in (tmp_path / f"data/{name}.jsonl").open()} for name in ("train", "validation")]
    assert all(asked) and not asked[0] & asked[1]
    told = tool("stats", write(tmp_path / "b.jsonl", {"chosen": "Human: Hi Assistant: Ho", "rejected": "Human: Hi Assistant: Hu"}), cwd=tmp_path).stdout
    assert "1 rows hold no prompt in a form that is read here: they are the same only if the whole rows are" in told and "their agent brings it" not in told


def test_one_prompt_for_all_rows_asks_for_another_field(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", *(task("Guess the word.", word=f"word {n}") for n in range(30)))
    result = tool("split", "a.jsonl", cwd=tmp_path)
    assert result.returncode == 1 and "All rows have one prompt: --by takes another field" in result.stderr and not (tmp_path / "data/train.jsonl").exists()
    assert tool("split", "a.jsonl", "--by", "word", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(("rows", "p95"), [(1, 1), (10, 10), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)])
def test_p95_is_a_length_that_95_percent_do_not_exceed(rows: int, p95: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *(task("word " * n) for n in range(1, rows + 1)))
    assert f"p95 {p95}, max {rows}\n" in tool("stats", path, cwd=tmp_path).stdout


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
    for script in (FOLDER / "dataset_tool.py", FOLDER / "chat_input.py", *(DOCS / "training" / "index").glob("*.py")):
        shutil.copy(script, folder)
    (folder / "c.yaml").write_text("{}\n")
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LOSE": lose}
    command = ["bash", FOLDER / "release_dataset.sh", "c.yaml", "server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.live
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
        task(" "), {"responses_create_params": {"input": [{"role": "human", "content": "x"}]}},
        task("No answer?"), {"responses_create_params": {"input": "x", "temperature": "hot"}, "expected_answer": "1"},
    )
    result = check("--resources-server", "string_match", "bad.jsonl")
    assert result.returncode == 1 and result.stdout.endswith("10 rows, 9 bad\n")
    for line, reason in {2: "responses_create_params: Field required", 3: "max_tokens: Extra inputs", 4: "not JSON", 5: "not a JSON object",
                         6: "blank line", 7: "an empty user message", 8: "input.0", 9: "expected_answer: Field required", 10: "temperature"}.items():
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
    write(tmp_path / "scored.jsonl", task("One?", expected_answer="1", reward=1.0))
    assert "does not read: reward, which the server writes itself" in check("--resources-server", "string_match", "scored.jsonl").stdout


@pytest.mark.gym
def test_check_rows_sees_prompts_that_hold_the_answer_or_nothing(tmp_path: Path, gym_python: Path) -> None:
    def check(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([gym_python, FOLDER / "check_rows.py", *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True)

    asked, call = {"role": "user", "content": "Weather?"}, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    reply = {"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": [{"type": "output_text", "text": "Sun", "annotations": []}]}
    endings = {"a tool call": [asked, call], "an assistant message": [asked, reply], "reasoning": [asked, {"type": "reasoning", "id": "r", "summary": []}]}
    write(tmp_path / "a.jsonl", *({"responses_create_params": {"input": given}} for given in endings.values()),
          {"responses_create_params": {"input": [asked, {"type": "function_call_output", "call_id": "x", "output": "1"}]}}, {"responses_create_params": {"input": " "}})
    lines = check("a.jsonl").stdout.splitlines()
    assert [line.partition(" ")[2] for line in lines[:3]] == [f"responses_create_params.input: ends with {name}, which gives the answer away" for name in endings]
    assert "a tool's result without its call" in lines[3] and "holds no text" in lines[4] and lines[5] == "a.jsonl: 5 rows, 5 bad"
    # Only where the environment's own example has no prompt either, or where the environment is not known.
    write(tmp_path / "b.jsonl", {"responses_create_params": {"input": []}, "expected_answer": "1"})
    for server, status in (((), 0), (("--resources-server", "aviary"), None), (("--resources-server", "string_match"), 1)):
        result = check(*server, "b.jsonl")
        assert ("is empty, the model gets no prompt" in result.stdout) == (status == 1) and (status is None or result.returncode == status), result
        assert ("1 rows have no prompt: right only where the agent brings it" in result.stdout) == (status != 1)
    write(tmp_path / "odd.jsonl", *({"responses_create_params": value} for value in ODD), *({"responses_create_params": {"input": [value]}} for value in ODD),
          *({"responses_create_params": {"input": [{"role": "user", "content": value}]}} for value in ODD), "[" * 100_000)
    odd = check("odd.jsonl", "--max-shown", "1000")
    assert odd.returncode == 1 and "Traceback" not in odd.stderr and f"{3 * len(ODD) + 1} rows," in odd.stdout, odd.stderr[-900:]
