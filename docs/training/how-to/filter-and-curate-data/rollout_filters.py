"""The filters of `filter_rollouts.py` that look at one rollout or at its task: each returns the reason to drop it, or None."""

from __future__ import annotations

import functools
import math
import re
from array import array
from collections.abc import Iterable, Iterator

from rollouts import CALL_ITEMS, RESULT_ITEMS, answer_key, arguments_in, cut_off, field_of, key_of, list_of, said, text_in, tokens_of, tools_offered, unmeasured, unanswered


class Candidate:
    """One rollout, and what the filters ask of it."""

    def __init__(self, row: dict) -> None:
        self.row, self.reward, self.unmeasured = row, row.get("reward"), unmeasured(row)

    @functools.cached_property
    def said(self):
        return said(self.row)

    @functools.cached_property
    def arguments(self) -> list:
        return [arguments_in(call) for call in self.said.calls]

    @functools.cached_property
    def tokens(self) -> int | None:
        return tokens_of(self.row)


class Tasks:
    """What the valid rollouts of each task got, in columns: a task takes 24 bytes."""

    def __init__(self) -> None:
        self.rollouts, self.passed, self.low, self.high = array("I"), array("I"), array("d"), array("d")

    def add(self, task: int, reward: float | None, success: float) -> None:
        """Count a rollout; one that measures nothing has no reward."""
        if task == len(self.rollouts):
            for column, start in ((self.rollouts, 0), (self.passed, 0), (self.low, math.inf), (self.high, -math.inf)):
                column.append(start)
        if reward is not None:
            self.rollouts[task] += 1
            self.passed[task] += reward >= success
            self.low[task], self.high[task] = min(self.low[task], reward), max(self.high[task], reward)


def by_task(tasks: array, count: int, wanted: Iterable[int] | None = None) -> Iterator[tuple[int, array]]:
    """Each task with the places of its rollouts in the order of the file, from the task of each place. Takes 4 bytes a rollout.

    ``wanted`` gives the order of the tasks, if it is not that of the file.
    """
    ends = array("I", bytes(4 * (count + 1)))
    for task in tasks:
        ends[task + 1] += 1
    for task in range(count):
        ends[task + 1] += ends[task]
    order, free = array("I", bytes(4 * len(tasks))), ends[:]
    for place, task in enumerate(tasks):
        order[free[task]] = place
        free[task] += 1
    del free
    for task in range(count) if wanted is None else wanted:
        yield task, order[ends[task]:ends[task + 1]]


# ---------------------------------------------------------------------------------------------------------------------
# Filters that look at one rollout


def usable(item: Candidate, _) -> str | None:
    return item.unmeasured or unanswered(item.row)


def where(item: Candidate, wanted: tuple[str, str]) -> str | None:
    field, value = wanted
    found = field_of(item.row, field)
    return None if value in (str(found), as_json(found)) or same_number(found, value) else f"{field} is not {value}"


def as_json(value: object) -> str | None:
    """Truth values and null as JSON has them."""
    return {True: "true", False: "false", None: "null"}[value] if value is None or type(value) is bool else None


def same_number(found: object, value: str) -> bool:
    """Whether a number is the one that the text means: 1.0 is 1."""
    try:
        return type(found) in (int, float) and found == float(value)
    except ValueError:
        return False


def whole(item: Candidate, _) -> str | None:
    return cut_off(item.row)


def finished(item: Candidate, _) -> str | None:
    return None if item.said.ends == "message" else "ends with a tool call"


def min_reward(item: Candidate, limit: float) -> str | None:
    return f"reward below {limit:g}" if item.reward < limit else None


def max_reward(item: Candidate, limit: float) -> str | None:
    return f"reward above {limit:g}" if item.reward > limit else None


def min_tokens(item: Candidate, limit: int) -> str | None:
    return "no token count" if item.tokens is None else f"fewer than {limit} tokens" if item.tokens < limit else None


def max_tokens(item: Candidate, limit: int) -> str | None:
    return "no token count" if item.tokens is None else f"more than {limit} tokens" if item.tokens > limit else None


def min_calls(item: Candidate, limit: int) -> str | None:
    return f"fewer than {limit} tool calls" if len(item.said.calls) < limit else None


def max_calls(item: Candidate, limit: int) -> str | None:
    return f"more than {limit} tool calls" if len(item.said.calls) > limit else None


SERVERS = ("mcp", "namespace", "tool_search")  # entries of a tool list that stand for tools whose names it does not hold


class ValidCalls:
    """Counts the rollouts with calls whose names nothing can be said of: they list no tools, as their agent brings its own, or a server whose tools have names of its own."""

    def __init__(self) -> None:
        self.unlisted, self.served, self.given, self.required, self.server = 0, 0, [], {}, False

    def __call__(self, item: Candidate, _) -> str | None:
        calls = item.said.calls
        if not calls:
            return None
        for arguments in item.arguments:
            if type(arguments) is not dict:
                return "a call's arguments are not a JSON object"
        given = tools_offered(item.row)
        if given != self.given:  # mostly the same as in the row before
            tools = [tool["function"] if isinstance(tool.get("function"), dict) else tool for tool in given]
            self.given, self.required = given, {tool["name"]: required(tool) for tool in tools if isinstance(tool.get("name"), str)}
            self.server = any(tool.get("type") in SERVERS for tool in given)
        self.unlisted += not given
        self.served += bool(given) and self.server
        for call, arguments in zip(calls, item.arguments) if given else ():
            if call.name not in self.required:
                if self.server:
                    continue
                return "calls a tool that was not offered"
            for name in self.required[call.name]:
                if name not in arguments:
                    return f"a call lacks {', '.join(sorted(name for name in self.required[call.name] if name not in arguments))}"
        return None


def required(tool: dict) -> list[str]:
    names = field_of(tool, "parameters.required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def texts_of(item: Candidate) -> Iterator[str]:
    """What the model said, thought and called, and what came back: also results without their calls, and tools that the endpoint runs."""
    seen = item.said
    yield from (*seen.texts, *seen.thoughts, *(f"{call.name} {call.arguments}" for call in seen.calls))
    for entry in list_of(item.row["response"], "output"):
        kind, role = entry.get("type"), entry.get("role")
        if role == "assistant":
            yield from (text_in(entry[name]) for name in ("reasoning_content", "reasoning") if name in entry)
        elif kind in RESULT_ITEMS or role == "tool":
            result = entry.get("output", entry.get("content"))
            yield result if isinstance(result, str) else text_in(result) or str(result or "")
        elif role is None and kind != "reasoning" and kind not in CALL_ITEMS:
            yield str({name: value for name, value in entry.items() if name not in ("id", "type", "status")})


def drop_matching(item: Candidate, pattern: re.Pattern) -> str | None:
    return f"matches {pattern.pattern}" if any(pattern.search(text) for text in texts_of(item)) else None


def healthy(item: Candidate, verdicts: dict) -> str | None:
    key = key_of(item.row)
    return f"unhealthy: {verdicts[key]}" if key in verdicts else None


def answer(item: Candidate) -> int:
    return answer_key(item.said, item.arguments)


# ---------------------------------------------------------------------------------------------------------------------
# Filters that look at what all rollouts of a task got


def varied(tasks: Tasks, task: int, _) -> str | None:
    return f"all got {tasks.low[task]:g}" if tasks.low[task] == tasks.high[task] else None


def pass_rate(tasks: Tasks, task: int, limits: list[float]) -> str | None:
    rate = tasks.passed[task] / tasks.rollouts[task]
    return None if limits[0] <= rate <= limits[1] else f"rate {'below' if rate < limits[0] else 'above'} {limits[rate > limits[1]]:g}"


def min_rollouts(tasks: Tasks, task: int, limit: int) -> str | None:
    return f"fewer than {limit} rollouts" if tasks.rollouts[task] < limit else None


OF_ONE = {
    "usable": usable, "--where": where, "--whole": whole, "--finished": finished, "--min-reward": min_reward, "--max-reward": max_reward,
    "--min-tokens": min_tokens, "--max-tokens": max_tokens, "--min-calls": min_calls, "--max-calls": max_calls, "--drop-matching": drop_matching,
    "--healthy": healthy,
}
OF_TASK = {"--varied": varied, "--pass-rate": pass_rate, "--min-rollouts": min_rollouts}
