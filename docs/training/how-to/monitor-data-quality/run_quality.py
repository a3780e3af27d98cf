"""Measure the quality of one run: rewards, success, lengths, tool use, losses and health, each with its standard error.

    python run_quality.py results/baseline/rollouts.jsonl [--by FIELD] [--json quality.json]

Reads the rollouts and, where they lie beside them, the materialized inputs, the failures sidecar, the aggregate metrics,
quality_summary.json and rollout_verdicts.jsonl. The other scripts of this folder measure with this one.
The standard error (+-) comes from how the repeats of each task differ, so it is the noise of running the same tasks again.
Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

TASK, REPEAT, FAILURE = "_ng_task_index", "_ng_rollout_index", "_ng_failure_class"
# name: what it is. Shares are between 0 and 1.
METRICS = {
    "reward": "mean reward of the scored rollouts that are not masked",
    "success_rate": "share with a reward of at least --success",
    "no_signal_share": "tasks whose repeats all got the same reward",
    "same_answer_share": "tasks whose repeats all gave the same answer",
    "output_tokens": "mean output tokens",
    "cut_share": "replies cut off at max_output_tokens",
    "empty_share": "replies without text and without tool call",
    "tool_use_share": "rollouts with at least one tool call",
    "tool_calls": "mean tool calls per rollout",
    "bad_arguments_share": "tool calls whose arguments are no JSON object",
    "missing_share": "planned rollouts without a score",
    "masked_share": "scored rollouts with mask_sample: not to be trained on",
    "failed_attempts": "rows of the failures sidecar per planned rollout",
    "unhealthy_share": "rollouts with a finding of the health check",
    "unobserved_share": "rollouts that the health check could not judge",
    "seconds": "mean seconds per rollout",
    "aggregate_gap": "largest difference between a mean reward here and in the aggregate metrics",
}
ONE_PER_TASK = ("no_signal_share", "same_answer_share")


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def rows_of(path: Path, torn_end: bool = False) -> Iterator[dict]:
    """The JSON objects of a file, one by one; a torn last line is left out on request."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    if torn_end and not line.endswith("\n"):
                        return
                    raise BadInput(f"{path}, line {number} is not JSON: {error.msg}. Resume the run first.") from None
                if not isinstance(row, dict):
                    raise BadInput(f"{path}, line {number} is no JSON object. Give the file that gym eval run wrote.")
                yield row
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text. Give the file that gym eval run wrote.") from None


def json_of(path: Path) -> object:
    """A whole JSON file, or None if it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"Cannot read {path}: {error}. Run gym eval health-check or gym eval aggregate again.") from None


def beside(rollouts: Path, ending: str) -> Path:
    """A file that Gym names after the rollouts: ``rollouts.jsonl`` has ``rollouts_failures.jsonl``."""
    return rollouts.with_name(rollouts.stem + ending)


def field_of(row: dict, dotted: str) -> str:
    """A nested field as text: ``metadata.family``."""
    value: object = row
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return "-" if value is None else str(value)


def group_of(row: dict, by: str | None) -> str:
    """What a rollout is grouped by: a field, or the environment that it ran in."""
    if by:
        return field_of(row, by)
    agent = row.get("agent_ref") or {}
    return str(row.get("task_source") or (agent.get("name") if isinstance(agent, dict) else None) or "-")


def said(response: dict) -> tuple[str, list[tuple[str, str]]]:
    """The text of a response and its tool calls as (name, arguments)."""
    text, calls = [], []
    for item in response.get("output") or []:
        if item.get("type") == "function_call":
            calls.append((str(item.get("name")), str(item.get("arguments"))))
        elif item.get("type") == "message":
            text += [str(part.get("text") or "") for part in item.get("content") or [] if isinstance(part, dict)]
    return "".join(text), calls


def is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def look(row: dict, success: float = 1.0) -> dict:
    """The numbers of one rollout."""
    response = row.get("response") or {}
    text, calls = said(response)
    usage = response.get("usage") or {}
    latency = (row.get("ng_perf") or {}).get("total_latency_ms")
    masked, reward = bool(row.get("mask_sample")), row.get("reward")
    counted = not masked and isinstance(reward, (int, float))
    return {
        "reward": float(reward) if counted else None,
        "success_rate": float(reward >= success) if counted else None,
        "output_tokens": usage.get("output_tokens"),
        "cut_share": float((response.get("incomplete_details") or {}).get("reason") == "max_output_tokens"),
        "empty_share": float(not text.strip() and not calls),
        "tool_use_share": float(bool(calls)),
        "tool_calls": float(len(calls)),
        "bad_arguments_share": sum(not is_object(a) for _, a in calls) / len(calls) if calls else None,
        "masked_share": float(masked),
        "seconds": latency / 1000 if isinstance(latency, (int, float)) else None,
        "answer": hashlib.sha256(repr((text.strip(), calls)).encode()).hexdigest()[:16],
    }


def share(count: int, of: int) -> dict | None:
    """A share with its binomial standard error."""
    p = count / of if of else 0.0
    return {"value": p, "se": math.sqrt(p * (1 - p) / of), "n": of} if of else None


def mean(by_task: dict[object, list[float]]) -> dict | None:
    """The mean over all values, and how much it would move if the same tasks ran again."""
    n = sum(map(len, by_task.values()))
    if not n:
        return None
    centre = sum(map(sum, by_task.values())) / n
    repeated = [values for values in by_task.values() if len(values) > 1]
    spread = lambda values, at: sum((v - at) ** 2 for v in values)  # noqa: E731
    if repeated:  # each task around its own mean
        within = sum(spread(values, sum(values) / len(values)) for values in repeated)
        variance = within / sum(len(values) - 1 for values in repeated)
    else:  # no repeats: the differences between tasks count too, so this is too wide rather than too narrow
        variance = spread([v for values in by_task.values() for v in values], centre) / max(1, n - 1)
    return {"value": centre, "se": math.sqrt(variance / n), "n": n}


class Group:
    """What is kept of the rollouts of one group: their numbers, not their texts."""

    def __init__(self) -> None:
        self.values: dict[str, dict[object, list]] = defaultdict(lambda: defaultdict(list))
        self.answers: dict[object, list[str]] = defaultdict(list)

    def add(self, task: object, numbers: dict) -> None:
        self.answers[task].append(numbers["answer"])
        for name, value in numbers.items():
            if name != "answer" and isinstance(value, (int, float)):
                self.values[name][task].append(value)

    def metrics(self) -> dict[str, dict]:
        measured = {name: mean(tasks) for name, tasks in self.values.items()}
        repeated = [values for values in self.values["reward"].values() if len(values) > 1]
        measured["no_signal_share"] = share(sum(len(set(values)) == 1 for values in repeated), len(repeated))
        answers = [values for values in self.answers.values() if len(values) > 1]
        measured["same_answer_share"] = share(sum(len(set(values)) == 1 for values in answers), len(answers))
        return {name: measured[name] for name in METRICS if measured.get(name)}


def health_of(rollouts: Path) -> tuple[dict[tuple, dict], dict[str, int]]:
    """Verdict and findings by rollout, and the number of each issue, as far as the health check has run."""
    summary = json_of(rollouts.with_name("quality_summary.json"))
    path = rollouts.with_name("rollout_verdicts.jsonl")
    if not isinstance(summary, dict) or not path.exists():
        return {}, {}
    issues = (summary.get("run") or {}).get("issues") or {}
    verdicts = {(row.get(TASK), row.get(REPEAT)): row for row in rows_of(path)}
    return verdicts, {name: count for name, count in issues.items() if count}


def aggregate_rewards(rollouts: Path) -> list[tuple[str, str, float]]:
    """(environment server, agent, mean reward) of each entry of the aggregate metrics."""
    entries = json_of(beside(rollouts, "_aggregate_metrics.json")) or []
    found = []
    for entry in entries if isinstance(entries, list) else []:
        reward = (entry.get("agent_metrics") or {}).get("mean/reward")
        if isinstance(reward, (int, float)):
            found.append((str(entry.get("_ng_environment_server")), (entry.get("agent_ref") or {}).get("name"), reward))
    return found


def measure(rollouts: Path, by: str | None = None, success: float = 1.0) -> dict:
    """Everything the other scripts need to know about a run."""
    groups: dict[str, Group] = defaultdict(Group)
    total, rewards, servers = Group(), Counter(), defaultdict(list)
    seen, scored, models = set(), set(), Counter()
    prompts: dict[object, str] = {}
    for number, row in enumerate(rows_of(rollouts), 1):
        if TASK not in row or not isinstance(row.get("response"), dict):
            raise BadInput(f"{rollouts}, row {number} is no rollout. Give the file that gym eval run wrote.")
        task, numbers = row[TASK], look(row, success)
        seen.add((task, row.get(REPEAT)))
        if row.get("mask_sample") or numbers["reward"] is not None:  # a row without a reward has no score
            scored.add((task, row.get(REPEAT)))
        models[str(row["response"].get("model"))] += 1
        if task not in prompts:
            asked = (row.get("responses_create_params") or {}).get("input")
            prompts[task] = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        for group in (total, groups[group_of(row, by)]):
            group.add(task, numbers)
        if numbers["reward"] is not None:
            rewards[round(numbers["reward"], 2)] += 1
        if numbers["reward"] is not None:  # the aggregate metrics leave masked rollouts out, too
            servers[row.get("_ng_environment_server")].append(row["reward"])
    if not seen:
        raise BadInput(f"{rollouts} holds no rollouts. Read its _failures.jsonl for the reason.")

    metrics = total.metrics()
    inputs, failures = beside(rollouts, "_materialized_inputs.jsonl"), beside(rollouts, "_failures.jsonl")
    planned = sum(1 for _ in rows_of(inputs)) if inputs.exists() else len(seen)
    classes = Counter(str(row.get(FAILURE)) for row in rows_of(failures)) if failures.exists() else Counter()
    metrics["missing_share"] = share(max(0, planned - len(scored)), planned)
    metrics["failed_attempts"] = {"value": classes.total() / planned, "se": math.sqrt(classes.total()) / planned, "n": planned}
    verdicts, issues = health_of(rollouts)
    counts = Counter(row.get("verdict") for row in verdicts.values())
    for verdict in ("unhealthy", "unobserved") if verdicts else ():
        metrics[f"{verdict}_share"] = share(counts[verdict], len(verdicts))
    gaps = [abs(reward - sum(servers[name]) / len(servers[name])) if servers.get(name) else 1.0
            for name, _, reward in aggregate_rewards(rollouts)]
    if gaps:
        metrics["aggregate_gap"] = {"value": max(gaps), "se": 0.0, "n": len(gaps)}
    return {
        "rollouts": rollouts.as_posix(),
        "finished": datetime.fromtimestamp(os.path.getmtime(rollouts), timezone.utc).isoformat(timespec="seconds"),
        "model": ", ".join(sorted(models)), "planned": planned, "scored": len(scored), "tasks": len(prompts),
        # The same tasks in any order have the same fingerprint. Runs with another one are not comparable.
        "tasks_fingerprint": hashlib.sha256("".join(sorted(prompts.values())).encode()).hexdigest()[:12],
        "failures": dict(classes), "issues": issues, "rewards": {str(value): rewards[value] for value in sorted(rewards)},
        "metrics": {name: metrics[name] for name in METRICS if metrics.get(name)},
        "groups": {name: groups[name].metrics() for name in sorted(groups)},
    }


def cell(metric: dict | None) -> str:
    if metric is None:
        return "-"
    digits = 1 if abs(metric["value"]) >= 10 else 3
    return f"{metric['value']:.{digits}f} +-{metric['se']:.{digits}f}" if metric["se"] else f"{metric['value']:.{digits}f}"


def table(quality: dict) -> str:
    """All metrics, for the run and for each group."""
    groups = quality["groups"] if len(quality["groups"]) > 1 else {}
    width = max(16, *(len(name) + 2 for name in groups)) if groups else 16
    lines = [f"{'metric':<20}{'all':<16}" + "".join(f"{name:<{width}}" for name in groups)]
    for name in METRICS:
        if name in quality["metrics"]:
            cells = "".join(f"{cell(metrics.get(name)):<{width}}" for metrics in groups.values())
            lines.append(f"{name:<20}{cell(quality['metrics'][name]):<16}{cells}")
    return "\n".join(line.rstrip() for line in lines)


def write(path: Path, text: str) -> None:
    """Write a file in one go: whoever reads it sees the old one or the new one."""
    if not path.parent.is_dir():
        raise BadInput(f"no folder for {path}. Create it first.")
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise BadInput(f"Cannot write {path}: {error.strerror}.") from None


def main(argv: list[str] | None = None) -> int:
    meaning = "\n".join(f"  {name:<20}{text}" for name, text in METRICS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"metrics:\n{meaning}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--by", metavar="FIELD", help="group by this field of the rollouts, such as metadata.family (default: environment)")
    parser.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurement to FILE too")
    args = parser.parse_args(argv)
    try:
        quality = measure(args.rollouts, args.by, args.success)
        if args.json:
            write(args.json, json.dumps(quality, indent=1) + "\n")
    except BadInput as error:
        print(f"run_quality.py: {error}", file=sys.stderr)
        return 2
    lost = "".join(f", {count} failed attempts ({name})" for name, count in quality["failures"].items())
    print(f"{quality['scored']} of {quality['planned']} planned rollouts scored, {quality['tasks']} tasks{lost}")
    print("rewards: " + ", ".join(f"{value} x {count}" for value, count in quality["rewards"].items()))
    print(table(quality))
    if quality["issues"]:
        print("health issues: " + ", ".join(f"{name} {count}" for name, count in quality["issues"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
