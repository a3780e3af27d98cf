"""The scripts of `monitor-data-quality`: what they measure, when they alert, and what they say to bad input."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import scripts
import yaml
from pages import DOCS, ROOT
from proofs import Proof, proves

FOLDER = DOCS / "training" / "how-to" / "monitor-data-quality"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if "__main__" in path.read_text())
sys.path.insert(0, str(FOLDER))


def run(script: str, *arguments: object, cwd: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    if python != sys.executable:
        return subprocess.run([python, FOLDER / script, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    return scripts.run(FOLDER / script, *arguments, cwd=cwd)


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rollout(task: int, repeat: int, reward: float = 1.0, text: str = "Paris", tokens: int = 5, group: str = "words", **more) -> dict:
    """One row as `gym eval run` writes it; ``cut``, ``call`` and any further field of the row."""
    cut, call = more.pop("cut", False), more.pop("call", None)
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}] if text else []
    if call is not None:
        output.append({"type": "function_call", "call_id": "c", "name": "get_time", "arguments": call})
    return {
        "_ng_task_index": task, "_ng_rollout_index": repeat, "reward": reward, "task_source": group,
        "responses_create_params": {"input": [{"role": "user", "content": f"Question {task}?"}]},
        "response": {
            "id": f"resp_{task}_{repeat}", "model": "m", "output": output, "usage": {"input_tokens": 9, "output_tokens": tokens},
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        },
        "_ng_environment_server": f"{group}_environment_server", **more,
    }


def collect(folder: Path, rate: float, tasks: int = 40, repeats: int = 4, seed: int = 0, tokens: int = 10, **more) -> Path:
    """A run whose task ``t`` succeeds with a chance around ``rate``."""
    chance = random.Random(seed)
    rows = []
    for task in range(tasks):
        ease = min(1.0, max(0.0, rate + 0.3 * (task % 3 - 1)))
        for repeat in range(repeats):
            length = max(1, round(chance.gauss(tokens, 2)))
            rows.append(rollout(task, repeat, float(chance.random() < ease), f"answer {chance.random()}", length, **more))
    write(folder / "rollouts_materialized_inputs.jsonl", *({"_ng_task_index": row["_ng_task_index"]} for row in rows))
    write(folder / "rollouts_failures.jsonl")
    verdict = {"verdict": "healthy", "findings": []}
    write(folder / "rollout_verdicts.jsonl", *({"_ng_task_index": row["_ng_task_index"], "_ng_rollout_index": row["_ng_rollout_index"]} | verdict for row in rows))
    (folder / "quality_summary.json").write_text('{"run": {}}')
    return write(folder / "rollouts.jsonl", *rows)


def metrics_of(path: Path, **options) -> dict:
    from measuring import measure

    return {name: metric["value"] for name, metric in measure(path, **options)["metrics"].items()}


# Measuring


def test_bad_arguments_count_rollouts(tmp_path: Path) -> None:
    """One rollout with a bad call among ten is one of two rollouts, and is counted as one."""
    from measuring import measure

    good, bad = '{"city": "Oslo"}', "{"
    rows = [rollout(0, 0, 1.0, call=good, group="tools"), rollout(0, 1, 1.0, call=good, group="tools")]
    call = next(item for item in rows[1]["response"]["output"] if item["type"] == "function_call")
    rows[1]["response"]["output"] += [call | {"call_id": f"call_{number}", "arguments": bad if number == 9 else good} for number in range(1, 10)]
    metric = measure(write(tmp_path / "rollouts.jsonl", *rows))["metrics"]["bad_arguments_share"]
    assert (metric["value"], metric["count"], metric["n"]) == (0.5, 1, 2)


def test_metrics_of_a_small_run(tmp_path: Path) -> None:
    rows = [
        rollout(0, 0, 1.0), rollout(0, 1, 1.0), rollout(1, 0, 0.5, "Rome", 9, cut=True), rollout(1, 1, 0.0, ""),
        rollout(2, 0, 0.0, "", call='{"city": "Oslo"}', group="tools"), rollout(2, 1, 1.0, "x", call="{", group="tools"),
        rollout(3, 0, 1.0, "masked", mask_sample=True),
    ]
    path = write(tmp_path / "rollouts.jsonl", *rows)
    write(tmp_path / "rollouts_materialized_inputs.jsonl", *({"_ng_task_index": 0} for _ in range(8)))
    write(tmp_path / "rollouts_failures.jsonl", {"_ng_failure_class": "judge_failed"}, {"_ng_failure_class": "judge_failed"})
    write(tmp_path / "rollout_verdicts.jsonl", *(
        {"_ng_task_index": row["_ng_task_index"], "_ng_rollout_index": row["_ng_rollout_index"], "verdict": verdict}
        for row, verdict in zip(rows, ["healthy"] * 5 + ["unhealthy", "unobserved"])
    ))
    write(tmp_path / "quality_summary.json", {"run": {"issues": {"agent_turn_hollow": 1, "model_call_failed": 0}}})
    found = metrics_of(path)
    assert found["reward"] == pytest.approx(3.5 / 6) and found["success_rate"] == pytest.approx(0.5)
    assert found["no_signal_share"] == pytest.approx(1 / 3) and found["same_answer_share"] == pytest.approx(1 / 3)
    assert found["cut_share"] == pytest.approx(1 / 7) and found["empty_share"] == pytest.approx(1 / 7)
    assert found["tool_use_share"] == pytest.approx(2 / 7) and found["bad_arguments_share"] == pytest.approx(1 / 2)
    assert found["masked_share"] == pytest.approx(1 / 7)
    assert found["missing_share"] == pytest.approx(1 / 8) and found["failed_attempts"] == pytest.approx(2 / 8)
    assert found["unhealthy_share"] == pytest.approx(1 / 7) and found["unobserved_share"] == pytest.approx(1 / 7)
    assert "seconds" not in found and "aggregate_gap" not in found
    told = run("run_quality.py", "rollouts.jsonl", "--json", "quality.json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("7 of 8 planned rollouts scored, 4 tasks, 2 failed attempts (judge_failed)\nrewards: 0.0 x 2, 0.5 x 1")
    assert "health issues: agent_turn_hollow 1" in told.stdout and "model_call_failed" not in told.stdout
    saved = json.loads((tmp_path / "quality.json").read_text())
    assert set(saved["groups"]) == {"words", "tools"} and saved["groups"]["tools"]["tool_use_share"]["value"] == 1


def test_error_is_that_of_running_the_same_tasks_again(tmp_path: Path) -> None:
    from measuring import measure
    from noise import mean

    # Tasks that are all solved or all missed come out the same again, however different they are.
    assert mean([(4, 4.0 * (task % 2)) for task in range(10)], 20)["se"] == 0
    assert mean([(2, 1.0)] * 50, 50)["se"] == pytest.approx((0.5 / 100) ** 0.5)
    # What is claimed is what repeating the run many times shows.
    runs = [measure(collect(tmp_path / str(seed), 0.5, seed=seed))["metrics"]["reward"] for seed in range(60)]
    values = [run["value"] for run in runs]
    centre = sum(values) / len(values)
    seen = (sum((value - centre) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    claimed = sum(run["se"] for run in runs) / len(runs)
    assert seen == pytest.approx(claimed, rel=0.3)


def test_groups_by_any_field(tmp_path: Path) -> None:
    rows = [rollout(task, 0, float(task), metadata={"family": "even" if task % 2 == 0 else "odd"}) for task in range(4)]
    told = run("run_quality.py", write(tmp_path / "r.jsonl", *rows), "--by", "metadata.family", cwd=tmp_path)
    assert told.stdout.splitlines()[2].split() == ["metric", "all", "even", "odd"]


def test_an_aggregate_of_other_rows_shows(tmp_path: Path) -> None:
    path = write(tmp_path / "rollouts.jsonl", rollout(0, 0, 1.0), rollout(0, 1, 0.0))
    entry = {"agent_ref": {"name": "a"}, "_ng_environment_server": "words_environment_server"}
    for reward, gap in ((0.5, 0.0), (0.25, 0.25)):
        (tmp_path / "rollouts_aggregate_metrics.json").write_text(json.dumps([{**entry, "agent_metrics": {"mean/reward": reward}}]))
        assert metrics_of(path)["aggregate_gap"] == pytest.approx(gap)


def test_fingerprint_is_that_of_the_tasks(tmp_path: Path) -> None:
    from measuring import measure

    one = [rollout(task, 0) for task in range(5)]
    prints = [measure(write(tmp_path / f"{n}.jsonl", *rows))["tasks_fingerprint"] for n, rows in enumerate((one, one[::-1], one[:4]))]
    assert prints[0] == prints[1] != prints[2]


# The gate


def limits(tmp_path: Path, base: Path) -> Path:
    made = run("quality_gate.py", base, "--suggest", tmp_path / "limits.toml", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "limits.toml"


@pytest.mark.live
def test_gate_passes_an_unchanged_model_and_stops_a_worse_one(tmp_path: Path) -> None:
    made = limits(tmp_path, collect(tmp_path / "base", 0.5))
    rules = tomllib.loads(made.read_text())["limit"]
    assert all(rule["reason"] for rule in rules) and {"reward", "missing_share"} <= {rule["metric"] for rule in rules}
    codes = [run("quality_gate.py", collect(tmp_path / f"same{seed}", 0.5, seed=seed), "--limits", made, cwd=tmp_path).returncode
             for seed in range(1, 21)]
    assert codes == [0] * 20
    stopped = run("quality_gate.py", collect(tmp_path / "worse", 0.25, seed=3), "--limits", made, cwd=tmp_path)
    assert stopped.returncode == 1 and stopped.stdout.startswith("ERROR") and "STOPPED: " in stopped.stdout


# A worthless run must not pass


def worthless(folder: Path, kind: str) -> Path:
    """A run in which nothing is wrong but one thing."""
    chance, rows = random.Random(0), []
    for task in range(24):
        for repeat in range(4):
            right = chance.random() < 0.5
            text = f"{'Paris' if right else 'Lyon'} it is, {chance.random()}"
            row = rollout(task, repeat, float(right), text, expected_answer="Paris")
            if kind == "copied" and repeat:
                row = json.loads(json.dumps(rows[-1])) | {"_ng_rollout_index": repeat}
            elif kind == "same_prompt":
                row["responses_create_params"]["input"][0]["content"] = f"Question  {task // 2}?" if task % 2 else f"question {task // 2}?"
            elif kind == "two_rewards":
                row = rollout(task, repeat, float(repeat % 2), "Hm")
            elif kind == "contradicted":
                row["reward"] = 1.0 - row["reward"] if repeat == 0 and not right else row["reward"]
            elif kind == "num_correct":
                row |= {"num_correct": int(right) if repeat else 1 - int(right), "num_expected": 1}
            elif kind == "is_correct":
                row |= {"is_correct": right if repeat else not right}
            elif kind == "call_in_text" and repeat == 0:
                row = rollout(task, repeat, 0.0, '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>')
            rows.append(row)
    write(folder / "rollouts_materialized_inputs.jsonl", *({"_ng_task_index": row["_ng_task_index"]} for row in rows))
    write(folder / "rollout_verdicts.jsonl", *({"_ng_task_index": row["_ng_task_index"], "_ng_rollout_index": row["_ng_rollout_index"], "verdict": "healthy"} for row in rows))
    (folder / "quality_summary.json").write_text('{"run": {}}')
    return write(folder / "rollouts.jsonl", *rows)


@pytest.mark.parametrize(
    ("kind", "metric", "count"),
    [
        ("sound", None, None), ("copied", "copied_share", "72 of 96"), ("same_prompt", "same_prompt_share", "12 of 24"),
        ("two_rewards", "two_rewards_share", "96 of 96"), ("contradicted", "contradicted_share", None), ("num_correct", "contradicted_share", "24 of 96"),
        ("is_correct", "contradicted_share", "24 of 96"), ("call_in_text", "call_in_text_share", "24 of 96"),
    ],
)
def test_a_worthless_run_is_stopped(tmp_path: Path, kind: str, metric: str | None, count: str | None) -> None:
    path = worthless(tmp_path, kind)
    told = run("run_quality.py", path, cwd=tmp_path).stdout
    for option in (["--fit-to-train"], ["--suggest", "limits.toml"]):
        gate = run("quality_gate.py", path, *option, cwd=tmp_path)
        wrong = {line.split()[1] for line in gate.stdout.splitlines() if line.startswith("ERROR")}
        assert gate.returncode == bool(metric) and wrong - {"no_signal_share"} == ({metric} if metric else set()), gate.stdout
    again = run("quality_gate.py", path, "--limits", "limits.toml", cwd=tmp_path)
    assert again.returncode == bool(metric)
    assert ("doubt: " in told) == bool(metric) and (count or "") in told and (count or "") in again.stdout


def test_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    """No plan beside the rollouts, no verdicts: neither is made up, and the gate does not pass what it could not see."""
    path = write(tmp_path / "rollouts.jsonl", *(rollout(task, repeat, float(repeat % 2), f"x{task} {repeat}") for task in range(20) for repeat in range(2)))
    told = run("run_quality.py", path, cwd=tmp_path).stdout
    assert told.startswith("40 rollouts scored; how many were planned is unknown, 20 tasks") and "missing_share" not in told
    assert "rollouts_materialized_inputs.jsonl is not beside the rollouts" in told
    gate = run("quality_gate.py", path, "--fit-to-train", cwd=tmp_path)
    unseen = {line.split()[1] for line in gate.stdout.splitlines() if "not measured" in line}
    assert gate.returncode == 1 and unseen == {"missing_share", "failed_attempts", "unobserved_share", "unhealthy_share"}
    write(tmp_path / "rollout_verdicts.jsonl", *({"_ng_task_index": t, "_ng_rollout_index": r, "verdict": "unobserved"} for t in range(20) for r in range(2)))
    (tmp_path / "quality_summary.json").write_text('{"run": {}}')
    assert "ERROR    unobserved_share              1 (40 of 40)" in run("quality_gate.py", path, "--suggest", "l.toml", cwd=tmp_path).stdout


def test_suggested_limits_name_every_metric(tmp_path: Path) -> None:
    from measuring import METRICS

    text = limits(tmp_path, collect(tmp_path / "base", 0.5, call='{"city": "Oslo"}')).read_text()
    assert {name for name in METRICS if f'metric = "{name}"' in text or f"# {name}: " in text} == set(METRICS)


def test_intervals_of_one_run(tmp_path: Path) -> None:
    """Each rollout counting once, and each task: with uneven repeats these are two means."""
    from measuring import measure

    rows = [rollout(0, repeat, 1.0) for repeat in range(8)] + [rollout(task, repeat, float(repeat)) for task in range(1, 25) for repeat in range(2)]
    found = measure(write(tmp_path / "r.jsonl", *rows))["intervals"]
    assert found["per rollout"]["value"] == pytest.approx(32 / 56) and found["per task"]["value"] == pytest.approx(13 / 25)
    assert found["per rollout"]["n"] == 56 and found["per task"]["n"] == 25
    for mean in found.values():
        for low, high in (mean["same"], mean["other"]):
            assert low < mean["value"] < high
    few = measure(write(tmp_path / "f.jsonl", *rows[:10]))["intervals"]["per task"]
    assert few["other"] is None and few["same"] is not None


@pytest.mark.parametrize("environment", [False, True])
def test_an_aggregate_without_a_server_name_is_found_by_its_agent(tmp_path: Path, environment: bool) -> None:
    rows = [rollout(0, repeat, float(repeat), agent_ref={"name": "a"}) for repeat in range(2)]
    if not environment:  # as rows that were scored again
        rows = [{key: value for key, value in row.items() if key != "_ng_environment_server"} for row in rows]
    path = write(tmp_path / "rollouts.jsonl", *rows)
    (tmp_path / "rollouts_aggregate_metrics.json").write_text(json.dumps([{"agent_ref": {"name": "a"}, "agent_metrics": {"mean/reward": 0.5}}]))
    assert metrics_of(path)["aggregate_gap"] == 0.0
    (tmp_path / "rollouts_aggregate_metrics.json").write_text(json.dumps([{"agent_metrics": {"mean/reward": 0.5}}]))
    told = run("run_quality.py", path, cwd=tmp_path).stdout
    assert "aggregate_gap" not in told and "note: an entry of the aggregate metrics is for no server and no agent, which no rollout names" in told


@pytest.mark.parametrize("script", ["run_quality.py", "rollout_table.py", "quality_gate.py", "watch_run.py", "compare_runs.py", "quality_history.py"])
@pytest.mark.parametrize("value", [None, 0, -1.5, True, "x", [], [1], [[]], {}, {"a": 1}])
def test_no_json_is_a_traceback(tmp_path: Path, script: str, value: object) -> None:
    """Every field of a rollout holds something else, one after the other, in one file."""
    rows, paths = [], ["reward", "task_source", "agent_ref", "response.output", "response.usage", "response.id", "response.model", "instance_config",
                       "response.incomplete_details", "responses_create_params", "responses_create_params.input", "ng_perf", "mask_sample",
                       "expected_answer", "extracted_answer", "num_correct", "is_correct", "response", "_ng_task_index", "_ng_rollout_index"]
    for number, path in enumerate(paths):
        row = rollout(number, 0, call="{}", expected_answer="x", num_expected=1)
        inner = row
        for name in path.split(".")[:-1]:
            inner = inner[name]
        inner[path.split(".")[-1]] = value
        rows.append(row)
    write(tmp_path / "r.jsonl", *rows)
    told = run(script, *("r.jsonl" if word == "FILE" else word for word in CALLS[script]), cwd=tmp_path)
    assert "Traceback" not in told.stderr and told.returncode in (0, 1, 2), told.stderr[-600:]
    assert told.returncode != 2 or len(told.stderr.splitlines()) == 1


def test_a_formula_arrives_as_text(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl", *(rollout(task, 0, -1.0, text) for task, text in enumerate(["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "a=1", " =1", "\n=1", "\uff1d1", "'=1"])))
    assert run("rollout_table.py", "r.jsonl", "-o", "t.csv", cwd=tmp_path).returncode == 0
    with (tmp_path / "t.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["answer"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@a", "'\t=1", "'\r=1", "a=1", "' =1", "'\n=1", "'\uff1d1", "''=1"] and rows[0]["reward"] == "-1.0"


def test_the_table_has_no_reward_that_is_no_number(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl", *(rollout(task, 0, reward) for task, reward in enumerate((True, "1.0", float("nan"), None, 0.5))))
    assert run("rollout_table.py", "r.jsonl", "-o", "t.db", cwd=tmp_path).returncode == 0
    assert sqlite3.connect(tmp_path / "t.db").execute("select count(reward), avg(reward) from rollouts").fetchall() == [(1, 0.5)]


def test_times_that_are_none_are_unknown(tmp_path: Path) -> None:
    rows = [rollout(task, 0) | {"ng_perf": {"total_latency_ms": value}} for task, value in enumerate((10**400, float("nan"), -1, True, 500))]
    assert metrics_of(write(tmp_path / "r.jsonl", *rows))["seconds"] == 0.5


def test_a_group_name_is_one_line_and_steers_no_terminal(tmp_path: Path) -> None:
    told = run("run_quality.py", write(tmp_path / "r.jsonl", *(rollout(task, 0) | {"kind": f"a\nb\x1b[3{task}m"} for task in range(2))), "--by", "kind", cwd=tmp_path)
    assert told.returncode == 0 and "\x1b" not in told.stdout and "a b\\x1b[30m" in told.stdout


def test_a_call_that_was_only_thought_of_is_none(tmp_path: Path) -> None:
    tools = {"responses_create_params": {"input": "Capital?", "tools": [{"type": "function", "name": "find"}]}}
    texts = ["<think>I could <tool_call> find.</think>Lima", "<think>Hm.</think>\n{\"name\": \"find\"}", 'I look.\n{"name": "find"}']
    path = write(tmp_path / "r.jsonl", *(rollout(task, 0, 1.0, text) | tools for task, text in enumerate(texts)))
    assert metrics_of(path)["call_in_text_share"] == pytest.approx(2 / 3)


def test_table_names_doubts(tmp_path: Path) -> None:
    worthless(tmp_path, "contradicted")
    made = run("rollout_table.py", "rollouts.jsonl", "-o", "t.csv", "--where", "doubt=contradicted", cwd=tmp_path)
    count = int(re.search(r"t.csv: (\d+) rows", made.stdout)[1])
    assert f"{count} of 96 rewards are contradicted" in run("run_quality.py", "rollouts.jsonl", cwd=tmp_path).stdout and count > 5


@pytest.mark.live
def test_false_alarms_are_measured(tmp_path: Path) -> None:
    """The figures of the page: near 5 % where an interval is offered, and none offered below 20 tasks."""
    told = run("false_alarms.py", "--runs", 300, "--baselines", 10, cwd=tmp_path).stdout
    rows = {int(line.split()[0]): line for line in told.splitlines() if re.match(r" +\d+  ", line)}
    assert list(rows) == [4, 10, 20, 40, 100]
    for tasks, line in rows.items():
        shares = [float(share) for share in re.findall(r"([\d.]+) %", line)]
        assert all(share < 10 for share in shares) and ("not offered" in line) == (tasks < 20)


def test_limits_of_rare_events_are_exact() -> None:
    from noise import surprising

    # After no event in a run as large, each of k new ones had the chance 1/2 to fall into the first run.
    assert surprising(0, 1, 0.001) == 10 and 0.5**10 <= 0.001 < 0.5**9
    assert surprising(0, 3, 0.001) == 5 and 0.25**5 <= 0.001 < 0.25**4


def test_limits_from_several_runs_are_narrower(tmp_path: Path) -> None:
    runs = [collect(tmp_path / str(seed), 0.5, seed=seed) for seed in range(3)]
    made = run("quality_gate.py", *runs, "--suggest", "limits.toml", cwd=tmp_path)
    assert made.returncode == 0 and "limits from 480 rollouts" in made.stdout, made
    one = next(rule for rule in tomllib.loads(limits(tmp_path / "0", runs[0]).read_text())["limit"] if rule["metric"] == "reward")
    three = next(rule for rule in tomllib.loads((tmp_path / "limits.toml").read_text())["limit"] if rule["metric"] == "reward")
    assert three["min"] > one["min"] - 0.05
    other = run("quality_gate.py", runs[0], collect(tmp_path / "other", 0.5, tasks=9), "--suggest", "limits.toml", cwd=tmp_path)
    assert other.returncode == 2 and "has other tasks than" in other.stderr
    assert run("quality_gate.py", *runs, "--limits", "limits.toml", cwd=tmp_path).returncode == 2


def test_gate_sees_cut_answers_and_lost_rollouts(tmp_path: Path) -> None:
    made = limits(tmp_path, collect(tmp_path / "base", 0.5))
    candidate = collect(tmp_path / "new", 0.5, seed=1, cut=True)
    with (tmp_path / "new" / "rollouts_materialized_inputs.jsonl").open("a") as more:
        more.write('{"_ng_task_index": 9}\n' * 20)
    stopped = run("quality_gate.py", candidate, "--limits", made, cwd=tmp_path)
    wrong = {line.split()[1] for line in stopped.stdout.splitlines() if line.startswith("ERROR")}
    assert stopped.returncode == 1 and wrong == {"cut_share", "missing_share"}


@pytest.mark.live
def test_false_alarms_are_as_rare_as_asked(tmp_path: Path) -> None:
    """At 5 % per limit, about one run in twenty of an unchanged model falls below the reward limit."""
    from quality_gate import suggest
    from measuring import measure

    alarms = trials = 0
    for seed in range(0, 240, 2):
        base, again = (measure(collect(tmp_path / str(s), 0.5, tasks=20, seed=s)) for s in (seed, seed + 1))
        rule = next(rule for rule in suggest([base], 0.05) if rule["metric"] == "reward")
        alarms += again["metrics"]["reward"]["value"] < rule["min"]
        trials += 1
    assert alarms / trials <= 0.12


@proves("limits-for-other-tasks", "gate-stops-on-not-measured")
def test_gate_refuses_other_tasks_and_what_was_not_measured(tmp_path: Path, proof: Proof) -> None:
    made = limits(tmp_path, collect(tmp_path / "base", 0.5))
    refused = run("quality_gate.py", collect(tmp_path / "other", 0.5, tasks=30), "--limits", made, cwd=tmp_path)
    assert refused.returncode == 2
    proof.wrong("limits-for-other-tasks", refused.stderr)
    passed = run("quality_gate.py", tmp_path / "base" / "rollouts.jsonl", "--limits", made, cwd=tmp_path)
    proof.cured("limits-for-other-tasks", passed.stdout + passed.stderr if "PASSED" in passed.stdout else False)
    made.write_text('[[limit]]\nmetric = "bad_arguments_share"\nmax = 0.1\nreason = "r"')
    without, calling = (collect(tmp_path / name, 0.5, **more) for name, more in (("without", {}), ("calling", {"call": '{"city": "Oslo"}'})))
    proof.wrong("gate-stops-on-not-measured", run("quality_gate.py", without, "--limits", made, cwd=tmp_path).stdout)
    measured = run("quality_gate.py", calling, "--limits", made, cwd=tmp_path).stdout
    proof.cured("gate-stops-on-not-measured", "PASSED" in measured and "not measured" not in measured)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('[[limit]]\nmetric = "reward"\nmin = 2\nlevel = "warning"\nreason = "r"', 0, "PASSED: 0 errors, 1 warnings, 0 ok"),
        ('[[limit]]\nmetric = "seconds"\nmax = 9\nreason = "r"', 1, "not measured"),
        ('[[limit]]\nmetric = "reward"\ngroup = "none"\nmin = 0\nreason = "r"', 1, "not measured"),
        ('[[limit]]\nmetric = "reward"\nmin = 0\nmax = 0.9999\nreason = "r"', 1, "ERROR"),
        ("", 2, "limits.toml holds no [[limit]]. Write some with --suggest limits.toml."),
        ("limit = 3", 2, "holds no [[limit]]"),
        ("[[limit", 2, "limits.toml is not TOML"),
        ('[[limit]]\nmetric = "rewards"\nmin = 0\nreason = "r"', 2, "limit 1: metric must be one of reward, "),
        ('[[limit]]\nmetric = "reward"\nreason = "r"', 2, "limit 1: give min or max, as a number."),
        ('[[limit]]\nmetric = "reward"\nmin = "0"\nreason = "r"', 2, "limit 1: give min or max, as a number."),
        ('[[limit]]\nmetric = "reward"\nmin = 0\nlevel = "fatal"\nreason = "r"', 2, 'level must be "error" or "warning"'),
        ('[[limit]]\nmetric = "reward"\nminimum = 0\nmin = 0\nreason = "r"', 2, "unknown key minimum"),
        ('[[limit]]\nmetric = "reward"\nmin = 0', 2, "a limit without a reason"),
    ],
)
def test_limits_file(tmp_path: Path, text: str, code: int, said: str) -> None:
    write(tmp_path / "rollouts.jsonl", rollout(0, 0), rollout(0, 1))
    (tmp_path / "limits.toml").write_text(text)
    told = run("quality_gate.py", "rollouts.jsonl", "--limits", "limits.toml", cwd=tmp_path)
    assert told.returncode == code and said in told.stdout + told.stderr, told
    assert "Traceback" not in told.stderr


# Comparing


@pytest.mark.live
def test_compare_tells_a_fall_from_noise(tmp_path: Path) -> None:
    base = collect(tmp_path / "base", 0.5)
    fell = run("compare_runs.py", base, collect(tmp_path / "worse", 0.2, seed=5), cwd=tmp_path)
    assert fell.returncode == 1 and re.search(r"^all .* fell$", fell.stdout, re.M), fell.stdout
    verdicts = [run("compare_runs.py", base, collect(tmp_path / f"s{seed}", 0.5, seed=seed), cwd=tmp_path).returncode for seed in range(1, 13)]
    assert sum(verdicts) <= 2
    same = run("compare_runs.py", base, base, "--seed", 3, cwd=tmp_path)
    assert same.returncode == 0 and " +0.000, +0.000 " in same.stdout and "noise" in same.stdout


def test_compare_needs_repeats_and_common_tasks(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", *[rollout(task, 0, float(task % 2)) for task in range(6)])
    told = run("compare_runs.py", one, one, cwd=tmp_path)
    assert told.returncode == 0 and "needs repeats" in told.stdout and "needs 20 tasks" in told.stdout and told.stdout.rstrip().endswith("?")
    refused = run("compare_runs.py", one, write(tmp_path / "two.jsonl", rollout(77, 0)), cwd=tmp_path)
    assert refused.returncode == 2 and "share no task index" in refused.stderr


def test_compare_sees_a_collapse_without_repeats(tmp_path: Path) -> None:
    good, bad = (write(tmp_path / f"{reward}.jsonl", *[rollout(task, 0, reward) for task in range(30)]) for reward in (1.0, 0.0))
    fell = run("compare_runs.py", good, bad, cwd=tmp_path)
    assert fell.returncode == 1 and "?\nall: no repeats to judge by" in fell.stdout
    one, other = (write(tmp_path / f"one{reward}.jsonl", rollout(0, 0, reward)) for reward in (1.0, 0.0))
    single = run("compare_runs.py", one, other, cwd=tmp_path)
    assert single.returncode == 0 and single.stdout.endswith("?\n"), "one rollout of one task tells nothing"
    assert run("compare_runs.py", bad, good, cwd=tmp_path).returncode == 0


def test_compare_refuses_other_prompts(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", *[rollout(task, 0) for task in range(3)])
    two = write(tmp_path / "two.jsonl", *[rollout(task, 0) | {"responses_create_params": {"input": "other"}} for task in range(3)])
    refused = run("compare_runs.py", one, two, cwd=tmp_path)
    assert refused.returncode == 2 and "3 tasks have the same index and other prompts" in refused.stderr
    three = write(tmp_path / "three.jsonl", *[rollout(task, 0) | {"responses_create_params": {"input": "other", "instructions": "Be short."}} for task in range(3)])
    assert "3 tasks have the same index and other prompts" in run("compare_runs.py", two, three, cwd=tmp_path).stderr
    spaced = write(tmp_path / "spaced.jsonl", *[rollout(task, 0) | {"responses_create_params": {"input": "Other "}} for task in range(3)])
    assert run("compare_runs.py", two, spaced, cwd=tmp_path).returncode == 0
    twice = write(tmp_path / "twice.jsonl", *[rollout(0, 0), rollout(0, 0)])
    assert "twice.jsonl:2: task 0, repeat 0 is there twice" in run("compare_runs.py", twice, one, cwd=tmp_path).stderr


def test_a_row_without_a_reward_is_missing(tmp_path: Path) -> None:
    rows = [rollout(task, 0) for task in range(4)]
    path = write(tmp_path / "rollouts.jsonl", *rows[:2], *({key: value for key, value in row.items() if key != "reward"} for row in rows[2:]))
    write(tmp_path / "rollouts_materialized_inputs.jsonl", *({"_ng_task_index": task} for task in range(4)))
    assert metrics_of(path)["missing_share"] == 0.5


@pytest.mark.live
def test_compare_claims_the_interval_that_repeating_shows(tmp_path: Path) -> None:
    """95 % intervals of an unchanged model hold 0 in about 95 of 100 comparisons."""
    from compare_runs import compare, rewards_of

    held, trials = 0, 100
    for seed in range(trials):
        (a, *_), (b, *_) = (rewards_of(collect(tmp_path / str(s), 0.5, tasks=20, seed=s), None) for s in (2 * seed, 2 * seed + 1))
        result = compare(a, b, list(a), 100, 0)
        held += abs(result["delta"]) <= result["z"] * result["se"]
    assert 88 <= held <= 100


# Watching


def test_watch_follows_a_run_to_its_end(tmp_path: Path) -> None:
    source = collect(tmp_path / "source", 0.5).read_text().splitlines(keepends=True)
    target = tmp_path / "run" / "rollouts.jsonl"
    target.parent.mkdir()
    command = [sys.executable, FOLDER / "watch_run.py", target, "--every", "0.2", "--stall", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        with target.open("w") as rows:
            for line in source:
                rows.write(line[:20])
                rows.flush()  # a torn line is not an error while the run goes on
                time.sleep(0.005)
                rows.write(line[20:])
                rows.flush()
        time.sleep(0.5)
        (target.parent / "quality_summary.json").write_text("{}")
        told, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0 and told.endswith("finished: 160 rollouts, 0 failed attempts, no alert\n"), told
    assert len(told.splitlines()) > 4


@pytest.mark.parametrize(
    ("options", "rows", "failed", "alert"),
    [
        (["--max-cut", "0.3"], [rollout(t, 0, cut=True) for t in range(10)], 0, "cut share is 1.00 after 10 rollouts, the limit is 0.3"),
        (["--max-cut", "0.3"], [rollout(t, 0, cut=t == 0) for t in range(2)], 0, None),  # half of two says nothing yet
        (["--max-empty", "0.1"], [rollout(t, 0, text="") for t in range(9)], 0, "empty share is 1.00"),
        (["--max-masked", "0.1"], [rollout(t, 0, mask_sample=True) for t in range(9)], 0, "masked share is 1.00"),
        (["--max-failed", "0.05"], [rollout(t, 0) for t in range(10)], 9, "failed share is 0.47 after 19 rollouts"),
        (["--max-failed", "0.05"], [rollout(t, 0) for t in range(10)], 1, None),
        (["--min-reward", "0.3"], [rollout(t, 0, 0.0) for t in range(40)], 0, "mean reward is 0.00 after 40 rollouts"),
        (["--min-reward", "0.3"], [rollout(t, 0, 0.0) for t in range(6)], 0, None),
        (["--min-reward", "0.3"], [rollout(t, 0, float(t % 4 == 0)) for t in range(40)], 0, None),
        ([], [rollout(t, 0, 0.0, cut=True) for t in range(40)], 40, None),
    ],
)
def test_watch_alerts_only_beyond_noise(tmp_path: Path, options: list, rows: list, failed: int, alert: str | None) -> None:
    write(tmp_path / "rollouts.jsonl", *rows)
    write(tmp_path / "rollouts_failures.jsonl", *[{"_ng_failure_class": "agent_run_error"}] * failed)
    told = run("watch_run.py", "rollouts.jsonl", "--once", *options, cwd=tmp_path)
    assert told.returncode == (1 if alert else 0), told
    assert f"ALERT: {alert}" in told.stdout if alert else "ALERT" not in told.stdout


@proves("stalled-run")
def test_watch_alerts_on_a_stall_and_forgets_a_run_that_started_over(tmp_path: Path, proof: Proof) -> None:
    stalled = run("watch_run.py", "none.jsonl", "--stall", "0.5", cwd=tmp_path)
    assert stalled.returncode == 1 and "ALERT: none.jsonl has no row for 0.5 s" in stalled.stdout
    path = write(tmp_path / "rollouts.jsonl", *[rollout(t, 0) for t in range(5)])
    proof.wrong("stalled-run", run("watch_run.py", path, "--stall", "0.5", cwd=tmp_path).stdout.replace("0.5 s", "2 s"))
    (tmp_path / "quality_summary.json").write_text("{}")
    ended = run("watch_run.py", path, "--stall", "0.5", cwd=tmp_path).stdout
    proof.cured("stalled-run", ended.splitlines()[-1].startswith("finished"))
    from watch_run import Run

    seen = Run(path, 1.0)
    seen.look()
    assert seen.done == 5
    write(path, rollout(0, 0))
    seen.look()
    assert seen.done == 1


# History


def history(tmp_path: Path, rates: list[float], **last) -> Path:
    for number, rate in enumerate(rates):
        more = last if number == len(rates) - 1 else {}
        path = collect(tmp_path / str(number), rate, seed=number, **more)
        added = run("quality_history.py", "append", "history.jsonl", path, "--label", f"run {number}", cwd=tmp_path)
        assert added.stdout == f"history.jsonl: {number + 1} runs\n", added.stderr
    return tmp_path / "history.jsonl"


@pytest.mark.live
def test_history_tells_a_jump_from_noise(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5] * 10)
    steady = run("quality_history.py", "check", path, cwd=tmp_path)
    assert steady.returncode == 0 and steady.stdout.endswith("no drift\n"), steady.stdout
    worse = collect(tmp_path / "worse", 0.2, seed=99)
    run("quality_history.py", "append", path, worse, cwd=tmp_path)
    jumped = run("quality_history.py", "check", path, cwd=tmp_path)
    assert jumped.returncode == 1 and "jump: reward is " in jumped.stdout


@pytest.mark.live
def test_history_tells_a_creep(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5] * 8)
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    runs += [json.loads(json.dumps(runs[0])) for _ in range(8)]
    centre = sum(run["metrics"]["reward"]["value"] for run in runs[:8]) / 8
    for entry in runs[8:]:
        entry["metrics"]["reward"]["value"] = centre - 0.01  # never a jump
    write(path, *runs)
    crept = run("quality_history.py", "check", path, cwd=tmp_path)
    assert crept.returncode == 1 and "creep: reward has been below the reference" in crept.stdout and "jump: reward" not in crept.stdout
    write(path, *runs[:-1])
    assert "creep: reward" not in run("quality_history.py", "check", path, cwd=tmp_path).stdout


def test_history_replaces_a_run_of_the_same_name(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5, 0.5])
    again = run("quality_history.py", "append", path, collect(tmp_path / "again", 0.9, seed=5), "--label", "run 1", cwd=tmp_path)
    assert again.stdout == f"{path}: 2 runs\n"
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["label"] for entry in runs] == ["run 0", "run 1"] and runs[1]["metrics"]["reward"]["value"] > 0.7


@pytest.mark.live
def test_a_rare_event_in_the_reference_is_no_creep(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5] * 8)
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    runs += [json.loads(json.dumps(runs[1])) for _ in range(8)]
    runs[0]["metrics"]["cut_share"] = {"value": 0.01, "se": 0.01, "n": 100}
    for entry in runs[1:]:
        entry["metrics"]["cut_share"] = {"value": 0.0, "se": 0.0, "n": 100}
    write(path, *runs)
    assert "creep: cut_share" not in run("quality_history.py", "check", path, cwd=tmp_path).stdout


@pytest.mark.live
def test_a_metric_that_is_gone_is_no_good_sign(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5] * 9)
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    del runs[-1]["metrics"]["reward"]
    write(path, *runs)
    told = run("quality_history.py", "check", path, cwd=tmp_path)
    assert told.returncode == 1 and "lost: reward was measured before" in told.stdout and "no drift" not in told.stdout


def test_history_leaves_other_tasks_out(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5, 0.5, 0.5], tasks=10)
    told = run("quality_history.py", "check", path, "--reference", "1", cwd=tmp_path)
    assert told.returncode == 0 and "note: 2 runs of other tasks are left out" in told.stdout


@pytest.mark.live
def test_history_is_drawn(tmp_path: Path) -> None:
    path = history(tmp_path, [0.5] * 3)
    drawn = run("quality_history.py", "plot", path, "-o", "trend.svg", cwd=tmp_path)
    assert drawn.returncode == 0 and (tmp_path / "trend.svg").read_text().startswith("<?xml"), drawn.stderr


def test_page_shows_a_history_that_says_where_it_is_from() -> None:
    from quality_history import drifts

    data = json.loads((FOLDER / "practice_history.json").read_text())
    assert data["release"] == "nemo-gym 0.7.0" and data["hardware"] and data["date"]
    assert not drifts(data["runs"][:6], data["reference"])[0]
    assert any("jump" in line for line in drifts(data["runs"], data["reference"])[0])


# Tables and the report


def test_table_is_flat_and_can_be_filtered(tmp_path: Path) -> None:
    rows = [rollout(1, 0, 0.0, 'say "no",\nplease', expected_answer="Paris"), rollout(0, 0, call="{}"), rollout(0, 1, 0.0)]
    write(tmp_path / "rollouts.jsonl", *rows)
    (tmp_path / "quality_summary.json").write_text('{"run": {}}')
    verdict = {"_ng_task_index": 1, "_ng_rollout_index": 0, "verdict": "unhealthy", "findings": [{"check": "agent_turn_hollow"}]}
    write(tmp_path / "rollout_verdicts.jsonl", verdict)
    made = run("rollout_table.py", "rollouts.jsonl", "-o", "t.csv", cwd=tmp_path)
    assert made.stdout == "t.csv: 3 rows\n", made.stderr
    with (tmp_path / "t.csv").open(newline="") as lines:
        table = {(row["task"], row["repeat"]): row for row in csv.DictReader(lines)}
    row = table["1", "0"]
    assert row["question"] == "Question 1?" and row["answer"] == 'say "no",\nplease' and row["expected"] == "Paris"
    assert row["findings"] == "agent_turn_hollow" and table["0", "0"]["tool_calls"] == "get_time({})"
    assert run("rollout_table.py", "rollouts.jsonl", "-o", "t.db", cwd=tmp_path).stdout == "t.db: 3 rows\n"
    with contextlib.closing(sqlite3.connect(tmp_path / "t.db")) as database:
        assert database.execute("select answer from rollouts where verdict = 'unhealthy'").fetchall() == [('say "no",\nplease',)]
    for conditions, left in (["reward=0"], 2), (["findings=agent_turn_hollow"], 1), (["reward=0", "task=0"], 1):
        options = [word for text in conditions for word in ("--where", text)]
        assert f": {left} rows" in run("rollout_table.py", "rollouts.jsonl", "-o", "t.csv", *options, cwd=tmp_path).stdout
    nothing = run("rollout_table.py", "rollouts.jsonl", "-o", "no.csv", "--where", "reward=7", cwd=tmp_path)
    assert nothing.returncode == 1 and "no row is left" in nothing.stderr and not (tmp_path / "no.csv").exists()


def test_a_verdict_is_that_of_its_stage(tmp_path: Path) -> None:
    stages = [rollout(0, 0, stage_index=stage) for stage in range(2)]
    write(tmp_path / "rollouts.jsonl", *stages)
    write(tmp_path / "rollout_verdicts.jsonl", *({"_ng_task_index": 0, "_ng_rollout_index": 0, "stage_index": stage, "verdict": word, "findings": []} for stage, word in enumerate(("healthy", "unhealthy"))))
    (tmp_path / "quality_summary.json").write_text('{"run": {}}')
    assert run("rollout_table.py", "rollouts.jsonl", "-o", "t.csv", cwd=tmp_path).returncode == 0
    assert [row["verdict"] for row in csv.DictReader((tmp_path / "t.csv").open(newline=""))] == ["healthy", "unhealthy"]


def test_sample_is_repeatable(tmp_path: Path) -> None:
    collect(tmp_path, 0.5)
    made = []
    for seed in (0, 0, 1):
        assert run("rollout_table.py", "rollouts.jsonl", "-o", "t.csv", "--sample", 20, "--seed", seed, cwd=tmp_path).returncode == 0
        made.append((tmp_path / "t.csv").read_text())
    assert made[0] == made[1] != made[2] and len(list(csv.reader(made[0].splitlines()))) == 21


@pytest.mark.live
def test_report_is_one_file_that_asks_no_host(tmp_path: Path) -> None:
    one, two = collect(tmp_path / "one", 0.5, group="</script><b>words</b>"), collect(tmp_path / "two", 0.3, seed=2)
    uv = ROOT / ".venv" / "bin" / "uv"
    command = [uv, "run", "-q", FOLDER / "quality_report.py", one, two, "-o", "report.html"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "report.html").read_text()
    assert made.stdout.startswith("report.html: 2 runs, 320 rollouts, ") and len(text) < 3_000_000
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert not re.search(r"\b(?:src|href)=|@import|url\(", markup) and markup.count("<script") == 2, markup
    assert "<h1>Rollout quality</h1>" in markup and markup.count("<tr>") > 10
    assert "Question 7?" in text and text.count("</script>") == 2, "what a model wrote must not end the script"
    bare = subprocess.run([*command, "--no-text", "--max-rollouts", "10"], cwd=tmp_path, capture_output=True, text=True)
    assert "20 rollouts" in bare.stdout and "Question 7?" not in (tmp_path / "report.html").read_text()


def test_no_text_of_a_model_opens_a_comment_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """In `<!--<script>` a browser would not see the end of the script."""
    import quality_report

    class Chart:
        def to_html(self, **_: object) -> str:
            return '<html><head></head><body><script>const spec = {"answer": "<!--<script></script>"};</script></body></html>'

    monkeypatch.setattr(quality_report, "charts", lambda rollouts: Chart())
    text = quality_report.page({}, [], "", "t")
    assert '{"answer": "<\\!--<script><\\/script>"};</script>' in text and "<!--" not in text


def test_report_says_what_it_needs(tmp_path: Path) -> None:
    refused = run("quality_report.py", write(tmp_path / "rollouts.jsonl", rollout(0, 0)), "-o", "r.html", cwd=tmp_path)
    assert refused.returncode == 2 and "Start this file with: uv run quality_report.py" in refused.stderr


# The series: script and workflow


@pytest.mark.live
def test_series_script_stops_where_it_must(tmp_path: Path) -> None:
    """With a stand-in for `gym`, whose exit code and rollouts the test chooses."""
    for file in FOLDER.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    limits(tmp_path, collect(tmp_path / "base", 0.5))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "gym": 'while [ "$1" != -o ]; do shift; done; out=$(dirname "$2"); cp -r prepared/. "$out"; echo "{}" > "$out/quality_summary.json"; exit ${GYM_EXIT:-0}',
        "uv": "exit 0",
        "python": f'exec {sys.executable} "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def series(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "quality_run.sh", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment | more, capture_output=True, text=True)

    assert series().returncode == 2
    collect(tmp_path / "prepared", 0.5, seed=1)
    passed = series("good")
    assert passed.returncode == 0 and "PASSED" in passed.stdout and "history.jsonl: 1 runs" in passed.stdout, passed
    collect(tmp_path / "prepared", 0.1, seed=1)
    stopped = series("bad")
    assert stopped.returncode == 1 and "STOPPED" in stopped.stdout and "history.jsonl: 2 runs" in stopped.stdout, stopped
    failed = series("died", GYM_EXIT="1")
    assert failed.returncode == 2 and "collection failed" in failed.stderr
    collect(tmp_path / "prepared", 0.5, tasks=9)
    assert series("other").returncode == 2
    # An alert ends the run, which would go on for an hour.
    write(tmp_path / "prepared" / "rollouts_failures.jsonl", *({"_ng_failure_class": "agent_run_error"} for _ in range(400)))
    write(programs / "gym", '#!/bin/bash\nout=$(dirname "${@: -1}"); cp -r prepared/. "$out"; exec python -c "import time; time.sleep(3600)"\n')
    began = time.monotonic()
    alarmed = series("alarmed", "-o", "results/alarmed/rollouts.jsonl")
    assert alarmed.returncode == 2 and "collection failed" in alarmed.stderr and time.monotonic() - began < 60
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2


def test_steps_of_the_workflow_are_shell() -> None:
    workflow = yaml.safe_load((FOLDER / "quality-workflow.yml").read_text())
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert len(steps) == 3
    for step in steps:
        checked = subprocess.run(["bash", "-n", "-c", re.sub(r"\$\{\{.*?\}\}", "x", step)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
    gym = (ROOT / "pyproject.toml").read_text().split('gym = ["')[1].split('"')[0]
    assert gym in steps[0]


# Bad input, of every script

CALLS = {
    "run_quality.py": ["FILE"],
    "quality_gate.py": ["FILE", "--suggest", "out.toml"],
    "watch_run.py": ["FILE", "--once"],
    "quality_history.py": ["append", "out.jsonl", "FILE"],
    "rollout_table.py": ["FILE", "-o", "out.csv"],
    "quality_report.py": ["FILE", "-o", "out.html"],
    "compare_runs.py": ["FILE", "FILE"],
}


# A file that is still empty, and rows of another kind, mean something else to these two; they have tests of their own.
LENIENT = {"watch_run.py", "rollout_table.py"}
CONTENTS = [None, "", json.dumps(rollout(0, 0)) + '\n{"_ng\n', '{"messages": []}\n', "[1]\n", b"\xff\xfe\x00\n"]


@pytest.mark.parametrize(
    ("script", "content"),
    [(script, content) for script in CALLS for content in CONTENTS if script not in LENIENT or content not in ("", '{"messages": []}\n')],
)
def test_bad_rollouts_are_refused(tmp_path: Path, script: str, content: str | bytes | None) -> None:
    if content is not None:
        (tmp_path / "r.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused = run(script, *("r.jsonl" if word == "FILE" else word for word in CALLS[script]), cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(f"{script}: "), refused
    assert "r.jsonl" in refused.stderr and len(refused.stderr.splitlines()) == 1 and "Traceback" not in refused.stderr
    assert not list(tmp_path.glob("*out.*"))


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("watch_run.py", ["r", "--max-cut", "2"], "--max-cut must be between 0 and 1"),
        ("watch_run.py", ["r", "--every", "0"], "--every and --stall must be above 0"),
        ("quality_gate.py", ["r"], "one of the arguments --fit-to-train --limits --suggest is required"),
        ("quality_gate.py", ["r", "--suggest", "l", "--alarm", "0.7"], "--alarm must be above 0 and below 0.5"),
        ("quality_history.py", ["check", "h", "--reference", "0"], "--reference must be 1 or more"),
        ("compare_runs.py", ["r", "s", "--draws", "9"], "--draws must be 100 or more"),
        ("rollout_table.py", ["r", "-o", "t.txt"], "-o must end in .db or .csv"),
        ("rollout_table.py", ["r", "-o", "none/t.csv"], "no folder for none/t.csv. Create it first"),
        ("rollout_table.py", ["r", "-o", "t", "--where", "price=3"], "must look like COLUMN=VALUE"),
        ("rollout_table.py", ["r", "-o", "t", "--sample", "0"], "--sample must be 1 or more"),
        ("quality_report.py", ["r", "-o", "t", "--max-rollouts", "0"], "--max-rollouts must be 1 or more"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, script: str, arguments: list[str], message: str) -> None:
    refused = run(script, *arguments, cwd=tmp_path)
    assert refused.returncode == 2 and message in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize("text", [None, "", "{\n", '{"a": 1}\n'])
def test_history_refuses_what_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "h.jsonl").write_text(text)
    refused = run("quality_history.py", "check", "h.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith("quality_history.py: ") and "Traceback" not in refused.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(tmp_path: Path, script: str) -> None:
    helped = run(script, "--help", cwd=tmp_path)
    assert helped.returncode == 0 and "Exit code:" in helped.stdout
    assert os.environ.get("PYTHONPATH") is None or helped.stderr == ""


@pytest.mark.gym
def test_no_shipped_rollout_contradicts_its_reward(gym_python: Path) -> None:
    """The page says so, with this number: what the check calls a contradiction is one."""
    from measuring import Rollouts, look
    from rollouts import BadInput

    scored, found = 0, []
    for path in sorted((gym_python.parent.parent / "lib").rglob("example_rollouts*.jsonl")):
        try:
            for _, _, _, row in Rollouts(path):
                looked = look(row)
                scored += looked.of("reward") is not None
                found += [f"{path.parent.parent.name}: {looked.against}"] if looked.against else []
        except BadInput:
            continue  # placeholders, and files of other kinds
    assert not found
    assert f"None of the {scored} scored example rollouts" in (FOLDER.parent / "monitor-data-quality.md").read_text()
