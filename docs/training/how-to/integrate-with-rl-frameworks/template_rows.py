"""What the rows of the reader lose in a chat template, for check_template.py: their texts are replaced by words of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from template_probe import Refused, Renderer, tried

from rollouts import BadInput, lines


def worded(messages: list[dict]) -> tuple[list[dict], dict[str, str]]:
    """The messages with a word of its own in place of every text, and what each word stands for. Their shape stays."""
    words: dict[str, str] = {}

    def word(what: str) -> str:
        name = f"X{len(words)}x"
        words[name] = what
        return name

    def text(content: str) -> str:
        what, out = "text", []
        for piece in re.split(r"(</?think>)", content):
            if piece in ("<think>", "</think>"):
                what = "thought" if piece == "<think>" else "text"
            elif piece.strip():  # the white space around it stays
                piece = piece[: len(piece) - len(piece.lstrip())] + word(what) + piece[len(piece.rstrip()):]
            out.append(piece)
        return "".join(out)

    def value(given: object) -> object:
        if isinstance(given, dict):
            return {key: value(inner) for key, inner in given.items()}
        if isinstance(given, list):
            return [value(inner) for inner in given]
        return word("argument of a call") if isinstance(given, str) and given else given

    def function(given: dict) -> dict:
        arguments = given.get("arguments")
        if isinstance(arguments, str):
            return {"name": word("call"), "arguments": json.dumps(value(json.loads(arguments)))}
        return {"name": word("call"), "arguments": value(arguments)}

    out = []
    for message in messages:
        made, content = dict(message), message.get("content")
        if isinstance(content, str):
            made["content"] = text(content)
        elif isinstance(content, list):
            made["content"] = [part | {"text": text(part["text"])} if isinstance(part.get("text"), str) else part for part in content]
        if isinstance(message.get("reasoning_content"), str) and message["reasoning_content"].strip():
            made["reasoning_content"] = word("thought")
        if message.get("tool_calls"):
            made["tool_calls"] = [given | {"function": function(given["function"])} for given in message["tool_calls"]]
        out.append(made)
        words.update({name: f"{what} of a message of {message['role']}" for name, what in words.items() if " of a message" not in what})
    return out, words


def losses(render: Renderer, messages: list[dict], tools: list[dict] | None) -> set[str]:
    """What a row loses: words that are not rendered, content null that is printed, arguments that are encoded twice."""
    given, words = worded(messages)
    try:
        text = render(given, tools)
    except Refused as reason:
        return {f"the template refuses it: {reason}"}
    found = {f"lost: {what}" for word, what in words.items() if word not in text}
    if tools and any((tool.get("function") or tool).get("name", "") not in text for tool in tools):
        found.add("lost: a tool definition")
    if any(isinstance(c["function"].get("arguments"), str) for m in messages for c in m.get("tool_calls") or ()) and '\\"' in text:
        found.add("arguments are encoded twice: write them as objects")
    if any(m.get("content", "") is None for m in messages):
        empty = [m | {"content": ""} if m.get("content", "") is None else m for m in given]
        if tried(lambda: render(empty, tools)) != text:
            found.add("content null is printed: write an empty string")
    return found


def rows_that_lose(render: Renderer, path: Path) -> tuple[int, dict[str, list[int]]]:
    """How many rows there are, and the lines whose row loses something, by what it loses."""
    lost: dict[str, list[int]] = {}
    total = 0
    for number, _, _, row in lines(path):
        total += 1
        answers = [row["chosen"], row["rejected"]] if "chosen" in row else [row["completion"]] if "completion" in row else [[]]
        start = row.get("prompt") if "messages" not in row else row["messages"]
        try:
            tools = json.loads(row["tools"] or "null") if isinstance(row.get("tools"), str) else row.get("tools")
            found = set().union(*(losses(render, [*start, *answer], tools) for answer in answers))
        except (TypeError, KeyError, AttributeError, ValueError):
            raise BadInput(f"{path}:{number}: not a row of chat messages (messages, prompt and completion, or prompt, chosen and rejected)") from None
        for what in found:
            lost.setdefault(what, []).append(number)
    return total, lost
