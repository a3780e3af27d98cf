"""The tasks of the next stage, from what an earlier run measured, in shards that can be merged."""

import random
from pathlib import Path
from statistics import mean

from kit import jsonl, need, page, rollout, rows

GUIDES = ("scale-parallel-generation", "filter-and-curate-data")


def data() -> tuple[dict[str, list[dict]], set[int]]:
    draw, tasks, found, wanted = random.Random(2511), {"spelling": [], "sums": []}, [], set()
    for place, number in enumerate(draw.sample(range(1000, 9000), 70)):
        name = "spelling" if place < 40 else "sums"
        asked = f"Spell the {place}th word of the list backwards." if name == "spelling" else f"What is {place} + {number}?"
        tasks[name].append({"responses_create_params": {"input": asked, "max_output_tokens": 24}, "expected_answer": str(number), "_ng_task_index": number})
        chance, measured = draw.choice([0.02, 0.2, 0.5, 0.5, 0.8, 0.98]), []
        for repeat in range(8):
            reward, mask = float(draw.random() < chance), draw.choice(["", "", "", "", "row", "config"])
            if mask:
                reward = 0.0
            else:
                measured.append(reward)
            found.append(rollout(number, repeat, asked, str(number if reward else number + repeat + 1), reward, name, mask=mask, expected_answer=str(number)))
        if measured and 0.25 <= mean(measured) <= 0.75:
            wanted.add(number)
    draw.shuffle(found)
    return {**tasks, "rollouts": found}, wanted


def files() -> dict[str, str]:
    return {f"first/{name}.jsonl": jsonl(found) for name, found in data()[0].items()}


def check(folder: Path) -> None:
    given, wanted = data()
    by = {row["_ng_task_index"]: (name, row) for name in ("spelling", "sums") for row in given[name]}
    names = sorted(path.name for path in (folder / "stage2").glob("*.jsonl"))
    need(names == [f"shard-{number:03}.jsonl" for number in range(4)], f"stage2 holds {' '.join(names) or 'no shards'}")
    shards = [rows(folder, f"stage2/{name}") for name in names]
    sizes = [len(shard) for shard in shards]
    need(max(sizes) - min(sizes) <= 1, f"the shards have {sizes} tasks")
    numbers = [row.get("_ng_task_index") for shard in shards for row in shard]
    need(len(set(numbers)) == len(numbers), "a task is in two shards")
    need(set(numbers) == wanted, f"{len(wanted - set(numbers))} tasks are missing, {len(set(numbers) - wanted)} do not belong into the stage")
    for row in (row for shard in shards for row in shard):
        name, task = by[row["_ng_task_index"]]
        need((row.get("agent_ref") or {}).get("name") == f"{name}_simple_agent", f"task {row['_ng_task_index']} is run by {row.get('agent_ref')}")
        need(all(row.get(key) == value for key, value in task.items()), f"task {row['_ng_task_index']} is not as it was")


def right(folder: Path) -> None:
    page(folder, "scale-parallel-generation/split_tasks.py spelling_simple_agent=first/spelling.jsonl sums_simple_agent=first/sums.jsonl -o stage2 --shards 4 --scored first/rollouts.jsonl --keep 0.25 0.75")


def _split(folder: Path, chosen, names=("spelling", "sums")) -> None:
    (folder / "stage2").mkdir()
    found = [row | {"agent_ref": {"name": f"{name}_simple_agent"}} for name in names for row in rows(folder, f"first/{name}.jsonl") if chosen(row["_ng_task_index"])]
    for number in range(4):
        (folder / f"stage2/shard-{number:03}.jsonl").write_text(jsonl(found[number::4]))


def masked_rollouts_count_as_zero(folder: Path) -> None:
    means: dict[int, list[float]] = {}
    for row in rows(folder, "first/rollouts.jsonl"):
        means.setdefault(row["_ng_task_index"], []).append(row["reward"])
    _split(folder, lambda number: 0.25 <= mean(means[number]) <= 0.75)


def all_tasks(folder: Path) -> None:
    _split(folder, lambda number: True)


def new_numbers(folder: Path) -> None:
    right(folder)
    for place, path in enumerate(sorted((folder / "stage2").glob("*.jsonl"))):
        path.write_text(jsonl(row | {"_ng_task_index": number} for number, row in enumerate(rows(folder, f"stage2/{path.name}"))))


WRONG = (masked_rollouts_count_as_zero, all_tasks, new_numbers)
