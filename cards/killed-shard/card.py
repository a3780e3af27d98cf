"""Which rollouts of three shards are done, left, and given up, after a kill."""

import json
import random
from pathlib import Path

from kit import jsonl, need, page, read, rollout, rows, table

GUIDES = ("scale-parallel-generation",)


def run() -> tuple[dict[str, str], set, set]:
    """The files, the rollouts left to run, and those given up."""
    draw, given, left, given_up = random.Random(2510), {}, set(), set()
    for shard in range(3):
        name, tasks, plan, done, failures = f"shard-{shard:03}", [], [], [], []
        for task in range(shard, 42, 3):
            asked = f"Name the capital of district {task}."
            tasks.append({"responses_create_params": {"input": asked}, "expected_answer": f"Town {task}", "_ng_task_index": task, "agent_ref": {"name": "string_match_simple_agent"}})
            for repeat in range(4):
                plan.append(tasks[-1] | {"_ng_rollout_index": repeat})
                fate = draw.random()
                key = (task, repeat)
                attempts = 0 if shard == 0 or fate > 0.3 else draw.choice([1, 2, 3])
                terminal = attempts == 1 and draw.random() < 0.4
                for attempt in range(attempts):
                    failures.append(plan[-1] | {"_ng_failure_class": "agent_run_error", "_ng_attempt_index": attempt, "_ng_failure_response_body": "502 from the endpoint", **({"_ng_failure_terminal": True} if terminal else {})})
                if attempts == 3 or terminal:
                    given_up.add(key)
                elif shard == 1 and task > 30 or attempts and draw.random() < 0.5:
                    left.add(key)
                else:
                    done.append(rollout(task, repeat, asked, f"Town {draw.randint(0, 41)}", float(draw.random() < 0.5), "string_match"))
        text = jsonl(done)
        if shard == 1:  # the last row was being written when the kill came
            left.add((done[-1]["_ng_task_index"], done[-1]["_ng_rollout_index"]))
            text = text[: -len(jsonl(done[-1:])) // 2]
        if shard == 2:  # all that is left of it has been given up
            more = [key for key in left if key[0] % 3 == 2]
            for task, repeat in more:
                left.discard((task, repeat))
                text += jsonl([rollout(task, repeat, f"Name the capital of district {task}.", "Town", 0.0, "string_match")])
        given |= {
            f"shards/{name}.jsonl": jsonl(tasks), f"results/{name}/rollouts.jsonl": text,
            f"results/{name}/rollouts_materialized_inputs.jsonl": jsonl(plan), f"results/{name}/rollouts_failures.jsonl": jsonl(failures),
        }
    return given, left, given_up


def files() -> dict[str, str]:
    return run()[0]


def keys(folder: Path, name: str) -> set[tuple[int, int]]:
    try:
        return {(int(row["task"]), int(row["repeat"])) for row in table(folder, name, ["task", "repeat"])}
    except ValueError:
        return set()


def check(folder: Path) -> None:
    given, left, given_up = run()
    for name, right in (("missing.csv", left), ("given_up.csv", given_up)):
        told = keys(folder, name)
        need(told == right, f"{name}: {len(right - told)} rollouts are not in it, {len(told - right)} should not be")
    names = read(folder, "complete.txt").decode().split()
    need(sorted(names) == ["shard-000", "shard-002"], f"complete.txt names {' '.join(names) or 'none'}")
    for name, text in given.items():
        need(read(folder, name) == text.encode(), f"{name} was changed")


def _write(folder: Path, left: set, given_up: set, complete: str) -> None:
    for name, found in (("missing.csv", left), ("given_up.csv", given_up)):
        (folder / name).write_text("task,repeat\n" + "".join(f"{task},{repeat}\n" for task, repeat in sorted(found)))
    (folder / "complete.txt").write_text(complete)


def right(folder: Path) -> None:
    said = page(folder, "scale-parallel-generation/watch_shards.py shards results", may_say_no=True)
    complete = [line.split()[0] for line in said.splitlines() if " complete " in line and line.startswith("shard-")]
    _write(folder, run()[1], run()[2], "\n".join(complete))


def all_that_has_no_row(folder: Path) -> None:
    _, left, given_up = run()
    _write(folder, left | given_up, given_up, "shard-000\nshard-002\n")


def the_torn_row_counts(folder: Path) -> None:
    _, left, given_up = run()
    torn = max(left & keys_of_done(folder))
    _write(folder, left - {torn}, given_up, "shard-000\nshard-002\n")


def keys_of_done(folder: Path) -> set:
    lines = (folder / "results/shard-001/rollouts.jsonl").read_text().splitlines()
    whole = {(row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows(folder, "results/shard-001/rollouts_materialized_inputs.jsonl")}
    return whole - {(row["_ng_task_index"], row["_ng_rollout_index"]) for row in map(json.loads, lines[:-1])}


def only_three_attempts_give_up(folder: Path) -> None:
    given, left, given_up = run()
    terminal = {(row["_ng_task_index"], row["_ng_rollout_index"]) for name in given if name.endswith("failures.jsonl") and given[name] for row in rows(folder, name) if row.get("_ng_failure_terminal")}
    _write(folder, left | terminal, given_up - terminal, "shard-000\n")


WRONG = (all_that_has_no_row, the_torn_row_counts, only_three_attempts_give_up)
