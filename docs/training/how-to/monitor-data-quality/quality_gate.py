"""Pass or stop a run by limits from a TOML file, each with its reason.

    python quality_gate.py results/candidate/rollouts.jsonl --limits limits.toml
    python quality_gate.py results/baseline/rollouts.jsonl --suggest limits.toml    # write limits from an accepted run

A limit is a table [[limit]] with `metric`, `min` and/or `max`, `reason`, and optionally `group` and `level` ("error",
the default, or "warning"). `python run_quality.py --help` lists the metrics. A metric that was not measured breaches its
limit: what nobody looked at has not passed.
Exit code: 0 passed, 1 a limit of level error is breached, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tomllib
from pathlib import Path
from statistics import NormalDist

from run_quality import METRICS, ONE_PER_TASK, BadInput, measure, write

# What --suggest watches: the side that hurts, and why. Both sides where either is a sign of change.
WATCHED = {
    "reward": ("min", "the policy, the prompt or the verifier has changed for the worse"),
    "output_tokens": ("both", "answers got longer or shorter: other sampling, prompt or chat template"),
    "cut_share": ("max", "answers lose their end, and with it their reward"),
    "empty_share": ("max", "the endpoint returns nothing, or its parser swallows it"),
    "tool_use_share": ("both", "the model calls tools less or more often than it did"),
    "bad_arguments_share": ("max", "tool calls that no tool can take"),
    "same_answer_share": ("max", "repeats no longer differ, so they carry no signal"),
    "no_signal_share": ("max", "tasks without a difference between repeats teach RL nothing"),
    "unhealthy_share": ("max", "findings of the health check: read rollout_verdicts.jsonl"),
}
# Limits that no earlier run can tell.
FIXED = [
    ("missing_share", "max", 0.02, "error", "lost rollouts are seldom lost at random: above 2 % the score describes other tasks"),
    ("failed_attempts", "max", 0.10, "warning", "retries hide an endpoint or a judge that is about to fail"),
    ("masked_share", "max", 0.05, "warning", "masked rollouts cost as much as others and train nothing"),
    ("aggregate_gap", "max", 0.001, "error", "the aggregate metrics describe other rows than the file: aggregate again"),
]
OPTIONAL = {"masked_share", "aggregate_gap"}


def noise(metric: dict) -> float:
    """The standard error, never zero: no event in n rollouts does not mean that there is none in the next n."""
    value, n = metric["value"], metric["n"]
    if not 0 <= value <= 1:
        return metric["se"]
    smoothed = (value * n + 1) / (n + 2)
    return max(metric["se"], math.sqrt(smoothed * (1 - smoothed) / n)) if metric["se"] == 0 else metric["se"]


def suggest(quality: dict, alarm: float, level: str = "error") -> str:
    """Limits that an unchanged model, running the same tasks again, breaches with the chance ``alarm`` each."""
    z = NormalDist().inv_cdf(1 - alarm)
    lines = [
        f"# Limits from {quality['rollouts']} ({quality['scored']} rollouts, {quality['tasks']} tasks, {quality['finished'][:10]}).",
        f"# A limit is the value -+ {z:.2f} x sqrt(2) x standard error: both runs are noisy. An unchanged model breaches one",
        f"# of them with the chance {alarm:g}. `tasks_fingerprint` keeps them from being held against other tasks.",
        f"tasks_fingerprint = {json.dumps(quality['tasks_fingerprint'])}",
    ]
    groups = {None: quality["metrics"]} | (quality["groups"] if len(quality["groups"]) > 1 else {})
    for group, metrics in groups.items():
        for name, (side, reason) in WATCHED.items():
            # Of the single groups only what may cancel out in the whole.
            if name not in metrics or (group is not None and name not in ("reward", "tool_use_share")):
                continue
            metric = metrics[name]
            width = z * math.sqrt(2) * noise(metric)
            low, high = metric["value"] - width, metric["value"] + width
            share = 0 <= metric["value"] <= 1 and name != "output_tokens"
            sides = {"min": side != "max" and (not share or low > 0), "max": side != "min" and (not share or high < 1)}
            if not any(sides.values()):
                continue
            lines += ["", "[[limit]]", f'metric = "{name}"'] + ([f"group = {json.dumps(group)}"] if group else [])
            lines += [f"{key} = {value:.4g}" for key, value in (("min", low), ("max", high)) if sides[key]]
            lines += [f'level = "{"warning" if name in ONE_PER_TASK else level}"']
            lines += [f'reason = "{reason} (was {metric["value"]:.4g} +-{noise(metric):.2g})"']
    for name, side, value, at, reason in FIXED:
        if name in quality["metrics"] or name not in OPTIONAL:
            lines += ["", "[[limit]]", f'metric = "{name}"', f"{side} = {value}", f'level = "{at}"', f'reason = "{reason}"']
    return "\n".join(lines) + "\n"


def read_limits(path: Path) -> dict:
    """The limits file, with every rule checked."""
    try:
        limits = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}. Check the path, or write one with --suggest.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}.") from None
    rules = limits.get("limit")
    if not isinstance(rules, list) or not rules:
        raise BadInput(f"{path} holds no [[limit]]. Write some with --suggest {path}.")
    for number, rule in enumerate(rules, 1):
        where = f"{path}, limit {number}"
        if not isinstance(rule, dict) or rule.get("metric") not in METRICS:
            raise BadInput(f"{where}: metric must be one of {', '.join(METRICS)}.")
        if unknown := rule.keys() - {"metric", "group", "min", "max", "level", "reason"}:
            raise BadInput(f"{where}: unknown key {', '.join(sorted(unknown))}.")
        bounds = [rule[key] for key in ("min", "max") if key in rule]
        if not bounds or not all(isinstance(bound, (int, float)) for bound in bounds):
            raise BadInput(f"{where}: give min or max, as a number.")
        if rule.get("level", "error") not in ("error", "warning"):
            raise BadInput(f'{where}: level must be "error" or "warning".')
        if not rule.get("reason"):
            raise BadInput(f"{where}: a limit without a reason is the first to be raised. Give it one.")
    return limits


def judge(rule: dict, quality: dict) -> tuple[str, str]:
    """("ok", "WARNING" or "ERROR", what was measured against what)."""
    metrics = quality["groups"].get(rule["group"], {}) if "group" in rule else quality["metrics"]
    metric = metrics.get(rule["metric"])
    bounds = " ".join(f"{key} {rule[key]:g}" for key in ("min", "max") if key in rule)
    name = rule["metric"] + (f" ({rule['group']})" if "group" in rule else "")
    if metric is None:
        breached, value = True, "not measured"
    else:
        breached = metric["value"] < rule.get("min", -math.inf) or metric["value"] > rule.get("max", math.inf)
        value = f"{metric['value']:.4g}"
    verdict = rule.get("level", "error").upper() if breached else "ok"
    return verdict, f"{verdict:<9}{name:<34}{value:<14}{bounds:<24}" + (rule["reason"] if breached else "")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--limits", type=Path, metavar="FILE", help="hold the run against this file")
    what.add_argument("--suggest", type=Path, metavar="FILE", help="write limits from this run to FILE")
    parser.add_argument("--alarm", type=float, default=0.001, help="with --suggest: chance of a false alarm, per limit (default: %(default)s)")
    parser.add_argument("--by", metavar="FIELD", help="group by this field (default: environment)")
    parser.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success (default: %(default)s)")
    args = parser.parse_args(argv)
    if not 0 < args.alarm < 0.5:
        parser.error("--alarm must be above 0 and below 0.5")
    try:
        limits = read_limits(args.limits) if args.limits else None
        quality = measure(args.rollouts, args.by, args.success)
        if limits is None:
            text = suggest(quality, args.alarm)
            write(args.suggest, text)
            print(f"{args.suggest}: {text.count('[[limit]]')} limits from {quality['scored']} rollouts")
            return 0
        if limits.get("tasks_fingerprint", quality["tasks_fingerprint"]) != quality["tasks_fingerprint"]:
            raise BadInput(
                f"{args.limits} was made for other tasks ({limits['tasks_fingerprint']}, not {quality['tasks_fingerprint']}). "
                "Make limits from an accepted run of these tasks with --suggest."
            )
    except BadInput as error:
        print(f"quality_gate.py: {error}", file=sys.stderr)
        return 2
    verdicts = [judge(rule, quality) for rule in limits["limit"]]
    for _, line in sorted(verdicts, key=lambda verdict: ("ERROR", "WARNING", "ok").index(verdict[0])):
        print(line.rstrip())
    count = {at: sum(verdict == at for verdict, _ in verdicts) for at in ("ERROR", "WARNING", "ok")}
    print(f"{'STOPPED' if count['ERROR'] else 'PASSED'}: {count['ERROR']} errors, {count['WARNING']} warnings, {count['ok']} ok")
    return 1 if count["ERROR"] else 0


if __name__ == "__main__":
    sys.exit(main())
