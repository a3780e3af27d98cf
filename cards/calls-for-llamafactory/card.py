"""Rollouts with thoughts and parallel calls to the file of a trainer that loses them if it is written carelessly."""

import json
import random
from pathlib import Path

from kit import call, jsonl, message, need, page, rollout, rows, said, thought, tool, values

GUIDES = ("filter-and-curate-data", "integrate-with-rl-frameworks")
TOOLS = [tool("find_train", origin="string", target="string", day="integer"), tool("book_room", town="string", nights="integer")]
TOWNS = ["Aarhus", "Bergen", "Cottbus", "Dijon", "Erfurt", "Faro", "Gdansk", "Halle"]


def run() -> tuple[list[dict], list[dict[str, object]]]:
    """The rollouts, and of each that belongs into the set what must be found in it."""
    draw, found, wanted = random.Random(2504), [], []
    for task in range(30):
        origin, target = draw.sample(TOWNS, 2)
        day, nights, train, room = draw.randint(1, 28), draw.randint(2, 9), f"RX{draw.randint(1000, 9999)}", f"key-{draw.randint(10000, 99999)}"
        why = f"I need train and room for trip {task} at once."
        kind = ["right", "right", "serial", "wrong", "row", "config", "lost", "right", "cut", "serial"][task % 10]
        one, two = call("find_train", {"origin": origin, "target": target, "day": day}, {"train": train}), call("book_room", {"town": target, "nights": nights}, {"code": room})
        answer = f"Take {train} from {origin} to {target} on the {day}. Your room: {room}."
        output = {
            "serial": [thought(why), *one, thought(f"Now the room of trip {task}."), *two, message(answer)],
            "lost": [thought(why), one[0], message(answer)],
        }.get(kind, [thought(why), one[0], two[0], one[1], two[1], message(answer)])
        more = {"mask": kind} if kind in ("row", "config") else {"cut": True} if kind == "cut" else {}
        found.append(rollout(task, 0, f"Trip {task}: from {origin} to {target} on the {day}, {nights} nights.", output, float(kind != "wrong"), "travel", tools=TOOLS, **more))
        if kind in ("right", "serial"):
            wanted.append({
                "asked": f"Trip {task}:", "answer": answer, "thoughts": [why] + ([f"Now the room of trip {task}."] if kind == "serial" else []),
                "calls": [("find_train", {"origin": origin, "target": target, "day": day}), ("book_room", {"town": target, "nights": nights})],
                "results": [train, room], "turns": 1 if kind == "right" else 2,
            })
    draw.shuffle(found)
    return found, wanted


def files() -> dict[str, str]:
    return {"rollouts.jsonl": jsonl(run()[0])}


def calls_in(value: object) -> list[tuple[str, dict]]:
    """The calls of a function_call turn, which is JSON of one call or of a list. A thought may stand in front."""
    text = str(value)
    text = text.rpartition("</think>")[2] if "</think>" in text else text
    try:
        found = json.loads(text)
    except ValueError:
        return []
    found = found if isinstance(found, list) else [found]
    return [(one.get("name"), one.get("arguments")) for one in found if isinstance(one, dict)]


def check(folder: Path) -> None:
    wanted, name = run()[1], "converted/llamafactory_sft.jsonl"
    info = values(folder, "converted/dataset_info.json", [])
    entry = next((one for one in info.values() if isinstance(one, dict) and one.get("file_name") == "llamafactory_sft.jsonl"), None)
    need(entry and entry.get("formatting", "alpaca") == "sharegpt", "dataset_info.json does not name the file as sharegpt")
    column = entry.get("columns", {})
    given = rows(folder, name)
    need(len(given) == len(wanted), f"{len(given)} rows, where {len(wanted)} rollouts are right, complete and whole")
    for want in wanted:
        own = [row for row in given if want["asked"] in json.dumps(row)]
        need(len(own) == 1, f"{want['asked']} is in {len(own)} rows")
        turns = own[0].get(column.get("messages", "conversations"))
        need(isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns), f"{want['asked']} has no conversation")
        need("find_train" in str(own[0].get(column.get("tools", "tools"))), f"{want['asked']} lost its tools")
        made = [turn for turn in turns if turn.get("from") == "function_call"]
        calls = [one for turn in made for one in calls_in(turn.get("value"))]
        need(calls == want["calls"] and len(made) == want["turns"], f"{want['asked']} has the calls {calls} in {len(made)} turns")
        results = " ".join(str(turn.get("value")) for turn in turns if turn.get("from") == "observation")
        need(all(result in results for result in want["results"]), f"{want['asked']} lost a result")
        own_turns = " ".join(str(turn.get("value")) for turn in turns if turn.get("from") in ("gpt", "function_call"))
        need(all(why in own_turns for why in want["thoughts"]), f"{want['asked']} lost a thought")
        need(turns[-1].get("from") == "gpt" and str(turns[-1].get("value")).endswith(want["answer"]), f"{want['asked']} does not end with its answer")


def right(folder: Path, reasoning: str = "think") -> None:
    page(folder, "filter-and-curate-data/filter_rollouts.py rollouts.jsonl -o kept.jsonl --whole --min-reward 1")
    (folder / "converted").mkdir()
    page(folder, f"integrate-with-rl-frameworks/convert_for_trainers.py sft kept.jsonl --for llamafactory -o converted/llamafactory_sft.jsonl --reasoning {reasoning}")


def without_thoughts(folder: Path) -> None:
    right(folder, "drop")


def only_the_first_of_several_calls(folder: Path) -> None:
    right(folder)
    found = rows(folder, "converted/llamafactory_sft.jsonl")
    for turn in (turn for row in found for turn in row["conversations"] if turn["from"] == "function_call"):
        turn["value"] = json.dumps(dict(zip(("name", "arguments"), calls_in(turn["value"])[0])))
    (folder / "converted/llamafactory_sft.jsonl").write_text(jsonl(found))


def text_only(folder: Path) -> None:
    right(folder)
    kept = rows(folder, "kept.jsonl")
    chats = ([{"from": "human", "value": row["responses_create_params"]["input"][0]["content"]}, {"from": "gpt", "value": said(row)}] for row in kept)
    (folder / "converted/llamafactory_sft.jsonl").write_text(jsonl({"conversations": chat, "tools": json.dumps(TOOLS)} for chat in chats))


WRONG = (without_thoughts, only_the_first_of_several_calls, text_only)
