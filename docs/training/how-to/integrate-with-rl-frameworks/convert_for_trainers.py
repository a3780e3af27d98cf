"""Write the file that a trainer reads, of rollouts or of training sets made from them.

    python convert_for_trainers.py sft ROLLOUTS --for trl -o sft.jsonl
    python convert_for_trainers.py dpo ROLLOUTS --for trl nemo-rl openrlhf -o converted/
    python convert_for_trainers.py rl TASKS --for trl -o prompts.jsonl

For several trainers, -o is a folder, and the files in it are named TRAINER_KIND: trl_sft.jsonl, verl_sft.parquet.

ROLLOUTS is what `gym eval run` wrote with -o, or rows that hold `messages`, or `prompt` and `completion`, or `prompt`, `chosen`
and `rejected` already, as make_training_sets.py writes them.
Run it with the Python that has nemo-gym installed: Gym's own converter turns rollouts into chat messages. What it leaves is
mended here: tool-call arguments become objects, content a string, developer messages system messages, and a tool result
that no reply follows goes. Every row that is left out is counted under its reason.

Exit code: 0 done, 1 no row was left to write, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rollout_to_chat import BadInput, NoChat, arguments_of, cut_off, dump, read_rows, source_of, text_of, tools_of, writing

TRAINERS = ("nemo-rl", "verl", "openrlhf", "trl", "unsloth")
# The wording with which Qwen's and Hermes' templates show tools, for the loaders that show none.
TOOLS_TEXT = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
    '<tool_call>\n{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
)


# ---------------------------------------------------------------------------------------------------------------------
# Rollouts to messages


def gym_messages(items: list, instructions: str | None) -> list[dict]:
    """What Gym's converter makes of Responses items."""
    from nemo_gym import NeMoGymResponseCreateParamsNonStreaming
    from nemo_gym.responses_converter import ResponsesConverter
    from pydantic import ValidationError

    params = {"input": items} | ({"instructions": instructions} if instructions else {})
    try:
        request = NeMoGymResponseCreateParamsNonStreaming(**params)
        converter = ResponsesConverter(return_token_id_information=False)
        chat = converter.responses_to_chat_completion_create_params(request)
    except ValidationError as error:
        found = error.errors()[0]
        raise NoChat(f"no valid Responses items: {found['msg']}") from None
    except (NotImplementedError, ValueError) as error:
        raise NoChat(f"Gym's converter: {str(error).splitlines()[0][:90]}") from None
    return chat.model_dump(exclude_unset=True, mode="json")["messages"]


def mend(message: dict) -> dict:
    """One message as trainers and their templates want it."""
    role = message["role"]
    if role not in ("system", "developer", "user", "assistant", "tool"):
        raise NoChat(f"message with the role {role}")
    mended = {"role": "system" if role == "developer" else role}
    if message.get("tool_call_id"):
        mended["tool_call_id"] = message["tool_call_id"]
    if isinstance(message.get("reasoning_content"), str):
        mended["reasoning_content"] = message["reasoning_content"]
    mended["content"] = text_of(message.get("content"))
    calls = [
        {"id": call.get("id"), "type": "function",
         "function": {"name": call["function"]["name"], "arguments": arguments_of(call["function"]["arguments"])}}
        for call in message.get("tool_calls") or []
    ]
    return mended | ({"tool_calls": calls} if calls else {})


def one_system(messages: list[dict]) -> list[dict]:
    """System messages at the start as one: many templates take no second one."""
    start = next((i for i, message in enumerate(messages) if message["role"] != "system"), len(messages))
    if start < 2:
        return messages
    return [{"role": "system", "content": "\n\n".join(message["content"] for message in messages[:start])}, *messages[start:]]


def conversation(prompt: list[dict], answer: list[dict]) -> tuple[list[dict], list[dict]]:
    """Prompt and answer, mended. Raises NoChat if there is nothing to learn or a tool result has no call."""
    prompt, answer = one_system([mend(message) for message in prompt]), [mend(message) for message in answer]
    while answer and answer[-1]["role"] != "assistant":
        answer.pop()
    calls = set()
    for message in prompt + answer:
        calls.update(call["id"] for call in message.get("tool_calls", ()))
        if message["role"] == "tool" and message.get("tool_call_id") not in calls:
            raise NoChat("a tool result without its call")
    if not answer:
        raise NoChat("no answer")
    if not prompt:
        raise NoChat("no prompt")
    last = answer[-1]
    if not last.get("tool_calls") and not last["content"].split("</think>")[-1].split("<think>")[0].strip():
        raise NoChat("no answer: the last reply is empty or ends while thinking")
    return prompt, answer


def items_of(given: object) -> list:
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])


def convert(rollout: dict) -> tuple[list[dict], list[dict], list[dict]]:
    """Prompt, answer and tools of a rollout. The answer begins with the first message that the model wrote."""
    params, response = rollout.get("responses_create_params"), rollout.get("response")
    if not isinstance(params, dict) or not isinstance(response, dict):
        raise NoChat("no responses_create_params or no response")
    if rollout.get("mask_sample"):
        raise NoChat("masked: mask_sample is true")
    if not response.get("output"):
        raise NoChat("no answer")
    asked, instructions = items_of(params.get("input")), params.get("instructions")
    prompt = gym_messages(asked, instructions) if asked or instructions else []
    whole = gym_messages(asked + list(response["output"]), instructions)
    # An assistant message at the end of the prompt and the first output item become one message: it is the answer's.
    start = len(prompt) - (bool(prompt) and prompt[-1]["role"] == "assistant")
    return *conversation(whole[:start], whole[start:]), tools_of(rollout)


# ---------------------------------------------------------------------------------------------------------------------
# Rows in


def sft_rows(path: Path, min_reward: float) -> Iterator[tuple[list, list, list, dict, bool] | str]:
    """(prompt, answer, tools, source, split) of each row, or the reason why it has none. Split: the answer alone is to be trained."""
    for _, row in read_rows(path):
        try:
            if split := "completion" in row:
                parts = row["prompt"], row["completion"]
            elif "messages" in row:
                start = next((i for i, m in enumerate(row["messages"]) if m["role"] == "assistant"), len(row["messages"]))
                parts = row["messages"][:start], row["messages"][start:]
            else:
                reward = row.get("reward")
                if "response" in row and not isinstance(reward, (int, float)):
                    raise NoChat("no reward")
                if "response" in row and reward < min_reward:
                    raise NoChat(f"reward below {min_reward:g}")
                prompt, answer, tools = convert(row)
                if why := cut_off(row):
                    raise NoChat(f"cut off: {why}")
                yield prompt, answer, tools, source_of(row), False
                continue
            yield *conversation(*parts), row.get("tools") or [], row.get("source") or {}, split
        except NoChat as reason:
            yield str(reason)


def place(rollout: dict) -> tuple[float, int]:
    """Of equal rewards, the first repeat is the best and the last one the worst, whatever their order in the file."""
    return rollout["reward"], -(rollout.get("_ng_rollout_index") or 0)


def dpo_rows(path: Path, min_gap: float) -> Iterator[tuple[list, list, list, list, dict] | str]:
    """(prompt, chosen, rejected, tools, source) of each pair. Of rollouts, the best and the worst of each task."""
    tasks: dict[int, list[dict | None]] = {}
    for number, row in read_rows(path):
        if "chosen" in row:
            try:
                prompt, chosen = conversation(row["prompt"], row["chosen"])
                yield prompt, chosen, conversation(row["prompt"], row["rejected"])[1], row.get("tools") or [], row.get("source") or {}
            except NoChat as reason:
                yield str(reason)
        elif not isinstance(row.get("_ng_task_index"), int) or not isinstance(row.get("reward"), (int, float)) or not isinstance(row.get("response"), dict):
            raise BadInput(f"{path}:{number}: neither a rollout (_ng_task_index, reward) nor a pair (prompt, chosen, rejected)")
        else:
            pair = tasks.setdefault(row["_ng_task_index"], [None, None])
            if row.get("mask_sample"):
                continue
            if not cut_off(row) and (pair[0] is None or place(row) > place(pair[0])):  # a cut-off answer is never the better one
                pair[0] = row
            if pair[1] is None or place(row) < place(pair[1]):
                pair[1] = row
    for best, worst in tasks.values():
        try:
            if best is None:
                raise NoChat("every rollout of the task is cut off or masked")
            if best["reward"] - worst["reward"] < min_gap:
                raise NoChat("no two rollouts of the task differ enough in reward")
            prompt, chosen, tools = convert(best)
            other, rejected, _ = convert(worst)
            if prompt != other:
                raise NoChat("the two rollouts have different prompts")
            yield prompt, chosen, rejected, tools, {"chosen": source_of(best), "rejected": source_of(worst)}
        except NoChat as reason:
            yield str(reason)


# ---------------------------------------------------------------------------------------------------------------------
# Rows out


def told_tools(prompt: list[dict], tools: list[dict]) -> list[dict]:
    """The prompt with its tools written into the system message."""
    if not tools:
        return prompt
    text = TOOLS_TEXT.format("\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))
    if prompt[0]["role"] == "system":
        return [{"role": "system", "content": f"{prompt[0]['content']}\n\n{text}"}, *prompt[1:]]
    return [{"role": "system", "content": text}, *prompt]


def sft_row(trainer: str, prompt: list, answer: list, tools: list, source: dict, split: bool) -> dict:
    more = ({"tools": tools} if tools else {}) | {"source": source}
    if split and trainer in ("trl", "unsloth"):
        return {"prompt": prompt, "completion": answer} | more
    if split and any(message["role"] == "assistant" for message in prompt):
        raise NoChat("the prompt holds answers, which this trainer trains as well: make the rows without --split to allow it")
    if trainer == "openrlhf":  # its loaders pass no tools to the template
        return {"messages": told_tools(prompt, tools) + answer, "source": source}
    if trainer == "verl":  # Parquet gives all rows the same keys, so what differs goes as text: see verl_dataset.py
        return {"messages": json.dumps(prompt + answer, ensure_ascii=False), "tools": json.dumps(tools, ensure_ascii=False)}
    return {"messages": prompt + answer} | more


def first_difference(prompt: list, chosen: list, rejected: list) -> tuple[list, list, list]:
    """The first assistant message in which two answers differ, after all that they share."""
    pairs = enumerate(zip(chosen, rejected))
    shared = next((number for number, (one, other) in pairs if said(one) != said(other)), None)
    if shared is None:
        raise NoChat("chosen and rejected are the same")
    if chosen[shared]["role"] != "assistant" or rejected[shared]["role"] != "assistant":
        raise NoChat("the answers differ first in a tool result")
    return prompt + chosen[:shared], chosen[shared : shared + 1], rejected[shared : shared + 1]


def said(message: dict) -> tuple:
    """A message without the ids that differ from rollout to rollout."""
    return message["role"], message["content"], [call["function"] for call in message.get("tool_calls", ())]


def dpo_row(trainer: str, prompt: list, chosen: list, rejected: list, tools: list, source: dict) -> dict:
    if [said(message) for message in chosen] == [said(message) for message in rejected]:
        raise NoChat("chosen and rejected are the same")
    if len(chosen) > 1 or len(rejected) > 1:  # NeMo RL trains the last message alone, the others tool results as well
        raise NoChat("an answer of several messages: try --first-difference")
    if trainer == "nemo-rl":  # its loader passes no tools
        completions = [{"rank": rank, "completion": completion} for rank, completion in enumerate((chosen, rejected))]
        return {"context": told_tools(prompt, tools), "completions": completions, "source": source}
    if trainer == "openrlhf":  # its loader makes columns prompt, chosen and reject: other names keep datasets 5 from mixing them up
        return {"context": told_tools(prompt, tools), "better": chosen, "worse": rejected, "source": source}
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected} | ({"tools": tools} if tools else {}) | {"source": source}


def rl_row(trainer: str, row: dict) -> dict:
    """A task row as the trainer's own prompt loader reads it."""
    params = row.get("responses_create_params")
    if not isinstance(params, dict):
        raise NoChat("no responses_create_params")
    if trainer in ("nemo-rl", "verl"):
        if not isinstance((row.get("agent_ref") or {}).get("name"), str):
            raise NoChat("no agent_ref: this trainer reads it before Gym could make one of task_source")
        if trainer == "verl" and isinstance(params.get("input"), str):
            raise NoChat("input is a string: verl's recipe wants messages")
        if trainer == "verl" and any((item.get("type") or "message") != "message" for item in params["input"]):
            raise NoChat("input holds tool calls: verl's recipe would make empty user messages of them")
        return row
    prompt = one_system([mend(message) for message in gym_messages(items_of(params.get("input")), params.get("instructions"))])
    kept = json.dumps(row, ensure_ascii=False)
    if trainer == "openrlhf":
        return {"prompt": told_tools(prompt, tools_of(row)), "label": kept}
    return {"prompt": prompt, "gym_row": kept}


def write(path: Path, rows: list[dict] | Iterator[dict], parquet: bool) -> None:
    if not parquet:
        with writing(path) as out:
            for row in rows:
                out.write(dump(row))
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


def made(args: argparse.Namespace, trainer: str, reasons: Counter, counts: Counter) -> Iterator[dict]:
    """The rows of the output, one by one."""
    if args.kind == "rl":
        given = ((row,) for _, row in read_rows(args.input))
    elif args.kind == "sft":
        given = sft_rows(args.input, args.min_reward)
    else:
        given = dpo_rows(args.input, args.min_gap)
    make = {"sft": sft_row, "dpo": dpo_row, "rl": rl_row}[args.kind]
    for parts in given:
        counts["in"] += 1
        try:
            if isinstance(parts, str):
                raise NoChat(parts)
            if args.kind == "dpo" and args.first_difference:
                prompt, chosen, rejected, *rest = parts
                parts = (*first_difference(prompt, chosen, rejected), *rest)
            row = make(trainer, *parts)
        except NoChat as reason:
            reasons[str(reason)] += 1
            continue
        counts["out"] += 1
        yield row


def one_file(args: argparse.Namespace, trainer: str, output: Path) -> bool:
    """Write one trainer's file and say what went in, what came out, and why the rest did not."""
    reasons, counts = Counter(), Counter()
    write(output, made(args, trainer, reasons, counts), output.suffix == ".parquet")
    what = {"sft": "rows", "dpo": "pairs or tasks", "rl": "tasks"}[args.kind]
    print(f"{output}: {counts['in']} {what} in, {counts['out']} out for {trainer}")
    for reason, count in reasons.most_common():
        print(f"  {count} left out: {reason}")
    if not counts["out"]:
        output.unlink(missing_ok=True)
    return bool(counts["out"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("sft", "dpo", "rl"), help="fine-tuning, preference pairs, or prompts for online RL")
    parser.add_argument("input", type=Path, metavar="INPUT", help="rollouts, a training set, or for rl task rows")
    parser.add_argument("--for", dest="trainers", nargs="+", choices=TRAINERS, required=True, help="who reads the output")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSONL; Parquet for sft --for verl; a folder for several trainers")
    parser.add_argument("--min-reward", type=float, default=1.0, help="sft: leave out rollouts below it (default: %(default)s)")
    parser.add_argument("--min-gap", type=float, default=0.5, help="dpo: least difference of the two rewards (default: %(default)s)")
    parser.add_argument("--first-difference", action="store_true", help="dpo: of answers of several messages, compare the first that differ")
    args = parser.parse_args()
    if args.kind == "dpo" and "verl" in args.trainers:
        parser.error("verl 0.9.1 has no DPO trainer. Take --for trl, openrlhf or nemo-rl")
    suffixes = {trainer: ".parquet" if (args.kind, trainer) == ("sft", "verl") else ".jsonl" for trainer in args.trainers}
    outputs = {trainer: args.output / f"{trainer}_{args.kind}{suffix}" for trainer, suffix in suffixes.items()}
    if len(outputs) == 1:
        outputs = dict.fromkeys(outputs, args.output)
    elif args.output.is_file():
        parser.error(f"{args.output} is a file. For several trainers, -o names a folder")
    if wrong := next((trainer for trainer, output in outputs.items() if output.suffix != suffixes[trainer]), None):
        parser.error(f"-o wants a file name that ends with {suffixes[wrong]}, or a folder if --for names several trainers")
    try:
        good = [one_file(args, trainer, output) for trainer, output in outputs.items()]
    except BadInput as error:
        print(f"convert_for_trainers.py: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"convert_for_trainers.py: {error}. Run it with the Python that has nemo-gym installed", file=sys.stderr)
        return 2
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
