"""Simulate runs of an unchanged model: how often do compare_runs.py and quality_gate.py take noise for a change?

    python false_alarms.py [--runs 400] [--tasks 28] [--repeats 4] [--seed 0]

Each task has a pass rate of its own (drawn from a Beta(0.6, 0.7) distribution: many easy, many hard), which stays the same in
all runs. Prints how often each 95 % interval of compare_runs.py excludes 0, and how often a run breaches a limit that quality_gate.py
has suggested from another run, on average and for the unlucky tenth of the baselines. Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import random
import sys

from compare_runs import compare
from measuring import LOOKED, Sums, metrics_of
from noise import ENOUGH_TASKS
from quality_gate import WARN, suggest

SIZES = (4, 10, ENOUGH_TASKS, 40, 100)


def pass_rates(chance: random.Random, tasks: int) -> list[float]:
    return [chance.betavariate(0.6, 0.7) for _ in range(tasks)]


def rewards(chance: random.Random, rates: list[float], repeats: int) -> dict[int, list[float]]:
    return {task: [float(chance.random() < rate) for _ in range(repeats)] for task, rate in enumerate(rates)}


def excluded(chance: random.Random, tasks: int, repeats: int, runs: int) -> tuple[float, float | None, float]:
    """Shares of pairs of runs without a difference where the interval for the same tasks, and for others, excludes 0; and where both do."""
    same = other = both = 0
    offered = False
    for number in range(runs):
        rates = pass_rates(chance, tasks)
        result = compare(rewards(chance, rates, repeats), rewards(chance, rates, repeats), list(range(tasks)), 400, number)
        out = bool(result["se"]) and abs(result["delta"]) > result["z"] * result["se"]
        beyond = result["other"] is not None and (result["other"][0] > 0 or result["other"][1] < 0)
        offered = offered or result["other"] is not None
        same, other, both = same + out, other + beyond, both + (out and beyond)
    return same / runs, other / runs if offered else None, both / runs


def quality(chance: random.Random, rates: list[float], repeats: int) -> dict:
    """A run as measure() tells it: rewards, lengths, cut and empty answers, calls, seconds, all noisy."""
    sums = Sums()
    for task, rate in enumerate(rates):
        for _ in range(repeats):
            reward, calls = float(chance.random() < rate), task % 7 == 0 and chance.random() < 0.9
            numbers = dict.fromkeys(LOOKED, 0.0) | {
                "reward": reward, "success_rate": reward, "output_tokens": round(chance.lognormvariate(4 + rate, 0.4)), "cut_share": float(chance.random() < 0.05),
                "empty_share": float(chance.random() < 0.01), "tool_use_share": float(calls), "tool_calls": calls + float(calls and chance.random() < 0.2),
                "bad_arguments_share": float(chance.random() < 0.05) if calls else None, "seconds": chance.lognormvariate(0, 0.3),
            }
            sums.add(task, tuple(numbers.values()), chance.getrandbits(40) if chance.random() < 0.8 else 0)
    return {"metrics": metrics_of({"-": sums})[0], "groups": {}}


def breaches(rules: list[dict], run: dict) -> set[str]:
    """The metrics whose error limits a run breaches; what is not simulated, such as lost rollouts, is left out."""
    values = {name: metric["value"] for name, metric in run["metrics"].items() if metric}
    return {
        rule["metric"] for rule in rules
        if rule["metric"] in values and rule["metric"] not in WARN
        and not rule.get("min", -1e9) <= values[rule["metric"]] <= rule.get("max", 1e9)
    }


def gate(chance: random.Random, tasks: int, repeats: int, baselines: int, of: int) -> tuple[float, float, float, int]:
    """(share of runs that breach the reward limit, that breach any, the latter for the unlucky tenth of the baselines, limits)."""
    reward = [0] * baselines
    any_limit = [0] * baselines
    again = 40
    for number in range(baselines):
        rates = pass_rates(chance, tasks)
        rules = suggest([quality(chance, rates, repeats) for _ in range(of)], 0.001)
        for _ in range(again):
            found = breaches(rules, quality(chance, rates, repeats))
            reward[number] += "reward" in found
            any_limit[number] += bool(found)
    worst = sorted(any_limit)[-max(1, baselines // 10) :]
    watched = sum(rule["metric"] in LOOKED and rule["metric"] not in WARN for rule in rules)
    return sum(reward) / baselines / again, sum(any_limit) / baselines / again, sum(worst) / len(worst) / again, watched


def percent(value: float | None) -> str:
    return "not offered" if value is None else f"{100 * value:.1f} %"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="pairs of runs for each number of tasks (default: %(default)s)")
    parser.add_argument("--baselines", type=int, default=60, help="baselines for the gate, 40 runs each (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=28, help="tasks of a run of the gate (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=4, help="rollouts of each task (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    if args.runs < 1 or args.baselines < 1 or args.tasks < 2 or args.repeats < 2:
        parser.error("--runs and --baselines must be 1 or more, --tasks and --repeats 2 or more")
    chance = random.Random(args.seed)
    print(f"two runs of an unchanged model, {args.repeats} repeats a task, {args.runs} pairs:\n95 % intervals that exclude 0")
    print(f"{'tasks':>5}  {'same tasks':<12}{'other tasks':<13}both")
    for tasks in SIZES:
        same, other, both = excluded(chance, tasks, args.repeats, args.runs)
        print(f"{tasks:>5}  {percent(same):<12}{percent(other):<13}{percent(both) if other is not None else '-'}")
    print(f"runs of an unchanged model that breach limits suggested with --alarm 0.001\n({args.tasks} tasks, {args.repeats} repeats)")
    print(f"{'limits from':<12}{'of reward':<11}{'any limit':<11}unlucky tenth of the baselines")
    for of in (1, 3):
        reward, some, worst, watched = gate(chance, args.tasks, args.repeats, args.baselines, of)
        print(f"{f'{of} run' + 's' * (of > 1):<12}{percent(reward):<11}{percent(some):<11}{percent(worst)}")
    print(f"({watched} limits that stop a run, of the metrics that one rollout tells)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
