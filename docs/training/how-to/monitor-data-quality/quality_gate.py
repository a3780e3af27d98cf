"""Pass or stop a run by limits from a TOML file, each with its reason; or, without a baseline, by limits that most runs should keep.

    python quality_gate.py results/baseline/rollouts.jsonl --fit-to-train            # healthy enough to train on?
    python quality_gate.py results/baseline/rollouts.jsonl --suggest limits.toml     # write limits from an accepted run
    python quality_gate.py results/candidate/rollouts.jsonl --limits limits.toml

A limit is a table [[limit]] with `metric`, `min` and/or `max`, `reason`, and optionally `group` and `level` ("error",
the default, or "warning"). `python run_quality.py --help` lists the metrics. A metric that was not measured breaches its
limit: what nobody looked at has not passed. --suggest takes several accepted runs of the same tasks, too: limits from more runs
are narrower, and steadier.
Exit code: 0 passed, 1 a limit of level error is breached (with --suggest: by the run itself), 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tomllib
from pathlib import Path
from statistics import NormalDist

from measuring import METRICS, BadInput, measure
from noise import smoothed, surprising
from run_quality import write

# What --suggest watches: the side that hurts, and why. Both sides where either is a sign of change.
WATCHED = {
    "reward": ("min", "policy, prompt or verifier got worse"),
    "success_rate": ("min", "fewer rollouts succeed"),
    "output_tokens": ("both", "other sampling, prompt or chat template"),
    "cut_share": ("max", "answers lose their end"),
    "empty_share": ("max", "the endpoint or its parser drops answers"),
    "tool_use_share": ("both", "calls tools more or less often"),
    "tool_calls": ("both", "more or fewer calls a rollout"),
    "bad_arguments_share": ("max", "tool calls that no tool can take"),
    "same_answer_share": ("max", "repeats no longer differ"),
    "no_signal_share": ("max", "these tasks teach RL nothing"),
    "unhealthy_share": ("max", "health findings: see rollout_verdicts.jsonl"),
    "seconds": ("max", "endpoint, tools or sandbox got slower"),
}
# Rare events, whose noise is not normal.
EVENTS = ("cut_share", "empty_share", "bad_arguments_share", "unhealthy_share")
WARN = ("no_signal_share", "same_answer_share", "seconds")
# Limits that no earlier run can tell: metric, side, value, level, reason.
FIXED = [
    ("missing_share", "max", 0.02, "error", "lost rollouts are seldom lost at random: the score describes other tasks"),
    ("failed_attempts", "max", 0.10, "warning", "retries hide an endpoint or a judge that is about to fail"),
    ("masked_share", "max", 0.05, "warning", "masked rollouts cost as much as others and train nothing"),
    ("unobserved_share", "max", 0.10, "error", "the health check could not see the model calls"),
    ("aggregate_gap", "max", 0.001, "error", "the aggregate metrics describe other rows: run gym eval aggregate"),
    ("copied_share", "max", 0.01, "error", "copied answers: fewer rollouts than it seems"),
    ("same_prompt_share", "max", 0.0, "error", "one prompt, several task indices (fine if the environment holds the task)"),
    ("two_rewards_share", "max", 0.02, "error", "the same answer got another reward: verifier or judge is inconsistent"),
    ("contradicted_share", "max", 0.02, "error", "rewards that their own row contradicts"),
    ("call_in_text_share", "max", 0.02, "error", "the endpoint's tool parser does not fit the model, or the model's calls are malformed"),
]
# With --fit-to-train also these, which a baseline tells better.
ABSOLUTE = [
    ("unhealthy_share", "max", 0.02, "error", "health findings: see rollout_verdicts.jsonl"),
    ("empty_share", "max", 0.05, "error", "empty answers are mostly a fault: of the endpoint, its parser, or a limit"),
    ("bad_arguments_share", "max", 0.05, "error", "tool calls that no tool can take"),
    ("cut_share", "max", 0.30, "warning", "answers lose their end"),
    ("no_signal_share", "max", 0.90, "error", "hardly a task has rewards that differ: RL learns nothing"),
]
# Not every run has these: no aggregate metrics, no tool calls, an agent that gives responses no id, or brings the prompt itself.
OPTIONAL = {"aggregate_gap", "bad_arguments_share", "copied_share", "same_prompt_share"}


def fixed(rules: list[tuple], metrics: dict) -> list[dict]:
    """These limits as rules; those of metrics that the run need not have only if it has them."""
    return [
        {"metric": name, side: value, "level": level, "reason": reason}
        for name, side, value, level, reason in rules if name in metrics or name not in OPTIONAL
    ]


def baseline_of(qualities: list[dict], group: str | None, name: str) -> tuple[float, float, float] | None:
    """(value, noise of one run, noise of the value) of a metric over the accepted runs."""
    found = [(quality["metrics"] if group is None else quality["groups"].get(group, {})).get(name) for quality in qualities]
    if not all(found):
        return None
    noise = math.sqrt(sum(smoothed(metric) ** 2 for metric in found) / len(found))
    return sum(metric["value"] for metric in found) / len(found), noise, noise / math.sqrt(len(found))


def suggest(qualities: list[dict], alarm: float) -> list[dict]:
    """Limits that an unchanged model, running the same tasks again, breaches with the chance ``alarm`` each, on average over baselines."""
    z, rules = NormalDist().inv_cdf(1 - alarm), []
    groups = qualities[0]["groups"]
    for group in [None, *(groups if len(groups) > 1 else ())]:
        for name, (side, reason) in WATCHED.items():
            # Of the single groups only what may cancel out in the whole.
            known = baseline_of(qualities, group, name) if group is None or name in ("reward", "tool_use_share") else None
            if known is None:
                continue
            value, noise, own = known
            width = z * math.hypot(noise, own)
            low, high = value - width, value + width
            if name in EVENTS:
                metrics = [quality["metrics"][name] for quality in qualities]
                few = surprising(sum(metric["count"] for metric in metrics), len(metrics), alarm)
                high = (few - 0.5) / (sum(metric["n"] for metric in metrics) / len(metrics))
            share = name not in ("output_tokens", "tool_calls", "seconds") and 0 <= value <= 1
            bounds = {"min": low} if side != "max" and (not share or low > 0) else {}
            bounds |= {"max": high} if side != "min" and (not share or high < 1) else {}
            if bounds:
                rules.append({
                    "metric": name, **({} if group is None else {"group": group}), **{key: float(f"{bound:.4g}") for key, bound in bounds.items()},
                    "level": "warning" if name in WARN else "error", "reason": f"{reason} (was {value:.4g} +-{noise:.2g})",
                })
    return rules + fixed(FIXED, qualities[0]["metrics"])


def quoted(text: str) -> str:
    """A TOML string; what a row calls its environment may hold anything."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml(rules: list[dict], qualities: list[dict], alarm: float) -> str:
    """The limits file."""
    names = ", ".join(quality["rollouts"] for quality in qualities)
    of = f"{sum(quality['scored'] for quality in qualities)} rollouts, {qualities[0]['tasks']} tasks, {qualities[-1]['finished'][:10]}"
    lines = [
        f"# Limits from {names}".replace("\n", " "),
        f"# ({of})",
        f"# value -+ {NormalDist().inv_cdf(1 - alarm):.2f} x the noise of a run and of the baseline; exact for rare events.",
        f"# An unchanged model breaches one with the chance {alarm:g}, on average over baselines.",
        "# tasks_fingerprint: these limits are for these tasks only.",
        f"tasks_fingerprint = {quoted(qualities[0]['tasks_fingerprint'])}",
    ]
    for rule in rules:
        lines += ["", "[[limit]]", *(f"{key} = {quoted(value) if isinstance(value, str) else format(value, 'g')}" for key, value in rule.items())]
    unseen = [name for name in METRICS if name not in {rule["metric"] for rule in rules}]
    # A share that may lie anywhere, such as no_signal_share with few tasks, has no limit either.
    return "\n".join([*lines, "", *(f"# {name}: not measured in this run, or its noise covers all values; no limit." for name in unseen)]) + "\n"


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
        breached = not rule.get("min", -math.inf) <= metric["value"] <= rule.get("max", math.inf)
        value = f"{metric['value']:.4g}" + (f" ({metric['count']} of {metric['n']})" if metric.get("count") and breached else "")
    verdict = rule.get("level", "error").upper() if breached else "ok"
    # The reason has a line of its own: beside the numbers it would not fit.
    return verdict, f"{verdict:<9}{name:<30}{value:<24}{bounds}" + (f"\n         {rule['reason']}" if breached else "")


def report(rules: list[dict], quality: dict) -> dict[str, int]:
    """Print each rule, the breached ones first; how many are breached at each level."""
    verdicts = [judge(rule, quality) for rule in rules]
    for _, line in sorted(verdicts, key=lambda verdict: ("ERROR", "WARNING", "ok").index(verdict[0])):
        print(line.rstrip())
    return {at: sum(verdict == at for verdict, _ in verdicts) for at in ("ERROR", "WARNING", "ok")}


def suggestion(qualities: list[dict], path: Path, alarm: float, rollouts: list[Path]) -> int:
    """Write the limits; name those that the runs themselves breach."""
    for quality in qualities[1:]:
        if quality["tasks_fingerprint"] != qualities[0]["tasks_fingerprint"]:
            raise BadInput(f"{quality['rollouts']} has other tasks than {qualities[0]['rollouts']}. Take runs of the same tasks.")
    rules = suggest(qualities, alarm)
    write(path, toml(rules, qualities, alarm), *rollouts)
    print(f"{path}: {len(rules)} limits from {sum(quality['scored'] for quality in qualities)} rollouts")
    breached = [line for quality in qualities for verdict, line in (judge(rule, quality) for rule in rules) if verdict == "ERROR"]
    for line in breached:
        print(line)
    if breached:
        print("NOT A BASELINE: it breaches its own limits. Mend the run, or change these limits and their reasons by hand")
    return int(bool(breached))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, nargs="+", metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o; several with --suggest only")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--fit-to-train", action="store_true", help="hold the run against limits that need no baseline")
    what.add_argument("--limits", type=Path, metavar="FILE", help="hold the run against this file")
    what.add_argument("--suggest", type=Path, metavar="FILE", help="write limits from these runs to FILE")
    parser.add_argument("--alarm", type=float, default=0.001, help="with --suggest: chance of a false alarm, per limit (default: %(default)s)")
    parser.add_argument("--by", metavar="FIELD", help="group by this field (default: environment)")
    parser.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success (default: %(default)s)")
    args = parser.parse_args(argv)
    if not 0 < args.alarm < 0.5:
        parser.error("--alarm must be above 0 and below 0.5")
    if len(args.rollouts) > 1 and not args.suggest:
        parser.error("give one run to judge; several only with --suggest")
    try:
        limits = read_limits(args.limits) if args.limits else None
        qualities = [measure(path, args.by, args.success) for path in args.rollouts]
        quality = qualities[0]
        if args.suggest:
            return suggestion(qualities, args.suggest, args.alarm, args.rollouts)
        if limits and limits.get("tasks_fingerprint", quality["tasks_fingerprint"]) != quality["tasks_fingerprint"]:
            raise BadInput(
                f"{args.limits} was made for other tasks ({limits['tasks_fingerprint']}, not {quality['tasks_fingerprint']}). "
                "Make limits from an accepted run of these tasks with --suggest."
            )
    except BadInput as error:
        print(f"quality_gate.py: {error}", file=sys.stderr)
        return 2
    count = report(limits["limit"] if limits else fixed(FIXED + ABSOLUTE, quality["metrics"]), quality)
    for doubt in quality["doubts"]:
        print(f"doubt: {doubt}")
    print(f"{'STOPPED' if count['ERROR'] else 'PASSED'}: {count['ERROR']} errors, {count['WARNING']} warnings, {count['ok']} ok")
    return 1 if count["ERROR"] else 0


if __name__ == "__main__":
    sys.exit(main())
