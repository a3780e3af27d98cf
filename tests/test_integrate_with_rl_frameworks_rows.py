"""What `convert_for_trainers.py` says of rows that it writes or leaves out, and what it does with files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import scripts
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
    return scripts.run(folder / "convert_for_trainers.py", *command, cwd=folder)


def write(folder: Path, name: str, *rows: dict) -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rollout(task: int | None, given: list, *output: dict, reward: float = 1.0, repeat: int = 0, cut: bool = False, **params: object) -> dict:
    index = {} if task is None else {"_ng_task_index": task, "_ng_rollout_index": repeat}
    response = {"output": [*output]} | ({"incomplete_details": {"reason": "max_output_tokens"}} if cut else {})
    return index | {"responses_create_params": {"input": given} | params, "response": response, "reward": reward}


SHOTS = "  3 rows have answers in their prompt"
TAKEN = ", and this trainer has no switch per message: it trains on those, too"
OUT = {trainer: TAKEN for trainer in ALL} | dict.fromkeys(("trl", "unsloth"), ": all rows are prompt and completion, and the completion alone is trained")
OUT |= {"ms-swift": ", out of the loss", "axolotl": ", out of the loss with message_field_training: training", "flat": ", and most trainers train on those, too"}


def test_answers_in_the_prompt_are_out_of_the_loss_or_told(folder: Path) -> None:
    given = write(folder, "shots.jsonl", *(rollout(task, EXAMPLES, SAID) for task in range(3)), rollout(3, [ASKED], SHOWN))
    done = convert(folder, "sft", given, "--for", *OUT, "-o", "out")
    assert done.returncode == 0 and done.stdout.count("4 rows in, 4 out") == len(OUT), done.stderr
    told = dict(re.findall(r"4 out for (\S+)\n(  .*)\n", done.stdout))
    assert told == {trainer: SHOTS + how for trainer, how in OUT.items()}
    one = convert(folder, "sft", write(folder, "one.jsonl", rollout(0, EXAMPLES, SAID)), "--for", "nemo-rl", "-o", "one_out.jsonl")
    assert f"  1 row has answers in its prompt{TAKEN}\n" in one.stdout
    for trainer, key in (("ms-swift", "loss"), ("axolotl", "training")):
        first, *_, plain = rows(folder / f"out/{trainer}_sft.jsonl")
        assert [message.get(key) for message in first["messages"]] == [None, None, False, None, None]
        assert not any(key in message for message in plain["messages"])
    assert [set(row) - {"source"} for row in rows(folder / "out/trl_sft.jsonl")] == [{"prompt", "completion"}] * 4
    assert rows(folder / "out/trl_sft.jsonl")[0]["prompt"] == EXAMPLES == rows(folder / "out/unsloth_sft.jsonl")[0]["prompt"]
    split = write(folder, "split.jsonl", {"prompt": EXAMPLES, "completion": [SAID]})
    assert "answers in" not in convert(folder, "sft", split, "--for", "trl", "unsloth", "-o", "split").stdout, "prompt and completion are trained apart"
    done = convert(folder, "sft", split, "--for", "trl", "ms-swift", "axolotl", "openrlhf", "-o", "split_all")
    assert done.stdout.count("1 rows in, 1 out") == 3 and "1 left out: the prompt holds answers, which this trainer trains as well" in done.stdout
    assert rows(folder / "split_all/axolotl_sft.jsonl")[0]["messages"] == rows(folder / "out/axolotl_sft.jsonl")[0]["messages"]


def test_a_file_for_trl_has_rows_of_one_form(folder: Path) -> None:
    whole = write(folder, "whole.jsonl", {"messages": [ASKED, SHOWN]})
    split = write(folder, "split.jsonl", {"prompt": [ASKED], "completion": [SAID]})
    for inputs, form in (([whole], {"messages"}), ([split], {"prompt", "completion"}), ([whole, split], {"prompt", "completion"}), ([split, whole], {"prompt", "completion"})):
        assert convert(folder, "sft", *inputs, "--for", "trl", "-o", "out.jsonl").returncode == 0
        assert [set(row) - {"source"} for row in rows(folder / "out.jsonl")] == [form] * len(inputs)


def test_messages_that_are_not_to_be_learned_need_a_trainer_with_a_switch(folder: Path) -> None:
    talk = [ASKED, SHOWN, {"role": "user", "content": "3+3?"}, SAID]
    marked = [talk[:1] + [SHOWN | mark] + talk[2:] for mark in ({"weight": 0}, {"loss": False}, {"train": False}, {"training": False})]
    given = write(folder, "marked.jsonl", *({"messages": one} for one in marked), {"messages": talk[:1] + [SHOWN | {"weight": 1}]},
                  {"messages": [ASKED, SHOWN | {"weight": 0.5}]}, {"messages": [ASKED, SHOWN | {"loss": False}]})
    done = convert(folder, "sft", given, "--for", "axolotl", "ms-swift", "openrlhf", "trl", "-o", "out")
    for trainer, key in (("axolotl", "training"), ("ms-swift", "loss")):
        made = [row["messages"] for row in rows(folder / f"out/{trainer}_sft.jsonl")]
        assert made == [[ASKED, SHOWN | {key: False}, *talk[2:]]] * 4 + [talk[:2]]
    assert "  4 rows have messages that are not to be learned, out of the loss with message_field_training: training\n" in done.stdout
    assert done.stdout.count("7 rows in, 5 out") == done.stdout.count("7 rows in, 1 out") == 2
    assert done.stdout.count("4 left out: a message that is not to be trained on (weight, loss or train): this trainer has no column for that") == 2
    assert done.stdout.count("1 left out: a message that is to be trained on in part") == done.stdout.count("1 left out: no answer that is to be trained on") == 4
    pairs = write(folder, "pairs.jsonl", {"prompt": marked[0][:3], "chosen": [SAID], "rejected": [SHOWN]}, {"prompt": [ASKED], "chosen": [SAID], "rejected": [SHOWN, ASKED, SAID | {"loss": False}]})
    done = convert(folder, "dpo", pairs, "--for", "trl", "ms-swift", "-o", "out")
    assert done.stdout.count("2 pairs or tasks in, 1 out") == 2 and rows(folder / "out/trl_dpo.jsonl")[0]["prompt"] == talk[:3]
    made = rows(folder / "out/ms-swift_dpo.jsonl")[0]
    assert made["messages"] == [ASKED, SHOWN | {"loss": False}, talk[2], SAID] and made["rejected_messages"] == [*made["messages"][:3], SHOWN]


# What the trainers' released data code puts into the loss: of prompts with answers nothing, of the answer everything.
IN_LOSS = """
import pathlib, sys
import check_loaders, loader_checks, practice_policy, trainer_loaders
from rollouts import lines
tokenizer = practice_policy.tokenizer()
def file(name): return pathlib.Path("out") / name
def learned(sequence): return tokenizer.decode([i for i, own in zip(*sequence) if own])
texts = {"ms-swift": [loss for _, loss in trainer_loaders.ms_swift_sft(file("ms-swift_sft.jsonl"), tokenizer)],
         "axolotl": [loss for _, loss in trainer_loaders.axolotl_sft(file("axolotl_sft.jsonl"), tokenizer)],
         "verl": [learned(one) for one in check_loaders.verl_sft(file("verl_sft.parquet"), tokenizer)],
         "trl": [learned(one) for one in check_loaders.trl_sft(file("trl_sft.jsonl"), tokenizer)]}
for trainer, (first, second, third) in texts.items():
    assert "Shown" not in first + second and first.split("<|im_end|>")[0] == "The sum is six.", (trainer, first, second)
    assert "lower shelf" in second and "Learned thought." in second and "It lies downstairs." in second and "found" not in second, (trainer, second)
    assert second.count("<|im_end|>") == 2 and third.startswith("Four it is.") and third.count("<|im_end|>") == 1, (trainer, second, third)

# The labels of ms-swift's pairs, not the text after the first difference: under its default, the last message alone, calls are not learned.
pairs = trainer_loaders.ms_swift_dpo(file("ms-swift_dpo.jsonl"), tokenizer)
for (_, chosen), (_, rejected) in pairs:
    assert chosen != rejected and "Shown" not in chosen + rejected and "found" not in chosen + rejected, (chosen, rejected)
assert "lower shelf" in pairs[1][0][1] and pairs[1][1][1].strip() == "I do not know at all.<|im_end|>"
rows = [row for *_, row in lines(file("ms-swift_dpo.jsonl"))]
assert not +loader_checks.check_dpo(rows, pairs, tokenizer)[1]
real = trainer_loaders.ms_swift
trainer_loaders.ms_swift = lambda *given, **more: real(*given, **more | {"loss_scale": "last_round"})
bare = [row | {side: [{k: v for k, v in m.items() if k != "loss"} for m in row[side]] for side in ("messages", "rejected_messages")} for row in rows]
import json
pathlib.Path("bare.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in bare))
found = loader_checks.check_dpo(bare, trainer_loaders.ms_swift_dpo(pathlib.Path("bare.jsonl"), tokenizer), tokenizer)[1]
assert found["tool calls lost"] and found["turns whose end is outside of the loss"], found

# What the tabs say of settings and templates.
trainer_loaders.ms_swift = real
assert trainer_loaders.llamafactory_sft(file("llamafactory_sft.jsonl"), tokenizer)[0][1].startswith("Shown sum.<|im_end|>"), "what the converter tells of"
import functools, llamafactory.hparams, swift.template, trl
llamafactory.hparams.DataArguments = functools.partial(llamafactory.hparams.DataArguments, mask_history=True)
assert [loss for _, loss in trainer_loaders.llamafactory_sft(file("llamafactory_sft.jsonl"), tokenizer)][0].split("<|im_end|>")[0] == "The sum is six."
assert trainer_loaders.torchtune_sft(file("torchtune_sft.jsonl"), tokenizer)[2][1].startswith("<|im_start|>assistant\\nFour it is.")
given = swift.template.get_template
for name, start in (("qwen3", "<think>\\n\\n</think>\\n\\nFour it is."), ("qwen3_nothinking", "Four it is.")):
    swift.template.get_template = lambda *more, **named: given(*more, **named | {"template_type": name})
    assert trainer_loaders.ms_swift_sft(file("ms-swift_sft.jsonl"), tokenizer)[2][1].startswith(start), name
swift.template.get_template = given
assert "You are Qwen, created by" in trainer_loaders.ms_swift_sft(file("ms-swift_sft.jsonl"), tokenizer)[2][0]
templates = pathlib.Path(trl.__file__).parent / "chat_templates"
rows = [row for *_, row in lines(file("axolotl_sft.jsonl"))]
for name, wanted in (("qwen3", 1), ("qwen3_instruct_2507", 0)):
    tokenizer.chat_template = (templates / f"{name}.jinja").read_text()
    found = loader_checks.check_sft(rows, trainer_loaders.axolotl_sft(file("axolotl_sft.jsonl"), tokenizer), tokenizer)[1]
    assert found["marks that open a thought outside of the loss"] == wanted, (name, found)
import axolotl.prompt_strategies.chat_template as strategies
load, keys = strategies.load, {key: key for key in ("role", "content", "tool_calls", "name", "tool_call_id")}
strategies.load = lambda tokenizer, cfg, data: load(tokenizer, cfg | {"eot_tokens": []}, data | {"message_property_mappings": keys})
tokenizer.chat_template = (templates / "gemma4_v5.jinja").read_text()
assert "found lower shelf" in trainer_loaders.axolotl_sft(file("axolotl_sft.jsonl"), tokenizer)[1][1]

# Joined environments: datasets gives all tools the key order of the first one, if they are no text; and its columns are those of the first 10 MB.
tokenizer, path = practice_policy.tokenizer(), pathlib.Path("joined.jsonl")
said = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
tools = [[{"type": "function", "function": one}] for one in ({"name": "f", "description": "d"}, {"description": "e", "name": "g"})]
for wanted, form in ((1, lambda own: own), (0, json.dumps)):
    path.write_text("".join(json.dumps({"messages": said, "tools": form(own)}) + "\\n" for own in tools))
    found = check_loaders.check_sft(check_loaders.rows_in(path, ("messages",)), check_loaders.trl_sft(path, tokenizer), tokenizer)[1]
    assert found["sequences that differ from the conversation rendered at once"] == wanted, found
from datasets import load_dataset
for late in (False, True):
    many = [json.dumps({"messages": said, "filling": "x" * 2000})] * 6000
    many.insert(6000 if late else 0, json.dumps({"messages": [said[0], said[1] | {"training": False}], "filling": ""}))
    path.write_text("\\n".join(many) + "\\n")
    try:
        assert len(load_dataset("json", data_files=str(path), split="train")) == 6001 and not late
    except Exception as error:
        assert late and "Couldn't cast" in str(error.__cause__), error
"""


@pytest.mark.gym
def test_answers_in_the_prompt_are_in_no_trainers_loss(folder: Path, gym_python: Path) -> None:
    user = lambda text: {"role": "user", "content": text}  # noqa: E731
    told = lambda text: {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}  # noqa: E731
    look = lambda call, at: [CALL | {"call_id": call, "arguments": json.dumps({"at": at})}, {"type": "function_call_output", "call_id": call, "output": f"found {at}"}]  # noqa: E731
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}]
    sums = [{"role": "system", "content": "Be brief."}, user("What is 2+2?"), {"role": "assistant", "content": "Shown sum."}, user("And 3+3?")]
    books = [user("Where is it?"), *look("a", "Shown shelf"), {"role": "assistant", "content": "<think>Shown thought.</think>Shown place."}, user("And the other?")]
    given = [rollout(0, sums, told("The sum is six.")), rollout(0, sums, told("It is seven."), reward=0.0, repeat=1),
             rollout(1, books, *look("b", "lower shelf"), told("<think>Learned thought.</think>It lies downstairs."), tools=tools),
             rollout(1, books, told("I do not know at all."), reward=0.0, repeat=1, tools=tools), rollout(2, [user("2+2?")], told("Four it is."))]
    write(folder, "shots.jsonl", *given)
    for kind, trainers in (("sft", ("trl", "ms-swift", "axolotl", "verl", "llamafactory", "torchtune")), ("dpo", ("ms-swift",) * 2 + ("trl",))):
        command = [gym_python, "convert_for_trainers.py", kind, "shots.jsonl", "--for", *trainers, "-o", "out"]
        assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    checked = subprocess.run([TRAINERS, "-c", IN_LOSS], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr[-3000:]


class Words:
    """As much of a tokenizer as the checks ask for."""

    prompt = "<|im_start|>assistant\n"

    def apply_chat_template(self, *_: object, **more: object) -> str:
        return self.prompt

    def __call__(self, text: str) -> dict[str, list[str]]:
        return {"input_ids": text.split()}


def test_the_checks_of_trainers_with_templates_of_their_own_find_what_is_planted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    import loader_checks as check

    given = [ASKED, SHOWN | {"content": "Shown sum.", "loss": False}, {"role": "user", "content": "And again?"}, SAID | {"content": "Learned sum."}]
    whole = "".join(f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in given)

    def sft(loss: str, text: str = whole) -> set[str]:
        return set(+check.check_sft([{"messages": given}], [(text, loss)], Words())[1])

    assert sft("Learned sum.<|im_end|>") == set()
    assert sft("Shown sum.<|im_end|>Learned sum.<|im_end|>") == {"answers of the prompt in the loss", "ends of other turns in the loss"}
    assert sft("<|im_end|>Learned sum.<|im_end|>") == {"ends of other turns in the loss"}
    assert sft("Learned sum.") == {"turns whose end is outside of the loss"} and sft("<|im_end|>") == {"texts lost"}
    assert sft("And again?Learned sum.<|im_end|>") == {"user texts in the loss"}
    assert sft("Learned sum.<|im_end|>", whole.replace("Shown sum.", "")) == {"answers of the prompt lost"}

    given[3] = SAID | {"content": "<think>\nHm.\n</think>\n\nLearned sum."}
    whole = whole.replace("Learned sum.", given[3]["content"])
    assert sft(f"{given[3]['content']}<|im_end|>", whole) == set()
    assert sft(f"{given[3]['content'].removeprefix('<think>')}<|im_end|>", whole) == {"marks that open a thought outside of the loss"}
    monkeypatch.setattr(Words, "prompt", "<|im_start|>assistant\n<think>\n")
    assert sft(f"{given[3]['content'].removeprefix('<think>')}<|im_end|>", whole) == set(), "the prompt ends with the mark"
    given[3] = SAID | {"content": "Learned sum."}
    whole = whole.replace("<think>\nHm.\n</think>\n\n", "")

    def dpo(one: str, other: str) -> set[str]:
        row = {"messages": given, "rejected_messages": [*given[:3], SAID | {"content": "Wrong sum."}]}
        return set(+check.check_dpo([row], [((whole, one), (whole.replace("Learned", "Wrong"), other))], Words())[1])

    assert dpo("Learned sum.<|im_end|>", "Wrong sum.<|im_end|>") == set()
    same = "pairs whose chosen answer equals the rejected one"
    assert dpo("Learned sum.<|im_end|>", "Learned sum.<|im_end|>") == {same, "texts lost"}
    assert dpo("<|im_end|>", "<|im_end|>") == {same, "texts lost"} and "empty answers" in dpo("", "Wrong sum.<|im_end|>")
    assert dpo("And again?Learned sum.<|im_end|>", "Wrong sum.<|im_end|>") == {"user texts in the loss"}
    assert dpo("Shown sum.<|im_end|>Learned sum.<|im_end|>", "Wrong sum.<|im_end|>") == {"answers of the prompt in the loss", "ends of other turns in the loss"}


def test_tools_as_text_keep_the_order_of_their_keys(folder: Path) -> None:
    tool = {"type": "function", "name": "look", "description": "d", "parameters": {}}
    other = {"type": "function", "description": "e", "name": "look", "parameters": {}}
    given = write(folder, "joined.jsonl", *(rollout(task, [ASKED], SAID, tools=[one]) for task, one in enumerate((tool, other))), rollout(2, [ASKED], SAID))
    for trainer in ("trl", "unsloth", "axolotl"):
        assert convert(folder, "sft", given, "--for", trainer, "--text-tools", "-o", f"{trainer}.jsonl").returncode == 0
    assert convert(folder, "sft", given, "--for", "trl", "-o", "list.jsonl").returncode == 0
    lists, texts = rows(folder / "list.jsonl"), rows(folder / "trl.jsonl")
    assert texts == rows(folder / "unsloth.jsonl") and "tools" not in texts[2] and isinstance(rows(folder / "axolotl.jsonl")[0]["tools"], list)
    assert [row | ({"tools": json.loads(row["tools"])} if "tools" in row else {}) for row in texts] == lists
    assert [list(json.loads(row["tools"])[0]["function"]) for row in texts[:2]] == [["name", "description", "parameters"], ["description", "name", "parameters"]]
    assert convert(folder, "sft", "trl.jsonl", "--for", "trl", "-o", "again.jsonl").returncode == 0 and rows(folder / "again.jsonl") == lists


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


def test_an_answer_that_holds_the_prompt_is_no_row(folder: Path) -> None:
    whole = [ASKED, SHOWN]
    write(folder, "sft.jsonl", {"prompt": [ASKED], "completion": whole}, {"conversations": [{"from": "human", "value": "?"}]}, {"prompt": [ASKED], "completion": [SHOWN]})
    write(folder, "dpo.jsonl", {"prompt": [ASKED], "chosen": whole, "rejected": [ASKED, SAID]}, {"prompt": [ASKED], "chosen": [SHOWN], "rejected": [SAID]})
    for kind in ("sft", "dpo"):
        done = convert(folder, kind, f"{kind}.jsonl", "--for", "trl", "-o", "out.jsonl")
        assert "1 left out: an answer that begins with another message than the assistant's" in done.stdout and len(rows(folder / "out.jsonl")) == 1
    assert "1 left out: conversations: rename them" in convert(folder, "sft", "sft.jsonl", "--for", "trl", "-o", "out.jsonl").stdout


def test_a_result_after_a_word_of_the_user_is_that_of_its_call(folder: Path) -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    late = [ASKED, {"role": "assistant", "content": "", "tool_calls": calls}, ASKED, {"role": "tool", "tool_call_id": "c", "content": "4"}, SHOWN]
    write(folder, "chat.jsonl", {"messages": late}, {"messages": [*late[:4], late[3], SHOWN]})
    write(folder, "run.jsonl", rollout(0, [ASKED], CALL, ASKED, {"type": "function_call_output", "call_id": "c", "output": "4"}, SHOWN))
    told = [convert(folder, "sft", f"{name}.jsonl", "--for", "trl", "-o", f"{name}_out.jsonl").stdout for name in ("chat", "run")]
    assert rows(folder / "chat_out.jsonl")[0]["messages"] == rows(folder / "run_out.jsonl")[0]["messages"]
    assert "2 rows in, 1 out" in told[0] and "1 left out: a tool result without its call" in told[0]


def test_examples_in_named_system_messages_are_no_instructions(folder: Path) -> None:
    shown = [{"role": "system", "name": f"example_{who}", "content": "x"} for who in ("user", "assistant")]
    write(folder, "chat.jsonl", {"messages": [*shown, ASKED, SHOWN]}, {"messages": [ASKED | {"name": "ann"}, SHOWN]})
    done = convert(folder, "sft", "chat.jsonl", "--for", "trl", "-o", "out.jsonl")
    assert "1 left out: a system message with a name" in done.stdout and [row["messages"] for row in rows(folder / "out.jsonl")] == [[ASKED, SHOWN]]


def test_answers_that_differ_in_an_argument_alone_are_a_pair(folder: Path) -> None:
    for one, other in (("-1", "-2"), ("true", "1")):
        talks = [rollout(0, [ASKED], CALL | {"arguments": f'{{"x": {value}}}'}, reward=float(n), repeat=n) for n, value in enumerate((one, other))]
        done = convert(folder, "dpo", write(folder, "run.jsonl", *talks), "--for", "trl", "-o", "out.jsonl")
        assert "1 pairs or tasks in, 1 out" in done.stdout, done.stdout


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
