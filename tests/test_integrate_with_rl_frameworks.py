"""The scripts of `integrate-with-rl-frameworks`: conversions, the trainers' own loaders, one step in TRL, token bundles."""

from __future__ import annotations

import ast
import copy
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import jinja2
import pytest
from page_files import files_of
from pages import DOCS, NOT_RUN, ON_GPU, ROOT, blocks_of
from proofs import Proof, proves

NAME = "training/how-to/integrate-with-rl-frameworks"
FOLDER = DOCS / NAME
PAGE = FOLDER.with_suffix(".md")
TRAINERS = ROOT / ".venv-trainers"
ROLLOUTS = [json.loads(line) for line in (FOLDER / "recorded_rollouts.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files as a reader unpacks them."""
    target = tmp_path_factory.mktemp("page")
    for name, path in files_of(DOCS, NAME).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / name)
    return target


@pytest.fixture(scope="module")
def modules(folder: Path):
    """Import a script of the page."""
    sys.path.insert(0, str(folder))
    yield lambda name: __import__(name)
    sys.path.remove(str(folder))


def run(python: Path | str, *command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *map(str, command)], cwd=folder, capture_output=True, text=True)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, *given: dict | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in given))
    return path


# ---------------------------------------------------------------------------------------------------------------------
# Conversions, by Gym's own converter


FOUR = ("llamafactory", "ms-swift", "axolotl", "torchtune")
CONVERSIONS = [
    *(("sft", trainer, "jsonl" if trainer != "verl" else "parquet", 21) for trainer in ("trl", "nemo-rl", "openrlhf", "verl", "unsloth", *FOUR, "flat")),
    *(("dpo", trainer, "jsonl", 2) for trainer in ("trl", "nemo-rl", "openrlhf", "unsloth", *FOUR, "flat")),
]


@pytest.fixture(scope="module")
def converted(folder: Path, gym_python: Path) -> dict[tuple[str, str], tuple[Path, str]]:
    """Every conversion of the recorded rollouts, made by the command that the page shows."""
    made = {}
    for kind in ("sft", "dpo"):
        trainers = {trainer: suffix for name, trainer, suffix, _ in CONVERSIONS if name == kind}
        result = run(gym_python, "convert_for_trainers.py", kind, "recorded_rollouts.jsonl", "--for", *trainers, "-o", "converted", folder=folder)
        assert result.returncode == 0, result.stderr
        for trainer, suffix in trainers.items():
            printed = re.search(rf"^converted/{trainer}_{kind}.*\n(  .*\n)*", result.stdout, re.M)[0]
            made[kind, trainer] = folder / "converted" / f"{trainer}_{kind}.{suffix}", printed
    return made


def counts_of(printed: str) -> tuple[int, int, int]:
    """Rows in, rows out, rows left out under a name."""
    given, made = map(int, re.search(r": (\d+) [a-z ]+ in, (\d+) out", printed).groups())
    return given, made, sum(int(count) for count in re.findall(r"^  (\d+) left out: \S", printed, re.M))


def whole(row: dict) -> list[dict]:
    """The conversation of an SFT row of either form."""
    return row.get("messages") or row["prompt"] + row["completion"]


def calls(messages: list[dict]) -> list[tuple[str, dict]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for message in messages for call in message.get("tool_calls", ())]


def items_called(rollout: dict) -> list[tuple[str, dict]]:
    items = [*rollout["responses_create_params"]["input"], *rollout["response"]["output"]]
    return [(item["name"], json.loads(item["arguments"])) for item in items if item.get("type") == "function_call"]


def test_the_recording_holds_what_it_is_to_prove() -> None:
    outputs = [[item["type"] for item in rollout["response"]["output"]] for rollout in ROLLOUTS]
    assert any(kinds[:2] == ["function_call"] * 2 and kinds[-1] == "message" for kinds in outputs), "parallel calls over two turns"
    assert any("reasoning" in kinds for kinds in outputs)
    assert any(kinds == ["function_call", "function_call_output"] for kinds in outputs)
    assert {rollout["reward"] for rollout in ROLLOUTS} == {0.0, 1.0}


@pytest.mark.gym
@pytest.mark.parametrize(("kind", "trainer", "suffix", "out"), CONVERSIONS)
def test_what_goes_in_comes_out_or_is_named(converted: dict, kind: str, trainer: str, suffix: str, out: int) -> None:
    given, made, left = counts_of(converted[kind, trainer][1])
    assert given == {"sft": 48, "dpo": 12}[kind] and made == out and given == made + left


@pytest.mark.gym
def test_sft_rows_keep_every_call_and_mend_what_the_converter_leaves(converted: dict) -> None:
    by_key = {(r["_ng_task_index"], r["_ng_rollout_index"]): r for r in ROLLOUTS}
    for trainer in ("trl", "nemo-rl", "openrlhf", "unsloth"):
        for row in rows(converted["sft", trainer][0]):
            source = by_key[row["source"]["task_index"], row["source"]["rollout_index"]]
            messages = whole(row)
            assert calls(messages) == items_called(source)
            assert all(isinstance(message["content"], str) for message in messages)
            assert {message["role"] for message in messages} <= {"system", "user", "assistant", "tool"}
            assert messages[-1]["role"] == "assistant" and sum(m["role"] == "system" for m in messages) <= 1
            thoughts = [item["summary"][0]["text"] for item in source["response"]["output"] if item["type"] == "reasoning"]
            assert all(f"<think>{thought}</think>" in messages[-1]["content"] for thought in thoughts)
            if tools := source["responses_create_params"]["tools"]:
                shown = json.dumps(row.get("tools") or messages[0]["content"])
                assert all(tool["name"] in shown for tool in tools), trainer
            assert "token_ids" not in json.dumps(row)


@pytest.mark.gym
def test_both_routes_write_the_same_rows(converted: dict, folder: Path, gym_python: Path) -> None:
    kept = write(folder / "kept.jsonl", *(one for one in ROLLOUTS if one["reward"] == 1.0))
    script = FOLDER.parent / "filter-and-curate-data" / "make_training_sets.py"
    for reasoning in ("think", "field", "drop"):  # the prompts show answers, so --for trl keeps them apart, too
        assert run(gym_python, script, "sft", kept, "-o", "made.jsonl", "--split", "--reasoning", reasoning, folder=folder).returncode == 0
        for given, output in (("kept.jsonl", "raw.jsonl"), ("made.jsonl", "curated.jsonl")):
            assert run(gym_python, "convert_for_trainers.py", "sft", given, "--for", "trl", "--reasoning", reasoning, "-o", output, folder=folder).returncode == 0
        raw, once = rows(folder / "raw.jsonl"), {}
        for row in raw:
            once.setdefault(json.dumps(row | {"source": None}), row)  # equal rows are made once, as the page says
        assert list(once.values()) == rows(folder / "curated.jsonl") and len(raw) == 21 > len(once) > 5


@pytest.mark.gym
def test_messages_are_those_of_gyms_own_converter(converted: dict, folder: Path, gym_python: Path) -> None:
    """Of every recorded rollout; what trainers need is mended: arguments are objects, content is a string, developer is system."""
    code = ("import json, sys; from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming as P; from nemo_gym.responses_converter import ResponsesConverter as C\n"
            "for line in open('recorded_rollouts.jsonl'):\n"
            "    r = json.loads(line); p = r['responses_create_params']; i = p['input']; i = [{'role': 'user', 'content': i}] if isinstance(i, str) else i\n"
            "    c = C(return_token_id_information=False).responses_to_chat_completion_create_params(P(input=i + r['response']['output']))\n"
            "    print(json.dumps([r['_ng_task_index'], r['_ng_rollout_index'], c.model_dump(exclude_unset=True, mode='json')['messages']]))")
    result = run(gym_python, "-c", code, folder=folder)
    theirs = {(task, repeat): messages for task, repeat, messages in map(json.loads, result.stdout.splitlines())}
    assert len(theirs) == 48, result.stderr
    for row in rows(converted["sft", "trl"][0]):
        given = theirs[row["source"]["task_index"], row["source"]["rollout_index"]]
        while given[-1]["role"] == "tool":  # no reply follows: it is no part of what is learned
            given.pop()
        text = lambda content: "".join(part["text"] for part in content) if isinstance(content, list) else content or ""  # noqa: E731
        assert [m["role"] for m in whole(row)] == [m["role"].replace("developer", "system") for m in given]
        assert [m["content"] for m in whole(row)] == [text(m.get("content")) for m in given]
        assert calls(whole(row)) == [(call["function"]["name"], json.loads(call["function"]["arguments"])) for m in given for call in m.get("tool_calls") or ()]


def nemo_rl_accepts(kind: str, row: dict) -> None:
    """What `openai_format`, `PreferenceDataset` and `preference_preprocessor` ask for (commit: see nemo_rl_keys.json)."""
    if kind == "sft":
        assert row["messages"][-1]["role"] == "assistant"
        assert all(tool["type"] == "function" and tool["function"]["name"] for tool in row.get("tools", []))
        return
    assert row["context"] and len(row["completions"]) == 2
    assert row["completions"][0]["rank"] < row["completions"][1]["rank"]
    chosen, rejected = (completion["completion"] for completion in row["completions"])
    assert len(chosen) == len(rejected) == 1, "only_unmask_final: the loss is on the last message alone"
    assert chosen[0]["role"] == rejected[0]["role"] == "assistant" and chosen != rejected


@pytest.mark.gym
@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_rows_for_nemo_rl_fit_its_source(converted: dict, kind: str) -> None:
    for row in rows(converted[kind, "nemo-rl"][0]):
        nemo_rl_accepts(kind, row)


@pytest.mark.gym
def test_tools_in_the_system_message_read_as_the_template_writes_them(modules) -> None:
    script = modules("trainer_rows")
    template = (TRAINERS / "lib/python3.11/site-packages/trl/chat_templates/qwen3.jinja") if TRAINERS.exists() else None
    found = next(TRAINERS.glob("lib/python3.*/site-packages/trl/chat_templates/qwen3.jinja"), template)
    tools = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
    for messages in ([{"role": "user", "content": "Hi"}], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]):
        assert render(found.read_text(), messages=messages, tools=tools) == render(found.read_text(), messages=script.told_tools(messages, tools))


def render(template: str, **given: object) -> str:
    """As transformers renders a chat template."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template).render(**{"messages": [], "tools": None, "add_generation_prompt": False, **given})


def test_the_training_template_renders_as_the_endpoint_does(modules) -> None:
    serving = modules("practice_endpoint").CHAT_TEMPLATE
    training = re.sub(r"\{%-? (end)?generation %\}", lambda m: m[0].replace("generation", "if true" if not m[1] else "").replace("end", "endif"),
                      (FOLDER / "chat_template.jinja").read_text())
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": "é"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    talk = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "x", "tool_calls": [call, call]},
            {"role": "tool", "content": "r"}, {"role": "tool", "content": "r"}, {"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "assistant", "content": "A"}]
    for messages in (talk, talk[1:]):
        for given in ({}, {"tools": tools}, {"add_generation_prompt": True}):
            assert render(training, messages=messages, **given) == render(serving, messages=messages, **given)


def rollout(output: list[dict] = (), **more: object) -> dict:
    return {"responses_create_params": {"input": "Hi"}, "response": {"output": output}, "reward": 1.0, "_ng_task_index": 0, "_ng_rollout_index": 0, **more}


SAID = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
REJECTED = {
    "no answer: the output is empty": rollout([]),
    "masked: mask_sample is true": rollout([SAID], mask_sample=True),
    "masked: mask_sample is true ": rollout([SAID], instance_config={"mask_sample": True}),
    "reward below 1": rollout([SAID], reward=0.5),
    "no reward": rollout([SAID], reward=None),
    "cut off: max_output_tokens": rollout([SAID], response={"output": [SAID], "incomplete_details": {"reason": "max_output_tokens"}}),
    "a tool result without its call": rollout([{"type": "function_call_output", "call_id": "lost", "output": "x"}, SAID]),
    "a tool call without its result": rollout([CALL, SAID]),
    "tool-call arguments are not a JSON object": rollout([CALL | {"arguments": "{broken"}]),
    "neither a rollout nor messages, but a result without a response": {"reward": 1.0},
    "content of type image_url": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, {"role": "assistant", "content": "A"}]},
    "messages is missing or null, not a list of messages": {"messages": None},
    "a message without a role": {"messages": [{"content": "x"}]},
    "prompt is a string, not a list of messages": {"prompt": "x", "completion": "y"},
    "a legacy function_call: write it as tool_calls": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}]},
    "no answer that is to be trained on (weight, loss or train)": {
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "weight": 0}]},
    "a message that is to be trained on in part (weight, loss or train): these trainers learn it or leave it": {
        "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "weight": 0.5}]},
    "tools are a string, not a list of definitions": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "tools": "[]x"},
    "legacy functions: write them as tools": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "functions": [{"name": "f"}]},
    "images beside the messages: rows are text alone": {"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "y"}], "images": ["a.png"]},
    "content of type reasoning_text": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "reasoning_text", "text": "a"}, {"type": "text", "text": "y"}]}]},
    "content of type audio": {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": None, "audio": {"id": "a"}}, {"role": "assistant", "content": "y"}]},
    "a bad answer: label is false": {"prompt": [{"role": "user", "content": "x"}], "completion": [{"role": "assistant", "content": "y"}], "label": False},
    "no prompt  ": {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "y"}]},
}


@pytest.mark.gym
def test_thoughts_are_kept_whatever_their_field_is_called(folder: Path, gym_python: Path) -> None:
    names = ("reasoning_content", "reasoning", "thinking")
    write(folder / "thoughts.jsonl", *({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", name: "z"}]} for name in names))
    assert run(gym_python, "convert_for_trainers.py", "sft", "thoughts.jsonl", "--for", "trl", "-o", "out.jsonl", folder=folder).returncode == 0
    assert [row["messages"][1] for row in rows(folder / "out.jsonl")] == [{"role": "assistant", "reasoning_content": "z", "content": "y"}] * 3


@pytest.mark.gym
def test_each_reject_is_named(folder: Path, gym_python: Path) -> None:
    write(folder / "bad.jsonl", *({"_ng_rollout_index": 0, **row, **({"_ng_task_index": number} if "response" in row else {})} for number, row in enumerate([rollout([SAID]), *REJECTED.values()])))
    result = run(gym_python, "convert_for_trainers.py", "sft", "bad.jsonl", "--for", "trl", "-o", "good.jsonl", folder=folder)
    assert result.returncode == 0 and counts_of(result.stdout) == (len(REJECTED) + 1, 1, len(REJECTED)), result.stdout + result.stderr
    assert set(re.findall(r"left out: (.*)", result.stdout)) == {reason.strip() for reason in REJECTED}, result.stdout
    for reason, code in (("masked: mask_sample is true", 1), ("messages is missing or null, not a list of messages", 2), ("prompt is a string, not a list of messages", 2)):
        write(folder / "bad.jsonl", REJECTED[reason])
        result = run(gym_python, "convert_for_trainers.py", "sft", "bad.jsonl", "--for", "trl", "-o", "none.jsonl", folder=folder)
        assert result.returncode == code and not (folder / "none.jsonl").exists() and result.stderr.count("\n") == (code == 2)


@pytest.mark.gym
def test_an_answer_that_ends_while_thinking_is_left_out(folder: Path, gym_python: Path) -> None:
    thinking = SAID | {"content": [{"type": "output_text", "text": "<think>hm", "annotations": []}]}
    write(folder / "bad.jsonl", rollout([thinking]))
    result = run(gym_python, "convert_for_trainers.py", "sft", "bad.jsonl", "--for", "trl", "-o", "none.jsonl", folder=folder)
    assert result.returncode == 1 and "ends while thinking" in result.stdout + result.stderr


@pytest.mark.gym
def test_training_sets_are_taken_too(folder: Path, gym_python: Path, converted: dict) -> None:
    for kind in ("sft", "dpo"):
        path = converted[kind, "trl"][0]
        result = run(gym_python, "convert_for_trainers.py", kind, path, "--for", "trl", "-o", "again.jsonl", folder=folder)
        assert result.returncode == 0 and (folder / "again.jsonl").read_bytes() == path.read_bytes()


def curated(folder: Path, *options: str) -> Path:
    """All recorded rollouts as SFT rows, by the script of the other guide."""
    output = folder / f"curated{''.join(options).replace('--', '_')}.jsonl"
    script = FOLDER.parent / "filter-and-curate-data" / "make_training_sets.py"
    assert run(sys.executable, script, "sft", "recorded_rollouts.jsonl", "-o", output, *options, folder=folder).returncode == 0
    return output


@pytest.mark.gym
def test_rows_of_prompt_and_completion_stay_so_or_are_refused_by_name(folder: Path, gym_python: Path) -> None:
    given = curated(folder, "--split")
    assert len(rows(given)) == 39 and all(any(m["role"] == "assistant" for m in row["prompt"]) for row in rows(given))
    result = run(gym_python, "convert_for_trainers.py", "sft", given, "--for", "trl", "unsloth", "-o", "split", folder=folder)
    assert result.returncode == 0 and rows(folder / "split/trl_sft.jsonl") == rows(folder / "split/unsloth_sft.jsonl") == rows(given)
    for trainer, output in (("openrlhf", "none.jsonl"), ("nemo-rl", "none.jsonl"), ("torchtune", "none.jsonl")):
        result = run(gym_python, "convert_for_trainers.py", "sft", given, "--for", trainer, "-o", output, folder=folder)
        assert result.returncode == 1 and "39 left out: the prompt holds answers, which this trainer trains as well" in result.stdout
    result = run(gym_python, "convert_for_trainers.py", "sft", given, "--for", "verl", "-o", "kept.parquet", folder=folder)
    assert result.returncode == 0 and "39 out for verl" in result.stdout and "39 rows have answers in their prompt, out of the loss" in result.stdout
    # Without answers in the prompt there is nothing to lose: it becomes a conversation.
    write(folder / "plain.jsonl", {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello"}]})
    assert run(gym_python, "convert_for_trainers.py", "sft", "plain.jsonl", "--for", "openrlhf", "-o", "plain_out.jsonl", folder=folder).returncode == 0
    assert [m["role"] for m in rows(folder / "plain_out.jsonl")[0]["messages"]] == ["user", "assistant"]


@pytest.mark.gym
def test_pairs_do_not_depend_on_the_order_of_the_file_and_prefer_whole_answers(folder: Path, gym_python: Path) -> None:
    def said(repeat: int, reward: float, **more: object) -> dict:
        one = rollout([SAID | {"content": [{"type": "output_text", "text": f"answer {repeat}", "annotations": []}]}], reward=reward, _ng_rollout_index=repeat)
        one["response"] |= more
        return one

    cut = {"incomplete_details": {"reason": "max_output_tokens"}}
    given = [said(0, 1.0, **cut), said(1, 1.0), said(2, 1.0), said(3, 0.0), said(4, 0.0), said(5, 0.0) | {"mask_sample": True}]
    lost = [said(0, 1.0, **cut) | {"_ng_task_index": 1}, said(1, 0.0) | {"_ng_task_index": 1, "mask_sample": True}]
    for order in (given + lost, (given + lost)[::-1]):
        write(folder / "order.jsonl", *order)
        result = run(gym_python, "convert_for_trainers.py", "dpo", "order.jsonl", "--for", "trl", "-o", "order_out.jsonl", folder=folder)
        pair = rows(folder / "order_out.jsonl")[0]
        assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("answer 1", "answer 4")
        assert counts_of(result.stdout) == (2, 1, 1) and "no rollout of the task is usable: masked: mask_sample is true" in result.stdout


@pytest.mark.gym
def test_what_is_no_conversation_costs_no_pair_and_gives_the_reason(folder: Path, gym_python: Path) -> None:
    def said(task: int, repeat: int, reward: float, *before: dict, **more: object) -> dict:
        return rollout([*before, SAID | {"content": f"answer {repeat}"}], reward=reward, _ng_task_index=task, _ng_rollout_index=repeat, **more)

    odd = {"type": "mcp_call", "name": "f"}
    given = [said(0, 0, 1.0), said(0, 1, 0.0), said(0, 2, 2.0, odd), said(0, 3, -1.0, odd), said(1, 0, 1.0), said(1, 1, 0.0, odd), said(2, 0, 1.0), said(3, 0, 0.0, odd)]
    done = run(gym_python, "convert_for_trainers.py", "dpo", write(folder / "odd.jsonl", *given), "--for", "trl", "-o", "odd_dpo.jsonl", folder=folder)
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows(folder / "odd_dpo.jsonl")] == [("answer 0", "answer 1")]
    assert set(re.findall(r"left out: (.*)", done.stdout)) == {
        "only one rollout of the task is usable: item of type mcp_call", "only one rollout of the task",
        "no rollout of the task is usable: item of type mcp_call"}


def test_forms_without_ids_have_results_in_the_order_of_their_calls(modules) -> None:
    forms = modules("trainer_rows")
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": {}}} for name in "abc"]
    results = [{"role": "tool", "tool_call_id": name, "content": f"of {name}"} for name in "cab"]
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": calls}, *results, {"role": "assistant", "content": "So."}]
    for text in (json.dumps(forms.flat(talk)), json.dumps(forms.sharegpt(talk))):
        assert text.index("of a") < text.index("of b") < text.index("of c") < text.index("So.")
    no_ids = [{"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]
    assert forms.in_order([*talk[:2], *no_ids]) == [*talk[:2], *no_ids] and forms.in_order(no_ids) == no_ids


@pytest.mark.gym
def test_rewards_that_differ_by_the_gap_are_a_pair(folder: Path, gym_python: Path) -> None:
    """0.7 - 0.2 is 0.49999999999999994 to a computer."""
    given = [rollout([SAID | {"content": text}], reward=reward, _ng_rollout_index=number) for number, (text, reward) in enumerate((("a", 0.7), ("b", 0.2)))]
    done = run(gym_python, "convert_for_trainers.py", "dpo", write(folder / "gap.jsonl", *given), "--for", "trl", "-o", "gap_dpo.jsonl", folder=folder)
    assert counts_of(done.stdout)[1] == 1, done.stdout + done.stderr


def test_reasoning_of_training_sets_goes_where_it_is_wanted(folder: Path, gym_python: Path) -> None:
    user = {"role": "user", "content": "2+2?"}
    given = [{"messages": [user, {"role": "assistant", "content": "<think>plan</think>4"}]}, {"messages": [user, {"role": "assistant", "content": "5", "reasoning_content": "plan"}]},
             {"messages": [user, {"role": "assistant", "content": "6<think>plan</think>"}]}]
    source = write(folder / "thoughts.jsonl", *given)
    for reasoning, wanted in (("think", given), ("drop", [{"content": "4"}, {"content": "5"}]), ("field", [{"content": text, "reasoning_content": "plan"} for text in "45"])):
        done = run(gym_python, "convert_for_trainers.py", "sft", source, "--for", "trl", "-o", "thoughts_sft.jsonl", "--reasoning", reasoning, folder=folder)
        made = [row["messages"][1] for row in rows(folder / "thoughts_sft.jsonl")]
        assert made == [row["messages"][1] if "messages" in row else {"role": "assistant"} | row for row in wanted]
        assert ("1 left out: reasoning in the text that cannot be told from the answer" in done.stdout) == (reasoning != "think")


def test_pairs_of_several_messages(folder: Path, gym_python: Path) -> None:
    uneven = [copy.deepcopy(r) for r in ROLLOUTS if r["_ng_task_index"] == 11]
    for one in uneven:
        one["reward"] = float(one["_ng_rollout_index"] == 3)
    write(folder / "uneven.jsonl", *uneven)
    command = ["convert_for_trainers.py", "dpo", "uneven.jsonl", "--for", "trl", "-o", "pairs.jsonl"]
    assert "an answer of several messages: try --first-difference" in run(gym_python, *command, folder=folder).stdout
    assert run(gym_python, *command, "--first-difference", folder=folder).returncode == 0
    pair = rows(folder / "pairs.jsonl")[0]
    assert len(pair["chosen"]) == len(pair["rejected"]) == 1 and calls(pair["chosen"]) != calls(pair["rejected"])


@pytest.fixture(scope="module")
def spread(folder: Path, gym_python: Path) -> tuple[list[dict], str]:
    """Pairs of every kind of recorded rollout, as if the first repeat of each task had been the right one."""
    write(folder / "spread.jsonl", *({**one, "reward": float(one["_ng_rollout_index"] == 0)} for one in ROLLOUTS))
    result = run(gym_python, "convert_for_trainers.py", "dpo", "spread.jsonl", "--for", "trl", "openrlhf", *FOUR, "-o", "spread", "--first-difference", folder=folder)
    assert result.returncode == 0, result.stderr
    return rows(folder / "spread" / "trl_dpo.jsonl"), result.stdout


@pytest.fixture(scope="module")
def hard(folder: Path, gym_python: Path) -> Path:
    """Rows with everything that loaders lose: thoughts before a call, text before a call, nested arguments, nulls, marks in a text, two parallel calls."""
    def called(number: int, name: str, **arguments: object) -> dict:
        return {"type": "function_call", "call_id": f"call{number:05d}", "name": name, "arguments": json.dumps(arguments)}

    def result(number: int, text: str) -> dict:
        return {"type": "function_call_output", "call_id": f"call{number:05d}", "output": text}

    def thought(text: str) -> dict:
        return {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": text}]}

    def said(text: str) -> dict:
        return SAID | {"content": [{"type": "output_text", "text": text, "annotations": []}]}

    tools = [{"type": "function", "name": name, "description": f"Does {name}.", "strict": True, "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}}
             for name, key in (("look_up", "city"), ("count_all", "folder"), ("send_it", "to"))]
    outputs = [
        [thought("First the map."), called(1, "look_up", city="Zürich"), result(1, "47 north"), thought("Now I know."), said("It lies at 47 north.")],
        [said("I look twice."), called(1, "look_up", city="Rome"), called(2, "count_all", folder="/tmp", deep={"levels": [1, "two"], "follow": None}),
         result(1, "42 north"), result(2, "three files"), said("Done with both.")],
        [called(1, "send_it", to="a@b.c", body='He said "no"\nand left'), result(1, "sent"), called(2, "send_it", to="d@e.f"), result(2, "queued"), said("Both are on their way.")],
        [thought("A plan."), said("I send it."), called(1, "send_it", to="x <tool_call> y </think> z"), result(1, "gone"), said("Gone.")],
        [called(1, "count_all", folder="/var")],
    ]
    asked = [{"role": "developer", "content": "Use the tools."}, {"role": "user", "content": "Please help me out."}]
    given = [rollout(output, responses_create_params={"input": asked, "tools": tools}, _ng_task_index=number) for number, output in enumerate(outputs)]
    write(folder / "hard.jsonl", *given)
    result = run(gym_python, "convert_for_trainers.py", "sft", "hard.jsonl", "--for", "trl", "flat", *FOUR, "-o", "hard", folder=folder)
    assert result.returncode == 0 and result.stdout.count("5 rows in, 5 out") == 6, result.stdout + result.stderr
    return folder / "hard"


@pytest.mark.gym
def test_pairs_hold_every_kind_of_answer_and_differ(spread: tuple[list[dict], str]) -> None:
    made, printed = spread
    assert all(counts_of(part)[0] == 12 == sum(counts_of(part)[1:]) for part in re.findall(r"spread/.*\n(?:  .*\n)*", printed)), printed
    answers = [row[side][0] for row in made for side in ("chosen", "rejected")]
    assert {len(answer.get("tool_calls", ())) for answer in answers} >= {0, 1, 2}
    assert any("<think>" in answer["content"] for answer in answers)
    assert any(message["role"] == "tool" for row in made for message in row["prompt"]), "several turns"
    for row in made:
        one, other = row["chosen"][0], row["rejected"][0]
        assert (one["content"], calls([one])) != (other["content"], calls([other]))


@pytest.mark.gym
def test_prompts_for_online_training(folder: Path, gym_python: Path) -> None:
    def convert(trainer: str, given: str) -> tuple[int, str, list[dict]]:
        result = run(gym_python, "convert_for_trainers.py", "rl", given, "--for", trainer, "-o", "rl.jsonl", folder=folder)
        return result.returncode, result.stdout, rows(folder / "rl.jsonl") if result.returncode == 0 else []

    code, _, made = convert("trl", "practice_tool_tasks.jsonl")
    assert code == 0 and [json.loads(row["gym_row"]) for row in made] == rows(folder / "practice_tool_tasks.jsonl")
    assert all(calls(row["prompt"]) for row in made)
    for trainer in ("nemo-rl", "verl"):
        assert "no agent_ref" in convert(trainer, "practice_tasks.jsonl")[1]
    ref = {"agent_ref": {"type": "responses_api_agents", "name": "a"}}
    write(folder / "ref.jsonl", *(row | ref for row in rows(folder / "practice_tasks.jsonl")))
    write(folder / "tool_ref.jsonl", *(row | ref for row in rows(folder / "practice_tool_tasks.jsonl")))
    assert convert("nemo-rl", "tool_ref.jsonl")[2] == rows(folder / "tool_ref.jsonl")
    assert convert("verl", "ref.jsonl")[2] == rows(folder / "ref.jsonl")
    write(folder / "empty.jsonl", {"responses_create_params": {"input": []}, "task_source": "swe"})
    assert all("1 left out: no prompt" in convert(trainer, "empty.jsonl")[1] for trainer in ("trl", "openrlhf"))
    assert "would make empty user messages" in convert("verl", "tool_ref.jsonl")[1]


# ---------------------------------------------------------------------------------------------------------------------
# The trainers' own loaders, as released on PyPI


REFUSING = ("{% for m in messages %}{% if (m.tool_calls or []) | length > 1 %}{{ raise_exception('This model only supports single tool-calls at once!') }}"
            "{% endif %}{% endfor %}")
DROPPING = ("{% for m in messages if m.role != 'tool' %}{{ '<|im_start|>' + m.role + '\n' }}{% generation %}{{ m.content }}"
            "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>{% endgeneration %}{{ '\n' }}{% endfor %}")
SOUND = "nothing dropped, empty, lost or in the wrong place"


@pytest.fixture(scope="module")
def trained(folder: Path, gym_python: Path, converted: dict, spread: tuple, hard: Path) -> dict[str, dict]:
    """Everything that needs the trainers' environment, in one process."""
    assert (TRAINERS / "ready").exists(), "build the trainers' environment first: make trainers"
    for command in (["make_recording_tasks.py"], ["convert_for_trainers.py", "rl", "recording_tasks.jsonl", "--for", "trl", "-o", "prompts.jsonl"],
                    ["convert_for_trainers.py", "rl", "recording_tasks.jsonl", "--for", "openrlhf", "-o", "rl_prompts.jsonl"],
                    ["token_bundles.py", "recorded_rollouts.jsonl", "-o", "trajectories.jsonl"]):
        assert run(gym_python, *command, folder=folder).returncode == 0
    prompts = rows(folder / "rl_prompts.jsonl")
    write(folder / "torn_prompts.jsonl", prompts[0] | {"prompt": []}, {key: prompts[1][key] for key in ("prompt",)})
    templates = next(TRAINERS.glob("lib/python3.*/site-packages/trl/chat_templates"))
    # Qwen3's own template has no marks, and without marks the loss is not compared.
    assistant, tool = (f'{{%- elif message.role == "{role}" %}}' for role in ("assistant", "tool"))
    own = (templates / "qwen3.jinja").read_text()
    assert own.count(assistant) == own.count(tool) == 1
    marked = write(folder / "marked.jinja", own.replace(assistant, assistant + "{%- generation %}").replace(tool, "{%- endgeneration %}" + tool))
    trl, dpo = "converted/trl_sft.jsonl", "converted/trl_dpo.jsonl"
    commands = {
        "practice": ["check_loaders", trl, "converted/verl_sft.parquet", "converted/openrlhf_sft.jsonl", dpo, "converted/openrlhf_dpo.jsonl"],
        "qwen": ["check_loaders", trl, "converted/openrlhf_sft.jsonl", "--template", str(templates / "qwen2_5_training.jinja")],
        "qwen verl": ["check_loaders", "converted/verl_sft.parquet", "--template", str(templates / "qwen2_5_training.jinja")],
        "curated": ["check_loaders", f"trl_sft={curated(folder)}", f"trl_sft={curated(folder, '--split')}"],
        "field": ["check_loaders", f"trl_sft={curated(folder, '--reasoning', 'field')}"],
        "field qwen": ["check_loaders", f"trl_sft={curated(folder, '--reasoning', 'field')}", "--template", str(templates / "qwen3_training.jinja")],
        "qwen3 openrlhf": ["check_loaders", "converted/openrlhf_sft.jsonl", "--template", str(marked)],
        "spread": ["check_loaders", "spread/trl_dpo.jsonl", "spread/openrlhf_dpo.jsonl"],
        "short": ["check_loaders", "converted/llamafactory_sft.jsonl", "converted/verl_sft.parquet", trl, "--max-length", "300"],
        "no marks": ["check_loaders", trl, "--template", str(templates / "qwen3_instruct_2507.jinja")],
        "nemo rl": ["check_loaders", trl, "converted/nemo-rl_sft.jsonl"],
        "refusing": ["check_loaders", "converted/openrlhf_sft.jsonl", "--template", str(write(folder / "refusing.jinja", REFUSING))],
        "dropping": ["check_loaders", trl, dpo, "converted/openrlhf_sft.jsonl", "openrlhf_rl=rl_prompts.jsonl", "--template", str(write(folder / "dropping.jinja", DROPPING))],
        "foreign template": ["check_loaders", trl, "--template", str(templates / "glm4moe_training.jinja")],
        "calls in a list": ["check_loaders", trl, dpo, "--template", str(templates / "lfm2_v2_training.jinja")],
        "foreign for verl": ["check_loaders", "converted/verl_sft.parquet", "--template", str(templates / "llama3_training.jinja")],
        "four": ["check_loaders", *(f"converted/{trainer}_{kind}.jsonl" for trainer in FOUR for kind in ("sft", "dpo"))],
        "four hard": ["check_loaders", *(f"hard/{trainer}_sft.jsonl" for trainer in FOUR)],
        "four spread": ["check_loaders", *(f"spread/{trainer}_dpo.jsonl" for trainer in FOUR)],
        "four wrong": ["check_loaders", "axolotl_dpo=converted/trl_dpo.jsonl"],
        "lost by openai form": ["check_loaders", "torchtune_sft=converted/nemo-rl_sft.jsonl"],
        "prompts": ["check_loaders", "openrlhf_rl=rl_prompts.jsonl"],
        "torn prompts": ["check_loaders", "openrlhf_rl=torn_prompts.jsonl"],
        "step split": ["train_trl", "sft", str(curated(folder, "--split"))],
        "step sft": ["train_trl", "sft", trl],
        "step dpo": ["train_trl", "dpo", dpo],
        "step grpo": ["train_trl", "grpo", "prompts.jsonl", "--trajectories", "trajectories.jsonl"],
        "foreign": ["train_step", "trajectories.jsonl", "--model", "tiny", "--batch", "2"],
        "level": ["train_step", str(write(folder / "level.jsonl", *({**row, "reward": 1.0} for row in rows(folder / "trajectories.jsonl"))))],
        "missing": ["check_loaders", "trl_sft=none.jsonl"],
        "wrong rows": ["train_trl", "dpo", trl],
        "unknown": ["check_loaders", "prompts.jsonl"],
    }
    result = run(TRAINERS / "bin" / "python", ROOT / "tests" / "support" / "trainers_worker.py", folder, json.dumps(list(commands.values())), folder=folder)
    answers = [json.loads(line.removeprefix("ANSWER ")) for line in result.stdout.splitlines() if line.startswith("ANSWER ")]
    assert len(answers) == len(commands), result.stdout + result.stderr
    return dict(zip(commands, answers))


@pytest.mark.gym
@pytest.mark.parametrize(("template", "files", "pairs"), [("practice", 3, 2), ("qwen", 2, 0)])
def test_the_loaders_take_every_row_and_train_the_right_tokens(trained: dict, template: str, files: int, pairs: int) -> None:
    answer = trained[template]
    assert answer["code"] == 0, answer
    assert answer["out"].count("21 rows, 21 sequences") == files and answer["out"].count("2 rows, 2 pairs") == pairs
    assert answer["out"].count(SOUND) == files + pairs


@pytest.mark.gym
def test_a_template_that_drops_results_and_tools_is_found(trained: dict) -> None:
    answer = trained["dropping"]
    assert answer["code"] == 1, answer
    for part, lost in zip(re.split(r"\n(?=\S)", answer["out"].strip()), ("tool definitions", "tool definitions", "tool texts", "tool texts")):
        assert re.search(rf"\n  \d+ {lost} lost", part), part


@pytest.mark.gym
def test_a_template_of_another_family_is_taken_for_trl_alone(trained: dict) -> None:
    """Calls are found as templates write them: a name on a line of its own, names in a list."""
    assert trained["foreign template"]["out"].count(SOUND) == 1, trained["foreign template"]
    assert trained["calls in a list"]["out"].count(SOUND) == 2, trained["calls in a list"]
    assert trained["foreign for verl"]["code"] == 2 and "no ChatML template" in trained["foreign for verl"]["out"], trained["foreign for verl"]


@pytest.mark.gym
def test_rows_too_long_for_training_are_found_by_every_check(trained: dict) -> None:
    """Some loaders cut them and say nothing, some stop, some drop them: the check says that they are too long, and how long."""
    answer = trained["short"]
    assert answer["code"] == 1 and re.search(r"llamafactory: 21 rows, 21 sequences\n.*longest row \d{3,}\n(?s:.*)\d+ rows longer than --max-length 300", answer["out"]), answer
    assert re.search(r"for verl: the loader stops at row \d+: ValueError.*\n  the longest row has \d+ tokens, --max-length is 300\n", answer["out"]), answer
    assert re.search(r"for trl: (?s:.*)\d+ rows longer than --max-length 300", answer["out"])


@pytest.mark.gym
def test_a_template_without_marks_raises_no_false_alarm(trained: dict) -> None:
    answer = trained["no marks"]
    assert "\n  ," not in answer["out"] and "which tokens are learned was not compared" in answer["out"] and "tokens in the loss" not in answer["out"].replace("of them in the loss", ""), answer


@pytest.mark.gym
def test_a_wrong_name_is_said_before_any_file_is_checked(trained: dict) -> None:
    answer = trained["nemo rl"]
    assert answer["code"] == 2 and "check_template.py" in answer["out"] and "sequences" not in answer["out"], answer


@pytest.mark.gym
@pytest.mark.parametrize(("command", "files"), [("four", 8), ("four hard", 4), ("four spread", 4)])
def test_four_more_trainers_learn_what_the_model_wrote_and_lose_nothing(trained: dict, command: str, files: int) -> None:
    answer = trained[command]
    assert answer["code"] == 0 and answer["out"].count(SOUND) == files, answer


@pytest.mark.gym
def test_rows_in_a_form_that_a_trainer_loses_parts_of_are_found(trained: dict) -> None:
    answer = trained["lost by openai form"]
    assert answer["code"] == 1 and "the loader stops at row 14: ValueError: Assistant message before expected user message" in answer["out"], answer
    assert trained["four wrong"]["code"] == 2, trained["four wrong"]  # its reason goes to the error stream


@pytest.mark.gym
def test_flat_rows_read_as_qwens_template_writes_them(folder: Path, converted: dict, hard: Path) -> None:
    """Tools, calls and results as text, character for character."""
    template = next(TRAINERS.glob("lib/python3.*/site-packages/trl/chat_templates/qwen3_training.jinja")).read_text()
    template = re.sub(r"\{%-? (end)?generation %\}", lambda m: m[0].replace("endgeneration", "endif").replace("generation", "if true"), template)
    for name in ("converted", "hard"):
        apart, flat = rows(folder / name / "trl_sft.jsonl"), rows(folder / name / "flat_sft.jsonl")
        assert len(apart) == len(flat) > 3
        for one, other in zip(apart, flat):
            assert render(template, messages=whole(one), tools=one.get("tools")) == render(template, messages=other["messages"]).replace("\\u003c", "<")


@pytest.mark.gym
def test_kto_rows(folder: Path, gym_python: Path) -> None:
    result = run(gym_python, "convert_for_trainers.py", "kto", "recorded_rollouts.jsonl", "--for", "trl", "-o", "kto.jsonl", folder=folder)
    made = rows(folder / "kto.jsonl")
    assert result.returncode == 0 and counts_of(result.stdout)[0] == 48 == len(made) + counts_of(result.stdout)[2]
    assert all(row["label"] == (row["source"]["reward"] == 1.0) and len(row["completion"]) == 1 for row in made) and len({row["label"] for row in made}) == 2


@pytest.mark.gym
def test_the_loaders_take_pairs_of_every_kind(trained: dict, spread: tuple[list[dict], str]) -> None:
    answer = trained["spread"]
    assert answer["code"] == 0 and answer["out"].count(f"{len(spread[0])} rows, {len(spread[0])} pairs") == 2 and answer["out"].count(SOUND) == 2, answer


@pytest.mark.gym
def test_curated_rows_of_both_forms_are_sound(trained: dict) -> None:
    answer = trained["curated"]
    assert answer["code"] == 0 and answer["out"].count("39 rows, 39 sequences") == 2 and answer["out"].count(SOUND) == 2, answer
    whole, split = map(int, re.findall(r"(\d+)% of them in the loss", answer["out"]))
    assert 0 < split < whole / 2, "of prompt and completion, the answers in the prompt are not trained"


@pytest.mark.gym
@proves("loss-on-wrong-tokens")
def test_thoughts_that_a_template_drops_are_counted(trained: dict, folder: Path, proof: Proof) -> None:
    """Gym's reasoning in a field: the practice template does not read it, Qwen3's does."""
    proof.wrong("loss-on-wrong-tokens", trained["field"]["out"] + trained["qwen3 openrlhf"]["out"])
    proof.cured("loss-on-wrong-tokens", trained["field qwen"]["out"] + trained["practice"]["out"])
    thinking = sum(any("reasoning_content" in message for message in row["messages"]) for row in rows(folder / "curated_reasoningfield.jsonl"))
    assert thinking and trained["field"]["code"] == 1 and f"  {4 * thinking} thoughts lost\n" in trained["field"]["out"], trained["field"]
    assert trained["field qwen"]["code"] == 0 and SOUND in trained["field qwen"]["out"], trained["field qwen"]


@pytest.mark.gym
@proves("single-tool-calls-only")
def test_a_template_that_refuses_parallel_calls_is_told_in_one_line(trained: dict, proof: Proof) -> None:
    answer = trained["refusing"]
    proof.wrong("single-tool-calls-only", answer["out"])
    proof.cured("single-tool-calls-only", trained["practice"]["out"])
    assert answer["code"] == 1 and "the template refuses a row: This model only supports single tool-calls at once!" in answer["out"], answer


MARKS = """
import re, sys
import practice_policy
from trl.chat_template_utils import get_training_chat_template
tokenizer = practice_policy.tokenizer()
bare = re.sub(r"{%-? *(end)?generation *-?%}", "", tokenizer.chat_template)
said = [{"role": "user", "content": "Capital of Peru?"}, {"role": "assistant", "content": "Lima"}]
for template in (tokenizer.chat_template, bare):
    mask = tokenizer.apply_chat_template(said, chat_template=template, return_dict=True, return_assistant_tokens_mask=True)["assistant_masks"]
    print("tokens of the assistant:", sum(mask))
tokenizer.chat_template = bare
get_training_chat_template(tokenizer)
"""


@pytest.mark.gym
@proves("no-generation-marks")
def test_a_template_without_marks_gives_a_mask_of_zeros(folder: Path, proof: Proof) -> None:
    result = run(TRAINERS / "bin" / "python", "-c", MARKS, folder=folder)
    marked, bare = map(int, re.findall(r"assistant: (\d+)", result.stdout))
    assert marked > 0 and bare == 0, result.stdout
    proof.wrong("no-generation-marks", result.stderr)
    checked = run(TRAINERS / "bin" / "python", "check_template.py", "chat_template.jinja", folder=folder).stdout
    proof.cured("no-generation-marks", "generation marks           around every word of the assistant" in checked)


@pytest.mark.gym
def test_prompts_for_online_training_pass_the_loader(trained: dict) -> None:
    assert trained["prompts"]["code"] == 0 and "12 rows, 12 prompts" in trained["prompts"]["out"], trained["prompts"]
    assert trained["torn prompts"]["code"] == 2 and "row 2 has no label" in trained["torn prompts"]["out"], trained["torn prompts"]


@pytest.mark.gym
def test_verl_refuses_parallel_results_under_a_template_that_merges_them(trained: dict) -> None:
    assert trained["qwen verl"]["code"] == 1
    assert "13 sequences" in trained["qwen verl"]["out"] and "8 rows that the loader refuses under this template" in trained["qwen verl"]["out"]


@pytest.mark.gym
@pytest.mark.parametrize("kind", ["sft", "split", "dpo", "grpo"])
def test_one_step_of_trl_on_the_cpu(trained: dict, kind: str) -> None:
    answer = trained[f"step {kind}"]
    assert answer["code"] == 0, answer
    loss, norm, change = map(float, re.search(r"loss (\S+), gradient norm (\S+), largest weight change (\S+)", answer["out"]).groups())
    assert norm > 0 and change > 0 and abs(loss) < 100


@pytest.mark.gym
def test_rollouts_of_other_weights_are_refused(trained: dict) -> None:
    assert trained["foreign"]["code"] == 1 and "Not on-policy" in trained["foreign"]["out"], trained["foreign"]
    assert trained["level"]["code"] == 1 and "Nothing to learn" in trained["level"]["out"], trained["level"]


@pytest.mark.gym
def test_bad_input_of_the_trainers_scripts_gets_one_line(trained: dict) -> None:
    assert trained["missing"]["code"] == 2 and "No such file" in trained["missing"]["out"]
    assert trained["unknown"]["code"] == 2 and "whose loader?" in trained["unknown"]["out"]
    assert trained["wrong rows"]["code"] == 2 and "no prompt" in trained["wrong rows"]["out"]


@pytest.mark.gym
def test_the_checks_find_what_is_planted(folder: Path) -> None:
    """What a loader could do to a row, done by hand: each is found under its name."""
    answer = run(TRAINERS / "bin" / "python", "-c", PLANTED, folder=folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr


PLANTED = """
import practice_policy, check_loaders as check
tokenizer = practice_policy.tokenizer()
call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": {"at": "x"}}}
messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "<think>Hm.</think>I look.", "tool_calls": [call, call]},
            {"role": "tool", "tool_call_id": "c", "content": "here"}, {"role": "assistant", "content": "There."}]
row = {"messages": messages}
ids, own = check.reference(row, tokenizer)

def sft(loaded, given=row):
    return {what for what, count in check.check_sft([given], loaded, tokenizer)[1].items() if count}

def without(*numbers):
    return [message for number, message in enumerate(messages) if number not in numbers]

def drop(text):
    changed = [dict(m) for m in messages]
    for m in changed:
        m["content"] = m["content"].replace(text, "")
    return [check.reference({"messages": changed}, tokenizer)]

assert sft([(ids, own)]) == set(), sft([(ids, own)])
assert "empty sequences" in sft([([], [])]) and "empty sequences" in sft([(ids, [False] * len(ids))])
assert sft([(ids, [True] * len(ids))]) == {"user or tool tokens in the loss"}
assert {"assistant tokens outside of the loss", "texts lost"} <= sft([(ids, own[:-6] + [False] * 6)])
assert "thoughts lost" in sft(drop("<think>Hm.</think>")) and "texts lost" in sft(drop("There."))
calls = [dict(m) for m in messages]; calls[1]["tool_calls"] = [call]
assert "tool calls lost" in sft([check.reference({"messages": calls}, tokenizer)]), "one of two parallel calls"
assert "user or tool tokens in the loss" in sft([(ids, own)], {"prompt": messages[:3], "completion": messages[3:]}), "answers of the prompt"

render = lambda given: tokenizer.apply_chat_template(given)["input_ids"]
pair = {"prompt": messages[:1], "chosen": messages[1:2], "rejected": messages[3:]}
prompt, chosen, rejected = (render(pair[key]) for key in ("prompt", "chosen", "rejected"))

def dpo(loaded, given=pair):
    return {what for what, count in check.check_dpo([given], loaded, tokenizer)[1].items() if count}

assert dpo([(prompt, chosen, rejected)]) == set(), dpo([(prompt, chosen, rejected)])
assert "pairs whose chosen answer equals the rejected one" in dpo([(prompt, chosen, chosen)])
assert "empty answers" in dpo([(prompt, chosen, [])]) and "empty answers" in dpo([([], chosen, rejected)])
assert "tool calls lost" in dpo([(prompt, render([{"role": "assistant", "content": "I look."}]), rejected)])
assert "tool results in the loss" in dpo([(prompt, chosen, rejected)], pair | {"chosen": messages[1:3]})

asked = {"prompt": messages[:1], "label": "{}"}
text = tokenizer.apply_chat_template(asked["prompt"], tokenize=False, add_generation_prompt=True)

def rl(loaded):
    return {what for what, count in check.check_rl([asked], loaded, tokenizer)[1].items() if count}

assert rl([(text, "{}")]) == set()
# One row of three is gone: nobody knows which, so nothing else may be said of the rest.
others = [{"messages": messages[:1] + [{"role": "assistant", "content": word}]} for word in ("One.", "Two.")]
gone = check.compare("trl_sft", [row, *others], [check.reference(its, tokenizer) for its in others], tokenizer)
assert gone == ("2 of them came out", {"rows dropped by the loader: nothing else was compared": 1}), gone
assert "labels that are not the task" in rl([(text, "")]) and "empty prompts" in rl([("", "{}")])
assert rl([(text + "x", "{}")]) == {"prompts that differ from the conversation rendered at once"}
"""


@pytest.mark.gym
@pytest.mark.parametrize("command", ["train_trl.py sft none.jsonl", "train_step.py none.jsonl", "train_trl.py --help", "train_step.py --help"])
def test_what_needs_no_model_is_answered_without_importing_one(folder: Path, command: str) -> None:
    answer = run(TRAINERS / "bin" / "python", "-X", "importtime", *command.split(), folder=folder)
    assert "Traceback" not in answer.stderr and "| torch" not in answer.stderr and "transformers" not in answer.stderr


# ---------------------------------------------------------------------------------------------------------------------
# TRL online

SERVER = """
import sys, uvicorn
from unittest.mock import MagicMock
from nemo_gym.server_utils import ServerClient
from resources_servers.example_session_state_mgmt.app import StatefulCounterResourcesServer as Server, StatefulCounterResourcesServerConfig as Config
config = Config(host="127.0.0.1", port=int(sys.argv[1]), entrypoint="app.py", name="counter", domain="agent")
uvicorn.run(Server(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""
ONLINE = """
import sys, train_online as online
online.COUNTER = f"http://127.0.0.1:{sys.argv[1]}"
trainer = online.build(online.parse(["tools"]))
trainer.train()
seen, tokenizer = trainer.seen, trainer.processing_class
learned = seen["completion_mask"].bool() & (seen["tool_mask"] == 1)
shown = seen["completion_mask"].bool() & (seen["tool_mask"] == 0)
for row in range(8):
    own, tool = (tokenizer.decode(seen["completion_ids"][row][mask[row]]) for mask in (learned, shown))
    assert "increment_counter" in own and "Done." in own and "success" not in own and "tool_response" not in own, own
    assert '{"success":true}' in tool and "increment_counter" not in tool and "Done." not in tool, tool
assert [float(one) for one in seen["advantages"].sign()] == [1, -1] * 4, seen["advantages"]
real, asked = online.verify, []
online.verify = lambda *given: None if len(asked) == 0 and not asked.append(1) else real(*given)
masked = online.build(online.parse(["tools"]))
masked.train()
first = masked.seen["advantages"][:4].tolist()
assert first[0] == 0 and first[2] > 0 and abs(first[1] + first[2] + first[3]) < 1e-4 and first[1] < 0, first
class Down:
    def post(self, *given, **more):
        return type("Answer", (), {"is_server_error": True})()
assert real(Down(), {"responses_create_params": {}}, []) is None, "a verifier that failed is no wrong answer"
"""


@pytest.mark.gym
def test_trl_trains_online_with_a_server_of_gym_and_learns_no_tool_result(folder: Path, gym_python: Path) -> None:
    """Rewards from /verify, one session for each completion, tool results out of the loss, a masked completion out of its group's mean."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([gym_python, "-c", SERVER, str(port)], cwd=folder, stderr=subprocess.PIPE) as server:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, server.stderr.read().decode()
                time.sleep(0.2)
            result = run(TRAINERS / "bin" / "python", "-c", ONLINE, port, folder=folder)
            assert result.returncode == 0, result.stderr[-3000:]
        finally:
            server.terminate()


# ---------------------------------------------------------------------------------------------------------------------
# Token bundles


def called(prompt: list[int], ids: list[int], **more: object) -> dict:
    return {"type": "message", "prompt_token_ids": prompt, "generation_token_ids": ids, "generation_log_probs": [-0.5] * len(ids), **more}


def test_bundles_become_masks(modules) -> None:
    bundles = modules("token_bundles")
    one = bundles.trajectory(rollout([called([1, 2], [3, 4]), {"type": "function_call_output"}, called([1, 2, 3, 4, 8, 9], [5])]))
    assert one["prompt_ids"] == [1, 2] and one["completion_ids"] == [3, 4, 8, 9, 5]
    assert one["mask"] == [1, 1, 0, 0, 1] and one["logprobs"] == [-0.5, -0.5, 0.0, 0.0, -0.5] and one["calls"] == 2


@pytest.mark.parametrize(("output", "more", "reason"), [
    ([called([1, 2], [3]), called([1, 9, 3, 4], [5])], {}, "not contiguous: the prompt of call 2"),
    ([called([1, 2], [3]), called([1], [5])], {}, "not contiguous"),
    ([SAID], {}, "no token ids"),
    ([called([1], [2], generation_log_probs=[])], {}, "incomplete bundle"),
    ([called([1], [2], generation_log_probs=[None])], {}, "log probabilities that are no finite numbers"),
    ([called([1], [2], generation_log_probs=[10**400])], {}, "log probabilities that are no finite numbers"),
    ([called([1], [2], generation_log_probs=[True])], {}, "log probabilities that are no finite numbers"),
    ([called([1], [2], generation_log_probs={"0": -1})], {}, "incomplete bundle"),
    ([called([1], [2], generation_token_ids="2")], {}, "incomplete bundle"),
    ([called([1], [2], generation_token_ids=2)], {}, "incomplete bundle"),
    ([called("ab", [2])], {}, "incomplete bundle"),
    ([called([1.5, "x"], [2])], {}, "token ids that are no whole numbers"),
    ([called([1], [None])], {}, "token ids that are no whole numbers"),
    ([called([], [2])], {}, "incomplete bundle"),
    ([called([1], [2])], {"mask_sample": True}, "masked"),
    ([called([1], [2])], {"_ng_failure_class": "cancelled"}, "failed .cancelled"),
    ([[called([1], [2])]], {}, "the output is a list of lists: an agent with return_transitions"),
    ([called([1], [2])], {"reward": None}, "no reward"),
    ([called([1], [2])], {"reward": 10**400}, "the reward is not finite"),
    ([called([1], [2])], {"reward": "1"}, "the reward is not a number"),
    ([], {"response": {"status": "failed", "output": [called([1], [2])]}}, "failed .failed"),
])
def test_a_rollout_that_does_not_fit_is_named(modules, output: list, more: dict, reason: str) -> None:
    bundles = modules("token_bundles")
    with pytest.raises(bundles.Unusable, match=reason):
        bundles.trajectory(rollout(output, **more))


def test_a_file_of_two_runs_or_of_another_kind_is_refused(folder: Path) -> None:
    one = rollout([called([1, 2], [3])])
    for given, said in (([one, one], "tokens.jsonl:2: task 0, repeat 0 is there twice"), ([{"messages": []}], "tokens.jsonl:1: no rollout, but a chat row")):
        write(folder / "tokens.jsonl", *given)
        done = run(sys.executable, "token_bundles.py", "tokens.jsonl", "-o", "bundles.jsonl", folder=folder)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


@proves("token-ids-not-contiguous", "no-token-ids")
def test_what_is_wrong_with_token_ids_is_told(folder: Path, proof: Proof) -> None:
    def told(*output: dict) -> str:
        write(folder / "tokens.jsonl", rollout(list(output)))
        return run(sys.executable, "token_bundles.py", "tokens.jsonl", "-o", "bundles.jsonl", folder=folder).stdout

    whole = told(called([1, 2], [3]), called([1, 2, 3, 4], [5]))
    proof.wrong("token-ids-not-contiguous", told(called([1, 2], [3]), called([1, 9, 3, 4], [5])))
    proof.cured("token-ids-not-contiguous", whole)
    proof.wrong("no-token-ids", told(SAID))
    proof.cured("no-token-ids", whole)


def test_the_recorded_rollouts_become_trajectories(folder: Path) -> None:
    result = run(sys.executable, "token_bundles.py", "recorded_rollouts.jsonl", "-o", "out.jsonl", folder=folder)
    made = rows(folder / "out.jsonl")
    left = sum(map(int, re.findall(r"^  (\d+) left out: ", result.stdout, re.M)))
    assert result.returncode == 0 and len(made) + left == len(ROLLOUTS) == 48 and left == 2
    for one in made:
        assert len(one["completion_ids"]) == len(one["mask"]) == len(one["logprobs"]) and one["mask"][0] == one["mask"][-1] == 1
        assert (0 in one["mask"]) == (one["calls"] > 1)


def test_equal_rewards_give_no_advantage(modules) -> None:
    bundles = modules("token_bundles")
    tasks = [{"task": 0, "reward": 1.0}, {"task": 0, "reward": 0.0}, {"task": 1, "reward": 1.0}, {"task": 1, "reward": 1.0}]
    assert bundles.advantages(tasks) == [1.0, -1.0, 0.0, 0.0]


# ---------------------------------------------------------------------------------------------------------------------
# Bad input, and the commands that need GPUs


@pytest.mark.parametrize("command", ["convert_for_trainers.py sft FILE --for trl -o out.jsonl", "token_bundles.py FILE -o out.jsonl", "collect_on_policy.py FILE -o out.jsonl"])
@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), ("", "no rows"), ('{"a": 1}\n{"a"\n', ":2: not JSON"), ("[1]\n", ":1: a row is a JSON object")])
def test_bad_files_get_one_clear_line(folder: Path, command: str, content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    if content is not None:
        path.write_text(content)
    script, *rest = command.replace("FILE", str(path)).replace("out.jsonl", str(tmp_path / "out.jsonl")).split()
    result = run(sys.executable, script, *rest, folder=folder)
    assert result.returncode == 2 and message in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert [p.name for p in tmp_path.iterdir() if p != path] == []


@pytest.mark.parametrize(("command", "message"), [
    ("convert_for_trainers.py dpo a.jsonl --for verl -o b.jsonl", "verl 0.9.1 has no DPO trainer"),
    ("convert_for_trainers.py sft a.jsonl --for verl -o b.jsonl", "ends with .parquet"),
    ("convert_for_trainers.py sft a.jsonl --for megatron -o b.jsonl", "invalid choice"),
    ("convert_for_trainers.py kto a.jsonl --for axolotl -o b.jsonl", "kto rows are written for trl and unsloth"),
    ("convert_for_trainers.py rl a.jsonl --for flat -o b.jsonl", "prompts for online RL are written for"),
    ("convert_for_trainers.py sft a.jsonl --for trl -o a.jsonl", "would overwrite the input"),
    ("collect_on_policy.py practice_tasks.jsonl -o b.jsonl", "names no task_source"),
    ("collect_on_policy.py practice_tasks.jsonl --task-source string_match --head-server 127.0.0.1:1 -o b.jsonl", "Start them first"),
])
def test_wrong_options_say_what_to_do(folder: Path, command: str, message: str) -> None:
    script, *rest = command.split()
    result = run(sys.executable, script, *rest, folder=folder)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


def commands_not_run() -> list[str]:
    found = [block for _, block in blocks_of(PAGE.read_text(), PAGE) if block.kind == "console" and block.caption.startswith((NOT_RUN, ON_GPU))]
    return [command.replace("\\\n", " ") for block in found for command, _ in block.commands()]


def flags_of(module: str) -> set[str]:
    """The options that a program of OpenRLHF defines, read from its source: importing it needs a GPU's packages."""
    path = next(TRAINERS.glob(f"lib/python3.*/site-packages/{module.replace('.', '/')}.py"))
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"]
    return {arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)}


@pytest.mark.gym
def test_commands_that_need_gpus_name_what_the_frameworks_define() -> None:
    seen = Counter()
    known = json.loads((ROOT / "tests" / "data" / "nemo_rl_keys.json").read_text())
    for command in commands_not_run():
        words = command.split()
        if "openrlhf.cli" in command:
            module = next(word for word in words if word.startswith("openrlhf.cli"))
            after = words[words.index(module) + 1 :]
            assert {word for word in after if word.startswith("--")} <= flags_of(module), command
            seen["openrlhf"] += 1
        elif "verl.trainer.sft_trainer" in command:
            given = [word.partition("=")[0] for word in words if re.match(r"[a-z_.]+=", word)]
            code = ("import sys, verl.trainer, pathlib; from hydra import compose, initialize_config_dir; from omegaconf import OmegaConf\n"
                    "initialize_config_dir(str(pathlib.Path(verl.trainer.__file__).parent / 'config'), version_base=None).__enter__()\n"
                    "c = compose('sft_trainer_engine'); [OmegaConf.update(c, k, '1', force_add=False) for k in sys.argv[1:]]\n"
                    "missing = [k for k in sys.argv[1:] if k.rpartition('.')[2] not in OmegaConf.select(c, k.rpartition('.')[0])]; assert not missing, missing")
            checked = run(TRAINERS / "bin" / "python", "-c", code, *given, folder=ROOT)
            assert given and checked.returncode == 0, checked.stderr[-600:]
            seen["verl"] += 1
        elif "examples/" in command and "--config" in command:
            config = re.search(r"--config[= ](\S+)", command)[1]
            for plus, key in re.findall(r" (\+*)([a-z_.]+)=", command):
                in_file = key in known["files"][config]
                argument = any(key.rpartition(".")[2] in names for names in known["dataset_arguments"].values())
                assert in_file if not plus else argument or in_file, f"{key} in {command}"
            seen["nemo-rl"] += 1
        elif "train_trl.py" in command:
            help_text = (FOLDER / "train_trl.py").read_text()
            assert all(f'"{word}"' in help_text for word in words if word.startswith("--") and word != "--num_processes"), command
            seen["trl"] += 1
    assert set(seen) == {"openrlhf", "verl", "nemo-rl", "trl"}, seen
