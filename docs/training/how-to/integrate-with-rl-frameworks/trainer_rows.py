"""One row in the form of each trainer. Raises NoChat for what a trainer cannot take.

A conversation is prompt and answer, lists of messages: system, user, assistant (content, reasoning_content, tool_calls whose
arguments are objects) and tool; `train` is False on what is shown and not to be learned. `tools` are definitions in chat form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rollout_to_chat import convert
from rollouts import BadInput, NoChat, dict_of, frozen, kind_of, loads, prompt_of, split_thoughts, writing

# The wording with which Qwen's and Hermes' templates show tools, for the loaders that show none.
TOOLS_TEXT = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
    '<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)
SPLIT = "the prompt holds answers, which this trainer trains as well: make the rows without --split to allow it"
SEVERAL = "an answer of several messages: try --first-difference"
UNTRAINED = "a message that is not to be trained on (weight, loss or train): this trainer has no column for that"
# The key with which a message is kept out of the loss, where the trainer's loader reads one; verl's is that of verl_dataset.py.
SWITCH = {"ms-swift": "loss", "axolotl": "training", "verl": "train"}
APART = ("trl", "unsloth")  # they learn the completion alone of rows with prompt and completion
# What LLaMA-Factory must be told about its files: how each column is named.
SHAREGPT = {"messages": "conversations", "system": "system", "tools": "tools"}
DATASET_INFO = {"sft": {"formatting": "sharegpt", "columns": SHAREGPT},
                "dpo": {"formatting": "sharegpt", "ranking": True, "columns": SHAREGPT | {"chosen": "chosen", "rejected": "rejected"}}}


def text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------------------------------------------------------------
# Messages in other forms


def told_tools(prompt: list[dict], tools: list[dict]) -> list[dict]:
    """The prompt with its tools written into the system message."""
    if not tools:
        return prompt
    told = TOOLS_TEXT.format("\n".join(map(text, tools)))
    if prompt[0]["role"] == "system":
        return [{"role": "system", "content": f"{prompt[0]['content']}\n\n{told}"}, *prompt[1:]]
    return [{"role": "system", "content": told}, *prompt]


def shown(messages: list[dict]) -> list[dict]:
    """The messages of a prompt: what the assistant says there is not to be learned."""
    return [message | {"train": False} if message["role"] == "assistant" else message for message in messages]


def switched(messages: list[dict], key: str = "") -> list[dict]:
    """``train`` under the name that the trainer's loader reads, or without it."""
    return [
        {name: value for name, value in message.items() if name != "train"} | ({key: False} if key else {}) if "train" in message else message
        for message in messages
    ]


def thought_and_text(message: dict) -> tuple[str, str]:
    """The thoughts of a message as templates write them, and its text: `<think>`, a line each for mark and thought, an empty line."""
    thoughts, rest = split_thoughts(message["content"])
    thoughts = [thought for thought in [message.get("reasoning_content"), *thoughts] if thought]
    return "<think>\n{}\n</think>\n\n".format("\n".join(thoughts)) if thoughts else "", rest.lstrip("\n") if thoughts else message["content"]


def placed(message: dict, reasoning: str) -> dict:
    """The message of a training set with its thoughts where --reasoning wants them; "think" leaves them where they are."""
    if message["role"] != "assistant" or reasoning == "think":
        return message
    thoughts, rest = split_thoughts(message["content"])
    thoughts = [thought for thought in [message.get("reasoning_content"), *thoughts] if thought]
    moved = {"reasoning_content": "\n".join(thoughts)} if thoughts and reasoning == "field" else {}
    return {key: value for key, value in message.items() if key != "reasoning_content"} | {"content": rest} | moved


def opened(messages: list[dict]) -> list[dict]:
    """Thoughts in the content of the assistant's messages, as templates write them."""
    made = []
    for message in messages:
        if message["role"] == "assistant":
            message = {key: value for key, value in message.items() if key != "reasoning_content"} | {"content": "".join(thought_and_text(message))}
        made.append(message)
    return made


def in_order(messages: list[dict]) -> list[dict]:
    """Results in the order of their calls, for forms that have no ids to tell which is whose."""
    made: list[dict] = []
    ids: list = []
    for message in messages:
        if message["role"] == "tool":
            place = next((len(made) - back for back in range(1, len(made) + 1) if made[-back]["role"] != "tool"), -1) + 1
            made[place:] = sorted([*made[place:], message], key=lambda result: ids.index(result["tool_call_id"]) if result.get("tool_call_id") in ids else len(ids))
        else:
            ids = [call["id"] for call in message.get("tool_calls", ())]
            made.append(message)
    return made


def flat(messages: list[dict]) -> list[dict]:
    """Calls and results as text, equal to what Qwen's and Hermes' templates make of them; results in a row are one user message."""
    made: list[dict] = []
    results = False
    for message in opened(in_order(messages)):
        content = message["content"]
        if message["role"] == "tool":
            told = f"<tool_response>\n{content}\n</tool_response>"
            if results:
                made[-1]["content"] += f"\n{told}"
            else:
                made.append({"role": "user", "content": told})
        else:
            for call in message.get("tool_calls", ()):
                function = call["function"]
                arguments = text(function["arguments"])
                if any(mark in arguments for mark in ("think>", "tool_call>")):  # templates would take them for marks
                    arguments = arguments.replace("<", "\\u003c")
                told = f'<tool_call>\n{{"name": "{function["name"]}", "arguments": {arguments}}}\n</tool_call>'
                content += ("\n" if content and not content.endswith("</think>\n\n") else "") + told
            made.append({"role": message["role"], "content": content})
        results = message["role"] == "tool"
    return made


def alternating(messages: list[dict]) -> list[dict]:
    """Flat messages, if torchtune's validate_messages takes them: it raises in the middle of an epoch."""
    turns = messages[messages[0]["role"] == "system" :]
    if any(message["role"] == "system" for message in turns):
        raise NoChat("a system message after the start: torchtune takes one at the start")
    if any((message["role"] == "user") != (number % 2 == 0) for number, message in enumerate(turns)):
        raise NoChat("user and assistant do not take turns: torchtune stops at such rows")
    return messages


def for_ms_swift(messages: list[dict]) -> list[dict]:
    """Messages with their thoughts in the content, if ms-swift's template takes them as they are."""
    turns = messages[messages[0]["role"] == "system" :]
    if any(message["role"] == "system" for message in turns):
        raise NoChat("a system message after the start: ms-swift stops at such rows")
    if any(one["role"] == other["role"] != "tool" for one, other in zip(turns, turns[1:])):
        raise NoChat("user and assistant do not take turns: ms-swift runs their texts together")
    return opened(messages)


def text_arguments(messages: list[dict]) -> list[dict]:
    """Arguments as JSON text: a loader that knows objects alone gives every call the keys of all others, or drops nulls that were meant."""
    return [
        message | {"tool_calls": [call | {"function": call["function"] | {"arguments": text(call["function"]["arguments"])}} for call in message["tool_calls"]]}
        if message.get("tool_calls") else message for message in messages
    ]


def sharegpt_turn(message: dict) -> dict:
    """One turn of the assistant as LLaMA-Factory reads it: calls are a JSON list in the turn's text."""
    thought, said = thought_and_text(message)
    if not message.get("tool_calls"):
        return {"from": "gpt", "value": thought + said}
    calls = text([{"name": call["function"]["name"], "arguments": call["function"]["arguments"]} for call in message["tool_calls"]])
    calls = calls.replace("<", "\\u003c")  # no mark of calls or thoughts in the arguments is taken for one
    if said.strip():  # the list stands between marks where text precedes it
        return {"from": "function_call", "value": f"{thought}{said}\n<tool_call>{calls}</tool_call>"}
    return {"from": "function_call", "value": thought + calls}


def sharegpt(messages: list[dict]) -> tuple[str, list[dict]]:
    """System text and turns for LLaMA-Factory. It takes turns of user or tools and of the assistant in alternation, and drops other rows."""
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    turns: list[dict] = []
    messages = in_order(messages)
    for message in messages[1:] if system or messages[0]["role"] == "system" else messages:
        if message["role"] == "system":
            raise NoChat("a system message after the start: LLaMA-Factory takes one at the start")
        if message["role"] == "tool" and turns and turns[-1]["from"] == "observation":  # Qwen's template puts results in one turn
            turns[-1]["value"] += f"\n</tool_response>\n<tool_response>\n{message['content']}"
            continue
        kind = {"user": "human", "tool": "observation"}.get(message["role"])
        turns.append({"from": kind, "value": message["content"]} if kind else sharegpt_turn(message))
    for number, turn in enumerate(turns):
        if (turn["from"] in ("human", "observation")) != (number % 2 == 0):
            raise NoChat("user and assistant do not take turns: LLaMA-Factory drops such rows")
    return system, turns


# ---------------------------------------------------------------------------------------------------------------------
# Rows


def sft_row(trainer: str, prompt: list, answer: list, tools: list, source: dict, split: bool) -> dict:
    """A row for supervised fine-tuning. split: the answer alone is to be trained, not what the prompt shows."""
    more = ({"tools": tools} if tools else {}) | {"source": source}
    if trainer in SWITCH:
        prompt, answer = (switched(messages, SWITCH[trainer]) for messages in (shown(prompt), answer))
    elif any("train" in message for message in prompt + answer):
        raise NoChat(UNTRAINED)
    if split and trainer in APART:
        return {"prompt": prompt, "completion": answer} | more
    if split and trainer not in SWITCH and any(message["role"] == "assistant" for message in prompt):
        raise NoChat(SPLIT)
    if trainer == "openrlhf":  # its loaders pass no tools to the template
        return {"messages": told_tools(prompt, tools) + answer, "source": source}
    if trainer == "verl":  # Parquet gives all rows the same keys, so what differs goes as text: see verl_dataset.py
        return {"messages": text(prompt + answer), "tools": text(tools)}
    if trainer in ("flat", "torchtune"):
        messages = flat(told_tools(prompt, tools) + answer)
        return {"messages": alternating(messages) if trainer == "torchtune" else messages, "source": source}
    if trainer == "llamafactory":
        system, turns = sharegpt(prompt + answer)
        return {"conversations": turns, "system": system, "tools": text([tool["function"] for tool in tools]) if tools else "", "source": source}
    if trainer == "ms-swift":
        return {"messages": for_ms_swift(prompt + answer)} | more
    if trainer == "axolotl":
        return {"messages": text_arguments(prompt + answer)} | more
    return {"messages": prompt + answer} | more


def said(message: dict) -> tuple:
    """A message without the ids that differ from rollout to rollout."""
    return message["role"], message.get("reasoning_content"), message["content"], [(call["function"]["name"], frozen(call["function"]["arguments"])) for call in message.get("tool_calls", ())]


def first_difference(prompt: list, chosen: list, rejected: list) -> tuple[list, list, list]:
    """The first assistant message in which two answers differ, after all that they share."""
    pairs = enumerate(zip(chosen, rejected))
    shared = next((number for number, (one, other) in pairs if said(one) != said(other)), None)
    if shared is None:
        raise NoChat("chosen and rejected are the same")
    if chosen[shared]["role"] != "assistant" or rejected[shared]["role"] != "assistant":
        raise NoChat("the answers differ first in a tool result")
    return prompt + chosen[:shared], chosen[shared : shared + 1], rejected[shared : shared + 1]


def dpo_row(trainer: str, prompt: list, chosen: list, rejected: list, tools: list, source: dict) -> dict:
    if [said(message) for message in chosen] == [said(message) for message in rejected]:
        raise NoChat("chosen and rejected are the same")
    if any("train" in message for message in chosen + rejected):
        raise NoChat(UNTRAINED)
    prompt = switched(shown(prompt), "loss") if trainer == "ms-swift" else switched(prompt)
    # ms-swift and torchtune learn every assistant message; NeMo RL, Axolotl and LLaMA-Factory the last one, the others tool results too.
    if trainer not in ("ms-swift", "torchtune") and (len(chosen) > 1 or len(rejected) > 1):
        raise NoChat(SEVERAL)
    more = ({"tools": tools} if tools else {}) | {"source": source}
    if trainer == "nemo-rl":  # its loader passes no tools
        completions = [{"rank": rank, "completion": completion} for rank, completion in enumerate((chosen, rejected))]
        return {"context": told_tools(prompt, tools), "completions": completions, "source": source}
    if trainer == "openrlhf":  # its loader makes columns prompt, chosen and reject: other names keep datasets 5 from mixing them up
        return {"context": told_tools(prompt, tools), "better": chosen, "worse": rejected, "source": source}
    if trainer in ("flat", "torchtune", "axolotl"):
        asked, better, worse = flat(told_tools(prompt, tools)), flat(chosen), flat(rejected)
        if trainer == "flat":
            return {"prompt": asked, "chosen": better, "rejected": worse, "source": source}
        if trainer == "torchtune":
            return {"chosen": asked + better, "rejected": asked + worse, "source": source}
        return {"messages": asked, "chosen": better[0], "rejected": worse[0], "source": source}
    if trainer == "llamafactory":
        system, turns = sharegpt(prompt)
        if len(turns) % 2 == 0:
            raise NoChat("the prompt ends with the assistant: LLaMA-Factory drops such rows")
        answers = {"chosen": sharegpt_turn(chosen[0]), "rejected": sharegpt_turn(rejected[0])}
        return {"conversations": turns, "system": system, "tools": text([tool["function"] for tool in tools]) if tools else ""} | answers | {"source": source}
    if trainer == "ms-swift":  # it shows the tools of the rejected answer's prompt only from a column of their own
        rows = {"messages": for_ms_swift(prompt + chosen), "rejected_messages": for_ms_swift(prompt + rejected)}
        return rows | ({"tools": tools, "rejected_tools": tools} if tools else {}) | {"source": source}
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected} | more


def kto_row(trainer: str, prompt: list, answer: list, tools: list, source: dict, good: bool) -> dict:
    """One answer with its verdict, for trainers that learn from single answers."""
    if len(answer) > 1:
        raise NoChat("an answer of several messages: the tool results would be learned, too")
    return {"prompt": prompt, "completion": answer, "label": good} | ({"tools": tools} if tools else {}) | {"source": source}


def rl_row(trainer: str, row: dict, other: NoChat) -> dict:
    """A task row as the trainer's own prompt loader reads it. Raises ``other`` for a row of another kind."""
    if kind_of(row) not in ("task", "rollout", "result") or not isinstance(row.get("responses_create_params"), dict):
        raise other
    params = row["responses_create_params"]
    given = params.get("input")
    if not given and not params.get("instructions"):
        raise NoChat("no prompt: the agent of such a task brings it. Collect through Gym")
    if trainer in ("nemo-rl", "verl"):
        if not isinstance(dict_of(row, "agent_ref").get("name"), str):
            raise NoChat("no agent_ref: this trainer reads it before Gym could make one of task_source")
        if trainer == "verl" and not isinstance(given, list):
            raise NoChat("input is a string: verl's recipe wants messages")
        if trainer == "verl" and any(not isinstance(item, dict) or (item.get("type") or "message") != "message" for item in given):
            raise NoChat("input holds tool calls: verl's recipe would make empty user messages of them")
        return row
    # The converter takes a whole rollout: an answer stands in for what the trainer will generate.
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "answer"}]}
    items = prompt_of(row | {"response": {}})
    if items and isinstance(items[-1], dict) and (items[-1].get("role") == "assistant" or items[-1].get("type") in ("function_call", "reasoning")):
        raise NoChat("the prompt ends with the assistant: this trainer would begin a new turn")
    prompt, _, tools = convert({"responses_create_params": params, "response": {"output": [said]}, "reward": 0.0})
    if trainer == "openrlhf":
        return {"prompt": told_tools(prompt, tools), "label": text(row)}
    return {"prompt": prompt, "gym_row": text(row)}


IN_PROMPT = "row has answers in its prompt", "rows have answers in their prompt"
NOT_LEARNED = "row has messages that are not to be learned", "rows have messages that are not to be learned"
TAKEN = ", and this trainer has no switch per message: it trains on those, too"
KEPT_OUT = {
    "axolotl": ", out of the loss with message_field_training: training",
    **dict.fromkeys(APART, ": all rows are prompt and completion, and the completion alone is trained"),
    **dict.fromkeys(("ms-swift", "verl"), ", out of the loss"),
    "flat": ", and most trainers train on those, too",
}
UNDEFINED = "row calls tools that it does not define", "rows call tools that they do not define"


def remarks(kind: str, trainer: str, parts: tuple) -> Iterator[tuple[str, str]]:
    """What to know of a row that was made, worded for one such row and for several."""
    if kind == "rl":
        return
    *talks, tools = parts[: 4 if kind == "dpo" else 3]
    if kind == "sft" and not (parts[-1] and trainer in APART) and any(message["role"] == "assistant" for message in talks[0]):
        yield tuple(words + KEPT_OUT.get(trainer, TAKEN) for words in IN_PROMPT)
    if any("train" in message for talk in talks for message in talk):
        yield tuple(words + KEPT_OUT.get(trainer, TAKEN) for words in NOT_LEARNED)
    called = {call["function"]["name"] for talk in talks for message in talk for call in message.get("tool_calls", ())}
    if called - {tool["function"]["name"] for tool in tools}:
        yield UNDEFINED


def describe_for_llamafactory(output: Path, kind: str) -> None:
    """LLaMA-Factory finds a file by its entry in dataset_info.json beside it; other entries stay."""
    info = output.with_name("dataset_info.json")
    try:
        entries = loads(info.read_bytes()) if info.exists() else {}
    except ValueError as error:
        raise BadInput(f"{info}: not JSON ({error}). Mend it or move it away") from None
    entries[output.stem] = {"file_name": output.name} | DATASET_INFO[kind]
    with writing(info, "w") as out:
        out.write(json.dumps(entries, indent=2) + "\n")
