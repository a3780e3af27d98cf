"""The scripts of `optimize-rollout-collection`: what they find, and what they say to bad input."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "optimize-rollout-collection"
TASK = {"responses_create_params": {"input": "Capital of France?"}}


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FOLDER / script, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def level(concurrency: int, rate: float, failures: int = 0) -> dict:
    seconds = {"p50_s": 0.5, "p95_s": 1.0, "p99_s": 1.25}
    return {"concurrency": concurrency, "rollouts_per_min": rate, **seconds, "failures": failures}


def rollout(
    task: int, text: str, cut: bool = False, total: float | None = None, calls: float = 0, tools: float = 0
) -> dict:
    row = {
        "_ng_task_index": task, "reward": 1.0,
        "response": {
            "id": f"resp_{id(text)}_{task}_{cut}",
            "output": [{"type": "message", "content": [{"text": text}]}],
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        },
    }
    if total is not None:
        row["ng_perf"] = {"total_latency_ms": total}
        row["ng_model_call_capture"] = {"metrics": {"latency_total_ms": calls}}
        row["ng_trajectory"] = {"tool_calls": [{"duration_ms": tools}]}
    return row


@pytest.mark.parametrize(
    ("levels", "knee"),
    [
        ([level(1, 100), level(4, 390), level(8, 400), level(16, 404)], 8),
        ([level(1, 100), level(4, 400), level(16, 250)], 4),  # the rate falls again
        ([level(1, 100), level(2, 200), level(4, 400)], 4),  # no knee within the range yet
        ([level(16, 404), level(1, 100), level(8, 400)], 8),  # in any order
        ([level(1, 100), level(8, 400), level(32, 900, failures=3)], 8),  # a rate with failures does not count
        ([level(4, 100)], 4),
        ([level(1, 100, failures=1), level(2, 200, failures=2)], None),
    ],
)
def test_knee_is_the_smallest_level_close_to_the_best(levels: list[dict], knee: int | None) -> None:
    assert runpy.run_path(str(FOLDER / "find_knee.py"))["find_knee"](levels, 0.97) == knee


def test_show_prints_the_table_and_what_to_do(tmp_path: Path) -> None:
    data = {"release": "nemo-gym 0.7.0", "model": "m", "hardware": "h", "date": "d"}
    write(tmp_path / "knee.json", {**data, "levels": [level(1, 100), level(4, 400), level(8, 404)]})
    shown = run("find_knee.py", "--show", "knee.json", cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == [
        "nemo-gym 0.7.0, m, h, d",
        "concurrency  rollouts/min   p50 s   p95 s   p99 s  failures",
        "          1         100.0    0.50    1.00    1.25         0",
        "          4         400.0    0.50    1.00    1.25         0",
        "          8         404.0    0.50    1.00    1.25         0",
        "Knee: --concurrency 4, the smallest level with 95% of the best rate.",
    ]
    higher = run("find_knee.py", "--show", "knee.json", "--share", "1", cwd=tmp_path)
    assert higher.stdout.endswith("It is the highest level measured. Go on: --levels 8 16 32\n")
    no_seconds = {"p50_s": None, "p95_s": None, "p99_s": None}
    write(tmp_path / "failed.json", {"levels": [level(1, 0, failures=5) | no_seconds]})
    failed = run("find_knee.py", "--show", "failed.json", cwd=tmp_path)
    assert failed.returncode == 1 and "No knee: every level had failures." in failed.stdout


def test_curve_is_drawn_with_the_knee(tmp_path: Path) -> None:
    write(tmp_path / "knee.json", {"levels": [level(1, 100), level(4, 400), level(8, 404)]})
    drawn = run("find_knee.py", "--show", "knee.json", "--plot", "knee.svg", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "knee.svg").read_text().startswith("<?xml") and len(list(tmp_path.iterdir())) == 2


def test_page_shows_a_measurement_that_says_where_it_is_from() -> None:
    data = json.loads((FOLDER / "practice_knee.json").read_text())
    assert data["release"] == "nemo-gym 0.7.0" and all(data[key] for key in ("date", "hardware", "model", "tasks"))
    assert [entry["concurrency"] for entry in data["levels"]] == [1, 2, 4, 8, 16, 32]
    assert all(entry["failures"] == 0 for entry in data["levels"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read tasks.jsonl: No such file or directory. Check the path."),
        ("", "tasks.jsonl holds no task rows."),
        ("\n\n", "tasks.jsonl holds no task rows."),
        (json.dumps(TASK) + "\n{broken\n", "tasks.jsonl, line 2 is not JSON"),
        ('{"messages": []}\n', "tasks.jsonl, line 1 has no responses_create_params."),
        ("[1]\n", "tasks.jsonl, line 1 has no responses_create_params."),
        (b"\xff\xfe\x00", "tasks.jsonl is not UTF-8 text."),
    ],
)
def test_find_knee_refuses_bad_tasks(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tasks.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused = run("find_knee.py", "--agent", "a", "-i", "tasks.jsonl", "-o", "knee.json", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(f"find_knee.py: {message}"), refused.stderr
    assert "Traceback" not in refused.stderr and not (tmp_path / "knee.json").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"levels": []}', '{"levels": [1]}', '{"levels": [{"concurrency": 1}]}']
)
def test_find_knee_refuses_what_is_no_measurement(tmp_path: Path, content: str) -> None:
    (tmp_path / "knee.json").write_text(content)
    refused = run("find_knee.py", "--show", "knee.json", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        "find_knee.py: knee.json holds no measured levels. Give a file that this script wrote with -o.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --agent, -i and -o, or --show"),
        (["--agent", "a", "-i", "tasks.jsonl"], "give --agent, -i and -o, or --show"),
        (["--levels", "0", "4"], "--levels must be 1 or more"),
        (["--levels", "many"], "argument --levels: invalid int value: 'many'"),
        (["--levels", "8", "--rollouts", "4"], "--rollouts must be at least the highest level, 8"),
        (["--share", "0"], "--share must be above 0 and at most 1"),
        (["--head-server", "11000"], "--head-server must look like 127.0.0.1:11000"),
        (["--show", "knee.json", "--plot", "knee.gif"], "--plot must end in .svg, .png or .pdf"),
        (["--agent", "a", "-i", "t", "-o", "none/knee.json"], "no folder for none/knee.json. Create it first"),
        (["--agent", "a", "-i", "t", "-o", "."], ". is a folder. Name a file"),
        (["--concurrency", "4"], "unrecognized arguments: --concurrency 4"),
    ],
)
def test_find_knee_refuses_wrong_options(tmp_path: Path, arguments: list[str], message: str) -> None:
    refused = run("find_knee.py", *arguments, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.endswith(f"error: {message}\n"), refused.stderr


def test_find_knee_says_which_python_it_needs(tmp_path: Path) -> None:
    write(tmp_path / "tasks.jsonl", TASK)
    refused = run("find_knee.py", "--agent", "a", "-i", "tasks.jsonl", "-o", "knee.json", cwd=tmp_path)
    assert refused.returncode == 2 and "nemo-gym is not installed here." in refused.stderr


@pytest.mark.gym
def test_find_knee_says_that_no_servers_run(tmp_path: Path, gym_python: Path) -> None:
    write(tmp_path / "tasks.jsonl", TASK)
    options = ["--agent", "a", "-i", "tasks.jsonl", "-o", "knee.json", "--head-server", "127.0.0.1:9"]
    command = [gym_python, FOLDER / "find_knee.py", *options]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr == "find_knee.py: No Gym servers answer at 127.0.0.1:9. Start them first: gym env start ...\n"


def test_inspect_counts_same_answers_and_cut_replies(tmp_path: Path) -> None:
    same, differ = [rollout(0, "Paris"), rollout(0, "Paris")], [rollout(1, "Rome"), rollout(1, "Roma", cut=True)]
    write(tmp_path / "r.jsonl", *same, *differ, rollout(2, "Lima"))
    told = run("inspect_run.py", "r.jsonl", cwd=tmp_path)
    assert told.returncode == 0
    assert told.stdout.splitlines() == [
        "rollouts: 5 of 3 tasks",
        "tasks with the same answer in all repeats: 1 of 2",
        "replies cut off at max_output_tokens: 1",
        "time: not observed (set observability_enabled and model_call_capture_dir for servers and run)",
    ]


def test_inspect_tells_calls_apart(tmp_path: Path) -> None:
    rows = [rollout(0, ""), rollout(0, "")]
    for row, city in zip(rows, ("Rome", "Oslo")):
        call = {"type": "function_call", "call_id": city, "name": "get_time", "arguments": json.dumps({"city": city})}
        row["response"]["output"] = [{"type": "reasoning"}, call]
    assert "all repeats: 0 of 1" in run("inspect_run.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path).stdout


def test_inspect_splits_the_time(tmp_path: Path) -> None:
    rows = [rollout(task, "x", total=1000, calls=700, tools=200) for task in range(3)]
    told = run("inspect_run.py", write(tmp_path / "r.jsonl", *rows, rollout(3, "x")), cwd=tmp_path)
    assert told.stdout.splitlines()[3:] == [
        "time               p50 s   p95 s   share",
        "whole rollout       1.00    1.00    100%",
        "model calls         0.70    0.70     70%",
        "tool calls          0.20    0.20     20%",
        "everything else     0.10    0.10     10%",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read r.jsonl: No such file or directory. Check the path."),
        ("", "r.jsonl holds no rollouts. Read its _failures.jsonl for the reason."),
        (json.dumps(rollout(0, "x")) + '\n{"_ng', "r.jsonl, line 2 is not JSON"),
        (json.dumps(TASK), "r.jsonl, line 1 is no rollout. Give the file that gym eval run wrote."),
        ("3", "r.jsonl, line 1 is no rollout."),
        (b"\xff", "r.jsonl is not UTF-8 text."),
    ],
)
def test_inspect_refuses_bad_input(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "r.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused = run("inspect_run.py", "r.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(f"inspect_run.py: {message}"), refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("script", ["find_knee.py", "inspect_run.py"])
def test_help(tmp_path: Path, script: str) -> None:
    helped = run(script, "--help", cwd=tmp_path)
    assert helped.returncode == 0 and "Exit code:" in helped.stdout
