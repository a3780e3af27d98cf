"""What a rollout is: the rows of a file, their kind and their task. With rollout_contents.py and jsonl.py the scripts' reader of rollouts.

    from rollouts import Rollouts, said, unusable, writing

    run = Rollouts("results/run/rollouts.jsonl")
    with writing("kept.jsonl") as out:
        for number, offset, raw, row in run:
            if not unusable(row):
                out.write(raw)  # the bytes of the line, unchanged
    print(*run.notes(), sep="\\n")

Rows are plain dicts. The functions take any JSON object with a `response` and raise nothing but BadInput and NoChat.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from jsonl import BadInput, as_cell, digest, dumps, lines, loads, plain, raw_lines, row_at, strict, whole_row, writing  # noqa: F401 (so that scripts have all from here)
from rollout_contents import (  # noqa: F401
    CALL_ITEMS, LISTS, RESULT_ITEMS, Call, NoChat, Said, Unclear, answer_in, answer_key, arguments_in, brief, call_in_text, cut_off, dict_of, field_of,
    frozen, has_token_ids, list_of, lost_calls, masked, may_think, names_of, number_of, said, split_thoughts, text_in, thoughts_in, tokens_of, tools_offered, type_of,
    unanswered, unmeasured, unusable,
)

TASK, REPEAT = "_ng_task_index", "_ng_rollout_index"


class Rollouts:
    """The rollouts of a file, as ``lines`` gives them. Rows of another kind are in ``others``: why, by their line number.

    Raises BadInput at the end if no row is a rollout.
    """

    def __init__(self, path: Path | str, torn_end: bool = False) -> None:
        self.path, self.torn_end = path, torn_end
        self.count, self.without_index, self.others = 0, 0, {}

    def __iter__(self) -> Iterator[tuple[int, int, bytes, dict]]:
        self.count, self.without_index, self.others, first = 0, 0, {}, None
        for entry in lines(self.path, self.torn_end):
            row = entry[3]
            if type(row.get("response")) is dict:
                self.count += 1
                self.without_index += TASK not in row
                yield entry
            else:
                self.others[entry[0]] = why = f"no rollout, but {KINDS[kind_of(row)]}"
                first = first or f"{self.path}:{entry[0]}: {why}. Give the file that gym eval run wrote with -o"
        if not self.count:
            raise BadInput(first)

    def notes(self) -> list[str]:
        """What a script says about the file, after it has read it."""
        said = [f"{self.path}: {count} rows left out: {why}" for why, count in Counter(self.others.values()).most_common()]
        if self.without_index:
            said.append(f"{self.path}: {self.without_index} of {self.count} rollouts have no {TASK}, as older examples: their prompt stands for the task")
        return said


class Hashes:
    """A set of hashes of 64 bits in 16 to 32 bytes each, where Python's own takes 100: a file may hold millions of rows."""

    def __init__(self) -> None:
        self.count, self.table = 0, array("Q", bytes(8 << 10))

    def add(self, value: int) -> bool:
        """Whether the hash is new."""
        value = value & 0xFFFFFFFFFFFFFFFF or 1  # 0 marks a free place
        table, mask = self.table, len(self.table) - 1
        place = value & mask
        while found := table[place]:
            if found == value:
                return False
            place = (place + 1) & mask
        table[place] = value
        self.count += 1
        if self.count * 2 > mask:
            self.count, self.table = 0, array("Q", bytes(16 * len(table)))
            for old in table:
                if old:
                    self.add(old)
        return True


class Numbers:
    """Numbers tasks from 0, in the order in which they come. Whole numbers that lie close together, as Gym's do, take 4 bytes each, not 100."""

    def __init__(self) -> None:
        self.count, self.close, self.others = 0, array("i"), {}  # close: the number of the task at this place, or -1

    def get(self, task: int | str) -> int | None:
        if type(task) is int and 0 <= task < len(self.close) and (number := self.close[task]) >= 0:
            return number
        return self.others.get(task) if self.others else None

    def add(self, task: int | str) -> int:
        close = self.close
        if type(task) is int and 0 <= task < len(close) and (number := close[task]) >= 0:  # as in get: a call less for every rollout
            return number
        number = self.others.get(task) if self.others else None
        if number is None:
            number = self.count
            self.count += 1
            if type(task) is int and 0 <= task < 256 + 16 * number:
                if task >= len(close):
                    close.frombytes(b"\xff" * close.itemsize * (task + 1 - len(close)))
                close[task] = number
            else:
                self.others[task] = number
        return number

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int | str]:
        """The tasks in the order of their numbers."""
        tasks: list = [None] * self.count
        for task, number in enumerate(self.close):
            if number >= 0:
                tasks[number] = task
        for task, number in self.others.items():
            tasks[number] = task
        return iter(tasks)


class Seen:
    """Numbers the tasks of a file, and tells a task and repeat that was there before. One integer per task, whose bits are its repeats."""

    def __init__(self, path: Path | str) -> None:
        self.path, self.more, self.tasks = path, Hashes(), Numbers()
        self.bits: list[int] = []

    def add(self, number: int, row: dict) -> int:
        """The number of the row's task, from 0. Raises BadInput for a duplicate; without a repeat number, only the same row again is one."""
        task, repeat = key_of(row)
        bits, place = self.bits, self.tasks.add(task)
        if place == len(bits):
            bits.append(0)
        if repeat is not None and 0 <= repeat < 4096:
            old = bits[place]
            bits[place] = both = old | 1 << repeat
            new = both != old
        else:
            new = self.more.add(digest(task, repeat, row if repeat is None else None))
        if not new:
            raise BadInput(
                f"{self.path}:{number}: task {task}, repeat {repeat} is there twice. Two runs in one file? "
                "Each run counts both from 0: take each on its own"
            )
        return place


# ---------------------------------------------------------------------------------------------------------------------
# What a row is

KINDS = {
    "rollout": "a rollout", "failure": "a row of the failures sidecar", "verdict": "a verdict of the health check",
    "profile": "a row of gym eval profile", "aggregate": "aggregate metrics", "pair": "a preference pair", "completion": "a prompt with its completion",
    "chat": "a chat row", "result": "a result without a response", "task": "a task row", "unknown": "a row of an unknown kind",
}


def kind_of(row: dict) -> str:
    """What a row is, one of KINDS. A row with a ``response`` is a rollout, whatever other fields it has."""
    if isinstance(row.get("response"), dict):
        return "rollout"
    for kind, fields in (
        ("failure", ("_ng_failure_class",)), ("verdict", ("verdict", "findings")), ("profile", ("sample", "mean/reward")), ("profile", ("rollout_infos",)),
        ("aggregate", ("agent_metrics",)), ("result", ("_ng_result_type",)), ("result", ("responses_create_params", "reward")),
        ("task", ("responses_create_params",)), ("pair", ("chosen", "rejected")), ("completion", ("prompt", "completion")),
        ("chat", ("messages",)), ("chat", ("conversations",)), ("result", ("reward",)),
    ):
        if all(field in row for field in fields):
            return kind
    return "unknown"


def task_of(row: dict) -> int | str:
    """The task of a rollout: `_ng_task_index`, else its whole prompt."""
    task = whole(row.get(TASK))
    return task if type(task) is int or type(task) is str else f"prompt-{prompt_key(row)}"


def whole(index: object) -> object:
    """3 for 3.0, which a table with gaps makes of an index; all else as it is."""
    return int(index) if type(index) is float and index.is_integer() else index


def key_of(row: dict) -> tuple[int | str, int | None]:
    """Task and repeat, by which Gym names a rollout."""
    task, repeat, stage = row.get(TASK), row.get(REPEAT), row.get("stage_index")
    if type(task) is not int:
        task = task_of(row)
    if type(repeat) is not int and type(repeat := whole(repeat)) is not int:
        repeat = None
    return task if stage is None else f"{task}, stage {stage}", repeat


def group_of(row: dict) -> str | None:
    """The environment of a row: `task_source`, else the name of its agent."""
    name = row.get("task_source") or dict_of(row, "agent_ref").get("name")
    return None if name is None else brief(name)


def prompt_items(params: dict) -> list:
    """The input of a request as a new list of items."""
    given = params.get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given) if isinstance(given, list) else []


def prompt_of(row: dict) -> list:
    """The prompt of a rollout, a task row or a chat row, as items or messages.

    A chat row's prompt ends before its last assistant message. An agent that writes its own prompt records it at the start of the output.
    """
    params = dict_of(row, "responses_create_params")
    if params:
        items = prompt_items(params)
        if not items:
            for item in list_of(dict_of(row, "response"), "output"):
                if item.get("role") not in ("system", "developer", "user"):
                    break
                items.append(item)
        return [{"role": "system", "content": params["instructions"]}, *items] if params.get("instructions") else items
    if row.get("prompt"):
        return row["prompt"] if isinstance(row["prompt"], list) else [{"role": "user", "content": row["prompt"]}]
    messages = list_of(row, "messages") or list_of(row, "context") or [
        {"role": {"human": "user", "gpt": "assistant"}.get(str(m.get("from")), m.get("from")), "content": m.get("value")} for m in list_of(row, "conversations")
    ]
    if not messages:  # a pair may have its prompt in both of its answers
        sides = zip(list_of(row, "chosen"), list_of(row, "rejected"))
        return [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], sides)]
    if "chosen" in row or "context" in row:
        return messages
    last = next((n for n in range(len(messages) - 1, -1, -1) if messages[n].get("role") == "assistant"), len(messages))
    return messages[:last]


PLAIN_ITEM = {"role", "content", "type"}


def prompt_key(row: dict) -> str:
    """16 hex digits that two rows share if their whole prompts are the same but for case and white space."""
    parts = []
    for item in prompt_of(row):
        if not isinstance(item, dict):
            parts.append(repr(item))
            continue
        content, role = item.get("content"), item.get("role")
        if type(content) is str and type(role) is str and role != "developer" and item.keys() <= PLAIN_ITEM:  # most are, and it takes a third of the time
            parts.append(f"{role}: " + " ".join(content.split()).casefold())
            continue
        texts = [part.get("text") or {k: v for k, v in part.items() if k != "type"} if isinstance(part, dict) else part for part in content] if isinstance(content, list) else [content]
        more = [item.get(name) for name in ("name", "arguments", "output", "tool_calls", "function_call") if item.get(name)]
        role = str(item.get("role") or item.get("type")).replace("developer", "system")
        parts.append(f"{role}: " + " ".join(" ".join(str(text) for text in (*texts, *more) if text is not None).split()).casefold())
    return f"{digest(parts):016x}"
