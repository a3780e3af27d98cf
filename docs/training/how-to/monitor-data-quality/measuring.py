"""Measure a run: what the scripts of this folder know about rollouts. `rollouts.py` reads them, `doubts.py` doubts them.

    from measuring import measure

    quality = measure(Path("results/baseline/rollouts.jsonl"))
    quality["metrics"]["reward"]  # {"value": 0.482, "se": 0.028, "n": 112}

Kept of a rollout are 24 bytes, of a task about 100.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter, defaultdict
from datetime import datetime, timezone
from itertools import pairwise, repeat
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

from doubts import Repeats, contradiction
from noise import intervals, mean, share
from rollouts import (
    LISTS, REPEAT, TASK, BadInput, Numbers, Rollouts, Seen, answer_in, brief, call_in_text, cut_off, dict_of, field_of, key_of, lines, loads, masked, may_think, names_of,
    number_of, prompt_key, prompt_of, said, strict, task_of, tokens_of, tools_offered, unmeasured,
)
from rollouts import group_of as environment_of

FAILURE = "_ng_failure_class"
# name: what it is. Shares are between 0 and 1.
METRICS = {
    "reward": "mean reward of the scored rollouts that are not masked",
    "success_rate": "share with a reward of at least --success",
    "no_signal_share": "tasks whose repeats all got the same reward",
    "same_answer_share": "tasks whose repeats all gave the same answer",
    "output_tokens": "mean output tokens",
    "cut_share": "rollouts cut off: by max_output_tokens, a full context, or what the agent says",
    "empty_share": "replies without text and without tool call",
    "tool_use_share": "rollouts with at least one tool call",
    "tool_calls": "mean tool calls per rollout",
    "bad_arguments_share": "rollouts with tool calls where the arguments of at least one are not a JSON object",
    "call_in_text_share": "rollouts with a tool call left in the text: the parser does not fit, or the call is malformed",
    "copied_share": "rollouts that repeat another one: the same response.id and the same answer",
    "same_prompt_share": "tasks whose prompt an earlier task index has",
    "two_rewards_share": "rollouts whose answer got another reward in another repeat of the same task",
    "contradicted_share": "rewards that their own row contradicts: expected_answer, num_correct, is_correct, ...",
    "missing_share": "planned rollouts without a score",
    "masked_share": "scored rollouts with mask_sample: not to be trained on",
    "failed_attempts": "rows of the failures sidecar per planned rollout",
    "unhealthy_share": "rollouts with a finding of the health check",
    "unobserved_share": "rollouts that the health check could not judge",
    "seconds": "mean seconds per rollout",
    "aggregate_gap": "largest difference between a mean reward here and in the aggregate metrics",
}
# What look() tells of one rollout, by place.
LOOKED = (
    "reward", "success_rate", "output_tokens", "cut_share", "empty_share", "tool_use_share", "tool_calls", "bad_arguments_share",
    "call_in_text_share", "contradicted_share", "masked_share", "seconds",
)
PLACE = {name: number for number, name in enumerate(LOOKED)}
EMPTY, MASKED, CALL_IN_TEXT = PLACE["empty_share"], PLACE["masked_share"], PLACE["call_in_text_share"]


def beside(rollouts: Path, ending: str) -> Path:
    """A file that Gym names after the rollouts: ``rollouts.jsonl`` has ``rollouts_failures.jsonl``."""
    return rollouts.with_name(rollouts.stem + ending)


def json_of(path: Path) -> object:
    """A whole JSON file, or None if it is not there."""
    try:
        return loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"Cannot read {path}: {error}. Run gym eval health-check or gym eval aggregate again.") from None


def group_of(row: dict, by: str | None) -> str:
    """What a rollout is grouped by: a field, or the environment that it ran in."""
    value = field_of(row, by) if by else environment_of(row)
    return "-" if value is None else brief(value)


def is_object(arguments: object) -> bool:
    try:
        return type(strict(arguments)) is dict
    except (TypeError, ValueError, AttributeError):
        return False


def calls_key(calls: list[tuple[str, object]]) -> tuple:
    """Calls as a value that has a hash: arguments are a string, but for odd rows."""
    return tuple(calls) if all([type(arguments) is str for _, arguments in calls]) else (str(calls),)


class Look(NamedTuple):
    """What one rollout tells: its numbers in the order of LOOKED, its text, its calls, and why its row contradicts the reward."""

    numbers: tuple
    text: str
    calls: list[tuple[str, object]]
    against: str | None

    def of(self, name: str) -> float | None:
        return self.numbers[PLACE[name]]


def look(row: dict, success: float = 1.0) -> Look:
    """Look at one rollout. A number is None where the row does not tell it. Raises nothing, whatever the row holds."""
    found = said(row)
    texts = found.texts
    text = texts[0] if len(texts) == 1 else "\n".join(texts)
    calls = [call[:2] for call in found.calls]
    output = row["response"].get("output")
    told = not output or type(output) is list and type(output[0]) is dict
    reward = against = None
    answer, last = text, texts[-1] if texts else ""
    if may_think(text) or len(texts) > 1:
        answer, last = "\n".join(map(answer_in, texts)), answer_in(last)
    if unmeasured(row) is None:
        reward = float(row["reward"])
        against = contradiction(row, last, calls, reward, success)
    names = names_of(tools_offered(row)) if "{" in answer or "[" in answer else ()
    latency = number_of(dict_of(row, "ng_perf"), "total_latency_ms")
    scored = reward is not None
    return Look((
        reward, float(reward >= success) if scored else None, tokens_of(row), float(cut_off(row) is not None),
        float(not calls and not text.strip()) if told else None, float(bool(calls)) if told else None, float(len(calls)) if told else None,
        float(not all([is_object(arguments) for _, arguments in calls])) if calls else None, float(call_in_text(answer, names) is not None),
        float(against is not None) if scored else None, 0.0 if scored else float(masked(row)),
        None if latency is None else latency / 1000,
    ), text, calls, against)


class Sums:
    """What is kept of the rollouts of one group: for each task how many, and for each metric their sum and how many lack it.

    A metric takes memory once it is something else than zero: mostly a task needs some 100 bytes.
    """

    def __init__(self) -> None:
        self.tasks = Numbers()
        self.count, self.answer, self.reward = array("I"), array("Q"), array("d")  # rollouts, the first answer, the first reward
        self.answers, self.rewards = bytearray(), bytearray()  # whether another one came
        self.total, self.lacking = [None] * len(LOOKED), [None] * len(LOOKED)
        self.squares = [0.0] * len(LOOKED)

    def begin(self, answer: int) -> None:
        for column, start in ((self.count, 0), (self.answer, answer), (self.reward, nan), (self.answers, 0), (self.rewards, 0)):
            column.append(start)
        for column in (*self.total, *self.lacking):
            if column:
                column.append(0)

    def column(self, columns: list, number: int, kind: str) -> array:
        """A column that begins with zeros."""
        columns[number] = array(kind, bytes(array(kind).itemsize * len(self.count)))
        return columns[number]

    def add(self, task: object, numbers: tuple, answer: int) -> None:
        place, reward, total, squares = self.tasks.add(task), numbers[0], self.total, self.squares
        if place == len(self.count):
            self.begin(answer)
        elif self.answer[place] != answer:
            self.answers[place] = 1
        if reward is not None and reward != self.reward[place]:
            if isnan(self.reward[place]):  # no rollout of the task had a reward before
                self.reward[place] = reward
            else:
                self.rewards[place] = 1
        self.count[place] += 1
        for number, value in enumerate(numbers):
            if value:
                (total[number] or self.column(total, number, "d"))[place] += value
                squares[number] += value * value
            elif value is None:
                (self.lacking[number] or self.column(self.lacking, number, "I"))[place] += 1

    def of(self, number: int) -> list[tuple[int, float]]:
        """(how many, their sum) of a metric for each task that has it."""
        columns = zip(self.count, self.lacking[number] or repeat(0), self.total[number] or repeat(0.0))
        return [(count - less, total) for count, less, total in columns if count > less]

    def same_rewards(self) -> tuple[int, int]:
        """(tasks whose repeats all got the same reward, tasks with repeats that have one)."""
        others = [other for count, less, other in zip(self.count, self.lacking[0] or repeat(0), self.rewards) if count - less > 1]
        return others.count(0), len(others)

    def same_answers(self) -> tuple[int, int]:
        """(tasks whose repeats all gave the same answer, tasks with repeats)."""
        others = [other for count, other in zip(self.count, self.answers) if count > 1]
        return others.count(0), len(others)


def counted(metric: dict | None, name: str) -> dict | None:
    """A metric, with its count if it is a share."""
    return metric | {"count": round(metric["value"] * metric["n"])} if metric and name.endswith("_share") else metric


def metrics_of(groups: dict[str, Sums]) -> tuple[dict[str, dict], dict[str, dict], dict | None]:
    """The metrics of all groups together, those of each, and the intervals of the mean reward."""
    whole: dict[str, dict] = {}
    single: dict[str, dict] = {name: {} for name in sorted(groups)}
    reward = None
    for number, name in enumerate(LOOKED):
        sums = {group: groups[group].of(number) for group in single}
        for group in single:
            single[group][name] = counted(mean(sums[group], groups[group].squares[number]), name)
        every, squares = [pair for pairs in sums.values() for pair in pairs], sum(group.squares[number] for group in groups.values())
        whole[name] = counted(mean(every, squares), name)
        reward = intervals(every, squares) if name == "reward" else reward
    for name, same in (("no_signal_share", Sums.same_rewards), ("same_answer_share", Sums.same_answers)):
        alike = {group: same(groups[group]) for group in single}
        for group in single:
            single[group][name] = share(*alike[group])
        whole[name] = share(sum(same for same, _ in alike.values()), sum(of for _, of in alike.values()))
    return whole, {group: {name: metrics[name] for name in METRICS if metrics.get(name)} for group, metrics in single.items()}, reward


def named(row: dict) -> str:
    """Task, repeat and stage of a rollout or its verdict, whatever stands there."""
    return f"{row.get(TASK)} {row.get(REPEAT)} {row.get('stage_index')}"


def health_of(rollouts: Path) -> tuple[dict[str, dict], dict[str, int]]:
    """Verdict and findings by rollout (see named), and the number of each issue, as far as the health check has run."""
    summary = json_of(rollouts.with_name("quality_summary.json"))
    path = rollouts.with_name("rollout_verdicts.jsonl")
    if not isinstance(summary, dict) or not path.exists():
        return {}, {}
    issues = dict_of(dict_of(summary, "run"), "issues")
    verdicts = {named(row): row for _, _, _, row in lines(path)} if path.stat().st_size else {}
    return verdicts, {name: count for name, count in issues.items() if count}


def aggregate_gap(rollouts: Path, rewards: dict[str, list]) -> tuple[dict | None, str | None]:
    """The largest gap between the mean rewards of the file and of the aggregate metrics; or why it cannot be told.

    ``rewards`` holds [how many, their sum] by environment server and by agent. An entry names one of them, both, or neither.
    """
    entries = json_of(beside(rollouts, "_aggregate_metrics.json"))
    gaps = []
    for entry in entries if isinstance(entries, list) else []:
        reward = dict_of(entry, "agent_metrics").get("mean/reward") if isinstance(entry, dict) else None
        if not isinstance(reward, (int, float)):
            continue
        names = entry.get("_ng_environment_server"), dict_of(entry, "agent_ref").get("name")
        known = next((rewards[name] for name in names if name in rewards), None)
        if known is None:
            return None, f"an entry of the aggregate metrics is for {names[0] or names[1] or 'no server and no agent'}, which no rollout names"
        gaps.append(abs(reward - known[1] / known[0]))
    return {"value": max(gaps), "se": 0.0, "n": len(gaps)} if gaps else None, None


def rows_in(path: Path) -> int:
    """How many lines of a file are not blank."""
    with path.open("rb") as file:
        return sum(not line.isspace() for line in file)


def measure(rollouts: Path, by: str | None = None, success: float = 1.0) -> dict:
    """Everything the other scripts need to know about a run. Raises BadInput."""
    groups: dict[str, Sums] = defaultdict(Sums)
    repeats, rewards, models = Repeats(), Counter(), Counter()
    servers: dict[str, list] = defaultdict(lambda: [0, 0.0])
    prompts, staged = array("Q"), set()
    first: dict[str, str] = {}
    scored = listed = unprompted = 0
    aggregated = beside(rollouts, "_aggregate_metrics.json").exists()
    run, seen = Rollouts(rollouts), Seen(rollouts)
    for number, _, _, row in run:
        known = len(seen.tasks)
        new, task, response = seen.add(number, row) == known, task_of(row), row["response"]
        numbers, text, calls, against = look(row, success)
        reward = numbers[0]
        scored += reward is not None or numbers[MASKED] > 0  # a row without a reward has no score
        listed += numbers[EMPTY] is None
        models[response.get("model") if type(response.get("model")) is str else "None"] += 1
        if new:
            stage = row.get("stage_index") is not None  # the stages of a task have one prompt
            if task not in staged and not (stage and seen.tasks.get(task) is not None):
                prompts.append(int(prompt_key(row), 16))
                unprompted += not prompt_of(row)
            if stage:
                staged.add(task)
        # What was not read is like nothing else.
        answer = hash(number if numbers[EMPTY] is None else (text.strip(), *calls_key(calls))) & (1 << 52) - 1
        groups[group_of(row, by)].add(task, numbers, answer)
        repeats.add(task, response.get("id"), answer, reward)
        if reward is not None:
            rewards[reward] += 1
            for name in (row.get("_ng_environment_server"), dict_of(row, "agent_ref").get("name")) if aggregated else ():
                if type(name) is str:  # the aggregate metrics leave masked rollouts out, too
                    entry = servers[name]
                    entry[0] += 1
                    entry[1] += reward
        if against and "contradicted" not in first:
            first["contradicted"] = f"task {task}, repeat {key_of(row)[1]}: {against}"
        if numbers[CALL_IN_TEXT] and "call in text" not in first:
            first["call in text"] = f"task {task}, repeat {key_of(row)[1]}"

    del seen  # from here on, what is known of all rollouts is made small
    (copied, unequal), repeats = (repeats.copied(), repeats.unequal()), None
    prompts = sorted(prompts)
    (metrics, single, reward), notes = metrics_of(groups), run.notes()
    if listed:
        notes.append(f"of {listed} rollouts text and calls are not measured: {LISTS}")
    for name, (count, of) in (("copied_share", copied), ("two_rewards_share", unequal)):
        metrics[name] = share(count, of)
    # Agents that bring the prompt leave it out of the row: of these tasks nothing is known.
    again = sum(one == other for one, other in pairwise(prompts))
    metrics["same_prompt_share"] = share(again - max(0, unprompted - 1), len(prompts) - unprompted)
    for name, lacking in (("copied_share", "response.id"), ("same_prompt_share", "prompt")):
        if not metrics[name]:
            notes.append(f"{name} is unknown: no rollout has a {lacking}")
    planned, classes = plan_of(rollouts, notes)
    if planned is not None:
        metrics["missing_share"] = share(max(0, planned - scored), planned)
        metrics["failed_attempts"] = {"value": classes.total() / planned, "se": classes.total() ** 0.5 / planned, "n": planned}
    verdicts, issues = health_of(rollouts)
    counts = Counter(str(row.get("verdict")) for row in verdicts.values())
    for verdict in ("unhealthy", "unobserved") if verdicts else ():
        metrics[f"{verdict}_share"] = share(counts[verdict], len(verdicts))
    metrics["aggregate_gap"], unknown = aggregate_gap(rollouts, servers)
    notes += [unknown] if unknown else []
    return {
        "rollouts": rollouts.as_posix(),
        "finished": datetime.fromtimestamp(os.path.getmtime(rollouts), timezone.utc).isoformat(timespec="seconds"),
        "model": ", ".join(sorted(models)), "planned": planned, "scored": scored, "tasks": len(prompts),
        # The same tasks in any order have the same fingerprint. Runs with another one are not comparable.
        "tasks_fingerprint": hashlib.sha256(b"".join(b"%016x" % prompt for prompt in prompts)).hexdigest()[:12],
        "failures": dict(classes), "issues": issues, "rewards": rounded(rewards),
        "intervals": reward,
        "doubts": doubts_of(metrics, first), "notes": notes,
        "metrics": {name: metrics[name] for name in METRICS if metrics.get(name)},
        "groups": single,
    }


def rounded(rewards: Counter) -> dict[str, int]:
    """How often each reward occurs, to two digits."""
    found: Counter = Counter()
    for value in sorted(rewards):
        found[str(round(value, 2))] += rewards[value]
    return dict(found)


def plan_of(rollouts: Path, notes: list[str]) -> tuple[int | None, Counter]:
    """How many rollouts were planned, None if that is unknown; and the failed attempts by their class."""
    inputs, failures = beside(rollouts, "_materialized_inputs.jsonl"), beside(rollouts, "_failures.jsonl")
    planned = rows_in(inputs) if inputs.exists() else None
    if not planned:
        notes.append(f"how many rollouts were planned, and so how many are missing, is unknown: {inputs.name} is not beside the rollouts")
    has_failures = failures.exists() and failures.stat().st_size
    classes = Counter(str(row.get(FAILURE)) for _, _, _, row in lines(failures)) if has_failures else Counter()
    return planned or None, classes


def doubts_of(metrics: dict, first: dict[str, str]) -> list[str]:
    """What speaks against this run's rewards and answers, one line each, with counts."""
    found = []
    for name, text, kind in (
        ("copied_share", "rollouts repeat another one: same response.id, same answer", None),
        ("same_prompt_share", "tasks have a prompt that an earlier task index has", None),
        ("two_rewards_share", "rollouts gave an answer that got another reward in another repeat of its task", None),
        ("contradicted_share", "rewards are contradicted by their own row", "contradicted"),
        ("call_in_text_share", "rollouts have a tool call left in the text", "call in text"),
    ):
        metric = metrics.get(name)
        if metric and metric["count"]:
            found.append(f"{metric['count']} of {metric['n']} {text}" + (f", first in {first[kind]}" if kind in first else ""))
    return found
