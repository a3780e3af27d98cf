"""Split task files into shards whose rollouts can be put together again: every task gets its number before the split.

    python split_tasks.py [AGENT=]TASKS.jsonl... -o shards --shards 8 [--first 0] [--scored ROLLOUTS.jsonl --keep 0.1 0.9]

Without a number in ``_ng_task_index``, each shard would count its tasks from 0, and task 0 of one shard would be taken for
task 0 of another. Rows that have a number keep it. Tasks go round the shards, so that each gets its part of every file.
AGENT= names the agent that runs a file's tasks. --scored with --keep takes only tasks whose mean reward in those rollouts
lies between both numbers: the next stage of a curriculum. It reads line by line; memory holds one number per scored task.
Exit code: 0 done, 2 bad input, and then nothing is written.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rollouts import TASK, BadInput, Rollouts, Seen, dumps, lines, unmeasured


def mean_rewards(path: Path, left_out: Counter[str]) -> dict[int, float]:
    """Mean reward of each task. Rollouts that are masked or have no reward say nothing about one: ``left_out`` counts them by reason."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0])
    seen = Seen(path)
    for number, _, _, row in Rollouts(path):
        seen.add(number, row)
        if type(row.get(TASK)) is not int:
            raise BadInput(f"{path}:{number}: no whole number in {TASK}, so it is not known which task this is. Give the file that gym eval run or aggregate wrote")
        if reason := unmeasured(row):
            left_out[reason] += 1
            continue
        sums[row[TASK]][0] += row["reward"]
        sums[row[TASK]][1] += 1
    return {task: total / count for task, (total, count) in sums.items()}


def tasks_of(sources: list[str], first: int, scored: bool) -> Iterator[dict]:
    """Every task with its number and its agent. A task that has been scored has its number from then."""
    numbered = counted = 0
    for source in sources:
        agent, _, name = source.rpartition("=")
        for number, _, _, row in lines(name):
            if "responses_create_params" not in row and "task_input" not in row:
                raise BadInput(f"{name}:{number}: no task: it has no responses_create_params")
            if type(row.get(TASK, 0)) is not int:
                raise BadInput(f"{name}:{number}: {TASK} is no whole number. Remove it, or write one")
            if TASK in row:
                numbered += 1
            elif scored:
                raise BadInput(f"{name}:{number}: no {TASK}: which rollouts are its own? With --scored give the shards of the earlier stage")
            else:
                row[TASK] = first + counted
                counted += 1
            if numbered and counted:
                raise BadInput(f"{name}:{number}: some rows have {TASK}, others have not. Number all of them, or none")
            if agent:
                row["agent_ref"] = {"name": agent}
            yield row


def split(tasks: Iterator[dict], folder: Path, shards: int) -> int:
    """Write the shards into ``folder`` and return the number of tasks."""
    seen: set[int] = set()
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"shard-{n:03}.jsonl").open("wb")) for n in range(shards)]
        for task in tasks:
            if task[TASK] in seen:
                raise BadInput(f"Two tasks have the number {task[TASK]} in {TASK}. Split files that were numbered together, or remove the numbers.")
            files[len(seen) % shards].write(dumps(task))
            seen.add(task[TASK])
    if len(seen) < shards:
        raise BadInput(f"{len(seen)} tasks are too few for {shards} shards. Check --keep, or lower --shards.")
    return len(seen)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=__doc__.splitlines()[-1])
    parser.add_argument("tasks", nargs="+", metavar="[AGENT=]TASKS.jsonl", help="task file, and the agent that runs its tasks")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to create")
    parser.add_argument("--shards", type=int, required=True, help="how many; at most 1000")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first task (default: %(default)s)")
    parser.add_argument("--scored", type=Path, metavar="ROLLOUTS.jsonl", help="rollouts of an earlier stage")
    parser.add_argument("--keep", type=float, nargs=2, metavar=("LOW", "HIGH"), help="mean rewards to keep, both included")
    args = parser.parse_args()
    if not 1 <= args.shards <= 1000:
        parser.error("--shards must be from 1 to 1000")
    if (args.scored is None) != (args.keep is None):
        parser.error("--scored and --keep belong together")
    if args.output.exists():
        parser.error(f"{args.output} exists already: a run may be using its shards. Choose a new folder")
    left_out: Counter[str] = Counter()
    work = args.output.with_name(f".{args.output.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    try:
        tasks = tasks_of(args.tasks, args.first, bool(args.scored))
        if args.scored:
            rewards, (low, high) = mean_rewards(args.scored, left_out), args.keep
            tasks = (task for task in tasks if task[TASK] in rewards and low - 1e-9 <= rewards[task[TASK]] <= high + 1e-9)  # the mean of three times 0.7 is a little less
        work.mkdir(parents=True)
        count = split(tasks, work, args.shards)
        work.rename(args.output)
    except (BadInput, OSError) as error:
        shutil.rmtree(work, ignore_errors=True)
        print(f"split_tasks.py: {error}", file=sys.stderr)
        return 2
    for reason, rollouts in left_out.most_common():
        print(f"{args.scored}: {rollouts} {'rollout' if rollouts == 1 else 'rollouts'} not counted: {reason}")
    print(f"{args.output}: {count} tasks in {args.shards} {'shard' if args.shards == 1 else 'shards'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
