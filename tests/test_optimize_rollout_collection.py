"""The scripts of `optimize-rollout-collection`: what they find, and what they say to bad input."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import scripts
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "optimize-rollout-collection"
TASK = {"responses_create_params": {"input": "Capital of France?"}}


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return scripts.run(FOLDER / script, *arguments, cwd=cwd)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def level(concurrency: int, *rates: float, failures: int = 0) -> dict:
    seconds = {"p50_s": 0.5, "p95_s": 1.0, "p99_s": 1.25}
    mean = sum(rates) / len(rates)
    return {"concurrency": concurrency, "rollouts_per_min": mean, "rates": list(rates), **seconds, "failures": failures}


def rollout(
    task: int, text: str, cut: bool = False, total: float | None = None, calls: float = 0, tools: float = 0
) -> dict:
    row = {
        "_ng_task_index": task, "reward": 1.0,
        "response": {
            "id": f"resp_{id(text)}_{task}_{cut}",
            "output": [{"type": "message", "role": "assistant", "content": [{"text": text}]}],
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        },
    }
    if total is not None:
        row["ng_perf"] = {"total_latency_ms": total}
        row["ng_model_call_capture"] = {"metrics": {"latency_total_ms": calls}}
        row["ng_trajectory"] = {"tool_calls": [{"duration_ms": tools}]}
    return row


@pytest.mark.parametrize(
    ("levels", "equal"),
    [
        ([level(1, 100), level(4, 390), level(8, 400), level(16, 404)], [8, 16]),
        ([level(1, 100), level(4, 400), level(16, 250)], [4]),  # the rate falls again
        ([level(1, 100), level(2, 200), level(4, 400)], [4]),  # no knee within the range yet
        ([level(16, 404), level(1, 100), level(8, 400)], [8, 16]),  # in any order
        ([level(1, 100), level(8, 400), level(32, 900, failures=3)], [8]),  # a rate with failures does not count
        ([level(4, 100)], [4]),
        ([level(4, 100, 120, 90)], [4]),
        ([level(1, 100, failures=1), level(2, 200, failures=2)], []),
        # 8 is 10 % faster on average, but not from round to round
        ([level(1, 100, 105, 95), level(4, 400, 500, 450), level(8, 600, 350, 530)], [4, 8]),
        # every round is slower than the one before, and in each of them 8 is 10 % faster than 4
        ([level(1, 200, 100, 50), level(4, 1000, 500, 250), level(8, 1100, 550, 275)], [8]),
    ],
)
def test_levels_within_the_noise_are_equal(levels: list[dict], equal: list[int]) -> None:
    assert runpy.run_path(str(FOLDER / "find_knee.py"))["compare"](levels, 0.97)[0] == equal


def test_the_command_that_goes_on_keeps_what_was_asked() -> None:
    find_knee = runpy.run_path(str(FOLDER / "find_knee.py"))
    given = ["--agent", "a", "-i", "tasks.jsonl", "-o", "knee.json", "--rounds", "5", "--share", "0.97"]
    assert find_knee["command"](find_knee["parse"](given)).split()[2:] == given


def test_show_prints_the_table_and_what_to_do(tmp_path: Path) -> None:
    data = {"release": "nemo-gym 0.7.0", "model": "m", "hardware": "h", "date": "d"}
    levels = [level(1, 90, 110), level(4, 390, 410), level(8, 404, 404)]
    write(tmp_path / "knee.json", {**data, "levels": levels})
    shown = run("find_knee.py", "--show", "knee.json", cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == [
        "nemo-gym 0.7.0, m, h, d",
        "concurrency  rollouts/min  lowest-highest   p50 s   p95 s   p99 s  failures",
        "          1           100          90-110    0.50    1.00    1.25         0",
        "          4           400         390-410    0.50    1.00    1.25         0",
        "          8           404         404-404    0.50    1.00    1.25         0",
        "Within 10% of the best rate: 4, 8",
        "Knee: --concurrency 4, the smallest of them.",
    ]
    noisy = [level(1, 100, 100), level(4, 300, 420), level(8, 420, 340)]
    write(tmp_path / "noisy.json", {**data, "levels": noisy})
    # What the rounds differ by counts where it is more than the 10 %.
    assert int(run("find_knee.py", "--show", "noisy.json", cwd=tmp_path).stdout.partition("Within ")[2].partition("%")[0]) > 10
    no_seconds = {"p50_s": None, "p95_s": None, "p99_s": None}
    write(tmp_path / "failed.json", {"levels": [level(1, 0, failures=5) | no_seconds]})
    failed = run("find_knee.py", "--show", "failed.json", cwd=tmp_path)
    assert failed.returncode == 1 and "No knee: every level had failures." in failed.stdout


@pytest.mark.parametrize(
    ("levels", "further"),
    [
        ([level(1, 100), level(4, 400)], "highest level measured. Go on:\nCOMMAND --levels 1 4 8 16 --rollouts 16"),
        ([level(4, 400), level(8, 400)], "lowest level measured. Go on:\nCOMMAND --levels 1 2 4 8 --rollouts 12"),
        ([level(1, 400), level(8, 400)], None),  # nothing lies below 1
        ([level(1, 100), level(4, 400), level(8, 400)], None),
    ],
)
def test_next_command_keeps_what_was_measured(tmp_path: Path, levels: list[dict], further: str | None) -> None:
    write(tmp_path / "knee.json", {"levels": levels, "rollouts_per_round": 12, "command": "COMMAND"})
    shown = run("find_knee.py", "--show", "knee.json", cwd=tmp_path).stdout
    assert shown.endswith(f"It is the {further}\n") if further else "Go on" not in shown


def test_next_command_names_what_was_given() -> None:
    script = runpy.run_path(str(FOLDER / "find_knee.py"))
    given = ["--agent", "a", "-i", "my tasks.jsonl", "-o", "knee.json"]
    plain = "python find_knee.py --agent a -i 'my tasks.jsonl' -o knee.json"
    assert script["command"](script["parse"]([*given, "--levels", "1", "4", "--rollouts", "8"])) == plain
    options = ["--rounds", "5", "--temperature", "0.5", "--head-server", "127.0.0.1:12000"]
    assert script["command"](script["parse"]([*given, *options])) == f"{plain} {' '.join(options)}"


@pytest.mark.live
def test_curve_is_drawn_with_the_knee(tmp_path: Path) -> None:
    write(tmp_path / "knee.json", {"levels": [level(1, 90, 110), level(4, 390, 410), level(8, 404, 404)]})
    drawn = run("find_knee.py", "--show", "knee.json", "--plot", "knee.svg", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "knee.svg").read_text().startswith("<?xml") and len(list(tmp_path.iterdir())) == 2


def test_page_shows_a_measurement_that_says_where_it_is_from() -> None:
    data = json.loads((FOLDER / "practice_knee.json").read_text())
    assert data["release"] == "nemo-gym 0.7.0" and all(data[key] for key in ("date", "hardware", "model", "tasks"))
    assert [entry["concurrency"] for entry in data["levels"]] == [1, 2, 4, 8, 16, 32]
    assert all(entry["failures"] == 0 and len(entry["rates"]) == 3 for entry in data["levels"])
    assert "find_knee.py --agent string_match_simple_agent" in data["command"]


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
        (["--rounds", "0"], "--rounds must be 1 or more"),
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


def test_find_knee_asks_about_the_endpoint_while_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    run_level = runpy.run_path(str(FOLDER / "find_knee.py"))["run_level"]
    run_level.__globals__["HINT_SECONDS"] = 0.01

    async def rollout_after(seconds: float) -> tuple[dict, dict]:
        await asyncio.sleep(seconds)
        return {}, {"response": {"model": "m"}}

    def told(seconds: float) -> str:
        helper = SimpleNamespace(run_examples=lambda rows, **_: [rollout_after(seconds)])
        with ThreadPoolExecutor() as pool:  # the browser's event loop may run in this thread
            assert pool.submit(asyncio.run, run_level(helper, [{}], None, 1, 10.0, None)).result()[1:] == (0, "m")
        return capsys.readouterr().err

    assert told(0.1) == "No rollout in 0.01 s. Is the endpoint up? Still waiting.\n"
    assert told(0) == ""


def test_inspect_counts_same_answers_and_cut_replies(tmp_path: Path) -> None:
    same, differ = [rollout(0, "Paris"), rollout(0, "Paris")], [rollout(1, "Rome"), rollout(1, "Roma", cut=True)]
    differ[1]["reward"] = 0.0
    write(tmp_path / "r.jsonl", *same, *differ, rollout(2, "Lima"), rollout(3, "Oslo"))
    told = run("inspect_run.py", "r.jsonl", cwd=tmp_path)
    assert told.returncode == 0
    assert told.stdout.splitlines() == [
        "rollouts: 6 of 4 tasks",
        "tasks with the same answer in all repeats: 1 of 2",
        "tasks with different rewards: 1 of 2",
        "replies cut off at max_output_tokens: 1 of 6",
        "time: not observed (set observability_enabled and model_call_capture_dir for servers and run)",
    ]


def test_inspect_learns_nothing_from_a_masked_reward(tmp_path: Path) -> None:
    rows = [rollout(0, "Paris"), rollout(0, "Rome") | {"reward": 0.0, "mask_sample": True}]
    assert "different rewards: 0 of 1" in run("inspect_run.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path).stdout


def test_inspect_tells_calls_apart(tmp_path: Path) -> None:
    rows = [rollout(0, ""), rollout(0, "")]
    for row, city in zip(rows, ("Rome", "Oslo")):
        call = {"type": "function_call", "call_id": city, "name": "get_time", "arguments": json.dumps({"city": city})}
        row["response"]["output"] = [{"type": "reasoning"}, call]
    assert "all repeats: 0 of 1" in run("inspect_run.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path).stdout


@pytest.mark.parametrize("value", [10**400, float("nan"), -5, True, "1"])
def test_inspect_has_no_time_of_what_is_none(tmp_path: Path, value: object) -> None:
    told = run("inspect_run.py", write(tmp_path / "r.jsonl", rollout(0, "x", total=value, calls=1), rollout(1, "x", total=1000, calls=700, tools=value)), cwd=tmp_path)
    assert told.returncode == 0 and "times of 1 of 2 rollouts" in told.stdout and "tool calls          0.00    0.00      0%" in told.stdout, told.stdout + told.stderr


def test_inspect_splits_the_time(tmp_path: Path) -> None:
    rows = [rollout(task, "x", total=1000, calls=700, tools=200) for task in range(3)]
    told = run("inspect_run.py", write(tmp_path / "r.jsonl", *rows, rollout(3, "x")), cwd=tmp_path)
    assert told.stdout.splitlines()[4:] == [
        "times of 3 of 4 rollouts",
        "time               p50 s   p95 s   share",
        "whole rollout       1.00    1.00    100%",
        "model calls         0.70    0.70     70%",
        "tool calls          0.20    0.20     20%",
        "everything else     0.10    0.10     10%",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "r.jsonl: No such file or directory. Check the path"),
        ("", "r.jsonl: no rows"),
        (json.dumps(rollout(0, "x")) + '\n{"_ng', "r.jsonl:2: not JSON"),
        (json.dumps(TASK), "r.jsonl:1: no rollout, but a task row. Give the file that gym eval run wrote with -o"),
        ("3", "r.jsonl:1: a row is a JSON object"),
        (b"\xff", "r.jsonl:1: not UTF-8"),
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
