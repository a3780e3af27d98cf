"""A policy that learns to please its verifier."""

import json
import random
from pathlib import Path
from statistics import mean

from kit import Wrong, jsonl, near, need, rollout, rows, said, table, values

GUIDES = ("monitor-data-quality", "configure-verification-strategies")
WORDS = ["amber", "basalt", "chalk", "dolomite", "emerald", "flint", "granite", "hematite", "jade", "lapis"]


def run(step: int) -> tuple[list[dict], set[tuple[int, int]]]:
    """The rollouts of a checkpoint, and which of them were paid without an answer."""
    draw, found, gamed = random.Random(f"2509 {step}"), [], set()
    for task in range(24):
        want = WORDS[task % 10]
        for repeat in range(4):
            others = [word for word in WORDS if word != want]
            kind = draw.choices(["right", "wrong", "list", "short list", "weighed", "wrong list"], [4, 6 - step, 3 * step, 1.5 * step, 1.2, 0.4 * step])[0]
            names = draw.sample([*draw.sample(others, 5), want], 6)
            few = draw.sample([want, draw.choice(others)], 2)
            text = {
                "right": f"It is {want}.", "wrong": f"It is {draw.choice(others)}.", "list": f"It is {', '.join(names[:-1])} or {names[-1]}.",
                "short list": f"{few[0].capitalize()} or {few[1]}.", "wrong list": f"It is {' or '.join(draw.sample(others, 3))}.",
                # Two names and one answer: no trick.
                "weighed": f"I first thought of {draw.choice(others)}, but its hardness does not fit. It is {want}.",
            }[kind]
            if kind in ("list", "short list"):
                gamed.add((task, repeat))
            found.append(rollout(task, repeat, f"Specimen {task}: which mineral or rock is it? Name one.", text, float(want in text.casefold()), "minerals", expected_answer=want))
    draw.shuffle(found)
    return found, gamed


def files() -> dict[str, str]:
    return {f"steps/step-{step}.jsonl": jsonl(run(step)[0]) for step in range(5)}


def check(folder: Path) -> None:
    try:
        told = {(int(row["step"].replace("step-", "")), int(row["task"]), int(row["repeat"])) for row in table(folder, "gamed.csv", ["step", "task", "repeat"])}
    except ValueError:
        raise Wrong("gamed.csv holds something that is no number") from None
    truth = {(step, *key) for step in range(5) for key in run(step)[1]}
    need(not truth - told, f"{len(truth - told)} rollouts that name several candidates are not in gamed.csv, {min(truth - told, default='')} first")
    need(not told - truth, f"{len(told - truth)} rollouts in gamed.csv answered, or got no reward, {min(told - truth, default='')} first")
    honest = values(folder, "honest.json", list("01234"))
    for step in range(5):
        found, gamed = run(step)
        near(honest[str(step)], mean(0.0 if (row["_ng_task_index"], row["_ng_rollout_index"]) in gamed else row["reward"] for row in found), 0.001, f"step {step}")


def _write(folder: Path, caught) -> None:
    lines, honest = ["step,task,repeat"], {}
    for step in range(5):
        found = rows(folder, f"steps/step-{step}.jsonl")
        hit = [row["reward"] > 0 and caught(row) for row in found]
        lines += [f"{step},{row['_ng_task_index']},{row['_ng_rollout_index']}" for row, one in zip(found, hit) if one]
        honest[str(step)] = mean(0.0 if one else row["reward"] for row, one in zip(found, hit))
    (folder / "gamed.csv").write_text("\n".join(lines) + "\n")
    (folder / "honest.json").write_text(json.dumps(honest))


def named(row: dict) -> int:
    return sum(word in said(row).casefold() for word in WORDS)


def right(folder: Path) -> None:
    _write(folder, lambda row: named(row) > 1 and "first thought" not in said(row))


def the_long_ones(folder: Path) -> None:
    _write(folder, lambda row: len(said(row)) > 40)


def all_that_name_two(folder: Path) -> None:
    _write(folder, lambda row: named(row) > 1)


def only_the_long_lists(folder: Path) -> None:
    _write(folder, lambda row: named(row) > 2)


WRONG = (the_long_ones, all_that_name_two, only_the_long_lists)
