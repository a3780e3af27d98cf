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
    BadInput, NoChat, REPEAT, Rollouts, TASK, Unclear, answer_in, cut_off, dumps, field_of, frozen, lines, lost_calls, prompt_items, may_think, plain, split_thoughts, strict, text_in, tokens_of, type_of, unanswered, writing,
)

__all__ = ["cut_off", "tokens_of", "writing"]
TEXT_PARTS = ("input_text", "output_text", "text")
THOUGHT_PARTS = ("reasoning_text", "summary_text", "reasoning", "thinking")  # of a message
REASONING = ("think", "field", "drop")
GIVEN = ("system", "developer", "user")  # the roles of what the model is given
ELSEWHERE = ("previous_response_id", "conversation", "prompt")  # what the endpoint put before the input
IN_A_ROW = "several messages of the model in a row: what came between them is not in the rollout"
dump = dumps


# ---------------------------------------------------------------------------------------------------------------------
# Conversion


def text_of(content) -> str:
    """The text of a content, which is None, a string or a list of parts. Raises NoChat for images, audio and files."""
    if content is None or type(content) is str:
        return content or ""
    if type(content) is list and len(content) == 1 and type(content[0]) is dict and content[0].get("type") in TEXT_PARTS and type(content[0].get("text")) is str:
        return content[0]["text"]  # nearly always
    if not isinstance(content, list):
        raise NoChat(f"content that is {'an' if type(content) is dict else 'a'} {type_of(content)}")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else type_of(part)
        text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
        if kind != "refusal" and kind not in TEXT_PARTS or not isinstance(text, str | None):
            raise NoChat(f"content of type {kind}")
        texts.append(text or "")
    return "".join(texts)


def arguments_of(given) -> dict:
    """Tool-call arguments as an object: a JSON string breaks some chat templates and is quoted twice by others."""
    try:
        parsed = strict(given) if isinstance(given, str) else given
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise NoChat("tool-call arguments are not a JSON object")
    return parsed


def tool_call(call_id, name, arguments) -> dict:
    if not isinstance(name, str) or not name:
        raise NoChat("a tool call without a name")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments_of(arguments)}}


def open_thought(text: str) -> bool:
    """Whether a text ends while the model thinks."""
    try:
        return None in split_thoughts(text)[0]
    except Unclear:
        return False


class _Turn:
    """Assistant items that follow each other, with one text at most: they become one message, as the model saw them."""

    __slots__ = ("thoughts", "texts", "calls", "reasoning", "spoken", "open")

    def __init__(self, reasoning: str) -> None:
        self.reasoning = reasoning
        self.thoughts, self.texts, self.calls = [], [], []
        self.spoken, self.open = 0, False

    def think(self, text: str) -> None:
        self.thoughts.append(text)
        if self.reasoning == "think":
            self.texts.append(f"<think>{text}</think>")

    def reason(self, item: dict) -> None:
        given = item.get("summary") or item.get("content") or []  # of encrypted reasoning, both are empty
        for part in given if type(given) is list else [given]:
            text = part.get("text") if type(part) is dict else part
            if text := text if type(text) is str else text_of(text):
                self.think(text)

    def say(self, item: dict) -> bool:
        """Add a message. Whether its text is plainly an answer: not empty, and without marks of reasoning."""
        if item.get("function_call") or item.get("audio"):
            raise NoChat(f"a message with {'function_call' if item.get('function_call') else 'audio'}")
        content = item.get("content")
        part = content[0] if type(content) is list and len(content) == 1 else None
        if type(part) is dict and part.get("type") == "output_text" and type(part.get("text")) is str:  # nearly always
            text = part["text"]
        else:
            if type(content) is list:
                for part in content:
                    if type(part) is dict and part.get("type") in THOUGHT_PARTS and (thought := text_of(part.get("text") or part.get("thinking"))):
                        self.think(thought)
                content = [part for part in content if type(part) is not dict or part.get("type") not in THOUGHT_PARTS]
            text = text_of(content)
        marks, spoken = may_think(text), bool(text) and not text.isspace()
        if thought := item.get("reasoning_content") or item.get("reasoning") or item.get("thinking"):
            thought = text_of(thought)
            if thought and not (marks and thought.strip() in text):  # some endpoints give it twice
                self.think(thought)
        if marks:
            self.spoken += bool(answer_in(text).strip())
            self.open = open_thought(text)
        else:
            self.spoken += spoken + self.open  # two replies, if one was cut off while it thought
        if marks and self.reasoning != "think":
            thoughts, text = split_thoughts(text)
            self.thoughts += filter(None, thoughts)
        self.texts.append(text)
        calls = item.get("tool_calls") or ()
        for call in calls if type(calls) is list else [calls] if calls else ():
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                raise NoChat("a tool call without a function")
            self.calls.append(tool_call(call.get("id"), function.get("name"), function.get("arguments")))
        return spoken and not marks

    def message(self) -> dict:
        message = {"role": "assistant"}
        if self.thoughts and self.reasoning == "field":
            message["reasoning_content"] = "\n".join(self.thoughts)
        message["content"] = "".join(self.texts)
        if self.calls:
            message["tool_calls"] = self.calls
        return message


def _other(item: dict, kind: str) -> dict:
    """The message of an item that is not the model's."""
    role = item.get("role")
    if kind == "function_call_output":
        content = item.get("output")
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": content if type(content) is str else text_of(content)}
    if kind != "message":
        raise NoChat(f"item of type {kind}")
    if role == "user" or role == "system":
        content = item.get("content")
        return {"role": role, "content": content if type(content) is str else text_of(content)}
    if role == "developer":
        return {"role": "system", "content": text_of(item.get("content"))}
    if role == "tool":
        return {"role": "tool", "tool_call_id": item.get("tool_call_id"), "content": text_of(item.get("content"))}
    raise NoChat(f"message with the role {role}")


_tools: tuple = ([], [])


def tools_of(rollout: dict) -> list[dict]:
    """The tool definitions of a rollout in chat form. Some agents that bring their own leave them in the response."""
    global _tools
    params, response = rollout.get("responses_create_params") or {}, rollout.get("response") or {}
    given = params.get("tools") or response.get("tools") or []
    if given == _tools[0]:  # mostly the same as in the row before
        return _tools[1]
    tools = []
    for tool in given if isinstance(given, list) else [given]:
        kind = tool.get("type") if isinstance(tool, dict) else type_of(tool)
        if kind != "function":
            raise NoChat(f"tool of type {kind}")
        own = tool["function"] if isinstance(tool.get("function"), dict) else {key: value for key, value in tool.items() if key != "type"}
        if not isinstance(own.get("name"), str) or not own["name"]:
            raise NoChat("a tool without a name")
        tools.append({"type": "function", "function": {key: value for key, value in own.items() if value is not None}})
    _tools = given, tools
    return tools


def repeats(given: list, output: list) -> bool:
    """Whether an agent wrote the prompt into the output, which follows it."""
    for item in output:
        if type(item) is not dict or item.get("role") not in GIVEN:
            return False
        if text := text_in(item.get("content")):
            if any(type(other) is dict and other.get("role") == item["role"] and text_in(other.get("content")) == text for other in given):
                return True
    return False


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
    if not (output := response.get("output")) or type(output) is not list:
        raise NoChat(unanswered(rollout))
    for name in ELSEWHERE:
        if params.get(name):
            raise NoChat(f"{name}: a part of the prompt is not in the rollout")
    turn, start, last, plainly = None, None, 0, False
    done: list[dict] = []
    waiting, doubtful, in_a_row, before = [], False, False, None  # waiting: the ids of the calls without a result
    if params.get("instructions"):
        done.append({"role": "system", "content": text_of(params["instructions"])})
    given = prompt_items(params)
    if given and type(output[0]) is dict and output[0].get("role") in GIVEN and repeats(given, output):
        raise NoChat("the output repeats the prompt")
    for own, items in ((False, given), (True, output)):
        for item in items:
            if type(item) is not dict:
                raise NoChat(unanswered(rollout) or f"item of type {type_of(item)}")
            kind = item.get("type") or "message"
            if item.get("role") == "assistant" if kind == "message" else kind in ("function_call", "reasoning"):
                if turn is None:
                    turn = _Turn(reasoning)
                if own and start is None:
                    start, turn.spoken, turn.open = len(done), 0, False  # the prompt may begin the answer
                # A turn that goes on while calls wait for their results: look closer at the end.
                if waiting and (kind != "function_call" or before != kind):
                    doubtful = True
                if kind == "reasoning":
                    turn.reason(item)
                elif kind == "message":
                    count = len(turn.calls)
                    plainly = turn.say(item)
                    in_a_row |= turn.spoken > 1
                    if len(turn.calls) > count:
                        waiting += [str(call["id"]) for call in turn.calls[count:]]
                else:
                    if item.get("namespace"):
                        raise NoChat("a tool call with a namespace")
                    call = tool_call(item.get("call_id"), item.get("name"), item.get("arguments"))
                    turn.calls.append(call)
                    waiting.append(str(call["id"]))
            else:
                if turn is not None:
                    done.append(turn.message())
                    turn, last = None, len(done)
                message = _other(item, kind)
                if message["role"] == "tool":
                    if (name := str(message["tool_call_id"])) not in waiting:
                        raise NoChat("a tool result without its call")
                    waiting.remove(name)
                done.append(message)
            before = kind
    if doubtful and lost_calls(given + output, len(given)):
        raise NoChat("a tool call without its result")
    if in_a_row:  # as of agents that log every step, or of several models: glued together, they are what no model said
        raise NoChat(IN_A_ROW)
    if start is None:
        raise NoChat(unanswered(rollout) or "no answer: the model said nothing")
    if turn is not None:
        done.append(turn.message())
    else:
        del done[last:]
    if turn is None or before != "message":
        text = done[-1]["content"]
        plainly = text and not text.isspace() and not may_think(text)
    if not plainly:  # mostly the rollout ends with a message of plain text: that is an answer
        if why := unanswered(rollout):
            raise NoChat(why)
        if not done[-1].get("tool_calls") and not answer_in(done[-1]["content"]).strip():
            raise NoChat("no answer: the last reply is empty")
    while len(done) > 1 and done[1]["role"] == "system" == done[0]["role"]:  # many templates take one, at the start
        done[:2] = [{"role": "system", "content": f"{done[0]['content']}\n\n{done[1]['content']}"}]
        start -= 1
    prompt = done[:start]
    for message in prompt:
        if message["content"] and not message["content"].isspace():
            return prompt, done[start:], tools_of(rollout)
    raise NoChat("no prompt")


def messages_key(messages: list[dict]) -> int:
    """A hash of what was said and called, without the call ids, which differ every time. It holds within one process."""
    parts = []
    for message in messages:
        parts += message["role"], message["content"]
        if len(message) > 2:
            parts.append(message.get("reasoning_content"))
            if "tool_calls" in message:
                parts += [(call["function"]["name"], frozen(call["function"]["arguments"])) for call in message["tool_calls"]]
    return hash(tuple(parts))


def answer_of(completion: list[dict]) -> int:
    """The ``messages_key`` of the model's own messages."""
    return messages_key([message for message in completion if message["role"] == "assistant"])


_plain: list = []


def numbers_in(row: dict) -> list:
    """The parts of a training row that may hold numbers: for `dumps`, which need not look at the texts."""
    global _plain
    parts = [row["source"]]
    for part in ("messages", "prompt", "completion", "chosen", "rejected"):
        if part in row:
            for message in row[part]:
                if "tool_calls" in message:
                    parts.append(message["tool_calls"])
    tools = row.get("tools")
    if tools is not None and tools is not _plain:  # mostly the same as in the row before
        parts.append(tools)
        if plain(tools):
            _plain = tools
    return parts


def source_of(rollout: dict, path: Path | str = "", line: int = 0) -> dict:
    """Where a training row comes from: the two indices by which Gym names a rollout, else file and line; and its reward."""
    if line and rollout.get(TASK) is None:
        return {"file": Path(path).name, "line": line, "reward": rollout.get("reward")}
    return {"task_index": rollout.get(TASK), "rollout_index": rollout.get(REPEAT), "reward": rollout.get("reward")}


def sft_row(rollout: dict, reasoning: str = "think") -> dict:
    """One SFT row: {"messages", "tools" if there are any, "source"}."""
    prompt, completion, tools = convert(rollout, reasoning)
    return {"messages": prompt + completion, **({"tools": tools} if tools else {}), "source": source_of(rollout)}


def dpo_row(best: dict, worst: dict, reasoning: str = "think", best_at: tuple = (), worst_at: tuple = ()) -> dict:
    """One preference row: {"prompt", "chosen", "rejected", "tools" if there are any, "source"}. ``..._at``: file and line."""
    prompt, chosen, tools = convert(best, reasoning)
    other, rejected, others = convert(worst, reasoning)
    if prompt != other:
        raise NoChat("the two rollouts have different prompts")
    if tools != others:
        raise NoChat("the two rollouts have different tools")
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return {**row, **({"tools": tools} if tools else {}), "source": {"chosen": source_of(best, *best_at), "rejected": source_of(worst, *worst_at)}}


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
