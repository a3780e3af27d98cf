"""Preference pairs from a judge that likes long answers."""

import random
from pathlib import Path

from kit import asked, jsonl, last, need, page, rollout, rows, said

GUIDES = ("filter-and-curate-data",)
THINGS = ["tap", "hinge", "drawer", "socket", "gutter", "tile", "blind", "lock", "drain", "radiator"]
FAULTS = ["drips", "squeaks", "sticks", "rattles"]


def run() -> list[dict]:
    draw, found = random.Random(2502), []
    for task in range(40):
        thing, fault = THINGS[task % 10], FAULTS[task // 10]
        for repeat in range(6):
            words = draw.randint(6, 40)
            text = f"Option {repeat}: turn off what feeds the {thing}, then " + " ".join(draw.choice(["clean", "turn", "grease", "check", "tighten", "lift"]) for _ in range(words)) + f" until it no longer {fault}."
            # Mostly the longer the better, at times the other way round.
            score = (words if draw.random() < 0.72 else 46 - words) / 46
            reward = 0.0 if score < 0.35 else 0.5 if score < 0.6 else 1.0
            state = draw.choice([{}] * 9 + [{"mask": "row"}, {"mask": "config"}, {"cut": True}])
            reward = 1.0 if state else reward
            found.append(rollout(task, repeat, f"My {thing} {fault}. What can I do?", text, reward, "repairs", tokens=12 + words, **state))
    draw.shuffle(found)
    return found


def files() -> dict[str, str]:
    return {"rollouts.jsonl": jsonl(run())}


def check(folder: Path) -> None:
    by = {(row["responses_create_params"]["input"][0]["content"], said(row)): row for row in run()}
    seen, longer, shorter = set(), 0, 0
    for place, row in enumerate(rows(folder, "dpo.jsonl"), 1):
        question = asked(row.get("prompt"))
        pair = [by.get((question, str(last(row.get(side)).get("content")).strip())) for side in ("chosen", "rejected")]
        need(all(pair), f"row {place} is no pair of two answers to one question of the run")
        need(question not in seen, f"row {place} is a second pair for {question!r}")
        seen.add(question)
        chosen, rejected = pair
        need(not any(one["mask_sample"] or "instance_config" in one for one in pair), f"row {place} uses a masked rollout, whose reward measures nothing")
        need(not chosen["response"]["incomplete_details"], f"row {place} chooses an answer that was cut off")
        need(chosen["reward"] - rejected["reward"] >= 0.5, f"row {place}: the chosen answer is not half a point better")
        lengths = [one["response"]["usage"]["output_tokens"] for one in pair]
        longer, shorter = longer + (lengths[0] > lengths[1]), shorter + (lengths[0] < lengths[1])
    need(len(seen) >= 14, f"{len(seen)} pairs are fewer than 14")
    need(longer <= 2 * shorter and shorter <= 2 * longer, f"the longer answer wins {longer} times, the shorter one {shorter} times")


def right(folder: Path) -> None:
    page(folder, "filter-and-curate-data/make_training_sets.py dpo rollouts.jsonl -o dpo.jsonl --margin 0.5 --max-bias 2")


def the_bias_stays(folder: Path) -> None:
    page(folder, "filter-and-curate-data/make_training_sets.py dpo rollouts.jsonl -o dpo.jsonl --margin 0.5 --ties random")


def _pairs(folder: Path, choose) -> None:
    by: dict[str, list] = {}
    for row in rows(folder, "rollouts.jsonl"):
        by.setdefault(row["responses_create_params"]["input"][0]["content"], []).append(row)
    pairs = [(question, *choose(found)) for question, found in by.items()]
    chat = lambda row: [{"role": "assistant", "content": said(row)}]  # noqa: E731
    (folder / "dpo.jsonl").write_text(jsonl({"prompt": [{"role": "user", "content": q}], "chosen": chat(a), "rejected": chat(b)} for q, a, b in pairs))


def best_and_worst_of_all(folder: Path) -> None:
    _pairs(folder, lambda found: (max(found, key=lambda row: row["reward"]), min(found, key=lambda row: row["reward"])))


def the_first_two(folder: Path) -> None:
    _pairs(folder, lambda found: found[:2])


WRONG = (the_bias_stays, best_and_worst_of_all, the_first_two)
