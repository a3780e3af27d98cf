"""A chat export to task rows."""

import json
import random
from pathlib import Path

from kit import jsonl, need, page, rows, table

GUIDES = ("manage-training-datasets",)
RIVERS = {"Vltava": "Prague", "Spree": "Berlin", "Liffey": "Dublin", "Vistula": "Warsaw", "Aare": "Bern", "Tagus": "Lisbon", "Salzach": "Salzburg", "Neckar": "Stuttgart", "Clyde": "Glasgow", "Arno": "Florence"}


def data() -> tuple[list[dict], dict[int, tuple[str, str]]]:
    """The export; and by line the question and the answer of each chat that can be converted."""
    draw, found, good = random.Random(2506), [], {}
    user = lambda text: {"role": "user", "content": text}  # noqa: E731
    for line in range(1, 41):
        river, city = draw.choice(list(RIVERS.items()))
        text = f"Which large city lies on the {river}? (form {line})"
        system, answer = {"role": "system", "content": "Answer with the name alone."}, {"role": "assistant", "content": city}
        kind = ["plain", "system", "several", "plain", "parts", "tool", "legacy", "plain", "unanswered", "system"][draw.randrange(10)]
        messages = {
            "plain": [user(text), answer], "system": [system, user(text), answer],
            "several": [user(f"Is the {river} a river?"), {"role": "assistant", "content": "Yes."}, user(text), answer],
            "parts": [user([{"type": "text", "text": text}]), answer],
            "tool": [user(text), {"role": "assistant", "content": None, "tool_calls": [{"id": f"t{line}", "type": "function", "function": {"name": "map", "arguments": json.dumps({"river": river})}}]}],
            "legacy": [user(text), {"role": "assistant", "content": None, "function_call": {"name": "map", "arguments": "{}"}}, {"role": "function", "name": "map", "content": city}, answer],
            "unanswered": [system, user(text)],
        }[kind]
        if kind not in ("tool", "legacy", "unanswered"):
            good[line] = (text, city)
        found.append({"id": f"form-{line}", "messages": messages})
    return found, good


def files() -> dict[str, str]:
    return {"export.jsonl": jsonl(data()[0])}


def text_of(content: object) -> str:
    return content if isinstance(content, str) else "".join(str(part.get("text")) for part in content if isinstance(part, dict)) if isinstance(content, list) else ""


def check(folder: Path) -> None:
    found, good = data()
    given = rows(folder, "tasks.jsonl")
    need(len(given) == len(good), f"tasks.jsonl has {len(given)} rows, and {len(good)} chats have a text answer and can be converted")
    seen = set()
    for place, row in enumerate(given, 1):
        items = row.get("responses_create_params", {}).get("input")
        text = items if isinstance(items, str) else text_of(items[-1].get("content")) if isinstance(items, list) and items and isinstance(items[-1], dict) else ""
        line = next((line for line, (asked, _) in good.items() if asked == text.strip()), None)
        need(line and line not in seen, f"row {place} does not end with a question of the export, or repeats one")
        seen.add(line)
        need(row.get("expected_answer") == good[line][1], f"row {place} expects {row.get('expected_answer')!r}")
        need(row.get("extraction_mode") == "full_response", f"row {place} does not compare the whole reply: extraction_mode is {row.get('extraction_mode')!r}")
        before = found[line - 1]["messages"][:-1]
        need(isinstance(items, str) and len(before) == 1 or isinstance(items, list) and [item.get("role") for item in items] == [m["role"] for m in before], f"row {place} lost a message before the question")
    told = {row["line"] for row in table(folder, "left_out.csv", ["line", "reason"]) if row["reason"]}
    left = {str(line) for line in range(1, len(found) + 1) if line not in good}
    need(told == left, f"left_out.csv names lines {sorted(map(str, told), key=len)}, {len(left)} chats were left out")


def right(folder: Path) -> None:
    found, good = data()
    page(folder, "manage-training-datasets/dataset_tool.py from-chat export.jsonl --set extraction_mode=full_response -o all.jsonl", may_say_no=True)
    (folder / "tasks.jsonl").write_text(jsonl(row for row in rows(folder, "all.jsonl") if row.get("expected_answer")))
    left = [line for line in range(1, len(found) + 1) if line not in good]
    (folder / "left_out.csv").write_text("line,reason\n" + "".join(f"{line},no text answer that can be converted\n" for line in left))


def the_server_reads_a_final_answer(folder: Path) -> None:
    right(folder)
    (folder / "tasks.jsonl").write_text(jsonl({k: v for k, v in row.items() if k != "extraction_mode"} for row in rows(folder, "tasks.jsonl")))


def the_unanswered_are_in(folder: Path) -> None:
    right(folder)
    page(folder, "manage-training-datasets/dataset_tool.py from-chat export.jsonl --set extraction_mode=full_response -o tasks.jsonl", may_say_no=True)


def only_the_last_question(folder: Path) -> None:
    right(folder)
    (folder / "tasks.jsonl").write_text(jsonl(row | {"responses_create_params": {"input": row["responses_create_params"]["input"][-1:]}} for row in rows(folder, "tasks.jsonl")))


WRONG = (the_server_reads_a_final_answer, the_unanswered_are_in, only_the_last_question)
