"""A judge that fails on a third of the answers, and then recovers."""

import importlib.util
import random
from pathlib import Path
from statistics import mean

from kit import jsonl, near, need, read, rollout, rows, said

GUIDES = ("configure-verification-strategies", "configure-multi-model-setups")
HERE = Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("card_endpoint", HERE / "endpoint.py")
endpoint = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(endpoint)


def data() -> list[dict]:
    draw, found = random.Random(2513), []
    for number in range(24):
        one, two = draw.sample(["spiders", "ants", "hens", "cows"], 2)
        counts = draw.randint(1, 9), draw.randint(1, 9)
        legs = sum(count * {"spiders": 8, "ants": 6, "hens": 2, "cows": 4}[animal] for count, animal in zip(counts, (one, two)))
        question = f"How many legs have {counts[0]} {one} and {counts[1]} {two}? ({number})"
        found.append({"responses_create_params": {"input": [{"role": "user", "content": question}]}, "question": question, "expected_answer": f"exactly {legs} legs"})
    return found


def truth() -> dict[str, tuple[str, float]]:
    """By question, what the policy says and what it is worth."""
    found = {}
    for row in data():
        text = endpoint.answer(row["question"])
        found[row["question"]] = (text, float(f" {row['expected_answer'].split()[1]} legs" in text))
    return found


def files() -> dict[str, str]:
    return {"endpoint.py": (HERE / "endpoint.py").read_text(), "tasks.jsonl": jsonl(data())}


def check(folder: Path) -> None:
    right, seen = truth(), set()
    found = rows(folder, "scored.jsonl")
    for place, row in enumerate(found, 1):
        items = (row.get("responses_create_params") or {}).get("input")
        question = items if isinstance(items, str) else items[-1].get("content") if isinstance(items, list) and items else ""
        question = question if isinstance(question, str) else "".join(part.get("text", "") for part in question)
        need(question in right and question not in seen, f"row {place} is no rollout of the tasks, or a second one")
        seen.add(question)
        try:
            text = said(row).strip()
        except (KeyError, TypeError):
            text = ""
        need(text == right[question][0], f"row {place} does not hold the policy's answer")
        need(type(row.get("_ng_task_index")) is int and not row.get("mask_sample"), f"row {place} is masked, or not what Gym wrote")
        need(row.get("reward") == right[question][1], f"row {place} has the reward {row.get('reward')}, and the judge says {right[question][1]}")
    need(len(seen) == len(right), f"{len(seen)} of {len(right)} rollouts have a score")
    near(read(folder, "mean.txt").decode().strip(), mean(reward for _, reward in right.values()), 0.0006, "mean.txt")


def down(question: str) -> bool:
    return endpoint.drawn(f"judge {question.split('(')[1].rstrip(')')}") % 3 == 0


def _write(folder: Path, reward, only=lambda question: True) -> None:
    found = []
    for number, row in enumerate(data()):
        question = row["question"]
        text, worth = truth()[question]
        if only(question):
            found.append(rollout(number, 0, question, text, reward(question, worth), "answer_judge", question=question, expected_answer=row["expected_answer"]))
    (folder / "scored.jsonl").write_text(jsonl(found))
    (folder / "mean.txt").write_text(f"{mean(row['reward'] for row in found)}\n")


def right(folder: Path) -> None:
    _write(folder, lambda question, worth: worth)


def failures_are_zeros(folder: Path) -> None:
    _write(folder, lambda question, worth: 0.0 if down(question) else worth)


def failures_are_left_out(folder: Path) -> None:
    _write(folder, lambda question, worth: worth, lambda question: not down(question))


def the_mean_of_before(folder: Path) -> None:
    failures_are_left_out(folder)
    before = read(folder, "mean.txt")
    right(folder)
    (folder / "mean.txt").write_bytes(before)


WRONG = (failures_are_zeros, failures_are_left_out, the_mean_of_before)
