"""What a rollout says: whether its reward counts, what the model said, thought and called, and what came back.

`rollouts.py` finds the rollouts of a file and hands on all that is here. The functions take any JSON object with a `response`
and raise nothing but NoChat.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import NamedTuple

from jsonl import strict

FINITE = sys.float_info.max
UNFINISHED = ("incomplete", "in_progress", "queued")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LISTS = "the output is a list of lists: an agent with return_transitions: true wrote it"


def brief(text: object) -> str:
    """What a row says, on one line and not too long; what would steer a terminal as its escapes."""
    text = str(text)
    return _brief(text) if len(text) < 120 else _brief.__wrapped__(text)  # mostly the name of a few environments


@lru_cache(256)
def _brief(text: str) -> str:
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], " ".join(text.split())[:120])


def type_of(value: object) -> str:
    """What a JSON value is: the same word whichever library read it."""
    return {dict: "object", list: "list", str: "string", bool: "truth value", type(None): "null"}.get(type(value), "number")


class NoChat(Exception):
    """Why a rollout cannot become training data, in a few words that can be counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(brief(reason))


class Unclear(NoChat):
    """The text holds marks of reasoning where it cannot be told what is reasoning and what is the answer."""


def dict_of(row: dict, name: str) -> dict:
    """A field that is an object; an empty one if it is missing or something else."""
    value = row.get(name)
    return value if type(value) is dict else {}


def list_of(row: dict, name: str) -> list:
    """The objects of a field that is a list."""
    value = row.get(name)
    return [item for item in value if type(item) is dict] if type(value) is list else []


def number_of(row: dict, name: str) -> float | None:
    """A time or a count: a number that is finite and not negative, else None, which is unknown."""
    value = row.get(name)
    return value if type(value) in (int, float) and 0 <= value < 1e300 else None


def field_of(row: dict, dotted: str):
    """The value of a field such as ``metadata.family``, or None."""
    value = row
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


# ---------------------------------------------------------------------------------------------------------------------
# Usable or not


def masked(row: dict) -> bool:
    """Whether the environment says that the reward measures nothing: at the top level or in `instance_config`."""
    return bool(row.get("mask_sample") or "instance_config" in row and dict_of(row, "instance_config").get("mask_sample"))


def unmeasured(row: dict) -> str | None:
    """Why the reward of a rollout says nothing about the model, or None."""
    if masked(row):
        return brief(f"masked ({row['failure_kind']})") if row.get("failure_kind") else "masked"
    response = dict_of(row, "response")
    status = "error" if response.get("error") else response.get("status")
    if "_ng_failure_class" in row or status in ("failed", "cancelled", "error"):
        return brief(f"failed ({row.get('_ng_failure_class') or status})")
    reward = row.get("reward")
    if reward is None:
        return "no reward"
    if type(reward) is not float and type(reward) is not int:
        return "the reward is not a number"
    return None if -FINITE <= reward <= FINITE else "the reward is not finite"


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
    for place, name in (("incomplete_details", "reason"), ("metadata", "ng_termination_reason")):
        if reason := response.get(place) and dict_of(response, place).get(name):
            return brief(reason)
    if response.get("status") in UNFINISHED:
        return "incomplete"
    output = response.get("output")
    last = output[-1] if output and type(output) is list else None
    return "incomplete" if type(last) is dict and last.get("status") == "incomplete" else None


def tokens_of(row: dict) -> int | None:
    """Output tokens of the whole rollout, over all its model calls; None if the endpoint did not say."""
    tokens = dict_of(row["response"], "usage").get("output_tokens")
    return tokens if type(tokens) is int and 0 <= tokens < 2**53 else None


def has_token_ids(row: dict) -> bool:
    """Whether any item of the output holds the ids of the tokens that the model generated."""
    return any(item.get("generation_token_ids") for item in list_of(row["response"], "output"))


# ---------------------------------------------------------------------------------------------------------------------
# What was said and called

# How models mark reasoning in their text: tags such as <think>, <THINKING>, <seed:think> and <longcat_think>, and these. `<thought>` is none: prompts
# ask for it, as agentif's do. Marks that leave open where the answer begins; how calls look where the endpoint's parser does not fit.
TAG = re.compile(r"</?((?:(?!no_)\w+[:_])?think(?:ing)?)>", re.IGNORECASE)
THINK = (("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"), ("<|START_THINKING|>", "<|END_THINKING|>"), ("<|channel>thought", "<channel|>"))
UNPAIRED = ("<|channel|>", "<|think", "<think ", "<|begin_of_thought|>")
CALL_ITEMS, RESULT_ITEMS = ("function_call", "custom_tool_call"), ("function_call_output", "custom_tool_call_output")
CALLS = (
    "<tool_call", "<function=", "<function_call", "<invoke ", "[TOOL_CALLS]", "<|python_tag|>", "<|tool_call", "<TOOLCALL>", "<｜tool▁call", "<｜tool_call",
    "<minimax:tool_call>", "<seed:tool_call>", "<longcat_tool_call>", "<|START_ACTION|>", "<start_function_call>", "<｜DSML｜", "<|action_start|>",
    "<xai:function_call",
)
CALLS_WITHOUT_TAG = ("[TOOL_CALLS]", " to=functions.", "functools[{", "```tool_code", "✿FUNCTION✿")


def text_in(content) -> str:
    """The text of a content, whatever else is in it."""
    if type(content) is str:
        return content
    if type(content) is not list:
        return ""
    if len(content) == 1 and type(content[0]) is dict and type(text := content[0].get("text")) is str and text:  # nearly always
        return text
    texts = [part.get("text") or part.get("refusal") if type(part) is dict else part for part in content]
    return "".join([text for text in texts if type(text) is str])


def may_think(text: str) -> bool:
    """Whether marks of reasoning can be in a text; nearly all texts are done with the search for single characters."""
    if ">" in text and ("think" in text or "THINK" in text or "Think" in text or "channel" in text or "of_thought|" in text):
        return True
    return ("]" in text and "THINK]" in text) or "\u25b7" in text or (text.startswith("analysis") and "assistantfinal" in text)


def split_thoughts(text: str) -> tuple[list[str | None], str]:
    """Reasoning that stands in the text, and the answer. A thought that does not end is followed by None.

    `<think>…</think>` at the start and a lone `</think>` are reasoning; marks in any other place raise Unclear, as do gpt-oss's channels,
    whose marks the endpoint may have left out: `analysis…assistantfinal…`.
    """
    if not may_think(text):
        return [], text
    found = [pair for pair in THINK if pair[0] in text or pair[1] in text] + [(f"<{name}>", f"</{name}>") for name in set(TAG.findall(text))]
    if len(found) > 1 or any(mark in text for mark in UNPAIRED) or (text.startswith("analysis") and "assistantfinal" in text):
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


def answer_in(text: str) -> str:
    """The text without reasoning, as far as that can be told."""
    try:
        return split_thoughts(text)[1]
    except Unclear:
        return text


@lru_cache(64)
def bare_calls(tools: tuple[str, ...]) -> tuple[re.Pattern, re.Pattern]:
    """Find a call of one of the tools: anywhere in JSON, and in JSON or Python at the begin of a line."""
    names = "|".join(map(re.escape, tools))
    named = rf'"(?:name|tool|tool_name|function)"\s*:\s*"(?:{names})"'
    return re.compile(named), re.compile(rf"^[ \t]*(?:(?:\[\s*)?\{{\s*{named}|\[(?:{names})\()", re.MULTILINE)


def call_in_text(text: str, tools: tuple[str, ...] = ()) -> str | None:
    """How a call that was left in the text begins, or None. With the names of the tools, bare JSON and Python calls are found, too."""
    marks = CALLS if "<" in text else ()
    if "[" in text or "=" in text or "`" in text or "✿" in text:  # the others hold one of these, and most texts none
        marks += CALLS_WITHOUT_TAG
    for mark in marks:
        if mark in text:
            return mark
    if not tools or "{" not in text and "[" not in text:
        return None
    inside, at_begin = bare_calls(tools)
    start = text.removeprefix("```json").lstrip()
    found = at_begin.search(text) or start.startswith(("[", "{")) and inside.search(start)
    return found[0].strip() if found else None


def thoughts_in(item: dict) -> list[str]:
    """The texts of a reasoning item; none if its content is encrypted."""
    given = item.get("summary") or item.get("content")
    if type(given) is list and len(given) == 1 and type(given[0]) is dict and type(text := given[0].get("text")) is str and text:  # nearly always
        return [text]
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
    pending: dict[str, list[list]] = {}
    waiting, before, doubtful = 0, None, False  # calls without a result so far; the item before; the model goes on without it
    output = row["response"].get("output")
    for item in output if type(output) is list else ():
        if type(item) is not dict:
            continue
        kind = item.get("type") or "message"
        if kind == "message":
            role = item.get("role")
            if role == "tool":  # a chat message in place of a result
                if places := pending.get(str(item.get("tool_call_id"))):
                    places.pop(0)[2] = item.get("content")
                    waiting -= 1
                kind = "function_call_output"
            elif role != "assistant":
                before = None
                continue
            else:
                texts.append(text_in(item.get("content")))
                doubtful |= waiting > 0
                for given in list_of(item, "tool_calls") if item.get("tool_calls") else ():
                    function = dict_of(given, "function")
                    call = [str(function.get("name")), function.get("arguments"), None]
                    calls.append(call)
                    pending.setdefault(str(given.get("id")), []).append(call)
                    waiting, kind = waiting + 1, "function_call"
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
            if str(kind).endswith(("_call", "_call_output")):  # mcp_call, web_search_call, ...: of tools that the endpoint runs
                ends = kind
            before = None
            continue
        before = ends = kind
    lost = lost_calls(list_of(row["response"], "output")) if doubtful else 0
    return Said(texts, thoughts, [Call(*call) for call in calls] if calls else calls, lost, ends)


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


ALIKE = frozenset((-1, 0, 1))  # for Python, true is 1 and false is 0, and -1 has the hash of -2


def frozen(value):
    """A JSON value as one that has a hash, whatever the order of its keys."""
    if type(value) is dict:
        try:
            if ALIKE.isdisjoint(value.values()):
                return frozenset(value.items())
        except TypeError:  # it holds objects or lists
            pass
        return frozenset([(key, frozen(inner)) for key, inner in value.items()])
    if type(value) is list:
        return tuple(map(frozen, value))
    if type(value) is bool:
        return bool, value
    return (int, "-1") if value == -1 else value


def arguments_in(call: Call):
    """The arguments of a call as JSON, or as they are if they are none."""
    try:
        return strict(call.arguments) if isinstance(call.arguments, str) else call.arguments
    except ValueError:
        return call.arguments


def answer_key(seen: Said, arguments: list | None = None) -> int:
    """A hash of what the model said and called, without ids: two answers of one process are the same if it is.

    ``arguments`` are those of the calls as `arguments_in` gives them, if they are at hand.
    """
    if not seen.calls:
        return hash((*seen.texts, None, *seen.thoughts))
    given = map(arguments_in, seen.calls) if arguments is None else arguments
    return hash((*seen.texts, None, *seen.thoughts, None, *[(call.name, frozen(value)) for call, value in zip(seen.calls, given)]))


def tools_offered(row: dict) -> list[dict]:
    """The tool definitions in the row. Without any, the agent may have brought its own: the row cannot tell."""
    return list_of(dict_of(row, "responses_create_params"), "tools") or list_of(row["response"], "tools")


def names_of(tools) -> tuple[str, ...]:
    """The names of tool definitions, as the Responses API or a chat endpoint writes them."""
    given = [tool.get("function") if isinstance(tool.get("function"), dict) else tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return tuple(str(tool["name"]) for tool in given if tool.get("name"))
