"""Five runs, of which four have one fault each that no mean reward shows."""

import json
import random
from pathlib import Path

from kit import jsonl, need, number, page, rollout, rows, table, tool

GUIDES = ("monitor-data-quality",)
FAULTS = {"birch": "", "cedar": "missing", "elm": "copied", "maple": "contradicted", "pine": "in text"}
LETTERS = "ABCDE"
TOOLS = [tool("look_up", term="string")]


def run(name: str) -> tuple[list[dict], list[dict], int]:
    """(rollouts, plan, rollouts concerned) of one run."""
    draw, found, plan, concerned = random.Random(f"2508 {name}"), [], [], 0
    for task in range(30):
        want = draw.choice(LETTERS)
        for repeat in range(4):
            said = want if draw.random() < 0.3 + 0.5 * (task % 3 > 0) else draw.choice([letter for letter in LETTERS if letter != want])
            reward, text = float(said == want), f"After weighing option {draw.choice(LETTERS)} ({draw.randint(100, 9999)}) I settle on {said}"
            row = rollout(task, repeat, f"Exam question {task}: which of A to E fits?", text, reward, "exam", tools=TOOLS, expected_answer=want, extracted_answer=said, id=number(name, task, repeat))
            plan.append({key: row[key] for key in ("responses_create_params", "_ng_task_index", "_ng_rollout_index", "task_source", "expected_answer")})
            unlucky = draw.random() < 0.09
            if FAULTS[name] and unlucky:
                if FAULTS[name] == "copied" and repeat:
                    earlier = next(one for one in found if one["_ng_task_index"] == task)
                    row = json.loads(json.dumps(earlier)) | {"_ng_rollout_index": repeat}
                elif FAULTS[name] == "contradicted":
                    row["reward"] = 1.0 - reward
                elif FAULTS[name] == "in text":
                    row["response"]["output"][0]["content"][0]["text"] = f'<tool_call>\n{{"name": "look_up", "arguments": {{"term": "{task} {repeat}"}}}}\n</tool_call>'
                    row["reward"], row["extracted_answer"] = 0.0, None
                concerned += not (FAULTS[name] == "copied" and not repeat)
                if FAULTS[name] == "missing":
                    continue
            found.append(row)
    return found, plan, concerned


def files() -> dict[str, str]:
    given = {}
    for name in FAULTS:
        found, plan, _ = run(name)
        given |= {f"runs/{name}/rollouts.jsonl": jsonl(found), f"runs/{name}/rollouts_materialized_inputs.jsonl": jsonl(plan), f"runs/{name}/rollouts_failures.jsonl": ""}
    return given


def check(folder: Path) -> None:
    told = {row["run"].rstrip("/").split("/")[-1]: row for row in table(folder, "verdicts.csv", ["run", "fit", "rollouts"])}
    for name, fault in FAULTS.items():
        need(name in told, f"{name} has no verdict")
        need(told[name]["fit"].casefold() == ("no" if fault else "yes"), f"{name}: fit is {told[name]['fit']!r}")
        need(told[name]["rollouts"] == str(run(name)[2]), f"{name}: {told[name]['rollouts']} rollouts are not what its files say")


def _write(folder: Path, counts: dict[str, int]) -> None:
    (folder / "verdicts.csv").write_text("run,fit,rollouts\n" + "".join(f"{name},{'no' if count else 'yes'},{count}\n" for name, count in counts.items()))


def right(folder: Path) -> None:
    counts = {}
    for name in FAULTS:
        page(folder, f"monitor-data-quality/run_quality.py runs/{name}/rollouts.jsonl --json {name}.json")
        metrics = json.loads((folder / f"{name}.json").read_text())["metrics"]
        shares = {key: metrics[key]["value"] for key in ("missing_share", "copied_share", "contradicted_share", "call_in_text_share")}
        key, share = max(shares.items(), key=lambda pair: pair[1])
        of = len(rows(folder, f"runs/{name}/rollouts_materialized_inputs.jsonl" if key == "missing_share" else f"runs/{name}/rollouts.jsonl"))
        counts[name] = round(share * of)
    _write(folder, counts)


def all_are_fit(folder: Path) -> None:
    _write(folder, dict.fromkeys(FAULTS, 0))


def only_what_is_missing(folder: Path) -> None:
    _write(folder, {name: 120 - len(rows(folder, f"runs/{name}/rollouts.jsonl")) for name in FAULTS})


def the_right_names_and_a_guess(folder: Path) -> None:
    _write(folder, {name: 10 if fault else 0 for name, fault in FAULTS.items()})


WRONG = (all_are_fit, only_what_is_missing, the_right_names_and_a_guess)
