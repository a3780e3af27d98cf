"""Turn a NeMo Gym rollout into chat messages that trainers read. Standard library only.

    python rollout_to_chat.py ROLLOUTS.jsonl [--line 1] [--reasoning think|field|drop]

prints the conversation of one line. To convert a file: `make_training_sets.py`, or from your own code:

    from rollout_to_chat import NoChat, sft_row
    from rollouts import Rollouts
    for number, offset, raw, rollout in Rollouts(path):
        try:
            row = sft_row(rollout)
        except NoChat as reason:
            ...

A rollout holds the prompt in `responses_create_params.input` and what followed in `response.output`, both as items of
the Responses API. The messages come out as NeMo Gym's own converter sends them to a chat endpoint, and mended for
trainers: tool-call arguments are objects, content is always a string, developer messages are system messages, the
conversation ends with the model's answer.

Exit code: 0 done, 1 the rollout cannot become a conversation, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rollouts import (
    BadInput, NoChat, Rollouts, cut_off, dumps, field_of, frozen, lines, loads, lost_calls, prompt_items, split_thoughts, tokens_of, unanswered, writing,
)

__all__ = ["cut_off", "tokens_of", "writing"]
TEXT_PARTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
REASONING = ("think", "field", "drop")
dump = dumps


# ---------------------------------------------------------------------------------------------------------------------
# Conversion


def text_of(content) -> str:
    """The text of a content, which is None, a string or a list of parts. Raises NoChat for images, audio and files."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise NoChat(f"content that is a {type(content).__name__}")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
        if kind != "refusal" and kind not in TEXT_PARTS or not isinstance(text, str | None):
            raise NoChat(f"content of type {kind}")
        texts.append(text or "")
    return "".join(texts)


def arguments_of(given) -> dict:
    """Tool-call arguments as an object: a JSON string breaks some chat templates and is quoted twice by others."""
    try:
        parsed = loads(given) if isinstance(given, str) else given
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise NoChat("tool-call arguments are not a JSON object")
    return parsed


def tool_call(call_id, name, arguments) -> dict:
    if not isinstance(name, str) or not name:
        raise NoChat("a tool call without a name")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments_of(arguments)}}


class _Messages:
    """Collects items into messages. Assistant items that follow each other become one message, as the model saw them."""

    def __init__(self, reasoning: str) -> None:
        self.done: list[dict] = []
        self.first: int | None = None  # the first message of the model that holds an item of response.output
        self.last = 0  # how many messages there are up to the model's last one
        self.open: list | None = None  # thoughts, texts, calls
        self.reasoning, self.calls = reasoning, set()

    def close(self) -> None:
        thoughts, texts, calls = self.open
        message = {"role": "assistant"}
        if thoughts and self.reasoning == "field":
            message["reasoning_content"] = "\n".join(thoughts)
        message["content"] = "".join(texts)
        if calls:
            message["tool_calls"] = calls
        self.done.append(message)
        self.open, self.last = None, len(self.done)

    def think(self, text: str) -> None:
        self.open[0].append(text)
        if self.reasoning == "think":
            self.open[1].append(f"<think>{text}</think>")

    def say(self, text: str) -> None:
        """A text of the model, in which reasoning may stand."""
        if self.reasoning != "think":
            thoughts, text = split_thoughts(text)
            self.open[0].extend(filter(None, thoughts))
        self.open[1].append(text)

    def call(self, call_id, name, arguments) -> None:
        self.open[2].append(tool_call(call_id, name, arguments))
        self.calls.add(str(call_id))

    def add(self, item: dict, output: bool) -> None:
        kind, role = item.get("type") or "message", item.get("role")
        if kind == "message" and role == "assistant" or kind == "function_call" or kind == "reasoning":
            if self.open is None:
                self.open = [], [], []
            if output and self.first is None:
                self.first = len(self.done)
            if kind == "function_call":
                self.call(item.get("call_id"), item.get("name"), item.get("arguments"))
            elif kind == "reasoning":
                given = item.get("summary") or item.get("content") or ()
                for text in filter(None, [text_of([part]) for part in given] if isinstance(given, list) else [text_of(given or "")]):
                    self.think(text)
            else:
                if thought := item.get("reasoning_content") or item.get("reasoning"):
                    self.think(text_of(thought))
                self.say(text_of(item.get("content")))
                for call in item.get("tool_calls") or ():
                    function = call.get("function") if isinstance(call, dict) else None
                    if not isinstance(function, dict):
                        raise NoChat("a tool call without a function")
                    self.call(call.get("id"), function.get("name"), function.get("arguments"))
            return
        if self.open is not None:
            self.close()
        if kind == "function_call_output" or kind == "message" and role == "tool":
            name = item.get("call_id") if kind == "function_call_output" else item.get("tool_call_id")
            if str(name) not in self.calls:
                raise NoChat("a tool result without its call")
            self.done.append({"role": "tool", "tool_call_id": name, "content": text_of(item.get("output" if kind == "function_call_output" else "content"))})
        elif kind != "message":
            raise NoChat(f"item of type {kind}")
        elif role in ("user", "system", "developer"):
            self.done.append({"role": "system" if role == "developer" else role, "content": text_of(item.get("content"))})
        else:
            raise NoChat(f"message with the role {role}")


_tools: tuple = ([], [])


def tools_of(rollout: dict) -> list[dict]:
    """The tool definitions of a rollout in chat form. An agent that brings its own tools leaves them in the response."""
    global _tools
    params, response = rollout.get("responses_create_params") or {}, rollout.get("response") or {}
    given = params.get("tools") or response.get("tools") or []
    if given == _tools[0]:  # mostly the same as in the row before
        return _tools[1]
    tools = []
    for tool in given if isinstance(given, list) else [given]:
        kind = tool.get("type") if isinstance(tool, dict) else type(tool).__name__
        if kind != "function":
            raise NoChat(f"tool of type {kind}")
        own = tool["function"] if isinstance(tool.get("function"), dict) else {key: value for key, value in tool.items() if key != "type"}
        tools.append({"type": "function", "function": {key: value for key, value in own.items() if value is not None}})
    _tools = given, tools
    return tools


def convert(rollout: dict, reasoning: str = "think") -> tuple[list[dict], list[dict], list[dict]]:
    """Prompt messages, completion messages and tools of a rollout.

    The completion begins with the model's first message and ends with its last one: a tool result that no reply
    follows is left out. ``reasoning``: "think" leaves it in the content, between <think> and </think> (as Gym sends it
    back to the model), "field" puts it into ``reasoning_content``, "drop" leaves it out.
    Raises NoChat if the rollout has no answer or holds what chat messages of text cannot say.
    """
    params, response = rollout.get("responses_create_params"), rollout.get("response")
    if not isinstance(params, dict) or not isinstance(response, dict):
        raise NoChat("no responses_create_params or no response")
    if why := unanswered(rollout):
        raise NoChat(why)
    given, output = prompt_items(params), response["output"]
    messages = _Messages(reasoning)
    if params.get("instructions"):
        messages.done.append({"role": "system", "content": text_of(params["instructions"])})
    for items, own in ((given, False), (output, True)):
        for item in items:
            if type(item) is not dict:
                raise NoChat(f"item of type {type(item).__name__}")
            messages.add(item, own)
    if messages.open is not None:
        messages.close()
    if messages.calls and lost_calls(given + output, len(given)):
        raise NoChat("a tool call without its result")

    start, done = messages.first, messages.done[: messages.last]
    if start is None:
        raise NoChat("no answer: the model said nothing")
    while len(done) > 1 and done[0]["role"] == done[1]["role"] == "system":  # many templates take one, at the start
        done[:2] = [{"role": "system", "content": f"{done[0]['content']}\n\n{done[1]['content']}"}]
        start -= 1
    if not any(message["content"] for message in done[:start]):
        raise NoChat("no prompt")
    return done[:start], done[start:], tools_of(rollout)


def messages_key(messages: list[dict]) -> int:
    """A hash of what was said and called, without the call ids, which differ every time. It holds within one process."""
    return hash(tuple(
        (m["role"], m["content"], m.get("reasoning_content"), tuple((call["function"]["name"], frozen(call["function"]["arguments"])) for call in m.get("tool_calls", ())))
        for m in messages
    ))


def answer_of(completion: list[dict]) -> int:
    """The ``messages_key`` of the model's own messages."""
    return messages_key([message for message in completion if message["role"] == "assistant"])


def source_of(rollout: dict) -> dict:
    """Where a training row comes from: the two indices by which Gym names a rollout, and its reward."""
    return {
        "task_index": rollout.get("_ng_task_index"),
        "rollout_index": rollout.get("_ng_rollout_index"),
        "reward": rollout.get("reward"),
    }


def sft_row(rollout: dict, reasoning: str = "think") -> dict:
    """One SFT row: {"messages", "tools" if there are any, "source"}."""
    prompt, completion, tools = convert(rollout, reasoning)
    return {"messages": prompt + completion, **({"tools": tools} if tools else {}), "source": source_of(rollout)}


def dpo_row(best: dict, worst: dict, reasoning: str = "think") -> dict:
    """One preference row: {"prompt", "chosen", "rejected", "tools" if there are any, "source"}."""
    prompt, chosen, tools = convert(best, reasoning)
    other, rejected, _ = convert(worst, reasoning)
    if prompt != other:
        raise NoChat("the two rollouts have different prompts")
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return {**row, **({"tools": tools} if tools else {}), "source": {"chosen": source_of(best), "rejected": source_of(worst)}}


# ---------------------------------------------------------------------------------------------------------------------
# Files


def read_rows(path: Path | str) -> Iterator[tuple[int, dict]]:
    """Yield (line number, row) of a JSONL file, one at a time."""
    for number, _, _, row in lines(path):
        yield number, row


def task_fields(path: Path | str, dotted: str) -> dict[int, object]:
    """A field of each task, from `*_materialized_inputs.jsonl` or `*_reward_profiling.jsonl`: rollouts do not keep all."""
    found = {}
    for number, row in read_rows(path):
        if "_ng_task_index" not in row:
            raise BadInput(f"{path}:{number}: no _ng_task_index. Give *_materialized_inputs.jsonl or *_reward_profiling.jsonl")
        found[str(row["_ng_task_index"])] = field_of(row.get("sample") or row.get("task_input") or row, dotted)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--line", type=int, default=1, metavar="N", help="the line to print (default: %(default)s)")
    parser.add_argument("--reasoning", choices=REASONING, default="think", help="where reasoning goes (default: %(default)s)")
    args = parser.parse_args()
    try:
        row = next((row for number, _, _, row in Rollouts(args.rollouts) if number == args.line), None)
        if row is None:
            raise BadInput(f"{args.rollouts}: there is no rollout in line {args.line}")
        print(json.dumps(sft_row(row, args.reasoning), indent=1, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf")))
    except BadInput as error:
        print(f"rollout_to_chat.py: {error}", file=sys.stderr)
        return 2
    except NoChat as reason:
        print(f"{args.rollouts}:{args.line}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
