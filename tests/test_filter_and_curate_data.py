"""The scripts of `filter-and-curate-data`: what they keep, what they make, and what they say to bad input."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import scripts
from pages import DOCS
from proofs import Proof, proves
from test_rollouts import mutated

FOLDER = DOCS / "training" / "how-to" / "filter-and-curate-data"

spec = importlib.util.spec_from_file_location("rollout_to_chat", FOLDER / "rollout_to_chat.py")
chat = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chat)


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return scripts.run(FOLDER / script, *arguments, cwd=cwd)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open()]


def said(text: str | None) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def called(call_id: str, name: str = "get_time", arguments: str = '{"city": "Oslo"}') -> dict:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result(call_id: str, output: object = "noon") -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def thought(text: str) -> dict:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}], "content": None}


def rollout(*output: object, task: int = 0, repeat: int = 0, reward: float = 1.0, given: object = "Question?", **fields: object) -> dict:
    items = [said(item) if isinstance(item, str) else item for item in output]
    params = {"input": given, **fields.pop("params", {})}
    return {"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": reward, "responses_create_params": params,
            "response": {"output": items, **fields.pop("response", {})}, **fields}


# ---------------------------------------------------------------------------------------------------------------------
# rollout_to_chat.py


def shape(messages: list[dict]) -> list[str]:
    return [m["role"] + "+call" * len(m.get("tool_calls", ())) for m in messages]


def test_parallel_calls_and_reasoning_become_one_turn_in_order() -> None:
    tools = [{"type": "function", "name": "get_time", "description": None, "parameters": {"type": "object"}, "strict": True}]
    row = rollout(
        thought("Two cities."), said("I look."), called("a"), called("b", arguments='{"city": "Lima"}'),
        result("a", "noon"), result("b", [{"type": "input_text", "text": "6 am"}]), thought("Done."), "Noon and six.",
        given=[{"role": "developer", "content": [{"type": "input_text", "text": "Be short."}]}, {"role": "user", "content": "Times?"}],
        params={"tools": tools, "instructions": "Use tools."},
    )
    converted = chat.sft_row(row)
    messages = converted["messages"]
    assert shape(messages) == ["system", "user", "assistant+call+call", "tool", "tool", "assistant"]
    assert messages[0]["content"] == "Use tools.\n\nBe short."
    assert messages[2]["content"] == "<think>Two cities.</think>I look."
    assert [c["function"]["arguments"] for c in messages[2]["tool_calls"]] == [{"city": "Oslo"}, {"city": "Lima"}]
    assert [(m["tool_call_id"], m["content"]) for m in messages[3:5]] == [("a", "noon"), ("b", "6 am")]
    assert converted["tools"] == [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}, "strict": True}}]
    assert converted["source"] == {"task_index": 0, "rollout_index": 0, "reward": 1.0}
    assert chat.sft_row(row, "field")["messages"][2]["reasoning_content"] == "Two cities."
    assert chat.sft_row(row, "drop")["messages"][5] == {"role": "assistant", "content": "Noon and six."}


def test_a_result_that_comes_twice_hides_no_call_without_one() -> None:
    with pytest.raises(chat.NoChat, match="a tool result without its call"):
        chat.convert(rollout(called("a"), result("a"), result("a"), called("b"), "Done."))
    again = chat.convert(rollout(called("a"), result("a"), called("a"), result("a"), "Done."))[1]  # an agent that counts the calls of each turn anew
    assert shape(again) == ["assistant+call", "tool", "assistant+call", "tool", "assistant"]


def test_several_turns_keep_their_order() -> None:
    row = rollout(called("a"), result("a"), called("b"), result("b"), "Yes.", {"role": "user", "content": "Sure?"}, "I am.")
    prompt, completion, tools = chat.convert(row)
    assert shape(prompt) == ["user"] and tools == []
    assert shape(completion) == ["assistant+call", "tool", "assistant+call", "tool", "assistant", "user", "assistant"]


@pytest.mark.parametrize("reasoning", chat.REASONING)
def test_steps_without_what_came_between_are_not_one_answer(reasoning: str) -> None:
    """As of agents that log every step of a screen, or of several models; rollouts of osworld and of langgraph agents are like this."""
    for output in (["Open it.", "Click it."], [thought("a"), "Open it.", thought("b"), "Click it."], ["Hm.", called("a"), "So.", result("a"), "Noon."], ["<think>a", "4"]):
        with pytest.raises(chat.NoChat, match="several messages of the model in a row"):
            chat.convert(rollout(*output), reasoning)
    for output in (["", "4"], ["<think>a</think>", "4"], ["<think>a", "b</think>4"], ["4", {"role": "user", "content": "Sure?"}, "4"], ["Hm.", called("a"), result("a"), "4"]):
        assert chat.convert(rollout(*output), reasoning)[1][-1]["content"].endswith("4")


@pytest.mark.parametrize("empty", [{"summary": []}, {"summary": [], "content": []}, {"summary": [], "content": None, "encrypted_content": "gAAA"}, {}])
@pytest.mark.parametrize("reasoning", chat.REASONING)
def test_reasoning_that_the_endpoint_keeps_to_itself_costs_no_row(empty: dict, reasoning: str) -> None:
    """As of OpenAI's models: dozens of the package's examples have such items."""
    assert chat.convert(rollout({"type": "reasoning", "id": "r", **empty}, "4"), reasoning)[1] == [{"role": "assistant", "content": "4"}]


@pytest.mark.parametrize("message", [
    {"content": [{"type": "reasoning_text", "text": "a"}, {"type": "output_text", "text": "4"}]}, {"content": [{"type": "thinking", "thinking": "a"}, {"type": "text", "text": "4"}]},
    {"content": "4", "thinking": "a"}, {"content": "4", "reasoning": "a"},
])
def test_reasoning_of_a_message_is_no_answer(message: dict) -> None:
    row = rollout({"role": "assistant", **message})
    assert [chat.convert(row, reasoning)[1][0] for reasoning in chat.REASONING] == [
        {"role": "assistant", "content": "<think>a</think>4"}, {"role": "assistant", "reasoning_content": "a", "content": "4"}, {"role": "assistant", "content": "4"}]


def test_reasoning_that_is_given_twice_is_kept_once() -> None:
    row = rollout(said("<think>a</think>4") | {"reasoning_content": "a"})
    assert [chat.convert(row, reasoning)[1][0] for reasoning in chat.REASONING] == [
        {"role": "assistant", "content": "<think>a</think>4"}, {"role": "assistant", "reasoning_content": "a", "content": "4"}, {"role": "assistant", "content": "4"}]


def test_a_sheet_shows_what_is_no_training_row(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", rollout("Open it.", "Click it."), rollout(called("a", arguments="{"), task=1))
    make(tmp_path, "sample", source, "-o", "review.jsonl")
    answers = [row["answer"] for row in read(tmp_path / "review.jsonl")]
    assert answers[0].endswith("\nOpen it.\nClick it.") and answers[1].endswith("get_time({)")
    assert "1 rows, 1 problem\n" in make(tmp_path, "check", write(tmp_path / "one.jsonl", rollout("Open it.", "Click it.")), code=1).stdout


@pytest.mark.parametrize("name", ["²", "-1", "=cmd", "007", "3.0", "a,b", " x ", "\uff1d", -5])
def test_a_verdict_finds_its_task_whatever_its_name(tmp_path: Path, name: object) -> None:
    source = write(tmp_path / "in.jsonl", rollout("4", task=name), rollout("4", task=99))
    make(tmp_path, "sample", source, "-o", "review.csv")
    review = tmp_path / "review.csv"
    lines = review.read_text().splitlines(keepends=True)
    review.write_text(lines[0] + "".join("good" + line for line in lines[1:]))
    make(tmp_path, "merge", source, review, "-o", "out.jsonl", "--only-reviewed")
    assert [row["_ng_task_index"] for row in read(tmp_path / "out.jsonl")] == [name, 99]


def test_what_the_prompt_holds_is_no_answer() -> None:
    given = [{"role": "user", "content": "Rome?"}, called("x"), {"role": "user", "content": "Oslo?"}]
    prompt, completion, _ = chat.convert(rollout(called("a"), given=given))
    assert shape(prompt) == ["user", "assistant+call", "user"] and shape(completion) == ["assistant+call"]
    inline = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat_shaped = [{"role": "user", "content": "?"}, {"role": "assistant", "content": None, "tool_calls": [inline]}, {"role": "tool", "tool_call_id": "x", "content": "1"}]
    assert shape(chat.convert(rollout("One.", given=chat_shaped))[0]) == ["user", "assistant+call", "tool"]
    # A harness that writes its own prompt records it at the start of the output.
    assert shape(chat.convert(rollout({"role": "user", "content": "Hi"}, "Hello.", given=[]))[0]) == ["user"]
    # An answer that the prompt began is one message, and the model's.
    begun = [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": "It is "}]
    assert chat.convert(rollout("Oslo.", given=begun))[1] == [{"role": "assistant", "content": "It is Oslo."}]


def test_a_tool_result_that_no_reply_follows_is_cut_off() -> None:
    assert shape(chat.sft_row(rollout(called("a"), result("a")))["messages"]) == ["user", "assistant+call"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (rollout(), "no answer: the output is empty"),
        (rollout(""), "no answer: the last reply is empty"),
        (rollout(said(None)), "no answer: the last reply is empty"),
        (rollout(thought("Hm.")), "no answer: the last reply is empty"),
        (rollout(called("a"), result("a"), " \n"), "no answer: the last reply is empty"),
        (rollout("<think>Hm, I"), "no answer: the last reply ends while thinking"),
        (rollout({"role": "user", "content": "Hi"}), "no answer: the model said nothing"),
        (rollout("Hi", given=[]), "no prompt"),
        (rollout({"role": "assistant", "content": [{"type": "reasoning_text", "text": "a"}]}), "no answer: the last reply is empty"),
        (rollout({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}, "Hi"), "a message with function_call"),
        (rollout(said("Hi") | {"audio": {"id": "a"}}), "a message with audio"),
        (rollout(called("a") | {"namespace": "n"}, result("a"), "Hi"), "a tool call with a namespace"),
        *((rollout(said("Hi") | {"tool_calls": odd}), "a tool call without a function") for odd in (True, 1, 0.5, "f", {"f": 1}, [None])),
        (rollout("Hi", params={"previous_response_id": "r"}), "previous_response_id: a part of the prompt is not in the rollout"),
        (rollout("Hi", params={"prompt": {"id": "p"}}), "prompt: a part of the prompt is not in the rollout"),
        (rollout("Hi", params={"tools": [{"type": "function"}]}), "a tool without a name"),
        (rollout("Hi", given=" \n"), "no prompt"),
        (rollout({"role": "user", "content": "Question?"}, "Hi"), "the output repeats the prompt"),
        (rollout(called("a", arguments='{"city": NaN}')), "tool-call arguments are not a JSON object"),
        (rollout(called("a", arguments='{"city": ')), "tool-call arguments are not a JSON object"),
        (rollout(called("a", arguments="[1]")), "tool-call arguments are not a JSON object"),
        (rollout(result("a"), "Hi"), "a tool result without its call"),
        (rollout("Hi", given=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]), "content of type input_image"),
        (rollout({"type": "web_search_call"}, "Hi"), "item of type web_search_call"),
        (rollout("Hi", params={"tools": [{"type": "web_search"}]}), "tool of type web_search"),
        ({"reward": 1}, "no responses_create_params or no response"),
    ],
)
def test_what_cannot_become_a_conversation_says_why(row: dict, reason: str) -> None:
    with pytest.raises(chat.NoChat, match=f"^{reason}$"):
        chat.sft_row(row)


def test_pairs_share_their_prompt() -> None:
    pair = chat.dpo_row(rollout("Oslo.", repeat=1), rollout("Lima.", repeat=2, reward=0.0))
    assert pair == {
        "prompt": [{"role": "user", "content": "Question?"}],
        "chosen": [{"role": "assistant", "content": "Oslo."}], "rejected": [{"role": "assistant", "content": "Lima."}],
        "source": {"chosen": {"task_index": 0, "rollout_index": 1, "reward": 1.0}, "rejected": {"task_index": 0, "rollout_index": 2, "reward": 0.0}},
    }
    with pytest.raises(chat.NoChat, match="different prompts"):
        chat.dpo_row(rollout("Oslo."), rollout("Lima.", given="Other?"))
    with pytest.raises(chat.NoChat, match="different tools"):
        chat.dpo_row(rollout("Oslo.", params={"tools": [{"type": "function", "name": "f"}]}), rollout("Lima."))


@pytest.mark.gym
def test_messages_are_those_of_gyms_own_converter(gym_python: Path) -> None:
    """Over the example rollouts that the package ships, apart from what is mended."""
    checked = subprocess.run([gym_python, "-c", COMPARE, FOLDER], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    same, different = map(int, checked.stdout.split())
    assert same >= 600 and different == 0


COMPARE = '''
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import nemo_gym
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming as Params
from nemo_gym.responses_converter import ResponsesConverter
from rollout_to_chat import NoChat, arguments_of, sft_row, text_of
gym = ResponsesConverter(return_token_id_information=False)
same = different = 0
for path in pathlib.Path(nemo_gym.__file__).parents[1].rglob("example_rollouts.jsonl"):
    for line in path.open():
        try:
            row = json.loads(line)
            ours = sft_row(row)["messages"]
            params = row["responses_create_params"]
            given = params["input"]
            given = [{"role": "user", "content": given}] if isinstance(given, str) else given
            request = Params(**{**params, "input": given + row["response"]["output"]})
            theirs = gym.responses_to_chat_completion_create_params(request).model_dump(exclude_unset=True, mode="json")["messages"]
        except (ValueError, NoChat, NotImplementedError):
            continue
        for message in theirs:
            message["content"] = text_of(message.get("content"))
            message["role"] = "system" if message["role"] == "developer" else message["role"]
            for call in message.get("tool_calls", ()):
                call["function"]["arguments"] = arguments_of(call["function"]["arguments"])
        while len(theirs) > 1 and theirs[0]["role"] == theirs[1]["role"] == "system":
            theirs[:2] = [{"role": "system", "content": theirs[0]["content"] + "\\n\\n" + theirs[1]["content"]}]
        while theirs[-1]["role"] != "assistant":
            theirs.pop()
        same, different = same + (ours == theirs), different + (ours != theirs)
print(same, different)
'''


# ---------------------------------------------------------------------------------------------------------------------
# filter_rollouts.py


TOOLS = [{"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]


def group(task: int, *rewards: float, **fields: object) -> list[dict]:
    return [rollout(f"Answer {task}-{repeat}", task=task, repeat=repeat, reward=reward, **fields) for repeat, reward in enumerate(rewards)]


def keys(path: Path) -> list[tuple[int, int]]:
    return [(row["_ng_task_index"], row["_ng_rollout_index"]) for row in read(path)]


def filtered(cwd: Path, rows: list[dict], *filters: object) -> tuple[list[tuple[int, int]], dict[tuple[int, int], tuple[str, str]], str]:
    """What is kept, what is rejected and why, and what the script prints."""
    for path in (cwd / "kept.jsonl", cwd / "rejects.jsonl"):
        path.unlink(missing_ok=True)
    done = run("filter_rollouts.py", write(cwd / "in.jsonl", *rows), "-o", "kept.jsonl", "--rejects", "rejects.jsonl", *filters, cwd=cwd)
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    rejected = {(r["_ng_task_index"], r["_ng_rollout_index"]): (r["rejected_by"], r["rejected_because"]) for r in read(cwd / "rejects.jsonl")}
    kept = keys(cwd / "kept.jsonl") if done.returncode == 0 else []
    assert len(kept) + len(rejected) == len(rows)
    return kept, rejected, done.stdout


def test_masked_and_empty_rollouts_never_count(tmp_path: Path) -> None:
    rows = [rollout("a", repeat=0), rollout("b", repeat=1, reward=0.0, mask_sample=True, failure_kind="judge_failed"), rollout(repeat=2), rollout("c", repeat=3)]
    kept, rejected, printed = filtered(tmp_path, rows, "--varied")
    # The masked 0 is no measurement; the empty answer is, and it got 1 like the others.
    assert kept == [] and rejected[0, 1] == ("usable", "masked (judge_failed)") and rejected[0, 2] == ("usable", "no answer: the output is empty")
    assert rejected[0, 0] == ("varied", "all got 1")
    assert "usable        4        2        2" in printed


@pytest.mark.parametrize(
    ("row", "filters", "reason"),
    [
        (rollout("a", response={"incomplete_details": {"reason": "max_output_tokens"}}), ["--whole"], "max_output_tokens"),
        (rollout("a", response={"metadata": {"ng_termination_reason": "empty_output"}}), ["--whole"], "empty_output"),
        (rollout(called("a"), result("a")), ["--finished"], "ends with a tool call"),
        (rollout("a", reward=0.4), ["--min-reward", "0.5"], "reward below 0.5"),
        (rollout("a", reward=0.6), ["--max-reward", "0.5"], "reward above 0.5"),
        (rollout("a", response={"usage": {"output_tokens": 1}}), ["--min-tokens", "2"], "fewer than 2 tokens"),
        (rollout("a", response={"usage": {"output_tokens": 3}}), ["--max-tokens", "2"], "more than 2 tokens"),
        (rollout("a", response={"usage": None}), ["--max-tokens", "2"], "no token count"),
        (rollout("a"), ["--min-calls", "1"], "fewer than 1 tool calls"),
        (rollout(called("a"), called("b")), ["--max-calls", "1"], "more than 1 tool calls"),
        (rollout(called("a", "other"), params={"tools": TOOLS}), ["--valid-calls"], "calls a tool that was not offered"),
        (rollout(called("a", arguments="{"), params={"tools": TOOLS}), ["--valid-calls"], "a call's arguments are not a JSON object"),
        (rollout(called("a", arguments="{}"), params={"tools": TOOLS}), ["--valid-calls"], "a call lacks city"),
        (rollout(called("a"), result("a", '{"error": "x"}')), ["--drop-matching", '"error"'], 'matches "error"'),
        (rollout("As an AI model"), ["--drop-matching", "(?i)as an ai"], "matches (?i)as an ai"),
        (rollout(result("no call", "KEY"), "x"), ["--drop-matching", "KEY"], "matches KEY"),
        (rollout(said("x") | {"reasoning_content": "KEY"}), ["--drop-matching", "KEY"], "matches KEY"),
        (rollout({"type": "mcp_call", "name": "f", "arguments": "{}", "output": "KEY"}, "x"), ["--drop-matching", "KEY"], "matches KEY"),
        (rollout("a", metadata={"family": "x"}), ["--where", "metadata.family=None"], "metadata.family is not None"),
    ],
)
def test_each_filter_drops_what_it_says(tmp_path: Path, row: dict, filters: list[str], reason: str) -> None:
    good = rollout(called("a"), result("a"), "Noon.", task=1, reward=0.5, params={"tools": TOOLS}, response={"usage": {"output_tokens": 2}})
    kept, rejected, _ = filtered(tmp_path, [row, good], *filters)
    stage = filters[0] if filters[0] in ("--drop-matching", "--where") else " ".join(filters)
    assert kept == [(1, 0)] and rejected[0, 0] == (stage.removeprefix("--"), reason)


def test_names_that_a_server_of_tools_has_are_not_checked(tmp_path: Path) -> None:
    rows = [rollout(called("a", "find"), result("a"), "x", params={"tools": tools}) for tools in ([{"type": "mcp", "server_label": "s"}], [{"type": "web_search"}])]
    kept, rejected, printed = filtered(tmp_path, [row | {"_ng_task_index": n} for n, row in enumerate(rows)], "--valid-calls")
    assert kept == [(0, 0)] and rejected[1, 0][1] == "calls a tool that was not offered"
    assert "1 rollouts list a server of tools, not their names: the names of other calls are not checked" in printed


def test_conditions_compare_values(tmp_path: Path) -> None:
    row = rollout("x", reward=1.0, level=None, sure=True, name="2")
    for condition in ("reward=1", "reward=1.0", "level=null", "level=None", "sure=true", "name=2"):
        assert filtered(tmp_path, [row], "--where", condition)[0] == [(0, 0)], condition


def test_rejects_that_are_filtered_again_have_one_reason(tmp_path: Path) -> None:
    first = write(tmp_path / "in.jsonl", rollout("x", reward=0.0))
    run("filter_rollouts.py", first, "-o", "kept.jsonl", "--rejects", "once.jsonl", "--min-reward", 1, cwd=tmp_path)
    run("filter_rollouts.py", "once.jsonl", "-o", "kept.jsonl", "--rejects", "twice.jsonl", "--min-calls", 1, cwd=tmp_path)
    text = (tmp_path / "twice.jsonl").read_text()
    assert text.count("rejected_by") == 1 and json.loads(text)["rejected_because"] == "fewer than 1 tool calls"


def test_pass_rates_count_what_other_filters_remove(tmp_path: Path) -> None:
    rows = group(0, 1, 1, 1, 1) + group(1, 1, 0, 0, 0) + group(2, 0, 0, 0, 0) + group(3, 1, 0.8)
    assert filtered(tmp_path, rows, "--min-reward", "1", "--pass-rate", "0.2", "0.8")[0] == [(1, 0), (3, 0)]
    assert filtered(tmp_path, rows, "--min-reward", "1", "--pass-rate", "0.2", "0.8", "--success", "0.8")[0] == [(1, 0)]
    assert filtered(tmp_path, rows, "--varied", "--min-rollouts", "4")[0] == [(1, 0), (1, 1), (1, 2), (1, 3)]


def test_stages_have_names_and_add_up(tmp_path: Path) -> None:
    rows = group(0, 1, 0, 0.5)
    kept, rejected, printed = filtered(tmp_path, rows, "--stage", "good", "--min-reward", "0.5", "--max-reward", "0.9", "--stage", "last", "--best", "1")
    assert kept == [(0, 2)] and {why[0] for why in rejected.values()} == {"good"}
    assert [line.split()[:4] for line in printed.splitlines()[1:5]] == [
        ["stage", "in", "removed", "out"], ["usable", "3", "0", "3"], ["good", "3", "2", "1"], ["last", "1", "0", "1"]]
    run("filter_rollouts.py", "in.jsonl", "-o", "kept.jsonl", "--report", "table.json", "--min-reward", "0.5", cwd=tmp_path)
    assert json.loads((tmp_path / "table.json").read_text())["stages"][1] == {"stage": "min-reward 0.5", "in": 3, "out": 2, "reasons": {"reward below 0.5": 1}}
    (tmp_path / "my.args").write_text("# a comment\n--stage good --min-reward 0.5   # and\n--max-reward 0.9\n--stage last --best 1\n")
    assert filtered(tmp_path, rows, "@my.args") == (kept, rejected, printed)


def test_the_same_answer_counts_once_and_the_best_stay(tmp_path: Path) -> None:
    rows = [rollout(called(f"call_{n}"), repeat=n) for n in range(3)] + [rollout("Other.", repeat=3, reward=0.2)]
    assert filtered(tmp_path, rows, "--distinct")[0] == [(0, 0), (0, 3)]
    assert filtered(tmp_path, rows, "--distinct", "--best", "1")[0] == [(0, 0)]
    equal = group(0, *[1] * 20)
    picks = {seed: filtered(tmp_path, equal, "--best", "3", "--seed", seed)[0] for seed in (0, 1)}
    assert picks[0] != picks[1] and picks[0] == filtered(tmp_path, equal, "--best", "3", "--seed", "0")[0]
    assert sorted(filtered(tmp_path, equal[::-1], "--best", "3", "--seed", "0")[0]) == sorted(picks[0])


@proves("kind-filtered-away")
def test_a_kind_of_task_that_vanishes_is_told(tmp_path: Path, proof: Proof) -> None:
    rows = [*group(0, 1, 0, task_source="text"), *group(1, 1, 1, task_source="tools"), *group(2, 0, task_source="code")]
    told = filtered(tmp_path, rows, "--stage", "right", "--min-reward", "1", "--stage", "useful", "--varied")[2]
    assert "nothing of task_source tools is left: 2 rollouts, the last in useful\n" in told
    proof.wrong("kind-filtered-away", told)
    assert "nothing of task_source code is left: 1 rollouts, the last in right\n" in told and told.count("nothing of") == 2
    kept, _, told = filtered(tmp_path, rows, "--where", "task_source=tools", "--min-reward", "1")
    proof.cured("kind-filtered-away", told)
    assert kept == [(1, 0), (1, 1)] and "nothing of" not in told
    refused = run("filter_rollouts.py", "in.jsonl", "-o", "kept.jsonl", "--where", "tools", cwd=tmp_path)
    assert refused.returncode == 2 and "'tools' is not FIELD=VALUE" in refused.stderr


def test_unhealthy_rollouts_go(tmp_path: Path) -> None:
    verdicts = [{"_ng_task_index": 0, "_ng_rollout_index": n, "verdict": v, "findings": f} for n, v, f in
                ((0, "healthy", []), (1, "unobserved", []), (2, "unhealthy", [{"check": "agent_turn_hollow"}]))]
    write(tmp_path / "verdicts.jsonl", *verdicts)
    kept, rejected, _ = filtered(tmp_path, group(0, 1, 1, 1), "--healthy", "verdicts.jsonl")
    assert kept == [(0, 0), (0, 1)] and rejected[0, 2] == ("healthy", "unhealthy: agent_turn_hollow")


def test_the_file_is_held_against_the_plan_of_the_run(tmp_path: Path) -> None:
    write(tmp_path / "in_materialized_inputs.jsonl", {}, {}, {})
    write(tmp_path / "in_failures.jsonl", {})
    assert filtered(tmp_path, group(0, 1, 1))[2].splitlines()[0].endswith("in.jsonl: 2 rollouts of 3 planned, 1 failed attempts beside it")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--best", "1", "--whole"], "--best must be the last filter"),
        (["--min-tokens", "-1"], "--min-tokens: must be at least 0"),
        (["--min-reward", "nan"], "--min-reward: invalid float value: 'nan'"),
        (["--drop-matching", "("], "'(' is no regular expression"),
        (["--no-such-filter"], "unrecognized arguments"),
        (["-o", "in.jsonl"], "must be different files"),
        (["--rejects", "kept.jsonl"], "must be different files"),
        (["@none.args"], "none.args"),
    ],
)
def test_filter_refuses_wrong_options(tmp_path: Path, arguments: list[str], message: str) -> None:
    write(tmp_path / "in.jsonl", *group(0, 1))
    refused = run("filter_rollouts.py", "in.jsonl", "-o", "kept.jsonl", *arguments, cwd=tmp_path)
    assert refused.returncode == 2 and message in refused.stderr and "Traceback" not in refused.stderr, refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_nothing_left_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, 0, 0))
    empty = run("filter_rollouts.py", "in.jsonl", "-o", "kept.jsonl", "--min-reward", "1", cwd=tmp_path)
    assert empty.returncode == 1 and "no rollout is left" in empty.stderr and not (tmp_path / "kept.jsonl").exists()


def test_two_runs_in_one_file_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, 1), *group(0, 1))
    refused = run("filter_rollouts.py", "in.jsonl", "-o", "kept.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and "in.jsonl:2: task 0, repeat 0 is there twice. Two runs in one file?" in refused.stderr


# ---------------------------------------------------------------------------------------------------------------------
# make_training_sets.py


def make(cwd: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run("make_training_sets.py", *arguments, cwd=cwd)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


def test_sft_rows_are_counted_and_convertible(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, 1, 1), rollout(task=1), rollout("x", task=2, mask_sample=True), rollout(called("a"), task=3, params={"tools": TOOLS}))
    done = make(tmp_path, "sft", "in.jsonl", "-o", "sft.jsonl")
    assert done.stdout.splitlines() == [
        "in.jsonl: 5 rollouts", "  1 left out: no answer: the output is empty", "  1 left out: masked", "sft.jsonl: 3 rows of 2 tasks"]
    rows = read(tmp_path / "sft.jsonl")
    assert [list(row) for row in rows] == [["messages", "source"]] * 2 + [["messages", "tools", "source"]]
    assert make(tmp_path, "check", "sft.jsonl").stdout == "sft.jsonl: 3 rows, no problem\n"
    make(tmp_path, "sft", "in.jsonl", "-o", "split.jsonl", "--split")
    assert list(read(tmp_path / "split.jsonl")[0]) == ["prompt", "completion", "source"]
    make(tmp_path, "check", "split.jsonl")
    write(tmp_path / "none.jsonl", rollout())
    assert "nothing written" in make(tmp_path, "sft", "none.jsonl", "-o", "no.jsonl", code=1).stderr and not (tmp_path / "no.jsonl").exists()


def test_check_names_each_row(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": ""}]}
    write(tmp_path / "a.jsonl", row, row | {"n": 1}, {"messages": [row["messages"][0], {"role": "assistant", "content": "A"}]})
    fault = "messages have no assistant text or call: nothing to learn from"
    assert make(tmp_path, "check", "a.jsonl", code=1).stdout.splitlines()[0] == f"a.jsonl:1: {fault} (2 rows)"
    told = make(tmp_path, "check", "a.jsonl", "--each", code=1).stdout.splitlines()
    assert told == [f"a.jsonl:1: {fault}", f"a.jsonl:2: {fault}", f"a.jsonl: 2 rows: {fault}", "a.jsonl: 3 rows, 1 problem"]
    good = read(tmp_path / "a.jsonl")[2]
    write(tmp_path / "twice.jsonl", good, good)
    told = make(tmp_path, "check", "twice.jsonl", "--each", code=1).stdout.splitlines()
    assert told == ["twice.jsonl:2: a copy of an earlier row", "twice.jsonl: 1 rows are there twice", "twice.jsonl: 2 rows, 1 problem"]


@pytest.mark.parametrize("odd", [True, 1, 0.5, "f", {"f": 1}, [None]])
def test_calls_of_any_kind_stop_no_script(tmp_path: Path, odd: object) -> None:
    write(tmp_path / "in.jsonl", {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!", "tool_calls": odd}]})
    assert "tool" in make(tmp_path, "check", "in.jsonl", code=1).stdout
    done = run("../integrate-with-rl-frameworks/convert_for_trainers.py", "sft", "in.jsonl", "--for", "trl", "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == 2 and "a tool call without a name" in done.stderr


def test_answers_that_are_equal_without_their_thoughts_are_one_sft_row(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *[rollout(f"<think>{thought}</think>yes", task=0, repeat=repeat) for repeat, thought in enumerate("ab")])
    done = make(tmp_path, "sft", "in.jsonl", "-o", "sft.jsonl", "--reasoning", "drop")
    assert done.stdout.splitlines()[1:] == ["  1 left out: the same row as that of another rollout", "sft.jsonl: 1 rows of 1 tasks"]
    assert make(tmp_path, "check", "sft.jsonl").stdout == "sft.jsonl: 1 rows, no problem\n"
    make(tmp_path, "sft", "in.jsonl", "-o", "field.jsonl", "--reasoning", "field")
    assert len(read(tmp_path / "field.jsonl")) == 2


def sized(task: int, repeat: int, reward: float, tokens: int, **fields: object) -> dict:
    response = {"usage": {"output_tokens": tokens}, **fields}
    return rollout(f"Answer {repeat}", task=task, repeat=repeat, reward=reward, response=response)


def pairs(cwd: Path, rows: list[dict], *options: object) -> list[tuple[int, int, int]]:
    write(cwd / "in.jsonl", *rows)
    make(cwd, "dpo", "in.jsonl", "-o", "dpo.jsonl", *options)
    sources = [row["source"] for row in read(cwd / "dpo.jsonl")]
    return [(s["chosen"]["task_index"], s["chosen"]["rollout_index"], s["rejected"]["rollout_index"]) for s in sources]


def test_pairs_are_best_against_worst_of_similar_length(tmp_path: Path) -> None:
    task = [sized(0, 0, 1.0, 90), sized(0, 1, 1.0, 10), sized(0, 2, 0.5, 10), sized(0, 3, 0.0, 12), sized(0, 4, 0.0, 300)]
    assert pairs(tmp_path, task) == [(0, 1, 3)]
    assert pairs(tmp_path, task, "--per-task", "2") == [(0, 1, 3), (0, 0, 4)]
    assert pairs(tmp_path, task, "--per-task", "2", "--max-length-ratio", "2") == [(0, 1, 3)]
    chosen = {tuple(pairs(tmp_path, task, "--ties", "random", "--seed", seed)) for seed in range(8)}
    assert len(chosen) > 1 and {pair[0][1] for pair in chosen} <= {0, 1} and {pair[0][2] for pair in chosen} <= {3, 4}
    # The order of the file does not matter.
    assert pairs(tmp_path, task[::-1]) == [(0, 1, 3)]


def test_a_length_bias_is_evened_by_the_most_uneven_pairs(tmp_path: Path) -> None:
    longer = [row for task, extra in enumerate((1, 9, 5, 7)) for row in (sized(task, 0, 1.0, 10 + extra), sized(task, 1, 0.0, 10))]
    shorter = [sized(4, 0, 1.0, 10), sized(4, 1, 0.0, 30)]
    equal = [sized(5, 0, 1.0, 10), sized(5, 1, 0.0, 10)]
    assert [pair[0] for pair in pairs(tmp_path, longer + shorter + equal)] == [0, 1, 2, 3, 4, 5]
    assert [pair[0] for pair in pairs(tmp_path, longer + shorter + equal, "--max-bias", "2")] == [0, 2, 4, 5]
    assert [pair[0] for pair in pairs(tmp_path, longer + shorter + equal, "--max-bias", "1")] == [0, 4, 5]
    done = make(tmp_path, "dpo", "in.jsonl", "-o", "dpo.jsonl", "--max-bias", "1")
    assert "3 pairs left out: --max-bias 1" in done.stdout and "longer: chosen 1, rejected 1, neither 1" in done.stdout
    write(tmp_path / "in.jsonl", *longer)
    assert "--max-bias leaves no pair" in make(tmp_path, "dpo", "in.jsonl", "-o", "none.jsonl", "--max-bias", "2", code=1).stderr


def test_a_margin_and_ties_decide_which_tasks_have_a_pair(tmp_path: Path) -> None:
    rows = [*group(0, 1, 1), *group(1, 0.6, 0.3), *group(2, 1, 0.4), *group(3, 1),
            sized(4, 0, 1.0, 5, incomplete_details={"reason": "max_output_tokens"}), sized(4, 1, 0.0, 5),
            rollout("Same.", task=5, repeat=0), rollout("Same.", task=5, repeat=1, reward=0.0)]
    write(tmp_path / "in.jsonl", *rows)
    done = make(tmp_path, "dpo", "in.jsonl", "-o", "dpo.jsonl", "--margin", "0.5")
    assert [row["source"]["chosen"]["task_index"] for row in read(tmp_path / "dpo.jsonl")] == [2]
    for reason in ("every rollout has the same reward", "margin below 0.5", "only one rollout", "the best rollouts are cut off", "the two answers are the same"):
        assert f"1 tasks without a pair: {reason}" in done.stdout
    assert pairs(tmp_path, [*group(0, 1.0, 0.95, 0.0)], "--tie", "0.1", "--per-task", "2")[0][1] in (0, 1)


def test_no_pairs_are_told(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, 1, 1))
    assert "Did a filter remove the failures?" in make(tmp_path, "dpo", "in.jsonl", "-o", "dpo.jsonl", code=1).stderr
    assert not (tmp_path / "dpo.jsonl").exists()


def profile(task: int, rate: float, rollouts: int = 8, **sample: object) -> dict:
    return {"_ng_task_index": task, "mean/reward": rate, "min/reward": float(rate == 1), "max/reward": float(rate > 0), "num_rollouts": rollouts,
            "sample": {"responses_create_params": {"input": f"Q{task}"}, "agent_ref": {"name": "a"}, "task_source": "s", **sample}}


def test_a_mean_is_a_number_and_may_be_a_little_less(tmp_path: Path) -> None:
    """The mean of three times 0.7 is 0.6999999999999998; what is no number, or none that a float holds, is no reward."""
    rows = [profile(task, 0.5) | {"mean/reward": rate} for task, rate in enumerate((0.7, sum([0.7] * 3) / 3, 10**400, True, "1"))]
    told = make(tmp_path, "curriculum", write(tmp_path / "profile.jsonl", *rows), "-o", "stages").stdout
    assert "no reward: 3 tasks" in told and "1-easy.jsonl: 2 tasks" in told, told


def test_a_curriculum_goes_from_easy_to_hard(tmp_path: Path) -> None:
    rates = [0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 1, 1]
    write(tmp_path / "p.jsonl", *[profile(n, rate) for n, rate in enumerate(rates)], profile(9, 0.5, rollouts=2))
    done = make(tmp_path, "curriculum", "p.jsonl", "-o", "stages")
    files = {path.name: sorted(row["responses_create_params"]["input"] for row in read(path)) for path in (tmp_path / "stages").iterdir()}
    assert files == {"1-easy.jsonl": ["Q5", "Q6"], "2-medium.jsonl": ["Q3", "Q4"], "3-hard.jsonl": ["Q1", "Q2"]}
    assert "agent_ref" not in read(tmp_path / "stages/1-easy.jsonl")[0]
    for line in ("never: 1 tasks", "always: 2 tasks", "few rollouts: 1 tasks", "1-easy.jsonl: 2 tasks, pass rate 0.70 to 0.90"):
        assert line in done.stdout
    make(tmp_path, "curriculum", "p.jsonl", "-o", "stages", "--replay", "1")
    assert len(read(tmp_path / "stages/3-hard.jsonl")) == 4
    write(tmp_path / "hard.jsonl", profile(0, 0))
    assert "no task is solved sometimes" in make(tmp_path, "curriculum", "hard.jsonl", "-o", "none", code=1).stderr and not (tmp_path / "none").exists()


def test_a_stage_without_tasks_costs_no_older_file(tmp_path: Path) -> None:
    """A trainer would take the older file for one of this curriculum: nothing is written, nothing is lost."""
    write(tmp_path / "p.jsonl", profile(0, 0.9), profile(1, 0.5), profile(2, 0.1))
    make(tmp_path, "curriculum", "p.jsonl", "-o", "stages")
    before = {path.name: path.read_bytes() for path in (tmp_path / "stages").iterdir()}
    write(tmp_path / "p.jsonl", profile(3, 0.8), profile(4, 0.4))
    assert "3-hard.jsonl is of an older curriculum" in make(tmp_path, "curriculum", "p.jsonl", "-o", "stages", code=2).stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "stages").iterdir()} == before and len(before) == 3
    (tmp_path / "stages" / "3-hard.jsonl").unlink()
    make(tmp_path, "curriculum", "p.jsonl", "-o", "stages")
    assert sorted(path.name for path in (tmp_path / "stages").iterdir()) == ["1-easy.jsonl", "2-medium.jsonl"]


EMPTY = {  # what leaves no row to write
    "sft": ("make_training_sets.py", "sft IN -o OUT"), "dpo": ("make_training_sets.py", "dpo IN -o OUT"),
    "merge": ("make_training_sets.py", "merge IN review.jsonl -o OUT"), "filter": ("filter_rollouts.py", "IN -o OUT --whole"),
    "describe": ("describe_rollouts.py", "IN -o OUT"), "convert": ("../integrate-with-rl-frameworks/convert_for_trainers.py", "sft IN --for trl -o OUT"),
    "tokens": ("../integrate-with-rl-frameworks/token_bundles.py", "IN -o OUT"), "unsolved": ("../configure-multi-model-setups/unsolved_tasks.py", "IN -o OUT"),
    "table": ("../monitor-data-quality/rollout_table.py", "IN -o OUT.csv --where reward=7"), "split": ("../manage-training-datasets/dataset_tool.py", "split IN --out-dir ."),
    "fields": ("../manage-training-datasets/dataset_tool.py", "fields IN --rename a=b -o OUT"), "agent-ref": ("../manage-training-datasets/dataset_tool.py", "agent-ref IN s=a -o OUT"),
    "from-chat": ("../manage-training-datasets/dataset_tool.py", "from-chat IN -o OUT"),
}


OVER = {  # what would write over a file that it reads
    "describe": ("describe_rollouts.py", "IN -o IN"), "tasks": ("describe_rollouts.py", "IN --by level --tasks in_materialized_inputs.jsonl -o in_materialized_inputs.jsonl"),
    "healthy": ("filter_rollouts.py", "IN --healthy verdicts.jsonl -o verdicts.jsonl"),
    "profile": ("make_training_sets.py", "balance IN --by level --profile in_materialized_inputs.jsonl -o in_materialized_inputs.jsonl"),
    "tokens": ("../integrate-with-rl-frameworks/token_bundles.py", "IN -o IN"), "unsolved": ("../configure-multi-model-setups/unsolved_tasks.py", "IN -o IN"),
    "manifest": ("../manage-training-datasets/dataset_tool.py", "manifest IN -o IN"), "fields": ("../manage-training-datasets/dataset_tool.py", "fields IN --drop a -o IN"),
    "quality": ("../monitor-data-quality/run_quality.py", "IN --json IN"), "limits": ("../monitor-data-quality/quality_gate.py", "IN --suggest IN"),
    "rescore": ("../configure-verification-strategies/rescore.py", "IN IN"),
}


@pytest.mark.parametrize("name", OVER)
def test_no_script_writes_over_what_it_reads(tmp_path: Path, name: str) -> None:
    script, words = OVER[name]
    row = rollout(said("a") | {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.1]}, reward=0.0)
    write(tmp_path / "in.jsonl", row)
    write(tmp_path / "in_materialized_inputs.jsonl", {"responses_create_params": {"input": "Q"}, "_ng_task_index": 0})
    write(tmp_path / "verdicts.jsonl", {"_ng_task_index": 0, "_ng_rollout_index": 0, "verdict": "healthy"})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = run(script, *words.replace("IN", "in.jsonl").split(), cwd=tmp_path)
    assert done.returncode == 2 and re.search("overwrit|different files", done.stderr) and "Traceback" not in done.stderr, done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", EMPTY)
def test_a_file_of_no_rows_takes_no_older_ones_place(tmp_path: Path, name: str) -> None:
    script, words = EMPTY[name]
    write(tmp_path / "in.jsonl", rollout("a", mask_sample=True, metadata={}))
    write(tmp_path / "in_materialized_inputs.jsonl", {"responses_create_params": {"input": "Q"}, "_ng_task_index": 0})
    write(tmp_path / "review.jsonl", {"task_index": 0, "rollout_index": 0, "verdict": "bad"})
    if name == "unsolved":
        write(tmp_path / "in.jsonl", rollout("a"))
    olds = [tmp_path / "train.jsonl", tmp_path / "validation.jsonl"] if name == "split" else [tmp_path / ("out.csv" if ".csv" in words else "out.jsonl")]
    for old in olds:
        old.write_text("older\n")
    done = run(script, *words.replace("IN", "in.jsonl").replace("OUT.csv", "out.csv").replace("OUT", "out.jsonl").split(), cwd=tmp_path)
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr, done.stderr
    assert [old.read_text() for old in olds] == ["older\n"] * len(olds) and not [*tmp_path.glob("*.tmp"), *tmp_path.glob(".*.part")]


def test_balance_takes_as_many_of_each(tmp_path: Path) -> None:
    rows = [*group(0, *[1] * 10, task_source="a"), *group(1, *[1] * 3, task_source="b")]
    write(tmp_path / "in.jsonl", *rows)
    make(tmp_path, "balance", "in.jsonl", "-o", "out.jsonl")
    assert [sum(k[0] == task for k in keys(tmp_path / "out.jsonl")) for task in (0, 1)] == [3, 3]
    write(tmp_path / "p.jsonl", profile(0, 0.9, metadata={"family": "x"}), profile(1, 0.1, metadata={"family": "y"}))
    done = make(tmp_path, "balance", "in.jsonl", "-o", "out.jsonl", "--by", "metadata.family", "difficulty", "--profile", "p.jsonl", "--per-group", "4")
    assert [line.split()[:3] for line in done.stdout.splitlines()[1:3]] == [["x/easy", "10", "4"], ["y/hard", "3", "3"]]
    first = (tmp_path / "out.jsonl").read_bytes()
    make(tmp_path, "balance", "in.jsonl", "-o", "again.jsonl", "--by", "metadata.family", "difficulty", "--profile", "p.jsonl", "--per-group", "4")
    assert (tmp_path / "again.jsonl").read_bytes() == first


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_annotations_go_out_and_come_back(tmp_path: Path, kind: str) -> None:
    import csv

    rows = [rollout('Says "yes",\nand more', task=n, reward=float(n % 2), task_source="s", given="What, then?") for n in range(8)]
    write(tmp_path / "in.jsonl", *rows)
    make(tmp_path, "sample", "in.jsonl", "-o", f"review.{kind}", "--per-group", "2", "--seed", "3")
    path = tmp_path / f"review.{kind}"
    given = read(path) if kind == "jsonl" else list(csv.DictReader(path.open(newline="")))
    assert len(given) == 4 and given[0]["answer"] == 'Says "yes",\nand more' and {line["group"] for line in given} == {"s, passed", "s, failed"}
    assert "nothing written" in make(tmp_path, "merge", "in.jsonl", path.name, "-o", "out.jsonl", code=1).stderr
    for line, verdict in zip(given, ("good", " Bad ", "unsure", "")):
        line["verdict"], line["note"] = verdict, "because"
    if kind == "jsonl":
        write(path, *given)
    else:
        with path.open("w", newline="", encoding="utf-8-sig") as out:  # as a spreadsheet saves it
            table = csv.DictWriter(out, given[0])
            table.writeheader()
            table.writerows(given)
    done = make(tmp_path, "merge", "in.jsonl", path.name, "-o", "out.jsonl")
    merged = read(tmp_path / "out.jsonl")
    assert len(merged) == 7 and sum("annotation" in row for row in merged) == 2
    assert {row["annotation"]["verdict"] for row in merged if "annotation" in row} == {"good", "unsure"}
    agreed = sum((float(line["reward"]) == 1) == (verdict == "good") for line, verdict in zip(given, ("good", "bad")))
    assert f"agrees with people on {agreed} of 2" in done.stdout and "out.jsonl: 7 of 8 rollouts" in done.stdout
    make(tmp_path, "merge", "in.jsonl", path.name, "-o", "out.jsonl", "--drop", "--only-reviewed")
    assert len(read(tmp_path / "out.jsonl")) == 3


def test_a_review_with_another_word_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, 1))
    (tmp_path / "r.csv").write_text("verdict,note,task_index,rollout_index\nfine,,0,0\n")
    assert "row 2: the verdict 'fine' is none of good, bad, unsure" in make(tmp_path, "merge", "in.jsonl", "r.csv", "-o", "o", code=2).stderr
    (tmp_path / "r.csv").write_text("verdict;note;task_index;rollout_index\ngood;;0;0\n")
    assert "separated by commas" in make(tmp_path, "merge", "in.jsonl", "r.csv", "-o", "o", code=2).stderr


def test_a_verdict_belongs_to_one_rollout(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", rollout("a"), rollout("b", repeat=1))
    (tmp_path / "r.csv").write_text("verdict,note,task_index,rollout_index\nbad,,0,0\nbad,,0,0\ngood,,0,1\nbad,,0,1\n")
    assert "row 5: task 0, rollout 1 has the verdict good above" in make(tmp_path, "merge", "in.jsonl", "r.csv", "-o", "o", code=2).stderr
    write(tmp_path / "in.jsonl", rollout("a"), rollout("of another run"))
    for command in (("sample", "in.jsonl"), ("merge", "in.jsonl", "r.csv")):
        (tmp_path / "r.csv").write_text("verdict,note,task_index,rollout_index\nbad,,0,0\n")
        assert "in.jsonl:2: task 0, repeat 0 is there twice" in make(tmp_path, *command, "-o", "o.jsonl", code=2).stderr


def test_a_masked_rollout_is_no_verdict_of_the_verifier(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", rollout("a", task=0, reward=0.0, mask_sample=True), rollout("b", task=1, reward=1.0))
    (tmp_path / "r.csv").write_text("verdict,note,task_index,rollout_index\ngood,,0,0\ngood,,1,0\n")
    assert "agrees with people on 1 of 1" in make(tmp_path, "merge", "in.jsonl", "r.csv", "-o", "out.jsonl").stdout


def test_check_finds_an_empty_side_of_a_pair(tmp_path: Path) -> None:
    say = lambda text: [{"role": "assistant", "content": text}]  # noqa: E731
    write(tmp_path / "pair.jsonl", {"prompt": [{"role": "user", "content": "?"}], "chosen": say(""), "rejected": say("abc")})
    assert "chosen has no assistant text or call" in make(tmp_path, "check", "pair.jsonl", code=1).stdout


def test_check_finds_a_prompt_in_the_answers(tmp_path: Path) -> None:
    asked, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}
    write(tmp_path / "in.jsonl", {"prompt": [asked], "completion": [asked, answer]}, {"prompt": [asked], "chosen": [answer], "rejected": [asked, answer | {"content": "b"}]})
    told = make(tmp_path, "check", "in.jsonl", code=1).stdout
    assert "in.jsonl:1: completion does not begin with the assistant" in told and "in.jsonl:2: rejected does not begin with the assistant" in told


def test_a_blind_review_shows_no_reward(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, 1, 0, task_source="s", expected_answer="x"))
    make(tmp_path, "sample", "in.jsonl", "-o", "r.jsonl", "--blind")
    assert all((line["reward"], line["expected"], line["group"]) == ("", "", "s") for line in read(tmp_path / "r.jsonl"))


@proves("dpo-loss-ln-2")
def test_check_finds_what_a_trainer_would_swallow(tmp_path: Path, proof: Proof) -> None:
    raw = [{"messages": row["response"]["output"]} for row in (rollout("Oslo."), rollout(called("a")))]
    found = make(tmp_path, "check", write(tmp_path / "raw.jsonl", *raw).name, code=1).stdout
    for problem in ("nothing to learn from (2 rows)", "no user turn", "holds a function_call", "content that is no string"):
        assert problem in found
    pair = {"prompt": "?", "chosen": rollout("Oslo.")["response"]["output"], "rejected": rollout("Lima.")["response"]["output"]}
    proof.wrong("dpo-loss-ln-2", "the loss stays at ln 2 = 0.6931" in make(tmp_path, "check", write(tmp_path / "pair.jsonl", pair).name, code=1).stdout)
    write(tmp_path / "in.jsonl", rollout("Oslo."), rollout("Lima.", repeat=1, reward=0.0))
    make(tmp_path, "dpo", "in.jsonl", "-o", "pairs.jsonl")
    proof.cured("dpo-loss-ln-2", "no problem" in make(tmp_path, "check", "pairs.jsonl").stdout)
    strings = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]}
    found = make(tmp_path, "check", write(tmp_path / "strings.jsonl", strings).name, code=1).stdout
    assert "content that is no string" in found and "arguments that are no object" in found
    twice = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a", "tool_calls": {"name": "f"}}, {"role": "assistant", "content": "b"}]
    found = make(tmp_path, "check", write(tmp_path / "twice.jsonl", {"messages": twice}).name, code=1).stdout
    assert "two messages of the assistant in a row" in found and "tool_calls that are no list" in found


# ---------------------------------------------------------------------------------------------------------------------
# describe_rollouts.py, plot_distributions.py


@pytest.mark.live
def test_distributions_and_outliers(tmp_path: Path) -> None:
    rows = [sized(0, n, float(n % 2), 10 + n % 3) | {"task_source": "a"} for n in range(8)] + [sized(1, n, 1.0, 10) | {"task_source": "a"} for n in range(7)]
    rows += [sized(1, 7, 1.0, 500) | {"task_source": "a"}, rollout("x", task=2, mask_sample=True, task_source="a")]
    write(tmp_path / "in.jsonl", *rows)
    told = run("describe_rollouts.py", "in.jsonl", "-o", "d.json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "left out: 1 masked" and lines[2].split() == ["a", "2", "16", "0.75", "0", "1", "1", "100%", "10", "500", "500", "0"]
    assert lines[3] == "a: 1 longer than 12.5 tokens, the longest: 1-7 (500)"
    assert lines[4] == "tasks whose rollouts all got the same reward: 1 of 2"
    data = json.loads((tmp_path / "d.json").read_text())
    assert data["groups"]["a"]["pass_rates"] == [0.5, 1.0] and data["skipped"] == {"masked": 1}
    drawn = run("plot_distributions.py", "d.json", "plots", cwd=tmp_path)
    assert drawn.returncode == 0 and sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["lengths.svg", "pass_rates.svg", "rewards.svg"], drawn.stderr
    for content in ("{", "{}", '{"groups": {}}'):
        (tmp_path / "bad.json").write_text(content)
        refused = run("plot_distributions.py", "bad.json", "none", cwd=tmp_path)
        assert refused.returncode == 2 and "holds no distributions" in refused.stderr and not (tmp_path / "none").exists()


def test_the_figures_say_where_they_are_from() -> None:
    data = json.loads((FOLDER / "practice_distributions.json").read_text())
    assert data["release"] == "nemo-gym 0.7.0" and all(data[key] for key in ("date", "hardware", "model"))
    assert sum(sum(group["rollouts"]) for group in data["groups"].values()) == 276 and data["tasks"] == 46
    stages = json.loads((FOLDER / "practice_stages.json").read_text())["stages"]
    assert [stage["stage"] for stage in stages] == ["usable", "sound", "right", "useful", "diverse"] and stages[0]["in"] == 276


# ---------------------------------------------------------------------------------------------------------------------
# Bad input, for all of them

COMMANDS = {
    "rollout_to_chat.py": "IN", "filter_rollouts.py": "IN -o out.jsonl --rejects rejects.jsonl", "describe_rollouts.py": "IN -o out.json",
    "sft": "IN -o out.jsonl", "dpo": "IN -o out.jsonl", "curriculum": "IN -o out", "balance": "IN -o out.jsonl", "sample": "IN -o out.csv",
    "merge": "IN review.csv -o out.jsonl", "check": "IN",
}
GOOD = {"curriculum": json.dumps(profile(0, 0.5)), "check": '{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}'}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "in.jsonl: No such file or directory. Check the path"), ("", "in.jsonl: no rows."), ("GOOD\n{broken\n", "in.jsonl:2: not JSON"),
     ("[1]\n", "in.jsonl:1: a row is a JSON object"), (b"\xff\xfe\n", "in.jsonl:1: not UTF-8"), ('{"a": 1}\n', "in.jsonl:1: n")],
)
def test_bad_files_get_one_clear_line(tmp_path: Path, name: str, content: str | bytes | None, message: str) -> None:
    (tmp_path / "review.csv").write_text("verdict,task_index,rollout_index\ngood,0,0\n")
    if content is not None:
        if isinstance(content, str):
            content = content.replace("GOOD", GOOD.get(name, json.dumps(rollout("x")))).encode()
        (tmp_path / "in.jsonl").write_bytes(content)
    script, *command = [name] if name.endswith(".py") else ["make_training_sets.py", name]
    arguments = COMMANDS[name].replace("IN", "in.jsonl").split()
    if script == "rollout_to_chat.py":
        arguments += ["--line", "9"]
    refused = run(script, *command, *arguments, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(f"{script}: {message}") and refused.stderr.count("\n") == 1, refused.stderr
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"in.jsonl", "review.csv"}


@pytest.mark.parametrize("script", ["rollout_to_chat.py", "filter_rollouts.py", "make_training_sets.py", "describe_rollouts.py", "plot_distributions.py"])
def test_help(tmp_path: Path, script: str) -> None:
    helped = run(script, "--help", cwd=tmp_path)
    assert helped.returncode == 0 and "Exit code:" in helped.stdout


@pytest.mark.parametrize(
    "arguments", [[], ["no-such"], ["dpo", "a", "-o", "b", "--margin", "-1"], ["dpo", "a", "-o", "b", "--max-length-ratio", "0.5"], ["sample", "a", "-o", "b.txt"],
                  ["curriculum", "a", "-o", "b", "--bands", "0.2", "0.5"], ["balance", "a", "-o", "a"], ["sft", "a"]]
)
def test_wrong_options_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    refused = run("make_training_sets.py", *arguments, cwd=tmp_path)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr and not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# Any rollout: nothing is lost, nothing breaks

SOUND = [
    rollout(thought("Look it up."), "I look.", called("a"), result("a"), "<think>So.</think>Noon.", params={"tools": TOOLS}, task_source="s"),
    rollout(called("a"), called("b"), result("b"), result("a"), "Noon.", given=[{"role": "system", "content": "Be short."}, {"role": "user", "content": [{"type": "input_text", "text": "?"}]}]),
    rollout("Oslo.", expected_answer="Oslo", mask_sample=False, instance_config={"mask_sample": False}, response={"usage": {"output_tokens": 3}, "id": "r"}),
]


def any_rollouts(path: Path, seed: int) -> int:
    """Rollouts with parts that are gone, odd, or in another order, each under a key of its own; and how many of them."""
    chance, rows = random.Random(seed), []
    while len(rows) < 300:
        row = mutated(chance.choice(SOUND), chance)
        if isinstance(row, dict):
            rows.append({**row, "_ng_task_index": len(rows) // 3, "_ng_rollout_index": len(rows) % 3})
    write(path, *rows)
    return len(rows)


def numbers(text: str, pattern: str) -> int:
    return sum(map(int, re.findall(pattern, text, re.M)))


@pytest.mark.live
@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_rollout_holds_rows_in_are_rows_out_and_counted(tmp_path: Path, seed: int) -> None:
    total = any_rollouts(tmp_path / "in.jsonl", seed)
    given = set((tmp_path / "in.jsonl").read_bytes().splitlines())
    odd = numbers(make(tmp_path, "balance", "in.jsonl", "-o", "all.jsonl", "--per-group", "999").stdout, r"^  (\d+) left out")
    assert len(read(tmp_path / "all.jsonl")) + odd == total

    done = run("filter_rollouts.py", "in.jsonl", "-o", "kept.jsonl", "--rejects", "rejects.jsonl", "--valid-calls", "--whole", "--finished",
               "--drop-matching", "zzz", "--min-rollouts", "1", "--distinct", "--best", "2", cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    kept = (tmp_path / "kept.jsonl").read_bytes().splitlines()
    assert set(kept) <= given and len(kept) + len(read(tmp_path / "rejects.jsonl")) == total
    assert not any(row.get("mask_sample") for row in map(json.loads, kept))

    for how in ("think", "field", "drop"):
        done = make(tmp_path, "sft", "in.jsonl", "-o", "sft.jsonl", "--reasoning", how)
        rows = read(tmp_path / "sft.jsonl")
        assert len(rows) + numbers(done.stdout, r"^  (\d+) left out") == total
        for row in rows:
            assert row["messages"][-1]["role"] == "assistant" and any(message["content"] for message in row["messages"])
            own = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
            assert how == "think" or not any("<think>" in text for text in own)

    done = make(tmp_path, "dpo", "in.jsonl", "-o", "dpo.jsonl", code=1)  # every reward is 1, or none
    assert numbers(done.stdout, r"^  (\d+) tasks without a pair") == int(re.search(r"of (\d+) tasks", done.stdout)[1])
    for command in (["check", "in.jsonl"], ["sample", "in.jsonl", "-o", "review.csv", "--rows", "20"]):
        done = run("make_training_sets.py", *command, cwd=tmp_path)
        assert done.returncode in (0, 1) and not done.stderr, done.stderr
    assert run("describe_rollouts.py", "in.jsonl", cwd=tmp_path).returncode == 0


def test_twenty_rows_are_twenty(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *group(0, *[1] * 40, task_source="a"), *group(1, *[0] * 3, task_source="a"), *group(2, *[1] * 30, task_source="b"))
    done = make(tmp_path, "sample", "in.jsonl", "-o", "review.jsonl", "--rows", "20")
    assert "review.jsonl: 20 of 73 rollouts" in done.stdout
    assert Counter(line["group"] for line in read(tmp_path / "review.jsonl")) == {"a, failed": 3, "a, passed": 9, "b, passed": 8}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "'=1", " =1", "\uff1d1", "''-1"])
def test_what_looks_like_a_formula_arrives_as_text_and_comes_back(tmp_path: Path, text: str) -> None:
    import csv

    write(tmp_path / "in.jsonl", rollout(text, given=text, expected_answer=text, task_source=text, reward=-0.5))
    make(tmp_path, "sample", "in.jsonl", "-o", "review.csv")
    line, = csv.DictReader((tmp_path / "review.csv").open(newline=""))
    for column in ("question", "answer", "expected", "group"):
        assert line[column].startswith("'") and line[column][1:].startswith(text.strip() if column == "group" else text)
    assert line["reward"] == "-0.5"
    line["verdict"], line["note"] = "good", line["answer"]  # copied from one cell to another
    with (tmp_path / "review.csv").open("w", newline="") as out:
        table = csv.DictWriter(out, line)
        table.writeheader()
        table.writerow(line)
    make(tmp_path, "merge", "in.jsonl", "review.csv", "-o", "out.jsonl")
    assert read(tmp_path / "out.jsonl")[0]["annotation"] == {"verdict": "good", "note": text}


def test_tasks_that_teach_nothing_are_listed_with_why(tmp_path: Path) -> None:
    rows = [*group(0, 1, 0), *group(1, 0, 0), *group(2, 1, 1), *group(3, 1), rollout("x", task=4, reward=1.0), rollout("x", task=4, repeat=1, reward=0.0),
            rollout("x", task=5, mask_sample=True)]
    write(tmp_path / "in.jsonl", *rows)
    told = run("describe_rollouts.py", "in.jsonl", cwd=tmp_path).stdout
    assert "tasks that teach nothing to GRPO and DPO: 5 of 6\n" in told
    for line in ("every rollout got 0: 1 tasks: 1", "every rollout got 1: 1 tasks: 2", "only one rollout: 1 tasks: 3",
                 "the same answer got different rewards: look at the verifier: 1 tasks: 4", "no rollout with a valid reward: 1 tasks: 5"):
        assert f"  {line}\n" in told


def test_check_finds_a_worthless_run(tmp_path: Path) -> None:
    write(tmp_path / "sound.jsonl", *[rollout(f"Answer {n}", task=n, given=f"Question {n}?", response={"id": f"r{n}"}) for n in range(4)])
    assert make(tmp_path, "check", "sound.jsonl").stdout == "sound.jsonl: 4 rows, no problem\n"
    rows = [rollout("Oslo", task=n, repeat=m, reward=float(m % 2), given=f"Question {n % 2}?", expected_answer="Oslo", response={"id": f"r{n}"}) for n in range(4) for m in range(3)]
    write(tmp_path / "in.jsonl", *rows)
    told = make(tmp_path, "check", "in.jsonl", code=1).stdout
    for fault in ("8 of 12 rollouts repeat the response.id and the answer", "2 of 4 tasks have the prompt of another one", "12 of 12 rollouts gave the same answer",
                  "the reward contradicts its row: reward 0, the answer is the expected_answer (8 rows)"):
        assert fault in told


def test_check_compares_answers_without_their_reasoning(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *[rollout(thought(f"Way {n}"), "Oslo", repeat=n, reward=float(n)) for n in range(2)])
    assert "2 of 2 rollouts gave the same answer to the same task" in make(tmp_path, "check", "in.jsonl", code=1).stdout


def test_check_tells_of_one_prompt_for_all_tasks(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *[rollout(f"{n}", task=n) for n in range(3)])
    assert "all 3 tasks have one prompt: right only where the environment holds the task" in make(tmp_path, "check", "in.jsonl").stdout


def test_a_curriculum_takes_what_gym_profiles(tmp_path: Path) -> None:
    older = {**profile(0, 0.5), "task_input": profile(0, 0.5)["sample"]}
    del older["sample"], older["num_rollouts"]
    nothing = {**profile(1, 0.5), "mean/reward": None}
    write(tmp_path / "p.jsonl", older, nothing, profile(2, 0.5), profile(3, 0.5, rollouts=2))
    done = make(tmp_path, "curriculum", "p.jsonl", "-o", "stages")
    assert len(read(tmp_path / "stages" / "2-medium.jsonl")) == 2 and "no reward: 1 tasks" in done.stdout and "few rollouts: 1 tasks" in done.stdout
    write(tmp_path / "few.jsonl", profile(0, 0.5, rollouts=2))
    assert "every task has fewer than 4 rollouts" in make(tmp_path, "curriculum", "few.jsonl", "-o", "none", code=1).stderr
