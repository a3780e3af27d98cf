"""Collect rollouts through Gym's run_examples and hand them on as trajectories.

    python collect_on_policy.py TASKS.jsonl -o trajectories.jsonl --repeats 4

Run it with the Python that has nemo-gym installed, while `gym env start` runs with return_token_id_information: true.
Tasks need `task_source` (as `gym dataset collate` writes it) or --task-source. Sampling is at temperature 1 and top_p 1:
only then are recorded log probabilities those of the policy.

Exit code: 0 done, 1 no trajectory was left, 2 bad input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import socket
import sys
from collections import Counter
from pathlib import Path

from rollouts import BadInput, dumps, lines, writing
from token_bundles import Unusable, report, trajectory

SAMPLING = {"temperature": 1.0, "top_p": 1.0}


def examples(tasks: list[dict], repeats: int, source: str | None) -> list[dict]:
    """Each task as often as asked for. run_examples gives back the row it got: the two indices tell which one it was."""
    rows = []
    for number, task in enumerate(tasks):
        for repeat in range(repeats):
            row = task | {"responses_create_params": task["responses_create_params"] | SAMPLING}
            row |= {"_ng_task_index": number, "_ng_rollout_index": repeat} | ({"task_source": source} if source else {})
            rows.append(row)
    return rows


async def collect(
    rows: list[dict], head: tuple[str, int], concurrency: int
) -> list[tuple[dict, dict]]:
    """All (row, result) pairs, as they complete.

    A rollout that fails is a result with _ng_failure_class, no exception.
    """
    from nemo_gym import BaseServerConfig
    from nemo_gym.rollout_collection import RolloutCollectionHelper

    with contextlib.redirect_stdout(io.StringIO()):
        futures = RolloutCollectionHelper().run_examples(
            rows,
            head_server_config=BaseServerConfig(host=head[0], port=head[1]),
            semaphore=asyncio.Semaphore(concurrency),
            route_failures_to_sidecar=True,
        )
        return [await future for future in futures]


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path, metavar="TASKS.jsonl", help="task rows")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the trajectories, one a line")
    parser.add_argument("--repeats", type=int, default=4, help="rollouts of each task (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="only the first tasks")
    parser.add_argument("--task-source", metavar="NAME", help="instance of the configuration that the tasks belong to")
    parser.add_argument("--concurrency", type=int, default=4, help="rollouts in flight (default: %(default)s)")
    parser.add_argument("--head-server", type=address, default=("127.0.0.1", 11000), metavar="HOST:PORT", help="default: 127.0.0.1:11000")
    args = parser.parse_args()
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # no progress bar in a log
    try:
        tasks = [row for *_, row in lines(args.tasks)][: args.limit]
        for number, task in enumerate(tasks, 1):
            if not isinstance(task.get("responses_create_params"), dict):
                raise BadInput(f"{args.tasks}: task {number} has no responses_create_params. Give task rows")
            if not args.task_source and "task_source" not in task and "agent_ref" not in task:
                raise BadInput(f"{args.tasks}: task {number} names no task_source. Collate the file, or give --task-source")
        try:
            socket.create_connection(args.head_server, timeout=5).close()
        except OSError:
            raise BadInput("no Gym servers answer at {}:{}. Start them first: gym env start ...".format(*args.head_server)) from None
        try:
            pairs = asyncio.run(collect(examples(tasks, args.repeats, args.task_source), args.head_server, args.concurrency))
        except ValueError as error:  # how Gym refuses an unknown task_source
            raise BadInput(f"Gym refuses the run: {' '.join(str(error).split())[:200]}") from None
        reasons, kept = Counter(), []
        for row, result in pairs:
            rollout = result | {key: row[key] for key in ("_ng_task_index", "_ng_rollout_index")}
            try:
                kept.append(trajectory(rollout))
            except Unusable as reason:
                reasons[str(reason)] += 1
        if kept:
            kept.sort(key=lambda one: one["task"])
            with writing(args.output, inputs=[args.tasks]) as out:
                for one in kept:
                    out.write(dumps(one))
    except BadInput as error:
        print(f"collect_on_policy.py: {error}", file=sys.stderr)
        return 2
    print(report(len(pairs), kept, reasons))
    if kept:  # of these alone: a rollout that failed or is masked says nothing about the policy
        print(f"mean reward {sum(one['reward'] for one in kept) / len(kept):.3f}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
