"""Training files in which some rows have nothing to learn from."""

import random
from pathlib import Path

from kit import jsonl, need, page, read, rows, table

GUIDES = ("integrate-with-rl-frameworks", "filter-and-curate-data")
TOWNS = ["Bath", "Cork", "Derby", "Exeter", "Flint", "Galway", "Hull", "Ipswich", "Jarrow", "Kendal"]


def data() -> tuple[dict[str, list[dict]], set[tuple[str, int]]]:
    draw, empty = random.Random(2503), set()
    sft, dpo = [], []
    user = lambda text: {"role": "user", "content": text}  # noqa: E731
    model = lambda text, **more: {"role": "assistant", "content": text, **more}  # noqa: E731
    for line in range(1, 71):
        town, hour = draw.choice(TOWNS), draw.randint(5, 22)
        ask, answer = user(f"When does bus {line} leave for {town}?"), model(f"Bus {line} leaves for {town} at {hour}:{draw.randint(10, 59)}.")
        lookup = model("", tool_calls=[{"id": f"c{line}", "type": "function", "function": {"name": "timetable", "arguments": {"bus": line, "town": town}}}])
        found = {"role": "tool", "tool_call_id": f"c{line}", "content": f'{{"hour": {hour}}}'}
        kind = draw.choice(["plain"] * 4 + ["calls"] * 2 + ["only call"] + ["empty", "blank", "no answer", "thought"])
        messages = {
            "plain": [ask, answer], "calls": [ask, lookup, found, answer], "only call": [ask, lookup], "empty": [ask, model("")], "blank": [ask, model(" \n")],
            "no answer": [{"role": "system", "content": "You know the buses."}, ask], "thought": [ask, model("", reasoning_content=f"I do not know bus {line}.")],
        }[kind]
        if kind in ("empty", "blank", "no answer"):
            empty.add(("sft.jsonl", line))
        if kind == "thought":
            messages = [ask, answer]
        sft.append({"messages": messages, "source": {"line": line}})
    for line in range(1, 41):
        town = draw.choice(TOWNS)
        good, bad = f"Take bus {line} to {town}.", f"There is no bus {line} to {town}."
        kind = draw.choice(["plain"] * 6 + ["same", "both empty", "same but for the id"])
        sides = {
            "plain": ([model(good)], [model(bad)]), "same": ([model(good)], [model(good)]), "both empty": ([model("")], [model("")]),
            "same but for the id": ([model(good, id=f"m{line}")], [model(good, id=f"n{line}")]),
        }[kind]
        if kind != "plain":
            empty.add(("dpo.jsonl", line))
        dpo.append({"prompt": [user(f"How do I get to {town}? ({line})")], "chosen": sides[0], "rejected": sides[1]})
    return {"sft.jsonl": sft, "dpo.jsonl": dpo}, empty


def files() -> dict[str, str]:
    return {name: jsonl(found) for name, found in data()[0].items()}


def check(folder: Path) -> None:
    given, empty = data()
    try:
        told = {(Path(row["file"]).name, int(row["line"])) for row in table(folder, "nothing.csv", ["file", "line"])}
    except ValueError:
        told = set()
    missed, false = sorted(empty - told), sorted(told - empty)
    need(not missed, f"{len(missed)} rows that teach nothing are not in nothing.csv, {missed[0] if missed else ''} first")
    need(not false, f"{len(false)} rows in nothing.csv teach something, {false[0] if false else ''} first")
    for name, found in given.items():
        good = [line for number, line in enumerate(jsonl(found).splitlines(), 1) if (name, number) not in empty]
        out = name.replace(".jsonl", "_good.jsonl")
        need(read(folder, out).decode().splitlines() == good, f"{out} does not hold just the other rows, as they were")


def _write(folder: Path, empty: set) -> None:
    (folder / "nothing.csv").write_text("file,line\n" + "".join(f"{name},{line}\n" for name, line in sorted(empty)))
    for name in ("sft.jsonl", "dpo.jsonl"):
        kept = [row for number, row in enumerate(rows(folder, name), 1) if (name, number) not in empty]
        (folder / name.replace(".jsonl", "_good.jsonl")).write_text(jsonl(kept))


def right(folder: Path) -> None:
    _write(folder, data()[1])
    for name in ("sft_good.jsonl", "dpo_good.jsonl"):
        page(folder, f"filter-and-curate-data/make_training_sets.py check {name}")


def everything_is_good(folder: Path) -> None:
    _write(folder, set())
    (folder / "nothing.csv").write_text("file,line\nsft.jsonl,1\n")


def only_what_is_empty_to_the_letter(folder: Path) -> None:
    empty = {("sft.jsonl", number) for number, row in enumerate(rows(folder, "sft.jsonl"), 1) if not row["messages"][-1]["content"]}
    _write(folder, empty | {key for key in data()[1] if key[0] == "dpo.jsonl"})


def the_bad_rows_stay(folder: Path) -> None:
    right(folder)
    (folder / "sft_good.jsonl").write_bytes((folder / "sft.jsonl").read_bytes())


WRONG = (everything_is_good, only_what_is_empty_to_the_letter, the_bad_rows_stay)
