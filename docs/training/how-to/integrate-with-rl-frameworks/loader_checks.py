"""Hold what a trainer's loader made of rows against the rows.

Works on text, so that it does not matter how a trainer writes tools and calls. check_loaders.py uses it for the trainers that have
templates of their own.
"""

from __future__ import annotations

import json
import re
from collections import Counter

ROLES = {"gpt": "assistant", "function_call": "assistant", "human": "user", "observation": "tool"}


def leaves(value: object) -> list[str]:
    """The strings in a value, and its numbers as JSON writes them."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value] if isinstance(value, str) else []


def words_of(text: str) -> list[tuple[str, str]]:
    """What a turn's text consists of: (thoughts, texts or tool calls, words)."""
    found, thinking = [], False
    for piece in re.split(r"(</?think>|</?tool_call>|</?tool_response>)", text):
        thinking = piece == "<think>" or thinking and piece != "</think>"
        if not piece.strip() or re.fullmatch(r"</?[a-z_]+>", piece):
            continue
        try:
            value = json.loads(piece)
        except ValueError:
            value = None
        if isinstance(value, (dict, list)):
            found += [("tool calls", leaf) for leaf in leaves(value) if leaf.strip()]
        else:
            found.append(("thoughts" if thinking else "texts", piece.strip()))
    return found


def words(messages: list[dict]) -> tuple[Counter, list[str], int]:
    """What the assistant wrote, what the others wrote, and how many turns the assistant has."""
    own, others, turns = Counter(), [], 0
    for message in messages:
        role = message.get("role") or ROLES[message["from"]]
        content = message.get("content", message.get("value")) or ""
        if role != "assistant":
            others += [piece.strip() for piece in re.split(r"</?tool_response>", content) if piece.strip()]
            continue
        turns += 1
        own.update(words_of(content))
        if message.get("reasoning_content"):
            own["thoughts", message["reasoning_content"].strip()] += 1
        for call in message.get("tool_calls") or ():
            arguments = call["function"]["arguments"]
            given = json.loads(arguments) if isinstance(arguments, str) else arguments
            own.update(("tool calls", leaf) for leaf in [call["function"]["name"], *leaves(given)] if leaf.strip())
    return own, others, turns


def times(text: str, word: str) -> int:
    """How often a word is there, as it is or as JSON writes it, marks of a template escaped or not."""
    forms = {word, json.dumps(word, ensure_ascii=False)[1:-1], json.dumps(word)[1:-1]}
    return max(text.count(form) for form in forms | {form.replace("<", r"\u003c") for form in forms})


def tools_of(row: dict) -> list[str]:
    given = row.get("tools") or []
    given = json.loads(given) if isinstance(given, str) else given
    return [(tool.get("function") or tool)["name"] for tool in given]


def check_sft(rows: list[dict], sequences: list[tuple[str, str]], tokenizer) -> tuple[str, Counter]:
    """rows: as written for the trainer. sequences: (whole text, text in the loss) of each row that came out."""
    found = Counter()
    for row, (whole, loss) in zip(rows, sequences):
        messages = row.get("messages") or row["conversations"]
        own, others, turns = words(messages)
        for (what, word), count in own.items():
            found[f"{what} lost"] += max(0, count - times(loss, word))
        written = " ".join(word for _, word in own)
        for word in others + ([row["system"]] if row.get("system") else []):
            found["user, tool or system texts lost"] += not times(whole, word)
            found["user or tool texts in the loss"] += len(word) > 3 and word not in written and times(loss, word) > 0
        found["tool definitions lost"] += sum(name not in whole for name in tools_of(row))
        found["turns whose end is outside of the loss"] += max(0, turns - loss.count("<|im_end|>"))
    tokens, learned = (sum(len(tokenizer(text)["input_ids"]) for text in texts) for texts in zip(*sequences)) if sequences else (0, 0)
    return f"{len(sequences)} sequences\n  {tokens} tokens, {learned / max(1, tokens):.0%} of them in the loss", found


def sides(row: dict) -> tuple[list, list, list]:
    """Prompt, chosen and rejected messages of a row, in any of the forms."""
    if "rejected_messages" in row:
        return [], row["messages"], row["rejected_messages"]
    one, other = (answer if isinstance(answer, list) else [answer] for answer in (row["chosen"], row["rejected"]))
    return row.get("prompt") or row.get("messages") or row.get("conversations") or [], one, other


def check_dpo(rows: list[dict], pairs: list[tuple[str, str, str]], tokenizer) -> tuple[str, Counter]:
    """pairs: (prompt, chosen, rejected) as texts, of each row that came out."""
    found = Counter()
    for row, (prompt, chosen, rejected) in zip(rows, pairs):
        asked, one, other = sides(row)
        found["empty answers"] += (not chosen.strip()) + (not rejected.strip())
        found["pairs whose chosen answer equals the rejected one"] += chosen == rejected
        for messages, text in ((one, chosen), (other, rejected)):
            for (what, word), count in words(messages)[0].items():
                found[f"{what} lost"] += max(0, count - times(prompt + text, word))
            if row.get("tools"):
                found["tool definitions lost"] += sum(name not in prompt + text for name in tools_of(row))
        own, others, _ = words(asked)
        for word in [*others, *(word for _, word in own)] + ([row["system"]] if row.get("system") else []):
            found["words of the prompt lost"] += not times(prompt, word)
    tokens = sum(len(tokenizer(text)["input_ids"]) for pair in pairs for text in pair)
    return f"{len(pairs)} pairs\n  {tokens} tokens", found
