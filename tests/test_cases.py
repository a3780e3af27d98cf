"""Small inputs that other projects and Gym's own examples have, and what each script must do with them.

A row of a table: the file in `data/cases`, the command (IN, OUT), the exit code, what the script says, and the rows it writes.
`data/cases/ok` holds what no script may stumble over. More tables belong here: one for each page's scripts.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import DOCS, ROOT
from test_filter_and_curate_data import any_rollouts, called, result, rollout

CASES = ROOT / "tests" / "data" / "cases"
GUIDES = DOCS / "training" / "how-to"


def done(python: Path, page: str, command: str, case: str, folder: Path) -> tuple[int, str, list[dict]]:
    """Exit code, what was printed, and the rows written."""
    words = [str(CASES / f"{case}.jsonl") if word == "IN" else word for word in command.split()]
    script, out = GUIDES / page / words[0], folder / "out.jsonl"
    ran = subprocess.run([python, script, *["out.jsonl" if word == "OUT" else word for word in words[1:]]], cwd=folder, capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    assert "Traceback" not in said, said
    assert ran.returncode != 2 or ran.stderr.count("\n") == 1, ran.stderr
    if not out.exists() and not (out := folder / "out.csv").exists():
        return ran.returncode, said, []
    with out.open(newline="") as file:
        return ran.returncode, said, list(csv.DictReader(file)) if out.suffix == ".csv" else [json.loads(line) for line in file]


def contents(rows: list[dict]) -> list[str]:
    return [message["content"] for row in rows for message in row["messages"]]


def nothing(rows: list[dict]) -> bool:
    return not rows


FILTER = "filter-and-curate-data"
SFT, DPO, CHECK = "make_training_sets.py sft IN -o OUT", "make_training_sets.py dpo IN -o OUT", "make_training_sets.py check IN"
KEEP = "filter_rollouts.py IN -o OUT"
TABLE: list[tuple[str, str, int, str, Callable[[list[dict]], bool]]] = [
    ("calls_without_results", SFT, 1, "1 left out: a tool call without its result", nothing),
    ("calls_without_results", CHECK, 1, "a tool call without its result", nothing),
    ("calls_without_results", f"{KEEP} --finished", 0, "1 of 1 rollouts", lambda rows: len(rows) == 1),
    ("think_in_text", f"{SFT} --reasoning drop", 0, "1 rows", lambda rows: contents(rows) == ["2+2?", "4"]),
    ("think_in_text", f"{SFT} --reasoning field", 0, "1 rows", lambda rows: contents(rows) == ["2+2?", "4"] and rows[0]["messages"][1]["reasoning_content"] == "secret plan"),
    ("think_in_text", f"{SFT} --reasoning think", 0, "1 rows", lambda rows: contents(rows) == ["2+2?", "<think>secret plan</think>4"]),
    ("rollout_with_messages_field", SFT, 0, "2 rows", lambda rows: [row["source"]["reward"] for row in rows] == [0.0, 1.0]),
    ("rollout_with_messages_field", f"{KEEP} --min-reward 1", 0, "1 of 2 rollouts", lambda rows: rows[0]["_ng_task_index"] == 1),
    ("rollout_with_completion_field", SFT, 0, "1 rows", lambda rows: contents(rows)[1] == "a = 1"),
    ("start_state_differs", DPO, 0, "1 tasks without a pair: its best and worst rollouts have different prompts", lambda rows: [row["chosen"][0]["content"] for row in rows] == ["4"]),
    ("agent_with_own_tools", f"{KEEP} --valid-calls", 0, "1 rollouts list no tools, their agent brings its own", lambda rows: len(rows) == 1),
    ("agent_with_own_tools", f"{KEEP} @{GUIDES / FILTER / 'sft.args'}", 1, "fewer than 4 rollouts: 1", nothing),
    ("output_is_list_of_lists", KEEP, 1, "return_transitions", nothing),
    ("output_is_list_of_lists", SFT, 1, "return_transitions", nothing),
    ("prompt_in_output", SFT, 0, "1 rows", lambda rows: contents(rows) == ["You are an agent.", "Write a report.", "Here is the report."]),
    ("message_phase", SFT, 0, "1 rows", lambda rows: contents(rows) == ["2+2?", "The answer is 4."]),
    *[("no_ng_index", command, 0, "have no _ng_task_index, as older examples", lambda rows: len(rows) == 1) for command in (KEEP, SFT)],
    ("no_ng_index", "describe_rollouts.py IN", 0, "have no _ng_task_index, as older examples", nothing),
    ("agent_ref_only_two_envs", "describe_rollouts.py IN", 0, "search_agent      1", nothing),
    ("agent_ref_only_two_envs", "make_training_sets.py balance IN -o OUT", 0, "math_agent        3      1", lambda rows: len(rows) == 2),
    *[("same_rollout_twice", command, 2, "task 0, repeat 0 is there twice", nothing) for command in (KEEP, SFT, DPO, "describe_rollouts.py IN", "make_training_sets.py balance IN -o OUT")],
    ("same_rollout_twice", CHECK, 1, "1 of 2 rollouts repeat the response.id and the answer of another one", nothing),
    ("sft_prompt_completion_strings", CHECK, 1, "prompt is a string, not a list of messages", nothing),
    ("dpo_strings", CHECK, 1, "prompt is a string, not a list of messages", nothing),
    ("tool_call_as_text", CHECK, 1, "a tool call left in the text", nothing),
    ("messages_null", CHECK, 1, "messages is null, not a list of messages", nothing),
    ("messages_message_without_role", CHECK, 1, "messages holds a message without a role", nothing),
    ("chat_image", CHECK, 1, "content that is no string", nothing),
    *[(case, SFT, 2, "no rollout, but", nothing) for case in ("messages_null", "dpo_strings", "completion_without_prompt", "empty_input_rl")],
]

CONVERT, PAIRS, PROMPTS = (f"convert_for_trainers.py {kind} IN --for trl -o OUT" for kind in ("sft", "dpo", "rl"))
QUALITY, ROWS_OF, BY_TASK = "run_quality.py IN", "rollout_table.py IN -o out.csv", "dataset_tool.py from-chat IN -o OUT"
INTEGRATE: list[tuple[str, str, int, str, Callable[[list[dict]], bool]]] = [
    ("calls_without_results", CONVERT, 1, "1 left out: a tool call without its result", nothing),
    ("think_in_text", f"{CONVERT} --reasoning drop", 0, "1 out", lambda rows: contents(rows) == ["2+2?", "4"]),
    ("think_in_text", f"{CONVERT} --reasoning field", 0, "1 out", lambda rows: contents(rows)[1] == "4" and rows[0]["messages"][1]["reasoning_content"] == "secret plan"),
    ("rollout_with_messages_field", CONVERT, 0, "1 left out: reward below 1", lambda rows: [row["source"]["task_index"] for row in rows] == [1]),
    ("rollout_with_completion_field", CONVERT, 0, "1 out", lambda rows: contents(rows) == ["Fill the gap: a = <gap>", "a = 1"]),
    ("start_state_differs", PAIRS, 0, "1 left out: the two rollouts have different prompts", lambda rows: [row["chosen"][0]["content"] for row in rows] == ["4"]),
    ("empty_input_rl", PROMPTS, 1, "1 left out: no prompt", nothing),
    ("empty_input_rl", PROMPTS.replace("trl", "openrlhf"), 1, "1 left out: no prompt", nothing),
    ("prompt_in_output", CONVERT, 0, "1 out", lambda rows: contents(rows) == ["You are an agent.", "Write a report.", "Here is the report."]),
    ("message_phase", CONVERT, 0, "1 out", lambda rows: contents(rows) == ["2+2?", "The answer is 4."]),
    ("no_ng_index", CONVERT, 0, "1 out", lambda rows: len(rows) == 1),
    ("output_is_list_of_lists", CONVERT, 1, "return_transitions", nothing),
    ("chat_image", CONVERT, 1, "content of type image_url", nothing),
    ("chat_legacy_function_call_last", CONVERT, 1, "a legacy function_call", nothing),
    ("chat_tool_schema_flat", CONVERT, 0, "1 out", lambda rows: rows[0]["tools"][0]["function"]["name"] == "weather"),
    ("chat_tools_json_string", CONVERT, 0, "1 out", lambda rows: rows[0]["tools"][0]["function"]["name"] == "weather"),
    ("same_rollout_twice", CONVERT, 2, "task 0, repeat 0 is there twice", nothing),
    ("same_rollout_twice", PAIRS, 2, "task 0, repeat 0 is there twice", nothing),
    ("sft_prompt_completion_strings", CONVERT, 2, ":1: prompt is a string, not a list of messages", nothing),
    ("dpo_strings", PAIRS, 2, ":1: prompt is a string, not a list of messages", nothing),
    ("completion_without_prompt", CONVERT, 2, ":1: neither a rollout nor messages nor prompt and completion", nothing),
    ("messages_null", CONVERT, 2, ":1: messages is missing or null", nothing),
    ("messages_message_without_role", CONVERT, 2, ":1: a message without a role", nothing),
]
MONITOR: list[tuple[str, str, int, str, Callable[[list[dict]], bool]]] = [
    ("output_is_list_of_lists", QUALITY, 0, "return_transitions", nothing),
    ("output_is_list_of_lists", ROWS_OF, 0, "1 rows", lambda rows: len(rows) == 1),
    ("no_ng_index", QUALITY, 0, "have no _ng_task_index, as older examples", nothing),
    ("no_ng_index", ROWS_OF, 0, "have no _ng_task_index, as older examples", lambda rows: len(rows) == 1),
    ("agent_ref_only_two_envs", QUALITY, 0, "all             math_agent      search_agent", nothing),
    ("same_rollout_twice", QUALITY, 2, "task 0, repeat 0 is there twice", nothing),
    ("tool_call_as_text", QUALITY, 0, "doubt: 1 of 1 rollouts have a tool call left in the text", nothing),
    ("tool_call_as_text", ROWS_OF, 0, "1 rows", lambda rows: rows[0]["doubt"] == "call in text"),
    *[("dpo_strings", command, 2, "no rollout, but a preference pair", nothing) for command in (QUALITY, ROWS_OF)],
]
MANAGE: list[tuple[str, str, int, str, Callable[[list[dict]], bool]]] = [
    ("chat_tool_call_answer", BY_TASK, 2, "ends with a tool call, which is the answer: name a field for it with --calls-field", nothing),
    ("chat_tool_call_answer", f"{BY_TASK} --calls-field expected_answers", 0, "1 rows",
     lambda rows: rows[0]["responses_create_params"]["input"][-1]["role"] == "user" and rows[0]["expected_answers"] == [{"name": "weather", "arguments": {"city": "Rome"}}]),
    ("chat_image", BY_TASK, 0, "1 rows", lambda rows: [part["type"] for part in rows[0]["responses_create_params"]["input"][0]["content"]] == ["input_text", "input_image"]),
    ("chat_legacy_function_call_last", BY_TASK, 2, "1 legacy functions: rewrite them as tools", nothing),
    *[(case, BY_TASK, 0, "1 rows", lambda rows: rows[0]["responses_create_params"]["tools"][0]["name"] == "weather") for case in ("chat_tool_schema_flat", "chat_tools_json_string")],
    ("empty_input_rl", "check_rows.py IN", 0, "1 rows have no prompt: right only where the agent brings it", nothing),
]
PAGES = {FILTER: TABLE, "integrate-with-rl-frameworks": INTEGRATE, "monitor-data-quality": MONITOR, "manage-training-datasets": MANAGE}
EACH = [(page, *entry) for page, table in PAGES.items() for entry in table]


@pytest.mark.gym
@pytest.mark.parametrize(("page", "case", "command", "code", "text", "holds"), EACH, ids=[f"{case}: {command.replace(str(GUIDES), '')}" for _, case, command, *_ in EACH])
def test_every_script_does_right_by_the_case(page: str, case: str, command: str, code: int, text: str, holds: Callable, gym_python: Path, tmp_path: Path) -> None:
    found, said, rows = done(gym_python, page, command, case, tmp_path)
    assert found == code and text in said and holds(rows), said


@pytest.mark.gym
def test_a_split_keeps_a_prompt_with_two_answers_on_one_side(gym_python: Path, tmp_path: Path) -> None:
    page, case = "manage-training-datasets", "chat_same_prompt_two_answers"
    assert done(gym_python, page, "dataset_tool.py split IN --validation 0.5 --out-dir sp", case, tmp_path)[0] == 0
    asked = [{json.loads(line)["messages"][0]["content"] for line in (tmp_path / "sp" / name).open()} for name in ("train.jsonl", "validation.jsonl")]
    assert all(asked) and not asked[0] & asked[1]
    both = done(gym_python, page, f"dataset_tool.py stats {CASES / case}.jsonl {tmp_path / 'sp' / 'train.jsonl'}", case, tmp_path)[1]
    assert f"{len(asked[0])} tasks are in both" in both and "prompt words: min 0" not in both, both


@pytest.mark.gym
@pytest.mark.parametrize("case", sorted(path.stem for path in (CASES / "ok").iterdir()))
def test_no_script_stumbles(case: str, gym_python: Path, tmp_path: Path) -> None:
    for page, commands in (
        (FILTER, (KEEP, f"{KEEP} --valid-calls --finished --distinct --best 1", f"{SFT} --reasoning field", DPO, CHECK, "describe_rollouts.py IN",
                  "make_training_sets.py balance IN -o OUT", "make_training_sets.py sample IN -o OUT")),
        ("integrate-with-rl-frameworks", (CONVERT, PAIRS, PROMPTS, CONVERT.replace("trl", "llamafactory"))), ("monitor-data-quality", (QUALITY, ROWS_OF)),
        ("manage-training-datasets", (BY_TASK, "check_rows.py IN", "dataset_tool.py stats IN")),
    ):
        for command in commands:
            done(gym_python, page, command, f"ok/{case}", tmp_path)


@pytest.mark.gym
@pytest.mark.parametrize("command", [f"{KEEP} --distinct --best 2", f"{SFT} --reasoning field", DPO, "make_training_sets.py balance IN -o OUT", "describe_rollouts.py IN"])
def test_orjson_changes_nothing_but_the_time(command: str, gym_python: Path, tmp_path: Path) -> None:
    source, hidden = tmp_path / "in.jsonl", tmp_path / "hidden"
    any_rollouts(source, 5)
    with source.open("a") as out:  # numbers that the two libraries write in different ways
        for number, value in enumerate((1e-7, 1e22, 10**30, 1.5e300, -0.0)):
            arguments = json.dumps({"city": value, "\ud800": "\u2028"})
            row = rollout(called("a", arguments=arguments), result("a"), "Noon.", task=900 + number // 2, repeat=number, reward=float(number % 2))
            out.write(json.dumps(row) + "\n")
    hidden.mkdir()
    (hidden / "orjson.py").write_text("raise ImportError('hidden')\n")
    found = []
    for more in ([], [str(hidden)]):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*more, os.environ["PYTHONPATH"]]), "PYTHONHASHSEED": "0"}
        words = [str(source) if word == "IN" else word.replace("OUT", "out.jsonl") for word in command.split()]
        ran = subprocess.run([gym_python, GUIDES / FILTER / words[0], *words[1:]], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert ran.returncode == 0, ran.stderr
        found.append((ran.stdout, (tmp_path / "out.jsonl").read_bytes() if "OUT" in command else b""))
    assert found[0] == found[1]
