"""Two splits that share tasks."""

import random
from pathlib import Path

from kit import jsonl, need, page, rows

GUIDES = ("manage-training-datasets",)
METALS = ["Iron", "Copper", "Silver", "Gold", "Tin", "Lead", "Zinc", "Nickel", "Cobalt", "Mercury", "Platinum", "Tungsten"]
ASKED = ["What is the chemical symbol of {}?", "Is {} magnetic at room temperature?", "Does {} rust?", "Is {} heavier than water?", "Which group is {} in?"]


def data() -> dict[str, list[dict]]:
    draw = random.Random(2505)
    tasks = [
        {"responses_create_params": {"input": [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": one.format(metal)}]}, "expected_answer": f"{metal[:2]}{n}", "metadata": {"metal": metal, "number": n}}
        for n, (one, metal) in enumerate((one, metal) for one in ASKED for metal in METALS)
    ]
    draw.shuffle(tasks)
    train, validation = tasks[:46], tasks[46:]

    def spelled(row: dict, how) -> dict:
        system, user = row["responses_create_params"]["input"]
        return row | {"responses_create_params": {"input": [system, user | {"content": how(user["content"])}]}}

    validation += [spelled(row, str.upper) for row in train[:4]] + [spelled(row, lambda text: text.replace(" ", "  ")) for row in train[4:8]] + train[8:11]
    train += [spelled(row, lambda text: f" {text}\n") for row in train[20:25]] + train[30:33]
    draw.shuffle(train)
    draw.shuffle(validation)
    return {"train.jsonl": train, "validation.jsonl": validation}


def files() -> dict[str, str]:
    return {name: jsonl(found) for name, found in data().items()}


def key(row: dict) -> str:
    items = row.get("responses_create_params", {}).get("input") or [{}]
    return " ".join(str(items[-1].get("content")).split()).casefold()


def check(folder: Path) -> None:
    given = data()
    every = {key(row) for found in given.values() for row in found}
    clean = {name: rows(folder, f"clean/{name}") for name in given}
    sides = {name: [key(row) for row in found] for name, found in clean.items()}
    for name, found in sides.items():
        need(len(set(found)) == len(found), f"clean/{name} has a question more than once")
    both = set(sides["train.jsonl"]) & set(sides["validation.jsonl"])
    need(not both, f"{len(both)} questions are in both files")
    lost = every - set(sides["train.jsonl"]) - set(sides["validation.jsonl"])
    need(not lost and sum(map(len, sides.values())) == len(every), f"{len(lost)} questions were lost")
    share = len(sides["validation.jsonl"]) / len(every)
    need(0.15 <= share <= 0.25, f"{share:.0%} of the questions are in validation")
    whole = [row for found in given.values() for row in found]
    strange = [row for found in clean.values() for row in found if row not in whole]
    need(not strange, f"{len(strange)} rows are not as they were")


def right(folder: Path) -> None:
    (folder / "all.jsonl").write_text(jsonl(rows(folder, "train.jsonl") + rows(folder, "validation.jsonl")))
    for seed in range(20):
        page(folder, f"manage-training-datasets/dataset_tool.py split all.jsonl --validation 0.2 --unique --seed {seed} --out-dir clean")
        if 9 <= len(rows(folder, "clean/validation.jsonl")) <= 15:
            return


def only_equal_lines(folder: Path) -> None:
    (folder / "clean").mkdir()
    train, validation = rows(folder, "train.jsonl"), rows(folder, "validation.jsonl")
    (folder / "clean/train.jsonl").write_text(jsonl(row for row in train if row not in validation))
    (folder / "clean/validation.jsonl").write_text(jsonl(validation))


def leaks_are_gone_from_both(folder: Path) -> None:
    (folder / "clean").mkdir()
    sides = {name: rows(folder, name) for name in ("train.jsonl", "validation.jsonl")}
    both = {key(row) for row in sides["train.jsonl"]} & {key(row) for row in sides["validation.jsonl"]}
    for name, found in sides.items():
        (folder / "clean" / name).write_text(jsonl({key(row): row for row in found if key(row) not in both}.values()))


def validation_is_too_large(folder: Path) -> None:
    (folder / "clean").mkdir()
    sides = {name: {key(row): row for row in rows(folder, name)} for name in ("train.jsonl", "validation.jsonl")}
    (folder / "clean/train.jsonl").write_text(jsonl(row for one, row in sides["train.jsonl"].items() if one not in sides["validation.jsonl"]))
    (folder / "clean/validation.jsonl").write_text(jsonl(sides["validation.jsonl"].values()))


WRONG = (only_equal_lines, leaks_are_gone_from_both, validation_is_too_large)
