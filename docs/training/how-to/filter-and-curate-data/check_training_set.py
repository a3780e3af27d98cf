"""`make_training_sets.py check`: rows that a trainer learns nothing or something false from, and runs that are worthless as a whole."""

from __future__ import annotations

from collections import Counter

from doubts import Repeats, contradiction
from rollout_to_chat import IN_A_ROW, convert
from rollouts import (
    KINDS, TASK, BadInput, NoChat, Said, Unclear, answer_in, answer_key, call_in_text, dumps, kind_of, lines, list_of, names_of, prompt_key, prompt_of, said,
    split_thoughts, task_of, tools_offered, unanswered, unmeasured,
)


def text_faults(text: str, tools: tuple[str, ...], where: str) -> list[str]:
    """What a text of the model holds that is no text."""
    found = []
    try:
        text = split_thoughts(text)[1]
    except Unclear:
        found.append(f"{where}: marks of reasoning inside the answer")
    if call_in_text(text, tools):
        found.append(f"{where}: a tool call left in the text: the endpoint's parser does not fit, or the call is malformed")
    return found


def faults(messages, where: str, tools: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a list of chat messages."""
    if isinstance(messages, str):
        return [f"{where} is a string, not a list of messages"]
    if not isinstance(messages, list):
        return [f"{where} is {'null' if messages is None else f'a {type(messages).__name__}'}, not a list of messages"]
    if not messages:
        return [f"{where} is empty"]
    found, waiting, before = [], set(), None
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            kind = message.get("type") if isinstance(message, dict) else type(message).__name__
            found.append(f"{where} holds a {kind}: these are items of the Responses API, templates skip them" if kind else f"{where} holds a message without a role")
            continue
        if message["role"] == "assistant" == before:
            found.append(f"{where}: two messages of the assistant in a row")
        before = message["role"]
        if message["role"] == "tool":
            waiting.discard(str(message.get("tool_call_id")))
        elif waiting:  # an example in a prompt may go on with the user
            found += [f"{where}: a tool call without its result"] if message["role"] == "assistant" else []
            waiting = set()
        content = message.get("content")
        if not isinstance(content, str):
            found.append(f"{where} has content that is no string, templates render it as text or skip it")
        elif message["role"] == "assistant":
            found += text_faults(content, tools, where)
        calls = message.get("tool_calls") or []
        found += [] if isinstance(calls, list) else [f"{where} has tool_calls that are no list"]
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict) or not isinstance(function.get("arguments"), dict):
                found.append(f"{where} has tool-call arguments that are no object")
            waiting.add(str(call.get("id")) if isinstance(call, dict) else "")
    return list(dict.fromkeys(found))


def spoken(messages) -> str:
    """The text and the calls of the model, as a chat template would see them."""
    own = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"] if isinstance(messages, list) else []
    return "".join((m["content"] if isinstance(m.get("content"), str) else "") + "".join(str(dumps(call)) for call in list_of(m, "tool_calls")) for m in own)


def begins(row: dict, *parts: str) -> list[str]:
    """Answers that begin with a message of someone else: as where the prompt is in them, too."""
    first = {part: row[part][0] for part in parts if isinstance(row[part], list) and row[part]}
    return [f"{part} does not begin with the assistant" for part, message in first.items() if isinstance(message, dict) and message.get("role") not in ("assistant", None)]


def of_chat(row: dict) -> list[str]:
    if "messages" not in row:
        return ["conversations: rename them to messages with role and content"]
    own = row["messages"]
    found = faults(own, "messages", names_of(row.get("tools")))
    if not isinstance(own, list) or not own:
        return found
    if not any(isinstance(m, dict) and m.get("role") == "user" for m in own):
        found.append("messages have no user turn: the prompt is missing")
    if not spoken(own).strip():
        found.append("messages have no assistant text or call: nothing to learn from")
    elif isinstance(own[-1], dict) and own[-1].get("role") != "assistant":
        found.append("messages do not end with the assistant")
    return found


def of_pair(row: dict) -> list[str]:
    found = [fault for part in ("prompt", "chosen", "rejected") for fault in faults(row.get(part), part, names_of(row.get("tools")))]
    found += begins(row, "chosen", "rejected") if row.get("prompt") else []
    sides = {part: row[part] for part in ("chosen", "rejected") if isinstance(row[part], list) and row[part]}
    found += [f"{part} has no assistant text or call" for part, side in sides.items() if not spoken(side).strip()]
    if len(sides) == 2 and spoken(row["chosen"]) == spoken(row["rejected"]):
        found.append("chosen and rejected are the same to a template: the loss stays at ln 2 = 0.6931")
    return found


def of_completion(row: dict) -> list[str]:
    found = [fault for part in ("prompt", "completion") for fault in faults(row[part], part, names_of(row.get("tools")))] + begins(row, "completion")
    if isinstance(row["completion"], list) and row["completion"] and not spoken(row["completion"]).strip():
        found.append("completion has no assistant text or call: nothing to learn from")
    return found


def of_rollout(row: dict) -> list[str]:
    if why := unmeasured(row) or unanswered(row):
        return [f"not usable: {why}"]
    seen = said(row)
    found = ["a tool call without its result"] if seen.lost else []
    try:
        convert(row)
    except NoChat as reason:  # others are no fault of a rollout
        found += [IN_A_ROW] if str(reason) == IN_A_ROW else []
    for text in seen.texts:
        found += text_faults(text, names_of(tools_offered(row)), "output")
    why = contradiction(row, answered(seen), [(call.name, call.arguments) for call in seen.calls], row["reward"])
    return list(dict.fromkeys([*found, *([f"the reward contradicts its row: {why}"] if why else [])]))


def answered(seen: Said) -> str:
    """What was answered, without the reasoning, as far as it can be told."""
    return "".join(map(answer_in, seen.texts))


class Run:
    """What is wrong with rollouts together."""

    def __init__(self) -> None:
        self.repeats, self.prompts = Repeats(), {}

    def add(self, row: dict) -> None:
        task, seen = task_of(row), said(row)
        if task not in self.prompts:
            self.prompts[task] = prompt_key(row) if prompt_of(row) else None  # an agent may bring the prompt
        answer = seen._replace(texts=["\n".join(seen.texts).strip()], thoughts=[])  # as in run_quality.py: a verifier sees no reasoning items
        reward = row["reward"] if unmeasured(row) is None and not unanswered(row) else None
        self.repeats.add(task, row["response"].get("id"), answer_key(answer), reward)

    def alone(self) -> str | None:
        """What is a fault only if the tasks do not differ in what the environment holds."""
        prompts = list(self.prompts.values())
        return f"all {len(prompts)} tasks have one prompt: right only where the environment holds the task" if len(prompts) > 1 and prompts[0] and len(set(prompts)) == 1 else None

    def found(self) -> list[str]:
        (copies, ids), (uneven, rollouts) = self.repeats.copied(), self.repeats.unequal()
        prompts = [prompt for prompt in self.prompts.values() if prompt]
        again = len(prompts) - len(set(prompts)) if len(set(prompts)) > 1 else 0  # a single one: the environment brings the rest
        return [text for count, text in (
            (copies, f"{copies} of {ids} rollouts repeat the response.id and the answer of another one"),
            (again, f"{again} of {len(prompts)} tasks have the prompt of another one, under another {TASK}"),
            (uneven, f"{uneven} of {rollouts} rollouts gave the same answer to the same task as another one, for another reward"),
        ) if count]


CHECKS = {"chat": of_chat, "pair": of_pair, "completion": of_completion, "rollout": of_rollout}


def check(args) -> int:
    problems, examples, rows = Counter(), {}, 0
    run, seen, again, thinking = Run(), set(), 0, 0
    for number, _, _, row in lines(args.file):
        rows += 1
        kind = kind_of(row)
        if kind not in CHECKS and rows == 1:
            raise BadInput(f"{args.file}:{number}: neither a rollout, nor messages, nor prompt and completion, nor chosen and rejected, but {KINDS[kind]}")
        found = CHECKS[kind](row) if kind in CHECKS else [f"neither a rollout nor a training row, but {KINDS[kind]}"]
        if kind == "rollout":
            run.add(row)
        else:
            key = hash(dumps({name: value for name, value in row.items() if name != "source"}))
            if key in seen:
                again += 1
                if args.each:
                    print(f"{args.file}:{number}: a copy of an earlier row")
            seen.add(key)
            thinking += any(mark in spoken(row.get("messages") or row.get("completion") or row.get("chosen")) for mark in ("think>", "THINK]"))
        for fault in found:
            problems[fault] += 1
            examples.setdefault(fault, number)
            if args.each:
                print(f"{args.file}:{number}: {fault}")
    for fault, count in problems.most_common():
        print(f"{args.file}:{examples[fault]}: {fault} ({count} rows)" if not args.each else f"{args.file}: {count} rows: {fault}")
    whole = run.found() + ([f"{again} rows are there twice"] if again else [])
    for fault in whole:
        print(f"{args.file}: {fault}")
    if alone := run.alone():
        print(f"{args.file}: {alone}")
    if thinking:
        print(f"{args.file}: {thinking} rows hold reasoning in the text: --reasoning field or drop takes it out")
    count = len(problems) + len(whole)
    print(f"{args.file}: {rows} rows, {f'{count} problems' if count > 1 else '1 problem' if count else 'no problem'}")
    return 1 if count else 0
