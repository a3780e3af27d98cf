"""What a rollout is: the one module of these guides that knows what a line of `gym eval run` holds. Standard library only.

    from rollouts import Rollouts, said, unusable, writing

    run = Rollouts("results/run/rollouts.jsonl")
    with writing("kept.jsonl") as out:
        for number, offset, raw, row in run:
            if not unusable(row):
                out.write(raw)  # the bytes of the line, unchanged
    print(*run.notes(), sep="\\n")

Rows are plain dicts. The functions take any JSON object with a `response` and raise nothing but BadInput and NoChat.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jsonl import BadInput, digest, dumps, lines, loads, plain, raw_lines, row_at, writing  # noqa: F401 (so that scripts have all from here)

TASK, REPEAT = "_ng_task_index", "_ng_rollout_index"
LISTS = "the output is a list of lists: an agent with return_transitions: true wrote it"


def brief(text: object) -> str:
    """What a row says, on one line and not too long."""
    return " ".join(str(text).split())[:120]


def type_of(value: object) -> str:
    """What a JSON value is: the same word whichever library read it."""
    return {dict: "object", list: "list", str: "string", bool: "truth value", type(None): "null"}.get(type(value), "number")


class NoChat(Exception):
    """Why a rollout cannot become training data, in a few words that can be counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(brief(reason))


class Unclear(NoChat):
    """The text holds marks of reasoning where it cannot be told what is reasoning and what is the answer."""


class Rollouts:
    """The rollouts of a file, as ``lines`` gives them. Rows of another kind are in ``others``: why, by their line number.

    Raises BadInput at the end if no row is a rollout.
    """

    def __init__(self, path: Path | str, torn_end: bool = False) -> None:
        self.path, self.torn_end = path, torn_end
        self.count, self.without_index, self.others = 0, 0, {}

    def __iter__(self) -> Iterator[tuple[int, int, bytes, dict]]:
        self.count, self.without_index, self.others, first = 0, 0, {}, None
        for entry in lines(self.path, self.torn_end):
            row = entry[3]
            if type(row.get("response")) is dict:
                self.count += 1
                self.without_index += TASK not in row
                yield entry
            else:
                self.others[entry[0]] = why = f"no rollout, but {KINDS[kind_of(row)]}"
                first = first or f"{self.path}:{entry[0]}: {why}. Give the file that gym eval run wrote with -o"
        if not self.count:
            raise BadInput(first)

    def notes(self) -> list[str]:
        """What a script says about the file, after it has read it."""
        said = [f"{self.path}: {count} rows left out: {why}" for why, count in Counter(self.others.values()).most_common()]
        if self.without_index:
            said.append(f"{self.path}: {self.without_index} of {self.count} rollouts have no {TASK}, as older examples: their prompt stands for the task")
        return said


class Seen:
    """Numbers the tasks of a file, and tells a task and repeat that was there before. One integer per task, whose bits are its repeats."""

    def __init__(self, path: Path | str) -> None:
        self.path, self.more = path, set()
        self.tasks: dict[int | str, int] = {}  # in the order of the file
        self.bits: list[int] = []

    def add(self, number: int, row: dict) -> int:
        """The number of the row's task, from 0. Raises BadInput for a duplicate; without a repeat number, only the same row again is one."""
        task, repeat = key_of(row)
        place = self.tasks.setdefault(task, len(self.bits))
        if place == len(self.bits):
            self.bits.append(0)
        if repeat is not None and 0 <= repeat < 4096:
            one = 1 << repeat
            new = not self.bits[place] & one
            self.bits[place] |= one
        else:
            key = digest(task, repeat, row if repeat is None else None)
            new = key not in self.more
            self.more.add(key)
        if not new:
            raise BadInput(
                f"{self.path}:{number}: task {task}, repeat {repeat} is there twice. Two runs in one file? "
                "Their task numbers mean different tasks: take each run on its own"
            )
        return place


# ---------------------------------------------------------------------------------------------------------------------
# What a row is

KINDS = {
    "rollout": "a rollout", "failure": "a row of the failures sidecar", "verdict": "a verdict of the health check",
    "profile": "a row of gym eval profile", "aggregate": "aggregate metrics", "pair": "a preference pair", "completion": "a prompt with its completion",
    "chat": "a chat row", "result": "a result without a response", "task": "a task row", "unknown": "a row of an unknown kind",
}


def kind_of(row: dict) -> str:
    """What a row is, one of KINDS. A row with a ``response`` is a rollout, whatever other fields it has."""
    if isinstance(row.get("response"), dict):
        return "rollout"
    for kind, fields in (
        ("failure", ("_ng_failure_class",)), ("verdict", ("verdict", "findings")), ("profile", ("sample", "mean/reward")), ("profile", ("rollout_infos",)),
        ("aggregate", ("agent_metrics",)), ("result", ("_ng_result_type",)), ("result", ("responses_create_params", "reward")),
        ("task", ("responses_create_params",)), ("pair", ("chosen", "rejected")), ("completion", ("prompt", "completion")),
        ("chat", ("messages",)), ("chat", ("conversations",)), ("result", ("reward",)),
    ):
        if all(field in row for field in fields):
            return kind
    return "unknown"


def dict_of(row: dict, name: str) -> dict:
    """A field that is an object; an empty one if it is missing or something else."""
    value = row.get(name)
    return value if type(value) is dict else {}


def list_of(row: dict, name: str) -> list:
    """The objects of a field that is a list."""
    value = row.get(name)
    return [item for item in value if type(item) is dict] if type(value) is list else []


def field_of(row: dict, dotted: str):
    """The value of a field such as ``metadata.family``, or None."""
    value = row
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def task_of(row: dict) -> int | str:
    """The task of a rollout: `_ng_task_index`, else its whole prompt."""
    task = row.get(TASK)
    return task if type(task) is int or type(task) is str else f"prompt-{prompt_key(row)}"


def key_of(row: dict) -> tuple[int | str, int | None]:
    """Task and repeat, by which Gym names a rollout."""
    task, repeat, stage = task_of(row), row.get(REPEAT), row.get("stage_index")
    return task if stage is None else f"{task}, stage {stage}", repeat if type(repeat) is int else None


def group_of(row: dict) -> str | None:
    """The environment of a row: `task_source`, else the name of its agent."""
    name = row.get("task_source") or dict_of(row, "agent_ref").get("name")
    return None if name is None else brief(name)


def prompt_items(params: dict) -> list:
    """The input of a request as a new list of items."""
    given = params.get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given) if isinstance(given, list) else []


def prompt_of(row: dict) -> list:
    """The prompt of a rollout, a task row or a chat row, as items or messages.

    A chat row's prompt ends before its last assistant message. An agent that writes its own prompt records it at the start of the output.
    """
    params = dict_of(row, "responses_create_params")
    if params:
        items = prompt_items(params)
        if not items:
            for item in list_of(dict_of(row, "response"), "output"):
                if item.get("role") not in ("system", "developer", "user"):
                    break
                items.append(item)
        return [{"role": "system", "content": params["instructions"]}, *items] if params.get("instructions") else items
    if "prompt" in row:
        return row["prompt"] if isinstance(row["prompt"], list) else [{"role": "user", "content": row["prompt"]}]
    messages = list_of(row, "messages") or [
        {"role": {"human": "user", "gpt": "assistant"}.get(str(m.get("from")), m.get("from")), "content": m.get("value")} for m in list_of(row, "conversations")
    ]
    last = next((n for n in range(len(messages) - 1, -1, -1) if messages[n].get("role") == "assistant"), len(messages))
    return messages[:last]


PLAIN_ITEM = {"role", "content", "type"}


def prompt_key(row: dict) -> str:
    """16 hex digits that two rows share if their whole prompts are the same but for case and white space."""
    parts = []
    for item in prompt_of(row):
        if not isinstance(item, dict):
            parts.append(repr(item))
            continue
        content, role = item.get("content"), item.get("role")
        if type(content) is str and type(role) is str and role != "developer" and item.keys() <= PLAIN_ITEM:  # most are, and it takes a third of the time
            parts.append(f"{role}: " + " ".join(content.split()).casefold())
            continue
        texts = [part.get("text") or {k: v for k, v in part.items() if k != "type"} if isinstance(part, dict) else part for part in content] if isinstance(content, list) else [content]
        more = [item.get(name) for name in ("name", "arguments", "output", "tool_calls", "function_call") if item.get(name)]
        role = str(item.get("role") or item.get("type")).replace("developer", "system")
        parts.append(f"{role}: " + " ".join(" ".join(str(text) for text in (*texts, *more) if text is not None).split()).casefold())
    return f"{digest(parts):016x}"


# ---------------------------------------------------------------------------------------------------------------------
# Usable or not


def masked(row: dict) -> bool:
    """Whether the environment says that the reward measures nothing: at the top level or in `instance_config`."""
    return bool(row.get("mask_sample") or dict_of(row, "instance_config").get("mask_sample"))


def unmeasured(row: dict) -> str | None:
    """Why the reward of a rollout says nothing about the model, or None."""
    if masked(row):
        return brief(f"masked ({row['failure_kind']})") if row.get("failure_kind") else "masked"
    if "_ng_failure_class" in row or row["response"].get("status") in ("failed", "cancelled"):
        return brief(f"failed ({row.get('_ng_failure_class') or row['response']['status']})")
    reward = row.get("reward")
    if reward is None:
        return "no reward"
    if type(reward) is not float and type(reward) is not int:
        return "the reward is not a number"
    return None if math.isfinite(reward) else "the reward is not finite"


def unusable(row: dict) -> str | None:
    """Why a rollout is no measurement or holds no answer, or None."""
    return unmeasured(row) or unanswered(row)


def unanswered(row: dict) -> str | None:
    """Why a rollout holds no answer, or None: the last turn of the model needs a call, or text after its reasoning."""
    output = row["response"].get("output")
    last = output[-1] if type(output) is list and output else None
    if type(last) is dict and last.get("type") == "message" and last.get("role") == "assistant":  # mostly that is all
        text = text_in(last.get("content"))
        if text and not text.isspace() and not may_think(text):
            return None
    if not output or type(output) is not list:
        return "no answer: the output is empty"
    texts, turn = [], False
    for item in reversed(output):
        if type(item) is not dict:
            return LISTS if type(item) is list else f"item of type {type_of(item)}"
        kind, role = item.get("type") or "message", item.get("role")
        if role == "assistant" and kind == "message":
            if item.get("tool_calls"):
                return None
            texts.append(text_in(item.get("content")))
        elif role is None and str(kind).endswith("_call"):
            return None
        elif kind != "reasoning":
            if turn:
                break
            continue
        turn = True
    if not turn:
        return "no answer: the model said nothing"
    text = "".join(reversed(texts))
    try:
        thoughts, answer = split_thoughts(text)
    except Unclear:
        return None
    if answer.strip():
        return None
    return "no answer: the last reply ends while thinking" if thoughts and thoughts[-1] is None else "no answer: the last reply is empty"


def cut_off(row: dict) -> str | None:
    """Why the rollout is incomplete: max_output_tokens (which a full context gives, too), empty_output, ... or None."""
    response = row["response"]
    reason = dict_of(response, "incomplete_details").get("reason") or dict_of(response, "metadata").get("ng_termination_reason")
    return brief(reason) if reason else "incomplete" if response.get("status") == "incomplete" else None


def tokens_of(row: dict) -> int | None:
    """Output tokens of the whole rollout, over all its model calls; None if the endpoint did not say."""
    tokens = dict_of(row["response"], "usage").get("output_tokens")
    return tokens if type(tokens) is int and abs(tokens) < 2**53 else None


def has_token_ids(row: dict) -> bool:
    """Whether any item of the output holds the ids of the tokens that the model generated."""
    return any(item.get("generation_token_ids") for item in list_of(row["response"], "output"))


# ---------------------------------------------------------------------------------------------------------------------
# What was said and called

# How models mark reasoning in their text; how their calls look where the endpoint's parser does not fit.
THINK = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"))
CALL_ITEMS, RESULT_ITEMS = ("function_call", "custom_tool_call"), ("function_call_output", "custom_tool_call_output")
CALLS = ("<tool_call", "<function=", "<function_call", "<invoke ", "[TOOL_CALLS]", "<|python_tag|>", "<|tool_call", "<TOOLCALL>", "<｜tool▁call", "<minimax:tool_call>")


def text_in(content) -> str:
    """The text of a content, whatever else is in it."""
    if type(content) is str:
        return content
    if type(content) is not list:
        return ""
    texts = [part.get("text") or part.get("refusal") if type(part) is dict else part for part in content]
    if len(texts) == 1 and type(texts[0]) is str:  # nearly always
        return texts[0]
    return "".join([text for text in texts if type(text) is str])


def may_think(text: str) -> bool:
    """Whether marks of reasoning can be in a text; nearly all texts are done with the search for single characters."""
    return (">" in text and ("think" in text or "<|channel|>" in text)) or ("]" in text and "THINK]" in text) or "\u25b7" in text


def split_thoughts(text: str) -> tuple[list[str | None], str]:
    """Reasoning that stands in the text, and the answer. A thought that does not end is followed by None.

    `<think>…</think>` at the start and a lone `</think>` are reasoning; marks in any other place raise Unclear.
    """
    if not may_think(text):
        return [], text
    found = [pair for pair in THINK if pair[0] in text or pair[1] in text]
    if len(found) > 1 or "<|channel|>" in text:
        raise Unclear("reasoning in the text that cannot be told from the answer")
    if not found:
        return [], text
    (start, end), thoughts, rest = found[0], [], text
    before, closed, after = text.partition(end)
    if closed and start not in before:
        thoughts, rest = [before.strip()], after
    while rest.lstrip().startswith(start):
        before, closed, rest = rest.lstrip()[len(start):].partition(end)
        thoughts += [before.strip()] if closed else [before.strip(), None]
    if start in rest or end in rest:
        raise Unclear("reasoning in the text that cannot be told from the answer")
    return thoughts, rest.lstrip("\n")


def call_in_text(text: str, tools: tuple[str, ...] = ()) -> str | None:
    """How a call that was left in the text begins, or None. With the names of the tools, bare JSON and Python calls are found, too."""
    if "<" in text or "[TOOL_CALLS]" in text:
        for mark in CALLS:
            if mark in text:
                return mark
    start = text.lstrip()[:1]
    if tools and start and start in "[{":
        return next((name for name in tools if f'"name": "{name}"' in text or f'"name":"{name}"' in text or text.lstrip().startswith(f"[{name}(")), None)
    return None


def thoughts_in(item: dict) -> list[str]:
    """The texts of a reasoning item; none if its content is encrypted."""
    given = item.get("summary") or item.get("content")
    return [text for text in [text_in([part]) for part in (given if type(given) is list else [given])] if text]


class Call(NamedTuple):
    """A tool call; ``result`` is None if the rollout does not hold it."""

    name: str
    arguments: object
    result: object


class Said(NamedTuple):
    """What is in `response.output`: the model's texts and reasoning, its calls, and how the rollout ends.

    ``lost`` counts calls without a result after which the model went on: its turns cannot be put apart again.
    ``ends`` is the type of the last message of the model, call or result: message, function_call, function_call_output, ...
    """

    texts: list[str]
    thoughts: list[str]
    calls: list[Call]
    lost: int
    ends: str | None


def said(row: dict) -> Said:
    """Walk through the items of a rollout."""
    texts, thoughts, calls, ends = [], [], [], None
    pending: dict[object, list[list]] = {}
    waiting, before, doubtful = 0, None, False  # calls without a result so far; the item before; the model goes on without it
    items = list_of(row["response"], "output")
    for item in items:
        kind = item.get("type") or "message"
        if kind == "message":
            if item.get("role") != "assistant":
                before = None
                continue
            texts.append(text_in(item.get("content")))
            doubtful |= waiting > 0
        elif kind == "reasoning":
            thoughts += thoughts_in(item)
            doubtful |= waiting > 0
            before = kind
            continue
        elif kind in CALL_ITEMS:
            doubtful |= waiting > 0 and before not in CALL_ITEMS
            waiting += 1
            call = [str(item.get("name")), item.get("arguments") if kind == "function_call" else {"input": item.get("input")}, None]
            calls.append(call)
            pending.setdefault(str(item.get("call_id")), []).append(call)
        elif kind in RESULT_ITEMS:
            if places := pending.get(str(item.get("call_id"))):
                places.pop(0)[2] = item.get("output")
                waiting -= 1
        else:
            before = None
            continue
        before = ends = kind
    return Said(texts, thoughts, [Call(*call) for call in calls], lost_calls(items) if doubtful else 0, ends)


def lost_calls(items: list[dict], prompt: int = 0) -> int:
    """Calls without a result after which the model went on. Of the first ``prompt`` items, a user may answer in place of a tool."""
    pending: list[list] = []  # the calls that wait for a result: [id, whether the model said more in the same turn]
    lost, turn = 0, False
    for number, item in enumerate(items):
        kind, role = item.get("type") or "message", item.get("role")
        own = role == "assistant" or kind in CALL_ITEMS or kind == "reasoning"
        if own and not turn:
            lost, pending = lost + len(pending), []
        if kind in CALL_ITEMS or item.get("tool_calls"):
            calls = list_of(item, "tool_calls")
            pending += [[call.get("id"), False] for call in calls] if calls else [[item.get("call_id"), False]]
        elif own:
            pending = [[name, True] for name, _ in pending]
        elif kind in RESULT_ITEMS or role == "tool":
            name = item.get("call_id", item.get("tool_call_id"))
            place = next((place for place, call in enumerate(pending) if call[0] == name), None)
            if place is not None:
                del pending[place]
        elif number < prompt:
            pending = []
        turn = own
    return lost + sum(passed for _, passed in pending)


def frozen(value):
    """A JSON value as one that has a hash, whatever the order of its keys."""
    if isinstance(value, dict):
        return frozenset((key, frozen(inner)) for key, inner in value.items())
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def arguments_in(call: Call):
    """The arguments of a call as JSON, or as they are if they are none."""
    try:
        return loads(call.arguments) if isinstance(call.arguments, str) else call.arguments
    except ValueError:
        return call.arguments


def answer_key(seen: Said) -> int:
    """A hash of what the model said and called, without ids: two answers of one process are the same if it is."""
    if not seen.calls:
        return hash((*seen.texts, None, *seen.thoughts))
    return hash((*seen.texts, None, *seen.thoughts, None, *[(call.name, frozen(arguments_in(call))) for call in seen.calls]))


def tools_offered(row: dict) -> list[dict]:
    """The tool definitions in the row. Without any, the agent may have brought its own: the row cannot tell."""
    return list_of(dict_of(row, "responses_create_params"), "tools") or list_of(row["response"], "tools")
