"""Compare the agents of one run, task by task: does another model get more reward on the same tasks, or is it noise?

    python compare_agents.py ROLLOUTS.jsonl [--baseline AGENT] [--seed 0]

For a run with fan_out: every task was tried by each agent. Repeats of a task are averaged first, so the task is what counts.
The 95 % interval draws tasks again (paired bootstrap). Rollouts without a score (masked, or in ROLLOUTS_failures.jsonl) are
counted, not scored as 0. With fewer than 20 common tasks there is no interval, and no verdict: `?`.
Exit code: 0 no agent is below the baseline by more than noise, 1 one is, 2 bad input.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

from rollouts import TASK, BadInput, Rollouts, Seen, dict_of, key_of, lines, unmeasured

POWER = 2.8  # standard errors: 95 % two-sided, seen in 80 % of such comparisons
FEW_TASKS = 20  # below, intervals drawn from the tasks are too narrow: with no difference they leave out 0 far more often than 1 time in 20


def agent_of(path: Path, number: int, row: dict) -> str:
    name = dict_of(row, "agent_ref").get("name")
    if type(name) is not str or type(row.get(TASK)) is not int:
        raise BadInput(f"{path}:{number}: no agent_ref.name or no {TASK}. Give the file that gym eval run wrote with +fan_out")
    return name


def scores(path: Path) -> Iterator[tuple[str, int, float | None]]:
    """(agent, task, reward or None) of each rollout; those that only failed come from the failures file beside it."""
    finished, seen = set(), Seen(path)
    for number, _, _, row in Rollouts(path):
        agent = agent_of(path, number, row)
        seen.add(number, row)
        finished.add((agent, *key_of(row)))
        yield agent, row[TASK], None if unmeasured(row) else row["reward"]
    failures = path.with_name(f"{path.stem}_failures.jsonl")
    if failures.exists() and failures.stat().st_size:
        for number, _, _, row in lines(failures):
            agent = agent_of(failures, number, row)
            if (agent, *key_of(row)) not in finished:  # nor again for its next attempt
                finished.add((agent, *key_of(row)))
                yield agent, row[TASK], None


def compare(a: dict[object, list[float]], b: dict[object, list[float]], draws: int, seed: int) -> dict:
    """The mean over common tasks of (mean reward of b - mean reward of a), its interval, and what each task says."""
    tasks = sorted(set(a) & set(b), key=str)
    differences = [fmean(b[task]) - fmean(a[task]) for task in tasks]
    chance = random.Random(seed)
    drawn = sorted(fmean(chance.choices(differences, k=len(tasks))) for _ in range(draws))
    return {
        "tasks": len(tasks), "delta": fmean(differences), "low": drawn[int(0.025 * draws)], "high": drawn[int(0.975 * draws) - 1],
        "better": sum(d > 0 for d in differences), "worse": sum(d < 0 for d in differences),
        "visible": POWER * stdev(differences) / len(tasks) ** 0.5 if len(tasks) > 1 else float("nan"),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("--baseline", metavar="AGENT", help="compare with this agent (default: the first by name)")
    parser.add_argument("--draws", type=int, default=2000, metavar="N", help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.draws < 100:
        parser.error("--draws must be at least 100")
    rewards: dict[str, dict[object, list[float]]] = defaultdict(lambda: defaultdict(list))
    missing: Counter = Counter()
    try:
        for agent, task, reward in scores(args.rollouts):
            if reward is None:
                missing[agent] += 1
            else:
                rewards[agent][task].append(reward)
        names = sorted({*rewards, *missing})
        baseline = args.baseline or (names[0] if names else None)
        if len(names) < 2:
            raise BadInput(f"{args.rollouts} holds the rollouts of {len(names)} agent(s). Run with fan_out, so that two try each task.")
        if baseline not in names:
            raise BadInput(f"{args.rollouts} holds no agent {baseline}. It holds: {', '.join(names)}.")
        for name in names:
            if not set(rewards[name]) & set(rewards[baseline]):
                raise BadInput(f"{name} and {baseline} have no scored task in common.")
    except BadInput as error:
        print(f"compare_agents.py: {error}", file=sys.stderr)
        return 2
    width = max(map(len, names)) + 2
    print(f"{'agent':<{width}}{'tasks':>7}{'rollouts':>10}{'no score':>10}{'mean reward':>13}")
    for name in names:
        tasks = rewards[name]
        print(
            f"{name:<{width}}{len(tasks):>7}{sum(map(len, tasks.values())):>10}{missing[name]:>10}"
            f"{fmean(map(fmean, tasks.values())):>13.3f}"
        )
    below = False
    for name in names:
        if name == baseline:
            continue
        result = compare(rewards[baseline], rewards[name], args.draws, args.seed)
        told = f"({result['better']} better, {result['worse']} worse)"
        if result["tasks"] < FEW_TASKS:
            print(f"{name} - {baseline}: {result['delta']:+.3f} over {result['tasks']} common tasks {told}: ?")
            print(f"  an interval needs at least {FEW_TASKS} tasks")
            continue
        verdict = "above" if result["low"] > 0 else "below" if result["high"] < 0 else "no difference seen"
        below |= verdict == "below"
        print(
            f"{name} - {baseline}: {result['delta']:+.3f}, 95 % [{result['low']:+.3f}, {result['high']:+.3f}]\n"
            f"  over {result['tasks']} common tasks {told}: {verdict}"
        )
        if result["better"] or result["worse"]:
            print(f"  reliably seen with so many tasks: a difference of {result['visible']:.3f} or more")
        else:
            print("  every task got the same reward from both: these tasks and this verifier cannot tell them apart")
    return int(below)


if __name__ == "__main__":
    sys.exit(main())
