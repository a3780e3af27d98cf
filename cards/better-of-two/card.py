"""Two runs: which is better, and how certain is that?"""

import json
import random
from pathlib import Path
from statistics import mean

from kit import jsonl, near, need, page, rollout, rows, values

GUIDES = ("monitor-data-quality",)


def run(name: str) -> list[dict]:
    draw, found = random.Random(f"2507 {name}"), []
    hard = random.Random(2507)
    for task in range(36):
        chance = hard.random()
        for repeat in range(5):
            reward = float(draw.random() < min(1.0, chance + (0.14 if name == "new" else 0.0)))
            # The sandbox of the new run fails mostly on tasks that are solved: the mean over all rows says the opposite.
            failed = name == "new" and draw.random() < (0.55 if chance > 0.45 else 0.1) and repeat < 4
            found.append(rollout(
                task, repeat, f"Repair the failing test number {task}.", f"Patch {draw.randint(100, 999)} for test {task}", 0.0 if failed else reward, "repair",
                mask=("row", "config")[repeat % 2] if failed else "",
            ))
    draw.shuffle(found)
    return found


def files() -> dict[str, str]:
    return {f"{name}.jsonl": jsonl(run(name)) for name in ("old", "new")}


def differences() -> list[float]:
    """New minus old for each task, of the rollouts that measure something."""
    means = {}
    for name in ("old", "new"):
        for row in run(name):
            if not row["mask_sample"] and "instance_config" not in row:
                means.setdefault(row["_ng_task_index"], {}).setdefault(name, []).append(row["reward"])
    return [mean(sides["new"]) - mean(sides["old"]) for sides in means.values() if len(sides) == 2]


def interval(found: list[float]) -> tuple[float, float]:
    draw = random.Random(0)
    means = sorted(mean(draw.choices(found, k=len(found))) for _ in range(4000))
    return means[100], means[3899]


def check(folder: Path) -> None:
    answer, found = values(folder, "answer.json", ["better", "difference", "low", "high"]), differences()
    low, high = interval(found)
    right = "new" if low > 0 else "old" if high < 0 else "cannot tell"
    near(answer["difference"], mean(found), 0.004, "difference")
    wide = (high - low) / 2
    near(answer["low"], low, 0.25 * wide, "low")
    near(answer["high"], high, 0.25 * wide, "high")
    need(str(answer["better"]).strip().casefold() == right, f"better is {answer['better']!r}")


def right(folder: Path) -> None:
    said = page(folder, "monitor-data-quality/compare_runs.py old.jsonl new.jsonl", may_say_no=True)
    words = next(line for line in said.splitlines() if line.startswith("all")).replace("[", " ").replace("]", " ").replace(",", " ").split()
    delta, low, high = float(words[4]), float(words[7]), float(words[8])
    better = "new" if low > 0 else "old" if high < 0 else "cannot tell"
    (folder / "answer.json").write_text(json.dumps({"better": better, "difference": delta, "low": low, "high": high}))


def the_mean_of_all_rows(folder: Path) -> None:
    sides = [mean(row["reward"] for row in rows(folder, f"{name}.jsonl")) for name in ("old", "new")]
    delta = sides[1] - sides[0]
    (folder / "answer.json").write_text(json.dumps({"better": "old", "difference": delta, "low": delta - 0.05, "high": delta + 0.05}))


def every_rollout_counts_as_a_task(folder: Path) -> None:
    found = differences()
    half = (interval(found)[1] - interval(found)[0]) / 5
    (folder / "answer.json").write_text(json.dumps({"better": "new", "difference": mean(found), "low": mean(found) - half, "high": mean(found) + half}))


def the_wrong_name(folder: Path) -> None:
    right(folder)
    (folder / "answer.json").write_text(json.dumps(json.loads((folder / "answer.json").read_text()) | {"better": "old"}))


WRONG = (the_mean_of_all_rows, every_rollout_counts_as_a_task, the_wrong_name)
