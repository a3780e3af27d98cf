"""Hold what a trainer's loader made of rows against the rows.

Works on text, so that it does not matter how a trainer writes tools and calls. check_loaders.py uses it all for the trainers of
trainer_loaders.py, and what was lost for the others.
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


def role_of(message: dict) -> str:
    return message.get("role") or ROLES[message["from"]]


def text_of(message: dict) -> str:
    return message.get("content", message.get("value")) or ""


def learned(message: dict) -> bool:
    """Whether no switch of the message keeps it out of the loss."""
    return all(message.get(name) is not False for name in ("loss", "training", "train"))


def words(messages: list[dict]) -> tuple[Counter, list[tuple[str, str]], int]:
    """What the assistant is to learn, what is only shown, both as (kind, words), and how many turns of the assistant are to be learned."""
    own, others, turns = Counter(), [], 0
    for message in messages:
        role, content = role_of(message), text_of(message)
        if role != "assistant":
            others += [(f"{role} texts", piece.strip()) for piece in re.split(r"</?tool_response>", content) if piece.strip()]
            continue
        said = words_of(content)
        if message.get("reasoning_content"):
            said.append(("thoughts", message["reasoning_content"].strip()))
        for call in message.get("tool_calls") or ():
            arguments = call["function"]["arguments"]
            given = json.loads(arguments) if isinstance(arguments, str) else arguments
            said += [("tool calls", leaf) for leaf in [call["function"]["name"], *leaves(given)] if leaf.strip()]
        if learned(message):
            turns += 1
            own.update(said)
        else:
            others += [("answers of the prompt", word) for _, word in said]
    return own, others, turns


def times(text: str, word: str) -> int:
    """How often a word is there, as it is or as JSON writes it, marks of a template escaped or not."""
    forms = {word, json.dumps(word, ensure_ascii=False)[1:-1], json.dumps(word)[1:-1]}
    return max(text.count(form) for form in forms | {form.replace("<", r"\u003c") for form in forms})


def lost_tools(row: dict, text: str) -> int:
    """Tools of which the text holds no description, or no name: of one that has a description, the name may stand in a call."""
    given = row.get("tools") or []
    given = [tool.get("function") or tool for tool in (json.loads(given) if isinstance(given, str) else given)]
    return sum(not times(text, (tool.get("description") or tool["name"]).strip()) for tool in given)


def calls_of(messages: list[dict]) -> list[str]:
    return [call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()]


def lost_calls(messages: list[dict], text: str) -> int:
    """Calls that the rendered text does not hold. Templates write "name", =name>, functions.name, [name(, or the name on a line behind a mark."""
    wanted = Counter(calls_of(messages))
    return sum(max(0, count - len(re.findall(rf"(?:[\"'=>.\[,]|^)\s*{re.escape(name)}\s*(?:[\"'>(<{{\n]|$)", text, re.M))) for name, count in wanted.items())


def lost_words(messages: list[dict], text: str) -> Counter:
    """Thoughts and texts of the assistant that the rendered text does not hold: a template may leave them out."""
    wanted = Counter()
    for message in messages:
        if message["role"] == "assistant":
            thoughts = [message.get("reasoning_content") or "", *re.findall(r"<think>(.*?)</think>", message["content"], re.S)]
            wanted.update(("thoughts lost", thought.strip()) for thought in thoughts)
            wanted["texts lost", re.sub(r"<think>.*?</think>", "", message["content"], flags=re.S).strip()] += 1
    lost = Counter()
    for (what, words), count in wanted.items():
        if words:
            lost[what] += max(0, count - text.count(words))
    return lost


def lost_given(messages: list[dict], row: dict, text: str) -> Counter:
    """What the model was given, and the rendered text does not hold: prompts, tool results, tool definitions."""
    lost = Counter(f"{what} lost" for what, word in words(messages)[1] if what != "answers of the prompt" and not times(text, word))
    lost["tool definitions lost"] += lost_tools(row, text)
    return lost


def check(found: Counter, row: dict, asked: list[dict], answer: list[dict], whole: str, loss: str, opens: bool = True) -> None:
    """Count in ``found`` what one conversation lost on its way, and what is in the loss that should not be there.

    opens: the model itself writes the mark that opens a thought; the prompt does not end with it.
    """
    own, others, turns = words(answer)
    prompt, given, _ = words(asked)
    given += [("answers of the prompt", word) for _, word in prompt] + ([("system texts", row["system"])] if row.get("system") else [])
    for (what, word), count in own.items():
        found[f"{what} lost"] += max(0, count - times(loss, word))
    written = " ".join(word for _, word in own)
    for what, word in others + given:
        found[f"{what} lost"] += not times(whole, word)
        found[f"{what} in the loss"] += len(word) > 3 and word not in written and times(loss, word) > 0
    marks = sum(text_of(message).count("<think>") for message in answer if role_of(message) == "assistant" and learned(message))
    if opens and whole.count("<think>") >= marks:
        found["marks that open a thought outside of the loss"] += max(0, marks - loss.count("<think>"))
    found["tool definitions lost"] += lost_tools(row, whole)
    ends = loss.count("<|im_end|>")
    found["turns whose end is outside of the loss"] += max(0, turns - ends)
    found["ends of other turns in the loss"] += max(0, ends - turns)


def shares(tokenizer, texts: list[tuple[str, str]]) -> str:
    tokens, learns = (sum(len(tokenizer(text)["input_ids"]) for text in both) for both in zip(*texts)) if texts else (0, 0)
    return f"{tokens} tokens, {learns / max(1, tokens):.0%} of them in the loss"


def check_sft(rows: list[dict], sequences: list[tuple[str, str]], tokenizer) -> tuple[str, Counter]:
    """rows: as written for the trainer. sequences: (whole text, text in the loss) of each row that came out."""
    found = Counter()
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False, add_generation_prompt=True)
    for row, sequence in zip(rows, sequences):
        check(found, row, [], row.get("messages") or row["conversations"], *sequence, opens=not prompt.rstrip().endswith("<think>"))
    return f"{len(sequences)} sequences\n  {shares(tokenizer, sequences)}", found


def sides(row: dict) -> tuple[list, list, list]:
    """Prompt, chosen and rejected messages of a row, in any of the forms."""
    if "rejected_messages" in row:
        return [], row["messages"], row["rejected_messages"]
    one, other = (answer if isinstance(answer, list) else [answer] for answer in (row["chosen"], row["rejected"]))
    return row.get("prompt") or row.get("messages") or row.get("conversations") or [], one, other


def check_dpo(rows: list[dict], pairs: list[tuple[tuple[str, str], tuple[str, str]]], tokenizer) -> tuple[str, Counter]:
    """pairs: chosen and rejected, each as (whole text, text in the loss), of each row that came out."""
    found = Counter()
    for row, pair in zip(rows, pairs):
        asked, *answers = sides(row)
        found["empty answers"] += sum(not loss.strip() for _, loss in pair)
        found["pairs whose chosen answer equals the rejected one"] += pair[0][1] == pair[1][1]
        for answer, side in zip(answers, pair):
            check(found, row, asked, answer, *side)
    return f"{len(pairs)} pairs\n  {shares(tokenizer, [side for pair in pairs for side in pair])}", found
