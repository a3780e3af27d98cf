"""The reader that the scripts of all guides share: `rollouts.py`, `rollout_contents.py` and `jsonl.py`."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import doubts
import jsonl
import pytest
import rollout_contents
import rollouts as reader
from doubts import contradiction
from pages import DOCS


def rollout(*output: object, given: object = "Question?", **fields: object) -> dict:
    items = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": item}]} if isinstance(item, str) else item for item in output]
    return {"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 1.0, "responses_create_params": {"input": given},
            "response": {"id": "r", "output": items, **fields.pop("response", {})}, **fields}


def call(name: str) -> dict:
    return {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"}


def result(name: str) -> dict:
    return {"type": "function_call_output", "call_id": name, "output": "1"}


def thought(text: str) -> dict:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


USER = {"role": "user", "content": "And?"}
CHAT_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_lines_keep_their_bytes_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"b":  2}')
    found = list(reader.lines(path))
    assert [(number, raw, row) for number, _, raw, row in found] == [(1, b'{"a": 1}\r\n', {"a": 1}), (4, b'{"b":  2}\n', {"b": 2})]
    for number, offset, raw, row in found:
        with path.open("rb") as file:
            file.seek(offset)
            assert json.loads(file.readline()) == row
    path.write_bytes(b'{"a": 1}\n{"b": ')
    with pytest.raises(reader.BadInput, match="in.jsonl:2: not JSON"):
        list(reader.lines(path))
    assert len(list(reader.lines(path, torn_end=True))) == 1


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (rollout("x", messages=[], completion="x", chosen=[], rejected=[]), "rollout"), ({"messages": []}, "chat"), ({"conversations": []}, "chat"),
        ({"prompt": [], "completion": []}, "completion"), ({"prompt": [], "chosen": [], "rejected": []}, "pair"), ({"responses_create_params": {}}, "task"),
        ({"_ng_failure_class": "x", "responses_create_params": {}}, "failure"), ({"agent_metrics": {}}, "aggregate"), ({"sample": {}, "mean/reward": 0}, "profile"),
        ({"verdict": "healthy", "findings": []}, "verdict"), ({"reward": 1.0, "_ng_task_index": 0}, "result"), ({"a": 1}, "unknown"), ({"response": None}, "unknown"),
    ],
)
def test_rows_are_told_apart(row: dict, kind: str) -> None:
    assert reader.kind_of(row) == kind


def test_rows_of_other_kinds_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    older = rollout("x")
    del older["_ng_task_index"], older["_ng_rollout_index"]
    path.write_bytes(b"".join(map(reader.dumps, [rollout("x"), {"messages": []}, {"agent_metrics": {}}, older])))
    run = reader.Rollouts(path)
    assert [number for number, *_ in run] == [1, 4]
    assert run.count == 2 and list(run.others) == [2, 3]
    assert any("1 of 2 rollouts have no _ng_task_index" in note for note in run.notes())
    path.write_bytes(reader.dumps({"messages": []}))
    with pytest.raises(reader.BadInput, match="in.jsonl:1: no rollout, but a chat row"):
        list(reader.Rollouts(path))


def test_a_task_is_its_index_or_its_prompt() -> None:
    one, other = rollout("x", given="What  IS it?"), rollout("y", given=[{"role": "user", "content": [{"type": "input_text", "text": "what is\nit?"}]}])
    assert reader.task_of(one) == 0 and reader.prompt_key(one) == reader.prompt_key(other) != reader.prompt_key(rollout("x", given="What was it?"))
    chat = {"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "X"}]}
    assert reader.prompt_key(chat) == reader.prompt_key(one) == reader.prompt_key({"conversations": [{"from": "human", "value": "what is it?"}, {"from": "gpt", "value": "y"}]})
    assert reader.prompt_key(chat) != reader.prompt_key({"messages": [{"role": "system", "content": "Be short."}, *chat["messages"]]})
    asked, answers = chat["messages"][:1], [[{"role": "assistant", "content": text}] for text in "AB"]
    for pair in ({"prompt": asked, "chosen": answers[0], "rejected": answers[1]}, {"chosen": asked + answers[0], "rejected": asked + answers[1]},
                 {"messages": asked, "chosen": answers[0][0], "rejected": answers[1][0]}, {"context": asked, "completions": []}):
        assert reader.prompt_key(pair) == reader.prompt_key(one)
    assert reader.key_of(rollout("x") | {"_ng_task_index": 3.0, "_ng_rollout_index": 1.0}) == (3, 1), "as a table with gaps makes of them"
    del one["_ng_task_index"], other["_ng_task_index"]
    assert reader.task_of(one) == reader.task_of(other) != 0
    assert reader.group_of({"task_source": "a", "agent_ref": {"name": "b"}}) == "a" and reader.group_of({"agent_ref": {"name": "b"}}) == "b" and reader.group_of({}) is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (rollout("x"), None), (rollout("x", mask_sample=True), "masked"), (rollout("x", instance_config={"mask_sample": True}), "masked"),
        (rollout("x", mask_sample=True, failure_kind="sandbox"), "masked (sandbox)"), (rollout("x", _ng_failure_class="Timeout"), "failed (Timeout)"),
        (rollout("x", response={"status": "failed"}), "failed (failed)"), (rollout("x", response={"error": {"code": "server_error"}}), "failed (error)"), (rollout("x", reward=None), "no reward"), (rollout("x", reward=True), "the reward is not a number"),
        (rollout("x", reward=10**400), "the reward is not finite"), (rollout("x", reward=float("nan")), "the reward is not finite"), (rollout(), "no answer: the output is empty"), (rollout(USER), "no answer: the model said nothing"),
        (rollout(" "), "no answer: the last reply is empty"), (rollout(thought("Hm.")), "no answer: the last reply is empty"),
        (rollout("<think>a</think>"), "no answer: the last reply is empty"), (rollout("<think>a"), "no answer: the last reply ends while thinking"),
        (rollout(call("a"), result("a")), None), (rollout(call("a"), result("a"), ""), "no answer: the last reply is empty"),
        (rollout([USER], [call("a")]), reader.LISTS),
    ],
)
def test_what_is_not_usable_says_why(row: dict, reason: str | None) -> None:
    assert reader.unusable(row) == reason


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (rollout("x"), None), (rollout("x", response={"incomplete_details": {"reason": "max_output_tokens"}}), "max_output_tokens"),
        (rollout("x", response={"metadata": {"ng_termination_reason": "empty_output"}}), "empty_output"), (rollout("x", response={"status": "in_progress"}), "incomplete"),
        (rollout("x", {"type": "message", "role": "assistant", "status": "incomplete", "content": "y"}), "incomplete"),
        (rollout({"type": "function_call", "status": "incomplete", "call_id": "a", "name": "f", "arguments": "{}"}, result("a"), "x"), None),
    ],
)
def test_a_cut_shows_in_any_of_its_signs(row: dict, reason: str | None) -> None:
    assert reader.cut_off(row) == reason


def test_numbers_that_are_no_counts_are_unknown() -> None:
    assert [reader.number_of({"a": value}, "a") for value in (0, 1.5, -1, True, "1", None, 10**400, float("nan"), float("inf"))] == [0, 1.5, *[None] * 7]
    assert [reader.tokens_of(rollout("x", response={"usage": {"output_tokens": value}})) for value in (0, 5, -3, 1.5, "5", 10**400)] == [0, 5, *[None] * 4]
    assert reader.brief("a\n\x1b[31mb\u202ec") == "a \\x1b[31mb\\u202ec"


@pytest.mark.parametrize(
    ("output", "lost", "ends"),
    [
        ([thought("a"), "b", call("1"), call("2"), result("2"), result("1"), "c"], 0, "message"),
        ([call("1")], 0, "function_call"), (["a", call("1"), call("2")], 0, "function_call"), ([call("1"), result("1")], 0, "function_call_output"),
        (["a", call("1"), "b", call("2"), "c"], 2, "message"), ([call("1"), call("2"), result("1"), "c"], 1, "message"),
        ([call("1"), thought("b"), call("2")], 1, "function_call"), ([call("1"), USER, "c"], 1, "message"),
        ([call("1"), result("1"), call("1"), result("1"), "c"], 0, "message"), ([call("1"), "b", result("1")], 0, "function_call_output"), (["a", USER], 0, "message"),
        # Calls and results as chat messages, and calls of tools that the endpoint runs.
        ([{"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}], 0, "function_call"),
        ([{"role": "assistant", "content": "", "tool_calls": [CHAT_CALL]}, {"role": "tool", "tool_call_id": "1", "content": "5"}, "c"], 0, "message"),
        ([{"role": "assistant", "content": "", "tool_calls": [CHAT_CALL, CHAT_CALL | {"id": "2"}]}, {"role": "tool", "tool_call_id": "1", "content": "5"}, "c"], 1, "message"),
        (["a", {"type": "web_search_call", "id": "w"}], 0, "web_search_call"), (["a", {"type": "mcp_call", "id": "w", "name": "f"}], 0, "mcp_call"),
    ],
)
def test_calls_find_their_results(output: list, lost: int, ends: str) -> None:
    seen = reader.said(rollout(*output))
    assert (seen.lost, seen.ends) == (lost, ends)


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("4", [], "4"), ("<think>a</think>\n\n4", ["a"], "4"), ("a\n</think>4", ["a"], "4"), ("<think>a</think><think>b</think>4", ["a", "b"], "4"),
        ("<think>a", ["a", None], ""), ("[THINK]a[/THINK]4", ["a"], "4"),
        ("<|START_THINKING|>a<|END_THINKING|>4", ["a"], "4"), ("<|channel>thought\na<channel|>4", ["a"], "4"), ("<thought>a</thought>4", [], "<thought>a</thought>4"), ("I think> so", [], "I think> so"),
        ("<longcat_think>a</longcat_think>4", ["a"], "4"), ("<THINK>a</THINK>4", ["a"], "4"), ("<seed:think>a</seed:think>4", ["a"], "4"),
        ("a</Thinking>4", ["a"], "4"), ("<nothink>4", [], "<nothink>4"), ("analysis of it: 4", [], "analysis of it: 4"),
    ],
)
def test_reasoning_in_the_text_is_found(text: str, thoughts: list, answer: str) -> None:
    assert reader.split_thoughts(text) == (thoughts, answer)


@pytest.mark.parametrize("text", ["a</think>b</think>4", "Use `<think>` here", "4<think>a</think>", "<think>a</think>4<think>b</think>", "<|channel|>analysis<|message|>a",
                                  "analysisa assistantfinal4", "<think>a</THINK>4", "<|think|>a<|end|>4", "<think >a</think>4",
                                  "<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>4<|end_of_solution|>"])
def test_reasoning_that_cannot_be_told_is_not_guessed(text: str) -> None:
    with pytest.raises(reader.Unclear):
        reader.split_thoughts(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [('<tool_call>\n{"name": "f"}', True), ("<function=f>", True), ("[TOOL_CALLS] [", True), ('{"name": "f", "arguments": {}}', True), ("[f(x=1)]", True),
     ("<|START_ACTION|>[", True), ("<seed:tool_call>", True), ("<longcat_tool_call>f", True), ("<｜tool_calls_begin｜>", True),
     ("<|channel|>commentary to=functions.f <|message|>{}", True), ('```json\n{"name": "f", "arguments": {}}\n```', True), ("```python\nf(1)\n```", False),
     ('{"name":\n "f"}', True), ('{"tool": "f", "x": 1}', True), ('I look.\n{"name": "f", "arguments": {}}', True), ('{"tool_calls": [{"name": "f"}]}', True),
     ("commentary to=functions.f {}", True), ("<start_function_call>call:f{}", True), ("<｜DSML｜function_calls>", True), ('functools[{"name": "f"}]', True),
     ("```tool_code\nf(x=1)\n```", True), ('It is named {"name": "f"}', False), ("[g(x=1)]", False),
     ('{"name": "Rome"}', False), ("a < b", False), ("", False)],
)
def test_a_call_in_the_text_is_seen(text: str, found: bool) -> None:
    assert bool(reader.call_in_text(text, ("f",))) == found


def test_arguments_are_json_and_not_what_python_reads() -> None:
    arguments = [reader.arguments_in(reader.Call("f", text, None)) for text in ('{"x": "NaN"}', '{"x": NaN}', '{"x": -Infinity}', "[1]")]
    assert arguments == [{"x": "NaN"}, '{"x": NaN}', '{"x": -Infinity}', [1]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [('{"x": -1}', '{"x": -2}', False), ('{"x": true}', '{"x": 1}', False), ('{"x": [0]}', '{"x": [false]}', False), ('{"x": 1}', '{"x": 1.0}', True),
     ('{"x": 1, "y": -1}', '{"y":-1, "x":1}', True), ('{"x": "-1"}', '{"x": -1}', False), ("[-1]", "[-2]", False)],
)
def test_answers_are_the_same_if_their_calls_are(one: str, other: str, same: bool) -> None:
    """Python has one hash for -1 and -2, and takes true for 1."""
    keys = [reader.answer_key(reader.said(rollout({**call("a"), "arguments": text}))) for text in (one, other)]
    assert (keys[0] == keys[1]) == same


@pytest.mark.parametrize(("rewards", "uneven"), [((-1.0, -2.0), 2), ((-1, -1.0), 0), ((1, 1.0), 0), ((0.0, 1.0), 2)])
def test_rewards_are_the_same_if_their_numbers_are(rewards: tuple, uneven: int) -> None:
    repeats = doubts.Repeats()
    for reward in rewards:
        repeats.add(0, "r", 7, reward)
    assert repeats.unequal() == (uneven, 2)


@pytest.mark.parametrize(
    ("expected", "text", "doubted"),
    [(12.0, "It is 12.", False), ("12.0", "12", False), ("-5", "\u22125", False), ("0.50", "It is .5", False), ("1200", "1,200.0", False),
     ("12.5", "12", True), (12.0, "13", True), ("Oslo", "Lima", True)],
)
def test_a_number_is_the_expected_one_in_any_form(expected: object, text: str, doubted: bool) -> None:
    assert bool(doubts.contradiction({"expected_answer": expected}, text, [], 1.0)) == doubted


def test_no_file_takes_the_place_of_an_input_or_a_folder(tmp_path: Path) -> None:
    path, link = tmp_path / "in.jsonl", tmp_path / "link.jsonl"
    path.write_text("{}\n")
    link.symlink_to(path)
    for output in (path, link):
        with pytest.raises(reader.BadInput, match="is an input, and would be overwritten"), reader.writing(output, inputs=[None, path]):
            pass
    with pytest.raises(reader.BadInput, match="is a folder"), reader.writing("."):
        pass
    assert path.read_text() == "{}\n" and sorted(tmp_path.iterdir()) == [path, link]


@pytest.mark.parametrize("without", [False, True])
def test_long_integers_keep_their_digits(without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model gave a tool must not come out rounded, with orjson or without."""
    if without:
        monkeypatch.setattr(jsonl, "orjson", None)
    for text in ('{"n":618970019642690137449562111,"x":1.5}', '{"a":[{"n":-18446744073709551617}],"x":"y"}', '{"n":18446744073709551615,"x":"long enough"}'):
        assert reader.dumps({"arguments": reader.strict(text)}) == b'{"arguments":' + text.encode() + b"}\n"
        assert reader.dumps(reader.whole_row(text.encode(), reader.loads(text))) == text.encode() + b"\n"
    assert reader.answer_key(reader.said(rollout({**call("a"), "arguments": '{"number": 618970019642690137449562111}'}))) != reader.answer_key(
        reader.said(rollout({**call("a"), "arguments": '{"number": 618970019642690137449562112}'})))


def test_hashes_are_a_set() -> None:
    chance, ours, own = random.Random(3), reader.Hashes(), set()
    for _ in range(30_000):
        value = chance.choice([chance.getrandbits(64) - 2**63, chance.randrange(3000), -1])
        key = value % 2**64 or 1
        assert ours.add(value) == (key not in own)
        own.add(key)
    assert ours.count == len(own)


JUNK = [None, True, 0, -1, 1.5, float("nan"), 10**30, "", "<think>a", "x</think>", "\ud800", [], {}, [[]], [{}], [None], {"a": []}, "tool", "user", "reasoning", "function_call", [1, "a"]]


@pytest.mark.parametrize("tasks", [range(3000), range(2999, -1, -1), [10**30, 7, "7", 0, 2**40, -1, 400, "a", 399, 256, 255], random.Random(3).sample(range(10**6), 500)])
def test_tasks_are_numbered_as_they_come(tasks: list) -> None:
    """As a dict would, whatever they are and in whatever order: close together or far apart, asked for again or not."""
    ours, own = reader.Numbers(), {}
    for task in (*tasks, *reversed(tasks), 5, "x"):
        assert ours.get(task) == own.get(task)
        assert ours.add(task) == own.setdefault(task, len(own)) and len(ours) == len(own)
    assert list(ours) == list(own)
    if list(tasks) == list(range(3000)):
        assert set(ours.others) == {"x"} and len(ours.close) * ours.close.itemsize <= 12_000


def mutated(value: object, chance: random.Random) -> object:
    """A value in which parts are gone, changed or in another order."""
    if chance.random() < 0.12:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {key: mutated(inner, chance) for key, inner in value.items() if chance.random() > 0.05}
    if isinstance(value, list):
        inner = [mutated(item, chance) for item in value if chance.random() > 0.08]
        return chance.sample(inner, len(inner)) if chance.random() < 0.2 else inner
    return value


def test_no_json_breaks_the_reader() -> None:
    chance = random.Random(7)
    rows = [rollout(thought("a"), "b", call("1"), result("1"), "<think>c</think>d"), {"messages": [USER, {"role": "assistant", "content": "x"}], "conversations": [{"from": "gpt"}]}]
    for _ in range(3000):
        row = mutated(chance.choice(rows), chance)
        if isinstance(row, dict):
            reader.prompt_key(row), reader.key_of(row), reader.group_of(row)
            assert reader.loads(reader.dumps(row)) is not None
            if reader.kind_of(row) == "rollout":
                reader.unusable(row), reader.cut_off(row), reader.tokens_of(row), reader.has_token_ids(row), reader.tools_offered(row), reader.said(row)


# Scripts in which the words of the reader stand for something else, and why.
OTHERWISE = {
    "how-to/configure-verification-strategies/test_properties.py": "makes requests to a verifier; its folder is copied into Gym without the page's files",
    "how-to/optimize-rollout-collection/find_knee.py": "reads task rows and answers that just came in, no file of rollouts",
    "reference/performance-tuning/gpu/load.py": "reads answers that just came in, no file of rollouts",
    "reference/rollout-format-spec/validate_rollouts.py": "goes on after a line that is no JSON, and names it; all else is the reader's",
    "reference/verification-patterns-catalog/check_cases.py": "reads cases for verifiers, and rewards that just came in",
}


def test_there_is_one_reader() -> None:
    """What parses lines and looks into a rollout does it with the reader."""
    training = DOCS / "training"
    scripts = {path.relative_to(training).as_posix(): path.read_text(encoding="utf-8") for path in training.rglob("*.py")
               if path.name not in ("jsonl.py", "rollout_contents.py", "rollouts.py") and "resources_servers" not in path.parts and not path.is_symlink()}
    with_reader = {name for name, text in scripts.items() if re.search(r"^\s*(?:from|import) (?:rollouts|jsonl|rollout_contents)\b", text, re.M)}
    looks = {name for name, text in scripts.items() if re.search(r'\["response"\]|get\("response"|mask_sample', text)}
    own = {name for name in looks - with_reader if "json.loads(" in scripts[name]}
    own |= {name for name in with_reader if re.search(r"json\.loads\((?:line|raw)\b", scripts[name])}
    assert own == set(OTHERWISE)


def test_the_point_of_a_fraction_is_part_of_the_answer() -> None:
    said = lambda text, reward: contradiction({"expected_answer": "5"}, text, [], reward)  # noqa: E731
    assert said(".5", 0.0) is None and said("5.", 0.0) and said('"5"', 0.0)
    assert contradiction({"expected_answer": ".5"}, ".5", [], 0.0)


def test_every_mark_of_a_call_is_found_in_a_text() -> None:
    for mark in (*rollout_contents.CALLS, *rollout_contents.CALLS_WITHOUT_TAG):
        assert reader.call_in_text(f"I look it up. {mark} and more") == mark
