"""Write the file that a trainer reads, of rollouts or of training sets made from them.

    python convert_for_trainers.py sft ROLLOUTS --for trl -o sft.jsonl
    python convert_for_trainers.py dpo ROLLOUTS --for trl llamafactory ms-swift -o converted/
    python convert_for_trainers.py kto ROLLOUTS --for trl -o kto.jsonl
    python convert_for_trainers.py rl TASKS --for trl -o prompts.jsonl

For several trainers, -o is a folder, and the files in it are named TRAINER_KIND: trl_sft.jsonl, verl_sft.parquet.
Several inputs become one file of rows; each input is a run of its own, whose tasks are not mixed with those of another.
`flat` writes tools, calls and results as text, as the templates of Qwen 2.5, Qwen 3 and Hermes do, for trainers that lose them.

ROLLOUTS is what `gym eval run` wrote with -o, or rows that hold `messages`, or `prompt` and `completion`, or `prompt`, `chosen`
and `rejected` already, as make_training_sets.py writes them. Both become the same messages. Every row that is left out is counted
under its reason. Parquet needs pyarrow, which nemo-gym brings; all else is the standard library.

Exit code: 0 done, 1 no row was left to write, 2 bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from rollout_to_chat import arguments_of, convert, dpo_row as pair_of, source_of, text_of, tools_of
from rollouts import BadInput, NoChat, Seen, Unclear, cut_off, dict_of, dumps, kind_of, lines, loads, masked, row_at, split_thoughts, unusable, writing, KINDS, REPEAT
from trainer_rows import APART, describe_for_llamafactory, dpo_row, first_difference, kto_row, placed, remarks, rl_row, sft_row, text

TRAINERS = ("trl", "unsloth", "llamafactory", "ms-swift", "axolotl", "torchtune", "verl", "openrlhf", "nemo-rl", "flat")
# What a trainer has no loader for, or what this script makes nothing for.
CANNOT = {("dpo", "verl"): "verl 0.9.1 has no DPO trainer. Take --for trl, openrlhf or nemo-rl"}
CANNOT |= {("kto", trainer): "kto rows are written for trl and unsloth" for trainer in TRAINERS if trainer not in ("trl", "unsloth")}
CANNOT |= {("rl", trainer): "prompts for online RL are written for trl, unsloth, verl, openrlhf and nemo-rl"
           for trainer in ("llamafactory", "ms-swift", "axolotl", "torchtune", "flat")}


class NotARow(NoChat):
    """What is no training row at all: counted like the others, and told with its line if nothing else was there."""


# ---------------------------------------------------------------------------------------------------------------------
# Rows of a training set


def mend(message: object) -> dict:
    """One chat message as trainers and their templates want it: arguments are objects, content is a string, developer is system."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise NotARow("a message without a role")
    role = message["role"]
    if role not in ("system", "developer", "user", "assistant", "tool"):
        raise NoChat(f"message with the role {role}")
    mended = {"role": "system" if role == "developer" else role}
    if message.get("name") and mended["role"] == "system":
        raise NoChat("a system message with a name, as examples have it: templates leave the name out")
    if message.get("tool_call_id"):
        mended["tool_call_id"] = message["tool_call_id"]
    for name in ("thinking", "reasoning", "reasoning_content"):  # as endpoints and templates name it
        if isinstance(message.get(name), str) and message[name]:
            mended["reasoning_content"] = message[name]
    content = message.get("content") or message.get("refusal")
    if content is not None and not isinstance(content, (str, list)):
        raise NotARow("content that is neither text nor a list of parts")
    mended["content"] = text_of(content)
    if message.get("function_call"):
        raise NoChat("a legacy function_call: write it as tool_calls")
    if message.get("audio"):
        raise NoChat("content of type audio")
    marks = [message.get(name) for name in ("weight", "loss", "train", "training")]
    if any(mark not in (None, 0, 1) for mark in marks):
        raise NoChat("a message that is to be trained on in part (weight, loss or train): these trainers learn it or leave it")
    if role == "assistant" and 0 in marks:  # or False
        mended["train"] = False
    calls = []
    given = message.get("tool_calls") or ()
    for call in given if isinstance(given, list) else [given] if given else ():
        function = dict_of(call, "function") if isinstance(call, dict) else {}
        if not isinstance(function.get("name"), str):
            raise NotARow("a tool call without a name")
        calls.append({"id": call.get("id"), "type": "function", "function": {"name": function["name"], "arguments": arguments_of(function.get("arguments"))}})
    return mended | ({"tool_calls": calls} if calls else {})


def mended(given: object, what: str, reasoning: str) -> list[dict]:
    if not isinstance(given, list):
        raise NotARow(f"{what} is {'missing or null' if given is None else 'a string' if isinstance(given, str) else 'no list'}, not a list of messages")
    return [placed(mend(message), reasoning) for message in given]


def conversation(prompt: list[dict], answer: list[dict]) -> tuple[list[dict], list[dict]]:
    """Prompt and answer of chat messages, with one system message at the start. Raises NoChat if there is nothing to learn."""
    prompt, answer = list(prompt), list(answer)
    while len(prompt) > 1 and prompt[0]["role"] == prompt[1]["role"] == "system":
        prompt[:2] = [{"role": "system", "content": f"{prompt[0]['content']}\n\n{prompt[1]['content']}"}]
    while answer and answer[-1]["role"] != "assistant":
        answer.pop()
    if not answer:
        raise NoChat("no answer")
    if answer[0]["role"] != "assistant":
        raise NoChat("an answer that begins with another message than the assistant's: it repeats the prompt, or a part of the prompt is in it")
    if not any(message["content"].strip() for message in prompt):
        raise NoChat("no prompt")
    open_calls, passed = [], []
    for message in prompt + answer:
        if message["role"] == "tool":
            name = message.get("tool_call_id")
            if name not in open_calls and name not in passed:
                raise NoChat("a tool result without its call")
            (open_calls if name in open_calls else passed).remove(name)
        elif message["role"] == "assistant":
            if open_calls:
                raise NoChat("a tool call without its result")
            open_calls = [call["id"] for call in message.get("tool_calls", ())]
        else:  # a user may answer in place of a tool, as worked examples do
            passed, open_calls = passed + open_calls, []
    if all("train" in message for message in answer if message["role"] == "assistant"):
        raise NoChat("no answer that is to be trained on (weight, loss or train)")
    last = answer[-1]
    if not last.get("tool_calls"):
        try:
            thoughts, rest = split_thoughts(last["content"])
        except Unclear:
            thoughts, rest = [], last["content"]
        if not rest.strip():
            raise NoChat("no answer: the last reply ends while thinking" if thoughts and thoughts[-1] is None else "no answer: the last reply is empty")
    return prompt, answer


def tools_given(row: dict) -> list[dict]:
    """Tool definitions in chat form, of any of the two forms of OpenAI. Raises NoChat for what a row says beside its messages, too."""
    tools = row.get("tools") or []
    if beside := [name for name in ("images", "videos", "audios") if row.get(name)]:
        raise NoChat(f"{beside[0]} beside the messages: rows are text alone")
    if row.get("label") is False:
        raise NoChat("a bad answer: label is false")
    if row.get("functions"):
        raise NoChat("legacy functions: write them as tools")
    if isinstance(tools, str):
        with contextlib.suppress(ValueError):
            tools = loads(tools)
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise NotARow(f"tools are {'a string' if isinstance(tools, str) else 'no list of objects'}, not a list of definitions")
    return tools_of({"responses_create_params": {"tools": tools}})


# ---------------------------------------------------------------------------------------------------------------------
# What a file holds, row by row: parts for the trainer's row, or the reason why there are none


def usable(row: dict) -> None:
    """Raises NoChat for a rollout that nothing must be learned from."""
    if masked(row):
        raise NoChat("masked: mask_sample is true")
    if why := unusable(row):
        raise NoChat(why)


def sft_parts(args: argparse.Namespace, path: Path) -> Iterator[tuple | NoChat]:
    """(prompt, answer, tools, source, split) of each row."""
    seen = Seen(path)
    for number, _, _, row in lines(path):
        try:
            kind = kind_of(row)
            if kind == "rollout":
                seen.add(number, row)
                usable(row)
                if row["reward"] < args.min_reward:
                    raise NoChat(f"reward below {args.min_reward:g}")
                if why := cut_off(row):
                    raise NoChat(f"cut off: {why}")
                yield *convert(row, args.reasoning), source_of(row, path, number), False
            elif kind == "completion":
                yield *conversation(mended(row["prompt"], "prompt", args.reasoning), mended(row["completion"], "completion", args.reasoning)), tools_given(row), row.get("source") or {}, True
            elif "messages" in row:
                messages = mended(row["messages"], "messages", args.reasoning)
                start = next((place for place, message in enumerate(messages) if message["role"] == "assistant"), len(messages))
                yield *conversation(messages[:start], messages[start:]), tools_given(row), row.get("source") or {}, False
            else:
                if "conversations" in row:
                    raise NotARow("conversations: rename them to messages with role and content")
                raise NotARow(f"neither a rollout nor messages, but {KINDS[kind]}" if kind != "unknown" else "neither a rollout nor messages nor prompt and completion")
        except NoChat as reason:
            yield located(reason, path, number)


class Best:
    """Of each task the best rollout so far, or the worst: its reward, its repeat, where it stands in the file, of how many: 40 bytes."""

    def __init__(self, sign: int) -> None:
        self.sign, self.reward, self.repeat = sign, array("d"), array("q")
        self.offset, self.line, self.count = array("q"), array("q"), array("q")

    def add(self, task: int) -> None:
        if task == len(self.offset):
            for column, start in ((self.reward, 0.0), (self.repeat, 0), (self.offset, -1), (self.line, 0), (self.count, 0)):
                column.append(start)

    def offer(self, task: int, row: dict, offset: int, line: int) -> None:
        """Of equal rewards, the first repeat is the best and the last one the worst, whatever their order in the file."""
        repeat = row.get(REPEAT)
        self.count[task] += 1
        new = row["reward"], repeat if type(repeat) is int and abs(repeat) < 2**63 else 0
        old = self.reward[task], self.repeat[task]
        if self.offset[task] < 0 or (self.sign * new[0], -self.sign * new[1]) > (self.sign * old[0], -self.sign * old[1]):
            self.reward[task], self.repeat[task], self.offset[task], self.line[task] = *new, offset, line


def dpo_parts(args: argparse.Namespace, path: Path) -> Iterator[tuple | NoChat]:
    """(prompt, chosen, rejected, tools, source) of each pair. Of rollouts, the best and the worst of each task, read again at the end."""
    best, worst, seen, lost = Best(1), Best(-1), Seen(path), {}
    for number, offset, _, row in lines(path):
        try:
            kind = kind_of(row)
            if kind == "rollout":
                task = seen.add(number, row)
                best.add(task)
                worst.add(task)
                try:
                    usable(row)
                    convert(row, args.reasoning)
                except NoChat as reason:
                    lost.setdefault(task, str(reason))
                    continue
                worst.offer(task, row, offset, number)
                if not cut_off(row):  # a cut-off answer is never the better one
                    best.offer(task, row, offset, number)
            elif kind == "pair":
                given = mended(row.get("prompt"), "prompt", args.reasoning)
                prompt, chosen = conversation(given, mended(row["chosen"], "chosen", args.reasoning))
                yield prompt, chosen, conversation(given, mended(row["rejected"], "rejected", args.reasoning))[1], tools_given(row), row.get("source") or {}
            else:
                raise NotARow(f"neither a rollout nor a pair (prompt, chosen, rejected), but {KINDS[kind]}")
        except NoChat as reason:
            yield located(reason, path, number)
    with open(path, "rb") as file:
        for task in range(len(best.offset)):
            try:
                if best.offset[task] < 0:
                    raise NoChat(f"no rollout of the task is usable: {lost.get(task, 'cut off')}")
                if worst.count[task] == 1:
                    raise NoChat(f"only one rollout of the task is usable: {lost[task]}" if task in lost else "only one rollout of the task")
                if best.count[task] == 1 and best.offset[task] == worst.offset[task]:
                    raise NoChat("all rollouts of the task but the worst one are cut off")
                if best.offset[task] == worst.offset[task] or best.reward[task] - worst.reward[task] < args.min_gap - 1e-9:  # 0.7 - 0.2 is a little less than 0.5
                    raise NoChat("no two rollouts of the task differ enough in reward")
                one, other = row_at(file, best.offset[task]), row_at(file, worst.offset[task])
                row = pair_of(one, other, args.reasoning, (path, best.line[task]), (path, worst.line[task]))
                yield row["prompt"], row["chosen"], row["rejected"], row.get("tools") or [], row["source"]
            except NoChat as reason:
                yield reason


def kto_parts(args: argparse.Namespace, path: Path) -> Iterator[tuple | NoChat]:
    """(prompt, answer, tools, source, good) of each rollout."""
    seen = Seen(path)
    for number, _, _, row in lines(path):
        try:
            if kind_of(row) != "rollout":
                raise NotARow(f"no rollout, but {KINDS[kind_of(row)]}")
            seen.add(number, row)
            usable(row)
            if row["reward"] >= args.min_reward and (why := cut_off(row)):
                raise NoChat(f"cut off, and no bad answer: {why}")
            yield *convert(row, args.reasoning), source_of(row, path, number), row["reward"] >= args.min_reward
        except NoChat as reason:
            yield located(reason, path, number)


def rl_parts(args: argparse.Namespace, path: Path) -> Iterator[tuple]:
    for number, _, _, row in lines(path):
        yield row, located(NotARow(f"no task row, but {KINDS[kind_of(row)]}"), path, number)


def located(reason: NoChat, path: Path, number: int) -> NoChat:
    reason.where = f"{path}:{number}"
    return reason


# ---------------------------------------------------------------------------------------------------------------------
# Files

PARTS: dict[str, Callable] = {"sft": sft_parts, "dpo": dpo_parts, "kto": kto_parts, "rl": rl_parts}
ROWS: dict[str, Callable] = {"sft": sft_row, "dpo": dpo_row, "kto": kto_row, "rl": rl_row}


def write(path: Path, rows: Iterator[dict], parquet: bool) -> None:
    if not parquet:
        with writing(path) as out:
            for row in rows:
                out.write(dumps(row))
        return
    import pyarrow
    import pyarrow.parquet

    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


class Counts:
    """How many rows went in and out, why the others did not, what to know of those that did, and the first that was no row at all.

    apart: write SFT rows as prompt and completion. split, whole: some rows must be so, some did not come so.
    """

    def __init__(self, apart: bool = False) -> None:
        self.given, self.made, self.reasons, self.remarks, self.odd = 0, 0, Counter(), Counter(), ""
        self.apart, self.split, self.whole = apart, False, False

    def rows(self, args: argparse.Namespace, trainer: str) -> Iterator[dict]:
        for parts in chain.from_iterable(PARTS[args.kind](args, path) for path in args.inputs):
            self.given += 1
            try:
                if isinstance(parts, NoChat):
                    raise parts
                if args.kind == "dpo" and args.first_difference:
                    parts = (*first_difference(*parts[:3]), *parts[3:])
                row = ROWS[args.kind](trainer, *parts[:-1], parts[-1] or self.apart) if args.kind == "sft" else ROWS[args.kind](trainer, *parts)
            except NoChat as reason:
                if isinstance(reason, NotARow) and not self.odd:
                    self.odd = f"{reason.where}: {reason}"
                self.reasons[str(reason)] += 1
                continue
            self.made += 1
            self.remarks.update(remarks(args.kind, trainer, parts))
            if args.kind == "sft" and trainer in APART:
                self.split |= parts[-1] or any(message["role"] == "assistant" for message in parts[0])
                self.whole |= not parts[-1]
            yield row | {"tools": text(row["tools"])} if args.text_tools and trainer in APART and "tools" in row else row


def one_file(args: argparse.Namespace, trainer: str, output: Path) -> bool:
    """Write one trainer's file and say what went in, what came out, and why the rest did not."""
    for apart in (False, True):
        counts = Counts(apart)
        rows = counts.rows(args, trainer)
        if first := next(rows, None):
            write(output, chain([first], rows), output.suffix == ".parquet")
        if not (counts.split and counts.whole):
            break  # else once more, since the rows of a file have one form
    if not counts.made and counts.odd and len(counts.reasons) == 1:
        raise BadInput(f"{counts.odd}. Give rollouts, or rows of make_training_sets.py")
    what = {"sft": "rows", "dpo": "pairs or tasks", "kto": "rollouts", "rl": "tasks"}[args.kind]
    print(f"{output}: {counts.given} {what} in, {counts.made} out for {trainer}")
    for reason, count in counts.reasons.most_common():
        print(f"  {count} left out: {reason}")
    for (one, several), count in counts.remarks.items():
        print(f"  1 {one}" if count == 1 else f"  {count} {several}")
    if not counts.made:
        print(f"  nothing written{': the older file of that name is kept' if output.exists() else ''}")
    if counts.made and trainer == "llamafactory":
        describe_for_llamafactory(output, args.kind)
    return bool(counts.made)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=PARTS, help="fine-tuning, preference pairs, single answers with a verdict, or prompts for online RL")
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="rollouts, training sets, or for rl task rows")
    parser.add_argument("--for", dest="trainers", nargs="+", choices=TRAINERS, required=True, help="who reads the output")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSONL; Parquet for sft --for verl; a folder for several trainers")
    parser.add_argument("--min-reward", type=float, default=1.0, help="sft: leave out rollouts below it; kto: good from here (default: %(default)s)")
    parser.add_argument("--min-gap", type=float, default=0.5, help="dpo: least difference of the two rewards (default: %(default)s)")
    parser.add_argument("--reasoning", choices=("think", "field", "drop"), default="think", help="<think> in the content, the field reasoning_content, or none (default: %(default)s, which leaves training sets as they are)")
    parser.add_argument("--first-difference", action="store_true", help="dpo: of answers of several messages, compare the first that differ")
    parser.add_argument("--text-tools", action="store_true", help="trl, unsloth: tools as JSON text, which both take, and whose keys datasets cannot reorder")
    args = parser.parse_args()
    cannot = {trainer: CANNOT[args.kind, trainer] for trainer in args.trainers if (args.kind, trainer) in CANNOT}
    if not set(args.trainers) - set(cannot):
        parser.error(cannot[args.trainers[0]])
    suffixes = {trainer: ".parquet" if (args.kind, trainer) == ("sft", "verl") else ".jsonl" for trainer in args.trainers if trainer not in cannot}
    outputs = {trainer: args.output / f"{trainer}_{args.kind}{suffix}" for trainer, suffix in suffixes.items()}
    if len(set(args.trainers)) == 1:
        outputs = dict.fromkeys(outputs, args.output)
    elif args.output.is_file():
        parser.error(f"{args.output} is a file. For several trainers, -o names a folder")
    if wrong := next((trainer for trainer, output in outputs.items() if output.suffix != suffixes[trainer]), None):
        parser.error(f"-o wants a file name that ends with {suffixes[wrong]}, or a folder if --for names several trainers")
    if {output.resolve() for output in outputs.values()} & {path.resolve() for path in args.inputs}:
        parser.error("-o would overwrite the input")
    if twice := next((path for path, count in Counter(path.resolve() for path in args.inputs).items() if count > 1), None):
        parser.error(f"{twice} is given twice")
    for trainer, why in cannot.items():
        print(f"{trainer}: no file: {why}")
    try:
        good = [one_file(args, trainer, output) for trainer, output in outputs.items()]
    except BadInput as error:
        print(f"convert_for_trainers.py: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"convert_for_trainers.py: {error}. Run it with a Python that has pyarrow, such as that of nemo-gym", file=sys.stderr)
        return 2
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
