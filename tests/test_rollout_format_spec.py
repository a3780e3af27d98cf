"""The schemas, examples and scripts of reference/rollout-format-spec."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import DOCS, ROOT

FOLDER = DOCS / "training" / "reference" / "rollout-format-spec"
EXAMPLES, SCHEMAS, RUN = FOLDER / "examples", FOLDER / "schemas", FOLDER / "examples" / "run"
VALIDATE = [ROOT / ".venv" / "bin" / "uv", "run", "-q", "--no-project", FOLDER / "validate_rollouts.py"]
# Fields that the page says are in each row of a relayed agent.
ALWAYS = {
    "responses_create_params", "response", "reward", "mask_sample", "failure_kind", "failure_reason", "_ng_task_index",
    "_ng_rollout_index", "_ng_environment_server", "_ng_result_type",
}


def validate(*arguments: object) -> tuple[int, list[str], str]:
    """Exit code, lines of output, and what stands on stderr."""
    done = subprocess.run([*VALIDATE, *map(str, arguments)], capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines(), done.stderr


def example(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, its: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in its), encoding="utf-8")
    return path


# --- schemas ----------------------------------------------------------------------------------------------------------


@pytest.mark.gym
def test_schemas_are_what_the_package_gives(gym_python: Path, tmp_path: Path) -> None:
    subprocess.run([gym_python, FOLDER / "make_schemas.py", "--out-dir", tmp_path], check=True, capture_output=True)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {p.name: p.read_text() for p in SCHEMAS.iterdir()}


@pytest.mark.gym
def test_schemas_judge_as_another_implementation_does(gym_python: Path, tmp_path: Path) -> None:
    """The validator's library and ``jsonschema`` agree on each example and on each planted fault."""
    script = """
import json, sys
from jsonschema import Draft202012Validator
for line in sys.stdin:
    case = json.loads(line)
    schema = json.load(open(case["schema"]))
    Draft202012Validator.check_schema(schema)
    print(Draft202012Validator(schema).is_valid(case["row"]))
"""
    cases = [(name, example(name), True) for name in ("single_turn", "several_tool_calls", "judged", "token_ids", "observed", "episode")]
    in_schema = [(name, row) for name, row, _, _ in planted() if name not in BETWEEN]
    lines = [{"schema": str(SCHEMAS / "rollout-row.schema.json"), "row": row} for _, row, _ in cases]
    lines += [{"schema": str(SCHEMAS / "rollout-row.schema.json"), "row": row} for _, row in in_schema]
    said = subprocess.run([gym_python, "-c", script], input="\n".join(map(json.dumps, lines)), capture_output=True, text=True, check=True)
    expected = [True] * len(cases) + [False] * len(in_schema)
    wrong = [name for (name, *_), got, want in zip([*cases, *in_schema], said.stdout.split(), expected) if got != str(want)]
    assert wrong == []


@pytest.mark.gym
def test_schemas_accept_what_the_package_accepts(gym_python: Path, tmp_path: Path) -> None:
    """All rollouts that ship with the package: accepted if its own class takes them, else refused."""
    script = """
import glob, json, sys
from nemo_gym.base_resources_server import BaseVerifyResponse
from pydantic import ValidationError
import nemo_gym, pathlib
out = {True: open(sys.argv[1], "w"), False: open(sys.argv[2], "w")}
for path in sorted(pathlib.Path(nemo_gym.__file__).parent.parent.glob("*/*/data/*rollouts*.jsonl")):
    if "materialized" in path.name or "profiling" in path.name:
        continue
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "_ng_task_id" in row:
            continue
        for key in ("_ng_task_index", "_ng_rollout_index"):
            row.pop(key, None)
        try:
            BaseVerifyResponse.model_validate(row)
            good = True
        except ValidationError:
            good = False
        print(json.dumps(row), file=out[good])
"""
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    subprocess.run([gym_python, "-c", script, good, bad], check=True, capture_output=True)
    code, lines, _ = validate("--kind", "rollout-row", "--older", good)
    remarks = "14 cut off, 2 masked, 21 with a call without its result, 1 with a tool call in the text, 83 with reasoning in the text"
    assert code == 0 and lines[-1] == f"{good}: 875 rollout rows ({remarks}), 0 faults", lines
    code, lines, _ = validate("--kind", "rollout-row", "--older", "--max-faults", 10_000, bad)
    faulty = {int(match[1]) for line in lines if (match := re.match(rf"{re.escape(str(bad))}:(\d+): ", line))}
    assert code == 1 and faulty == set(range(1, len(rows(bad)) + 1)) and len(faulty) == 90


def test_each_schema_says_where_it_comes_from() -> None:
    for path in SCHEMAS.iterdir():
        schema = json.loads(path.read_text())
        assert re.match(r"nemo-gym [\d.]+; (made from \w+|by hand, after )", schema["$comment"]), path.name


# --- examples ---------------------------------------------------------------------------------------------------------


def test_every_example_validates() -> None:
    files = sorted(path for path in EXAMPLES.glob("*.json*") if path.name != "token_ids_broken.json")  # which shows a fault
    assert len(files) >= 17
    code, lines, _ = validate(*files)
    assert (code, [line for line in lines if not line.endswith(" 0 faults")]) == (0, [])
    code, lines, _ = validate("--run", RUN / "rollouts.jsonl")
    assert code == 0 and lines[-1] == "8 rollouts wanted: 6 done, 2 failed, 0 left nothing"
    profile = [path for path in RUN.iterdir() if "reward_profiling" in path.name or path.name.endswith(("agent_metrics.json", "level_metrics.json"))]
    assert len(profile) == 3 and validate(*profile)[0] == 0


def test_the_fields_that_are_always_there() -> None:
    recorded = rows(RUN / "rollouts.jsonl")
    for path in EXAMPLES.glob("*.json"):
        row = json.loads(path.read_text())
        if "_ng_result_type" in row and "_ng_failure_class" not in row:
            recorded.append(row)
    assert len(recorded) >= 16
    assert [sorted(ALWAYS - row.keys()) for row in recorded if not row.keys() >= ALWAYS] == []


def test_the_examples_show_what_the_page_says() -> None:
    assert example("single_turn")["reward"] == 1.0
    cut = example("truncated")["response"]
    assert cut["incomplete_details"] == {"reason": "max_output_tokens"} and cut["output"][0]["status"] == "completed"
    overflow = example("context_overflow")["response"]
    assert overflow["usage"] is None and overflow["output"][0]["content"][0]["text"] == ""
    steps = [item["type"] for item in example("several_tool_calls")["response"]["output"]]
    assert steps == ["function_call", "function_call", "function_call_output", "function_call_output", "message"]
    tokens = example("token_ids_several_calls")["response"]["output"]
    assert ["generation_token_ids" in item for item in tokens] == [False, True, False, False, True]
    assert example("several_tool_calls")["response"]["usage"]["input_tokens"] == sum(
        len(item["prompt_token_ids"]) for item in tokens if "prompt_token_ids" in item
    )
    assert example("masked")["mask_sample"] and example("masked")["_ng_token_capture"]["error"]
    parts = example("reward_components")
    assert sum(parts["reward_components"].values()) == parts["reward"]
    assert example("failed_judge")["_ng_failure_class"] == "judge_failed" and example("failed_judge")["mask_sample"]
    assert "reward" not in example("failed_agent_run") and "Input should be a valid string" in example("failed_agent_run")["_ng_failure_response_body"]
    assert example("failed_episode")["_ng_failure_stage"] == "agent" and "task_id" in example("materialized_task")
    assert {"ng_trajectory", "ng_model_call_capture", "ng_perf"} <= example("observed").keys()
    assert "metadata" in example("task") and "metadata" not in example("single_turn")


# --- planted faults ---------------------------------------------------------------------------------------------------


def change(row: dict, path: str, *value: object) -> None:
    """Set the value at ``response.output.0.id``, or remove it if none is given."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        row = row[part]
    if value:
        row[last] = value[0]
    else:
        del row[last]


OUTPUT, PARAMS = "response.output", "responses_create_params"
# (example, place of the fault, new value or nothing to remove it) -> field and reason
PLANTED: list[tuple[str, tuple, str, str]] = [
    ("single_turn", ("reward",), "reward", "is missing"),
    ("single_turn", ("reward", "1.0"), "reward", '"1.0" is not of type "number"'),
    ("single_turn", ("reward", None), "reward", 'null is not of type "number"'),
    ("single_turn", ("reward", True), "reward", 'true is not of type "number"'),
    ("single_turn", ("response",), "response", "is missing"),
    ("single_turn", ("response", None), "response", 'null is not of type "object"'),
    ("single_turn", (PARAMS,), PARAMS, "is missing"),
    ("single_turn", ("_ng_task_index",), "_ng_task_index", "is missing"),
    ("single_turn", ("_ng_rollout_index", -1), "_ng_rollout_index", "-1 is less than the minimum of 0"),
    ("single_turn", ("_ng_rollout_index", 0.5), "_ng_rollout_index", '0.5 is not of type "integer"'),
    ("single_turn", ("mask_sample", "false"), "mask_sample", '"false" is not of type "boolean"'),
    ("single_turn", ("failure_kind", 3), "failure_kind", '3 is not of types "null", "string"'),
    ("single_turn", ("agent_ref", {}), "agent_ref.name", "is missing"),
    ("single_turn", ("_ng_failure_class", "judge_failed"), "_ng_failure_class", "must not stand in this file"),
    ("single_turn", ("_ng_rollout_id", "a/b"), "_ng_rollout_id", "does not match"),
    ("single_turn", (f"{PARAMS}.seed", 1), f"{PARAMS}.seed", "is not a field that the package knows here"),
    ("single_turn", (f"{PARAMS}.input",), f"{PARAMS}.input", "is missing"),
    ("single_turn", (f"{PARAMS}.input.0.role", "bot"), f"{PARAMS}.input[0].role", '"bot" is not one of'),
    ("single_turn", (f"{PARAMS}.input.0.content", 5), f"{PARAMS}.input[0].content", '5 is not of type'),
    ("single_turn", (f"{PARAMS}.stream", True), f"{PARAMS}.stream", "true"),
    ("single_turn", ("response.output", {}), "response.output", '{} is not of type "array"'),
    ("single_turn", ("response.id",), "response.id", "is missing"),
    ("single_turn", ("response.status", "done"), "response.status", '"done" is not one of'),
    ("single_turn", ("response.incomplete_details", {"reason": "length"}), "response.incomplete_details.reason", '"length" is not one of'),
    ("single_turn", ("response.usage.input_tokens", "80"), "response.usage.input_tokens", '"80" is not of type "integer"'),
    ("single_turn", (f"{OUTPUT}.0.type",), f"{OUTPUT}[0].type", "is missing"),
    ("single_turn", (f"{OUTPUT}.0.type", "answer"), f"{OUTPUT}[0].type", '"answer" is not one of'),
    ("single_turn", (f"{OUTPUT}.0.id",), f"{OUTPUT}[0].id", "is missing"),
    ("single_turn", (f"{OUTPUT}.0.content.0.text",), f"{OUTPUT}[0].content[0].text", "is missing"),
    ("single_turn", (f"{OUTPUT}.0.content.0.type", "text"), f"{OUTPUT}[0].content[0].type", '"text" is not one of'),
    ("several_tool_calls", (f"{OUTPUT}.0.call_id",), f"{OUTPUT}[0].call_id", "is missing"),
    ("several_tool_calls", (f"{OUTPUT}.0.arguments", {"city": "Paris"}), f"{OUTPUT}[0].arguments", 'is not of type "string"'),
    ("several_tool_calls", (f"{OUTPUT}.2.output",), f"{OUTPUT}[2].output", "is missing"),
    ("several_tool_calls", (f"{OUTPUT}.2.call_id", "nobody"), f"{OUTPUT}[2].call_id", "is 'nobody', which no function_call has"),
    ("several_tool_calls", (f"{PARAMS}.tools.0.strict",), f"{PARAMS}.tools[0].strict", "is missing"),
    ("several_tool_calls", (f"{PARAMS}.tools.0.kind", 1), f"{PARAMS}.tools[0].kind", "is not a field that the package knows here"),
    ("token_ids_several_calls", (f"{OUTPUT}.1.generation_log_probs",), f"{OUTPUT}[1].generation_log_probs", "is missing"),
    ("token_ids_several_calls", (f"{OUTPUT}.1.generation_token_ids.0", 1.5), f"{OUTPUT}[1].generation_token_ids[0]", '1.5 is not of type "integer"'),
    ("token_ids_several_calls", (f"{OUTPUT}.1.generation_log_probs.0",), f"{OUTPUT}[1].generation_log_probs", "generation_token_ids"),
    ("reward_components", ("reward_components.format", "1"), "reward_components.format", '"1" is not of type "number"'),
    ("observed", ("ng_trajectory.turns.0.turn_no", 0), "ng_trajectory.turns[0].turn_no", "0 is less than the minimum of 1"),
    ("observed", ("ng_trajectory.extra", 1), "ng_trajectory.extra", "is not a field that the package knows here"),
    ("observed", ("ng_perf.num_turns",), "ng_perf.num_turns", "is missing"),
]
BETWEEN = {"several_tool_calls response.output.2.call_id", "token_ids_several_calls response.output.1.generation_log_probs.0"}


def planted() -> list[tuple[str, dict, str, str]]:
    """Each faulty row with its name and what the validator should say."""
    found = []
    for number, (name, fault, field, reason) in enumerate(PLANTED):
        row = example(name)
        row["_ng_task_index"] = number
        change(row, *fault)
        found.append((f"{name} {fault[0]}", row, field, reason))
    return found


def test_planted_faults_are_refused_with_line_and_field(tmp_path: Path) -> None:
    file = write(tmp_path / "faulty.jsonl", [row for _, row, _, _ in planted()])
    code, lines, _ = validate("--max-faults", 1000, file)
    said: dict[int, list[str]] = {}
    for line in lines[:-1]:
        number, text = re.fullmatch(rf"{re.escape(str(file))}:(\d+): (.*)", line).groups()
        said.setdefault(int(number), []).append(text)
    wrong = {
        name: (f"{field} {reason}", said.get(number))
        for number, (name, _, field, reason) in enumerate(planted(), 1)
        if not any(text.startswith(f"{field} ") and reason in text for text in said.get(number, []))
    }
    assert code == 1 and wrong == {}
    assert lines[-1].startswith(f"{file}: {len(PLANTED)} rollout rows")


@pytest.mark.gym
def test_what_the_package_itself_refuses(gym_python: Path, tmp_path: Path) -> None:
    """The schemas are stricter than the package in these places only: keys it has no class for, and values it converts."""
    file = write(tmp_path / "faulty.jsonl", [row for _, row, _, _ in planted()])
    script = """
import sys
from nemo_gym.base_resources_server import BaseMultiRewardVerifyResponse, BaseVerifyResponse
from pydantic import ValidationError
import json
for line in open(sys.argv[1]):
    row = json.loads(line)
    try:
        (BaseMultiRewardVerifyResponse if "reward_components" in row else BaseVerifyResponse).model_validate(row)
        print("accepts")
    except ValidationError:
        print("refuses")
"""
    said = subprocess.run([gym_python, "-c", script, file], capture_output=True, text=True, check=True).stdout.split()
    accepted = {name for (name, *_), answer in zip(planted(), said) if answer == "accepts"}
    assert accepted == {
        *(f"single_turn {key}" for key in ("_ng_task_index", "_ng_rollout_index", "agent_ref", "_ng_failure_class", "_ng_rollout_id")),
        *(f"observed {key}" for key in ("ng_trajectory.turns.0.turn_no", "ng_trajectory.extra", "ng_perf.num_turns")),
        # pydantic turns "1.0" and True into a number, "false" into a boolean
        *(f"single_turn {key}" for key in ("reward", "mask_sample", "response.usage.input_tokens")), "reward_components reward_components.format",
        *BETWEEN,
    }


OTHER_FILES: list[tuple[str, Callable[[object], None], str]] = [
    ("rollouts_materialized_inputs.jsonl", lambda row: row.pop("_ng_task_index"), "_ng_task_index is missing"),
    ("rollouts_materialized_inputs.jsonl", lambda row: row.pop("responses_create_params"), "responses_create_params is missing"),
    ("rollouts_failures.jsonl", lambda row: row.pop("_ng_failure_class"), "_ng_failure_class is missing"),
    ("rollouts_failures.jsonl", lambda row: row.pop("_ng_failure_http_status"), "_ng_failure_http_status is missing"),
    ("rollouts_aggregate_metrics.json", lambda all_: all_[0].pop("key_metrics"), "[0].key_metrics is missing"),
    ("rollouts_aggregate_metrics.json", lambda all_: all_[0]["group_level_metrics"][0].update({"mean/reward": "high"}),
     '[0].group_level_metrics[0].mean/reward "high" is not of type "number"'),
    ("rollout_verdicts.jsonl", lambda row: row.update(verdict="ill"), 'verdict "ill" is not one of'),
    ("rollout_verdicts.jsonl", lambda row: row.update(more=1), "more is not a field that the package knows here"),
    ("quality_summary.json", lambda all_: all_["run"]["verdicts"].pop("healthy"), "run.verdicts.healthy is missing"),
    ("rollouts_reward_profiling.jsonl", lambda row: row.update(rollout_infos=[]), "rollout_infos [] has less than 1 item"),
    ("rollouts_agent_metrics.json", lambda all_: all_[0].update({"mean/reward": []}), "[0].mean/reward [] is not of type"),
]


@pytest.mark.parametrize(("name", "spoil", "said"), OTHER_FILES, ids=[f"{name}-{said[:30]}" for name, _, said in OTHER_FILES])
def test_faults_in_the_other_files(name: str, spoil: Callable, said: str, tmp_path: Path) -> None:
    source, target = RUN / name, tmp_path / name
    if source.suffix == ".json":
        document = json.loads(source.read_text())
        spoil(document)
        target.write_text(json.dumps(document))
        line = 1
    else:
        its = rows(source)
        spoil(its[-1])
        write(target, its)
        line = len(its)
    code, lines, _ = validate(target)
    assert code == 1 and any(text.startswith(f"{target}:{line}: ") and said in text for text in lines), lines


@pytest.mark.parametrize(("name", "spoil", "said"), [
    ("failed_judge", lambda row: row.pop("response"), "response is missing"),
    ("failed_episode", lambda row: row.pop("_ng_failure_terminal"), "_ng_failure_terminal is missing"),
    ("materialized_task", lambda row: row["task_id"].pop("taskset"), "task_id.taskset is missing"),
    ("materialized_task", lambda row: row["task_input"]["responses_create_params"].update(top_k=5), "task_input.responses_create_params.top_k is not a field"),
    ("task", lambda row: row["responses_create_params"]["input"].append({"text": "hi"}), "responses_create_params.input[9].type is missing"),
])
def test_faults_in_single_rows(name: str, spoil: Callable, said: str, tmp_path: Path) -> None:
    row = copy.deepcopy(example(name))
    spoil(row)
    file = tmp_path / f"{name}.json"
    file.write_text(json.dumps(row))
    code, lines, _ = validate(file)
    assert code == 1 and any(text.startswith(f"{file}:1: {said}") for text in lines), lines


def test_one_key_twice_is_a_fault_and_a_retry_is_none(tmp_path: Path) -> None:
    done, failed = rows(RUN / "rollouts.jsonl"), rows(RUN / "rollouts_failures.jsonl")
    code, lines, _ = validate(write(tmp_path / "rollouts.jsonl", [*done, done[0]]))
    index = done[0]["_ng_task_index"]
    assert code == 1 and f":{len(done) + 1}: _ng_task_index {index} with _ng_rollout_index" in lines[0] and "twice" in lines[0]
    assert validate(write(tmp_path / "rollouts_failures.jsonl", [*failed, failed[0]]))[0] == 0


def test_a_run_whose_files_do_not_belong_together(tmp_path: Path) -> None:
    run = shutil.copytree(RUN, tmp_path / "run")
    its = rows(run / "rollouts.jsonl")
    write(run / "rollouts.jsonl", its[:-1])
    code, lines, _ = validate("--run", run / "rollouts.jsonl")
    assert code == 1 and lines[-1] == "8 rollouts wanted: 5 done, 2 failed, 1 left nothing"
    assert any("belongs to another output of this folder" in line for line in lines)
    write(run / "rollouts_materialized_inputs.jsonl", rows(run / "rollouts_materialized_inputs.jsonl")[:2])
    code, lines, _ = validate("--run", run / "rollouts.jsonl")
    assert code == 1 and any("that rollouts_materialized_inputs.jsonl lacks" in line for line in lines)
    write(run / "rollouts.jsonl", [])
    (run / "quality_summary.json").unlink()
    code, lines, _ = validate("--run", run / "rollouts.jsonl")
    assert any(line.endswith("quality_summary.json: not there") for line in lines) and ": 0 rollout rows, 0 faults" in lines[0]


def test_tokens_are_asked_for_where_a_trainer_needs_them(tmp_path: Path) -> None:
    code, lines, _ = validate("--tokens", EXAMPLES / "token_ids.json", EXAMPLES / "token_ids_several_calls.json", EXAMPLES / "masked.json")
    assert (code, len(lines)) == (0, 3)
    for options in ([], ["--tokens"]):
        code, lines, _ = validate(*options, EXAMPLES / "token_ids_broken.json")
        assert code == 1 and "prompt_token_ids diverges at" in lines[0]
    code, lines, _ = validate("--tokens", EXAMPLES / "single_turn.json")
    assert code == 1 and "has no item with generation_token_ids" in lines[0]
    empty = example("token_ids_several_calls")
    for item in empty["response"]["output"]:
        for key in ("prompt_token_ids", "generation_token_ids", "generation_log_probs"):
            if key in item:
                item[key] = []
    assert validate(write(tmp_path / "empty.jsonl", [empty]))[0] == 0
    assert validate("--tokens", tmp_path / "empty.jsonl")[0] == 1


def test_what_matters_for_training_is_counted(tmp_path: Path) -> None:
    """No faults of the format: the sum names them."""
    def spoken(text: str, **fields: object) -> dict:
        row = copy.deepcopy(example("single_turn")) | fields
        row["response"]["output"][-1]["content"][0]["text"] = text
        return row

    calls = copy.deepcopy(example("several_tool_calls"))
    calls["response"]["output"] = [item for item in calls["response"]["output"] if item["type"] != "function_call_output"]
    marked = [
        ("with reasoning in the text", spoken("<think>1 and 1</think>2")), ("with reasoning in the text", spoken("1 and 1</think>2")),
        ("with reasoning in the text", spoken("<think>1 and")), ("with a tool call in the text", spoken('<tool_call>{"name": "f"}</tool_call>')),
        ("with a tool call in the text", spoken('[TOOL_CALLS][{"name": "f"}]')), ("with a call without its result", calls),
        ("masked", spoken("2", mask_sample=True)), ("masked", spoken("2", instance_config={"mask_sample": True})),
    ]
    for said, row in marked:
        assert validate(write(tmp_path / "a.jsonl", [row]))[:2] == (0, [f"{tmp_path / 'a.jsonl'}: 1 rollout row (1 {said}), 0 faults"]), said
    assert validate(write(tmp_path / "a.jsonl", [spoken("a < b, and [x]")]))[1] == [f"{tmp_path / 'a.jsonl'}: 1 rollout row, 0 faults"]


def test_an_output_of_lists_names_its_cause(tmp_path: Path) -> None:
    row = example("single_turn")
    row["response"]["output"] = [row["response"]["output"]]
    code, lines, _ = validate(write(tmp_path / "a.jsonl", [row]))
    assert code == 1 and len(lines) == 2 and "response.output is a list of lists: an agent with return_transitions: true wrote it" in lines[0]


def test_a_schema_of_ones_own(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["extracted_answer"]}
    (tmp_path / "mine.json").write_text(json.dumps(schema))
    assert validate("--schema", tmp_path / "mine.json", EXAMPLES / "single_turn.json")[0] == 0
    code, lines, _ = validate("--schema", tmp_path / "mine.json", EXAMPLES / "tool_call.json")
    assert code == 1 and "extracted_answer is missing" in lines[0]
    (tmp_path / "loose.json").write_text('{"type": "object", "required": ["question"]}')
    (tmp_path / "odd.jsonl").write_text('{"question": "q", "reward": "x", "response": {}, "responses_create_params": {}}\n')
    assert validate("--schema", tmp_path / "loose.json", "--kind", "rollout-row", tmp_path / "odd.jsonl")[0] == 0


# --- bad input --------------------------------------------------------------------------------------------------------


def test_bad_input_gives_one_clear_line(tmp_path: Path) -> None:
    empty = tmp_path / "rollouts.jsonl"
    empty.write_text("\n")
    not_a_schema = tmp_path / "schema.json"
    not_a_schema.write_text('{"type": 5}')
    good = EXAMPLES / "single_turn.json"
    for arguments, said in [
        ([tmp_path / "gone.jsonl"], "No such file: "),
        ([empty], "is empty"),
        (["--schema", not_a_schema, good], "not a JSON Schema"),
        (["--schema", tmp_path / "gone.json", good], "No such file: "),
    ]:
        code, lines, error = validate(*arguments)
        assert code == 2 and said in error and error.count("\n") == 1, error
    assert validate("--kind", "rollout", good)[0] == 2 and validate()[0] == 2
    assert validate("--help")[0] == 0


def test_a_line_that_is_no_json_is_a_fault_of_its_line(tmp_path: Path) -> None:
    its = (RUN / "rollouts.jsonl").read_text().splitlines()
    for number, line in ((2, its[1][:100]), (3, its[2].replace('"reward":', '"reward": NaN, "r":')), (4, "[]"), (5, "7")):
        its[number - 1] = line
    (tmp_path / "rollouts.jsonl").write_text("\n".join(its) + "\n\xff".encode("latin-1").decode("latin-1"))
    code, lines, _ = validate(tmp_path / "rollouts.jsonl")
    assert code == 1 and [line.split(": ")[0].rpartition(":")[2] for line in lines[:4]] == ["2", "3", "4", "5"]
    assert all("is not JSON" in line for line in lines[:2]) and all('is not of type "object"' in line for line in lines[2:4])


def test_other_scripts_refuse_bad_input(gym_python_or_this: Path, tmp_path: Path) -> None:
    for script in ("make_schemas.py", "record_examples.py", "token_ids_relay.py"):
        done = subprocess.run([gym_python_or_this, FOLDER / script, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and script.removesuffix(".py") in done.stdout
    wrong = subprocess.run([gym_python_or_this, FOLDER / "token_ids_relay.py", "--port", "99999"], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1
    missing = subprocess.run([sys.executable, FOLDER / "record_examples.py"], capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert missing.returncode == 2 and missing.stderr == "gym is not on the PATH: install nemo-gym first\n"
    unknown = subprocess.run([sys.executable, FOLDER / "record_examples.py", "run", "observed"], capture_output=True, text=True)
    assert unknown.returncode == 2 and unknown.stderr.startswith("No such example: observed. There are: task.json, ") and unknown.stderr.count("\n") == 1


def test_recording_tells_which_fields_came_and_went(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    import record_examples

    assert {path.name for path in EXAMPLES.iterdir()} == set(record_examples.EXAMPLES)
    row = json.loads((EXAMPLES / "masked.json").read_text())
    (tmp_path / "masked").mkdir()
    for changed, said in ((row, "the same as in examples"), (row | {"response": {**row["response"], "output": [{"kind": 1}]}}, "new: response.output.kind; gone: response.output.content, ")):
        (tmp_path / "masked" / "rollouts.jsonl").write_text(json.dumps(changed) + "\n")
        record_examples.keep(tmp_path, tmp_path, ["masked.json"])
        assert f" fields, {said}" in capsys.readouterr().out
        assert json.loads((tmp_path / "masked.json").read_text()) == changed


def test_the_relay_passes_on_no_answer_with_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    import token_ids_relay

    def answer(ids: list[int], sampled: int) -> dict:
        return {"choices": [{"logprobs": {"content": [{"id": id_} for id_ in ids]}}], "usage": {"completion_tokens": sampled}}

    answers = [answer([5, 7], 3), answer([5, 6, 7], 3)]
    relay = token_ids_relay.Relay.__new__(token_ids_relay.Relay)
    monkeypatch.setattr(relay, "ask", lambda path, body: answers.pop(0))
    entries = relay.complete({})["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == ["token_id:5", "token_id:6", "token_id:7"] and not answers
    answers = [answer([5, 7], 3) for _ in range(token_ids_relay.TRIES)]
    with pytest.raises(token_ids_relay.Gap):
        relay.complete({})


@pytest.fixture
def gym_python_or_this() -> Path:
    """Any interpreter: ``--help`` needs no package."""
    return Path(sys.executable)


@pytest.mark.gym
def test_make_schemas_needs_a_folder(gym_python: Path, tmp_path: Path) -> None:
    done = subprocess.run([gym_python, FOLDER / "make_schemas.py", "--out-dir", tmp_path / "gone"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.endswith(f"mkdir -p {tmp_path / 'gone'}\n")


# --- speed and memory -------------------------------------------------------------------------------------------------


def many(path: Path, count: int) -> Path:
    """Real rows under new keys."""
    lines = [json.dumps(row, separators=(",", ":")).encode() for row in rows(RUN / "rollouts.jsonl")]
    with path.open("wb") as file:
        for number in range(count):
            line = lines[number % len(lines)]
            line = re.sub(rb'"_ng_task_index":\d+', b'"_ng_task_index":%d' % (number // 8), line, count=1)
            file.write(re.sub(rb'"_ng_rollout_index":\d+', b'"_ng_rollout_index":%d' % (number % 8), line, count=1) + b"\n")
    return path


MEASURE = """
import json, resource, runpy, sys, time
validator, path = sys.argv[1:]

def parse():
    for line in open(path, "rb"):
        json.loads(line)

def check():
    sys.argv = [validator, path]
    try:
        runpy.run_path(validator, run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, end.code

def seconds(of):
    started = time.process_time()
    of()
    return time.process_time() - started

best = [min(times) for times in zip(*((seconds(parse), seconds(check)) for _ in range(3)))]
print(*best, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measured(path: Path) -> tuple[float, float, int]:
    """CPU seconds to read a file with Python's own json, those to check it, and the peak memory in kB."""
    script = [*VALIDATE[:4], "--with", "jsonschema-rs", "--with", "orjson", "python", "-c", MEASURE, VALIDATE[4], path]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
    return float(said[-3]), float(said[-2]), int(said[-1])


def recorded_speed() -> dict[str, dict]:
    return {result["rows"]: result for result in json.loads((FOLDER / "validator_speed.json").read_text())["results"]}


@pytest.mark.live
def test_tens_of_thousands_of_rows_a_second_in_constant_memory(tmp_path: Path) -> None:
    """In units of what the machine takes to parse the same rows, so that a slow or busy machine changes nothing."""
    recorded = recorded_speed()["single_turn"]
    assert recorded["rows_per_second"] > 20_000
    few, lots = many(tmp_path / "few.jsonl", 4_000), many(tmp_path / "lots.jsonl", 24_000)
    short_parse, short_check, memory = measured(few)
    long_parse, long_check, more_memory = measured(lots)
    ratio = (long_check - short_check) / (long_parse - short_parse)
    assert ratio < 1.75 * recorded["seconds"] / recorded["json_seconds"], f"{20_000 / (long_check - short_check):.0f} rows per CPU second"
    assert more_memory - memory < 6_000, f"{memory} kB for 4,000 rows, {more_memory} kB for 24,000"


def test_the_page_states_what_was_measured() -> None:
    measured = json.loads((FOLDER / "validator_speed.json").read_text())
    text = FOLDER.with_suffix(".md").read_text()
    speeds = recorded_speed()
    for rows_, words in (("single_turn", "single-turn rows of"), ("several_tool_calls", "With several tool calls"), ("token_ids_several_calls", "token ids (")):
        assert words in text and f"{speeds[rows_]['kB_per_row']} kB" in text
        assert f"{float(format(speeds[rows_]['rows_per_second'], '.2g')):,.0f}" in text
    assert measured["date"] in text and measured["cpu"] in text


@pytest.mark.gym
def test_messages_are_those_of_the_package_and_the_validator(gym_python: Path) -> None:
    """Each message of the table stands in the source of the one or the other."""
    page = FOLDER.with_suffix(".md").read_text()
    section = page[page.index("\n### Common validation errors"):page.index("\n## Examples")]
    said = [words for cell in re.findall(r"^\| (.*?) \| ", section, re.M) for words in re.findall(r"`([^`]+)`", cell)]
    prose = section[section.index("And of Gym itself"):section.index(":::{problem-table}")]  # two more, of Gym's classes
    said += [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", prose) if " " in words]
    script = "import pathlib, nemo_gym; print(pathlib.Path(nemo_gym.__file__).parent)"
    package = Path(subprocess.run([gym_python, "-c", script], capture_output=True, text=True, check=True).stdout.strip())
    source = "\n".join(path.read_text() for path in package.rglob("*.py")) + (FOLDER / "validate_rollouts.py").read_text()
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    parts = [part for words in said for part in re.split(r"…|\.\.\.|\d+|:|generation_log_probs|rollouts.jsonl|\bis\b", words)]
    assert len(said) >= 8 and [part for part in parts if len(part.strip()) > 8 and part.strip() not in source] == []


# --- the finder of fields -----------------------------------------------------------------------------------------------


@pytest.mark.live
@pytest.mark.parametrize(("typed", "field"), [("ma", "row › mask_sample"), ("reward", "row › reward"), ("incompl", "response › incomplete_details")])
def test_a_field_is_found_in_a_few_keystrokes(opened: Callable, address: str, typed: str, field: str) -> None:
    tab = opened(f"{address}/training/reference/rollout-format-spec.html")
    tab.fill("#gym-finder", typed)
    tab.wait_for_function("document.querySelector('#gym-found-count').textContent !== ''")
    found = tab.locator("#gym-found a").all_inner_texts()
    assert field in found, found
    tab.locator("#gym-found a").nth(found.index(field)).click()
    assert "rollout-format-spec.html#field-" in tab.url and tab.locator(":target").is_visible()
