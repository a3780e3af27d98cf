"""A run with masked, cut-off, copied and thinking rollouts to an SFT set."""

import json
import random
from pathlib import Path

from kit import asked, jsonl, last, message, need, number, page, rollout, rows, said, thought

GUIDES = ("filter-and-curate-data",)
UNITS = [("hours", "minutes", 60), ("weeks", "days", 7), ("feet", "inches", 12), ("kilograms", "grams", 1000), ("gross", "pieces", 144), ("miles", "furlongs", 8)]


def run() -> tuple[list[dict], dict[str, set[str]]]:
    """The rollouts, and the good answers of each question."""
    draw, found, good = random.Random(2501), [], {}
    for task in range(48):
        old, new, factor = UNITS[task % len(UNITS)]
        count = draw.randint(3, 97)
        question, value = f"How many {new} are {count} {old}?", count * factor
        good[question] = set()
        for repeat in range(4):
            kind = draw.choice(["plain", "think", "lone", "item", "sentence", "wrong", "wrong", "row", "config", "cut", "copied", "unfinished"])
            kind = "wrong" if task % 12 == 5 else kind
            why = f"One of the {old} has {factor} {new}, so I multiply {count} by {factor}."
            answer, reward, more, output = f"{value}", 1.0, {}, None
            if kind == "sentence":
                answer = f"{count} {old} are {value} {new}."
            elif kind == "think":
                output = f"<think>\n{why}\n</think>\n\n{answer}"
            elif kind == "lone":
                output = f"{why}\n</think>\n{answer}"
            elif kind == "item":
                output = [thought(why), message(answer)]
            elif kind == "wrong":
                answer, reward = f"{value + draw.choice([-factor, factor, 10 * factor])}", 0.0
            elif kind in ("row", "config"):
                answer, more = f"{value} (checked)", {"mask": kind}
            elif kind == "cut":
                answer, more = f"{value} {new}, because each of the {old} has {factor} {new} and so w", {"cut": True}
            elif kind == "unfinished":
                output, reward = f"<think>\n{why} That would make", 1.0 if draw.random() < 0.5 else 0.0
            before = [row for row in found if row["_ng_task_index"] == task and row["reward"] == 1.0 and not row["response"]["incomplete_details"]]
            if kind == "copied" and before:
                row = json.loads(json.dumps(before[0])) | {"_ng_rollout_index": repeat}
            else:
                row = rollout(task, repeat, question, output or answer, reward, "unit_conversion", expected_answer=str(value), id=number("units", task, repeat), **more)
                if reward == 1.0 and not more and kind != "unfinished":
                    good[question].add(answer)
            found.append(row)
    draw.shuffle(found)
    return found, good


def files() -> dict[str, str]:
    return {"rollouts.jsonl": jsonl(run()[0])}


def check(folder: Path) -> None:
    good, seen = run()[1], set()
    for place, row in enumerate(rows(folder, "sft.jsonl"), 1):
        messages = row.get("messages")
        question, reply = asked(messages), last(messages)
        need(question in good and reply.get("role") == "assistant", f"row {place} is no question of the run with an answer")
        need("think" not in json.dumps(row) and not reply.get("reasoning_content") and "I multiply" not in json.dumps(row), f"row {place} holds thinking")
        answer = str(reply.get("content")).strip()
        need(answer in good[question], f"row {place} teaches {answer!r}, which is not a good answer to {question!r}")
        need((question, answer) not in seen, f"row {place} is there twice")
        seen.add((question, answer))
    missing = [question for question, answers in good.items() if answers and not any(question == one for one, _ in seen)]
    need(not missing, f"{len(missing)} questions with a good answer are not in it, {missing[0] if missing else ''} first")


def right(folder: Path) -> None:
    page(folder, "filter-and-curate-data/filter_rollouts.py rollouts.jsonl -o kept.jsonl --whole --min-reward 1 --distinct")
    page(folder, "filter-and-curate-data/make_training_sets.py sft kept.jsonl -o sft.jsonl --reasoning drop")


def only_the_reward(folder: Path) -> None:
    kept = [row for row in rows(folder, "rollouts.jsonl") if row["reward"] == 1.0]
    chats = ([{"role": "user", "content": row["responses_create_params"]["input"][0]["content"]}, {"role": "assistant", "content": said(row)}] for row in kept)
    (folder / "sft.jsonl").write_text(jsonl({"messages": chat} for chat in chats))


def a_third_is_lost(folder: Path) -> None:
    right(folder)
    (folder / "sft.jsonl").write_text(jsonl(rows(folder, "sft.jsonl")[::3]))


def the_thoughts_stay(folder: Path) -> None:
    page(folder, "filter-and-curate-data/filter_rollouts.py rollouts.jsonl -o kept.jsonl --whole --min-reward 1 --distinct")
    page(folder, "filter-and-curate-data/make_training_sets.py sft kept.jsonl -o sft.jsonl --reasoning field")


WRONG = (only_the_reward, a_third_is_lost, the_thoughts_stay)
