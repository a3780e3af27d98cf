"""Turn a NeMo Gym rollout into chat messages that trainers read. Standard library only.

    python rollout_to_chat.py ROLLOUTS.jsonl [--line 1] [--reasoning think|field|drop]

prints the conversation of one line. To convert a file: `make_training_sets.py`, or from your own code:

    from rollout_to_chat import NoChat, read_rows, sft_row
    for number, rollout in read_rows(path):
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
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEXT_PARTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
REASONING = ("think", "field", "drop")


class BadInput(Exception):
    """What is wrong with the input and what to do, in one line."""


class NoChat(Exception):
    """Why a rollout cannot become a conversation, in a few words that can be counted."""


# ---------------------------------------------------------------------------------------------------------------------
# Conversion


def text_of(content) -> str:
    """The text of a content, which is None, a string or a list of parts. Raises NoChat for images, audio and files."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        if kind == "refusal":
            texts.append(part.get("refusal") or "")
        elif kind in TEXT_PARTS:
            texts.append(part.get("text") or "")
        else:
            raise NoChat(f"content of type {kind}")
    return "".join(texts)


def arguments_of(given) -> dict:
    """Tool-call arguments as an object: a JSON string breaks some chat templates and is quoted twice by others."""
    try:
        parsed = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise NoChat("tool-call arguments are not a JSON object")
    return parsed


def tool_call(call_id, name, arguments) -> dict:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments_of(arguments)}}


class _Messages:
    """Collects items into messages. Assistant items that follow each other become one message, as the model saw them."""

    def __init__(self, reasoning: str) -> None:
        self.done: list[dict] = []
        self.answered: list[bool] = []  # for each message: does it hold an item of response.output?
        self.open: dict | None = None
        self.reasoning = reasoning

    def assistant(self, output: bool) -> dict:
        if self.open is None:
            self.open = {"thoughts": [], "content": "", "calls": [], "output": False}
        self.open["output"] |= output
        return self.open

    def close(self) -> None:
        if self.open is None:
            return
        thoughts, content = self.open["thoughts"], self.open["content"]
        message = {"role": "assistant"}
        if thoughts and self.reasoning == "field":
            message["reasoning_content"] = "\n".join(thoughts)
        message["content"] = content
        if self.open["calls"]:
            message["tool_calls"] = self.open["calls"]
        self.done.append(message)
        self.answered.append(self.open["output"])
        self.open = None

    def other(self, message: dict, output: bool) -> None:
        self.close()
        self.done.append(message)
        self.answered.append(output)

    def add(self, item: dict, output: bool) -> None:
        kind = item.get("type") or "message"
        role = item.get("role")
        if kind == "reasoning":
            texts = [text_of([part]) for part in item.get("summary") or item.get("content") or []]
            turn = self.assistant(output)
            for text in filter(None, texts):
                turn["thoughts"].append(text)
                if self.reasoning == "think":
                    turn["content"] += f"<think>{text}</think>"
        elif kind == "function_call":
            self.assistant(output)["calls"].append(tool_call(item.get("call_id"), item.get("name"), item.get("arguments")))
        elif kind == "function_call_output":
            content = {"role": "tool", "tool_call_id": item.get("call_id"), "content": text_of(item.get("output"))}
            self.other(content, output)
        elif kind != "message":
            raise NoChat(f"item of type {kind}")
        elif role == "assistant":
            turn = self.assistant(output)
            turn["content"] += text_of(item.get("content"))
            for call in item.get("tool_calls") or []:
                function = call.get("function") or {}
                turn["calls"].append(tool_call(call.get("id"), function.get("name"), function.get("arguments")))
        elif role == "tool":
            content = {"role": "tool", "tool_call_id": item.get("tool_call_id"), "content": text_of(item.get("content"))}
            self.other(content, output)
        elif role in ("user", "system", "developer"):
            role = "system" if role == "developer" else role
            self.other({"role": role, "content": text_of(item.get("content"))}, output)
        else:
            raise NoChat(f"message with the role {role}")


def tools_of(rollout: dict) -> list[dict]:
    """The tool definitions of a rollout in chat form. An agent that brings its own tools leaves them in the response."""
    params, response = rollout.get("responses_create_params") or {}, rollout.get("response") or {}
    tools = []
    for tool in params.get("tools") or response.get("tools") or []:
        if tool.get("type") != "function":
            raise NoChat(f"tool of type {tool.get('type')}")
        given = tool.get("function") or {key: value for key, value in tool.items() if key != "type"}
        tools.append({"type": "function", "function": {key: value for key, value in given.items() if value is not None}})
    return tools


def convert(rollout: dict, reasoning: str = "think") -> tuple[list[dict], list[dict], list[dict]]:
    """Prompt messages, completion messages and tools of a rollout.

    The completion begins with the model's first message and ends with its last one: a tool result that no reply
    follows is left out. ``reasoning``: "think" puts it into the content between <think> and
    </think> (as Gym sends it back to the model), "field" into ``reasoning_content``, "drop" leaves it out.
    Raises NoChat if the rollout has no answer or holds what chat messages of text cannot say.
    """
    params, response = rollout.get("responses_create_params"), rollout.get("response")
    if not isinstance(params, dict) or not isinstance(response, dict):
        raise NoChat("no responses_create_params or no response")
    given = params.get("input")
    prompt = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    if not response.get("output"):
        raise NoChat("no answer: the output is empty")

    messages = _Messages(reasoning)
    if params.get("instructions"):
        messages.other({"role": "system", "content": text_of(params["instructions"])}, False)
    for items, output in ((prompt, False), (response["output"], True)):
        for item in items:
            if not isinstance(item, dict):
                raise NoChat(f"item of type {type(item).__name__}")
            messages.add(item, output)
    messages.close()

    done, answered = messages.done, messages.answered
    while len(done) > 1 and done[0]["role"] == done[1]["role"] == "system":  # many templates take one, at the start
        done[0] = {"role": "system", "content": f"{done[0]['content']}\n\n{done[1]['content']}"}
        del done[1], answered[1]
    calls = set()
    for message in done:
        calls.update(call["id"] for call in message.get("tool_calls", ()))
        if message["role"] == "tool" and message["tool_call_id"] not in calls:
            raise NoChat("a tool result without its call")
    while done and answered[-1] and done[-1]["role"] != "assistant":
        done.pop(), answered.pop()
    start = next((i for i, own in enumerate(answered) if own and done[i]["role"] == "assistant"), None)
    if start is None:
        raise NoChat("no answer: the model said nothing")
    if not start:
        raise NoChat("no prompt")
    last = done[-1]
    if not last.get("tool_calls") and not last["content"].split("</think>")[-1].strip():
        raise NoChat("no answer: the last reply is empty")
    if last["content"].count("<think>") > last["content"].count("</think>") and not last.get("tool_calls"):
        raise NoChat("no answer: the last reply ends while thinking")
    return done[:start], done[start:], tools_of(rollout)


def answer_of(completion: list[dict]) -> str:
    """What the model said and called, without the call ids, which differ every time: two answers are the same if this is."""
    said = [
        [m["content"], [[call["function"]["name"], call["function"]["arguments"]] for call in m.get("tool_calls", ())]]
        for m in completion
        if m["role"] == "assistant"
    ]
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


def tokens_of(rollout: dict) -> int | None:
    """Output tokens of the whole rollout, over all its model calls; None if the endpoint did not say."""
    return (rollout["response"].get("usage") or {}).get("output_tokens")


def cut_off(rollout: dict) -> str | None:
    """Why the rollout is incomplete: max_output_tokens (which a full context gives, too), empty_output, ... or None."""
    response = rollout["response"]
    reason = (response.get("incomplete_details") or {}).get("reason")
    return reason or (response.get("metadata") or {}).get("ng_termination_reason")


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


def scan(path: Path | str) -> Iterator[tuple[int, int, dict]]:
    """Yield (line number, byte offset, row) of a JSONL file, one at a time, with the progress on a terminal.

    Raises BadInput for what is no JSONL of objects.
    """
    number = found = offset = shown = 0
    try:
        with open(path, "rb") as lines:
            size = os.fstat(lines.fileno()).st_size
            for number, line in enumerate(lines, 1):
                start, offset = offset, offset + len(line)
                if sys.stderr.isatty() and size > 20_000_000 and offset * 100 // size > shown:
                    shown = offset * 100 // size
                    print(f"\r{path}: {shown}%", end="\n" if shown == 100 else "", file=sys.stderr, flush=True)
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.decode("utf-8"))
                except UnicodeDecodeError as error:
                    raise BadInput(f"{path}:{number}: not UTF-8 ({error.reason})") from None
                except ValueError as error:
                    raise BadInput(f"{path}:{number}: not JSON ({error}). Mend or delete that line") from None
                if not isinstance(row, dict):
                    raise BadInput(f"{path}:{number}: a row is a JSON object, this is {json.dumps(row)[:40]}")
                found += 1
                yield number, start, row
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}. Check the path") from None
    if not found:
        raise BadInput(f"{path}: no rows. Did the step before keep any?")


def read_rows(path: Path | str) -> Iterator[tuple[int, dict]]:
    """Yield (line number, row) of a JSONL file, one at a time."""
    for number, _, row in scan(path):
        yield number, row


def checked(path: Path | str, number: int, row: dict) -> dict:
    """The row, if it is a rollout that `gym eval run` wrote."""
    if not isinstance(row.get("_ng_task_index"), int) or not isinstance(row.get("response"), dict):
        raise BadInput(f"{path}:{number}: no rollout. Give the file that gym eval run wrote with -o")
    if isinstance(row.get("reward"), bool) or not isinstance(row.get("reward"), (int, float)):
        raise BadInput(f"{path}:{number}: reward is {json.dumps(row.get('reward'))[:40]}, not a number")
    return row


def read_rollouts(path: Path | str) -> Iterator[tuple[int, dict]]:
    """As read_rows, for a file that `gym eval run` wrote."""
    for number, _, row in scan(path):
        yield number, checked(path, number, row)


def field_of(row: dict, dotted: str):
    """The value of a field such as ``metadata.family``, or None."""
    value = row
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def task_fields(path: Path | str, dotted: str) -> dict[int, object]:
    """A field of each task, from `*_materialized_inputs.jsonl` or `*_reward_profiling.jsonl`: rollouts do not keep all."""
    found = {}
    for number, row in read_rows(path):
        if "_ng_task_index" not in row:
            raise BadInput(f"{path}:{number}: no _ng_task_index. Give *_materialized_inputs.jsonl or *_reward_profiling.jsonl")
        found[row["_ng_task_index"]] = field_of(row.get("sample") or row.get("task_input") or row, dotted)
    return found


@contextmanager
def writing(path: Path | str):
    """Open a temporary file that becomes ``path`` if the block ends well and disappears if it does not."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8", newline="") as out:
            yield out
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def dump(row: dict) -> str:
    """A row as one line of JSONL."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--line", type=int, default=1, metavar="N", help="the line to print (default: %(default)s)")
    parser.add_argument("--reasoning", choices=REASONING, default="think", help="where reasoning goes (default: %(default)s)")
    args = parser.parse_args()
    try:
        row = next((row for number, row in read_rollouts(args.rollouts) if number == args.line), None)
        if row is None:
            raise BadInput(f"{args.rollouts}: there is no rollout in line {args.line}")
        print(json.dumps(sft_row(row, args.reasoning), indent=1, ensure_ascii=False))
    except BadInput as error:
        print(f"rollout_to_chat.py: {error}", file=sys.stderr)
        return 2
    except NoChat as reason:
        print(f"{args.rollouts}:{args.line}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
