"""The scripts and recipes of `scale-parallel-generation`: what they do, what they refuse, what a cluster would read."""

from __future__ import annotations

import fcntl
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "scale-parallel-generation"
SCRIPTS = ["split_tasks.py", "watch_shards.py", "same_rollouts.py", "fixed_endpoint.py"]
TASK = {"responses_create_params": {"input": "Capital of France?"}, "expected_answer": "Paris"}


def run(script: str, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable] if script.endswith(".py") else ["bash"]
    # The scripts call `python`.
    path = f"{cwd / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if key not in ("SHARDS", "RUN", "HEAD_PORT", "DEADLINE")}
    return subprocess.run(
        [*program, FOLDER / script, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60,
        env=environment | {"PATH": path} | variables,
        # Tests that run in the background of a shell inherit "ignore" for the interrupt that the scripts send.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def task(number: int) -> dict:
    return {"responses_create_params": {"input": f"Task {number}?"}, "expected_answer": str(number)}


def rollout(number: int, repeat: int = 0, **more: object) -> dict:
    return {"_ng_task_index": number, "_ng_rollout_index": repeat, "reward": 1.0, "response": {"id": str(time.time_ns())}} | more


# split_tasks.py


def test_split_numbers_all_tasks_once_and_goes_round_the_shards(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", *map(task, range(5)))
    write(tmp_path / "b.jsonl", *map(task, range(5, 8)))
    done = run("split_tasks.py", "one=a.jsonl", "two=b.jsonl", "-o", "shards", "--shards", 3, "--first", 100, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "shards: 8 tasks in 3 shards\n")
    shards = [read(path) for path in sorted((tmp_path / "shards").iterdir())]
    assert [[row["_ng_task_index"] for row in shard] for shard in shards] == [[100, 103, 106], [101, 104, 107], [102, 105]]
    rows = {row["_ng_task_index"]: row for shard in shards for row in shard}
    assert [rows[100 + n] | {} for n in range(8)] == [
        task(n) | {"_ng_task_index": 100 + n, "agent_ref": {"name": "one" if n < 5 else "two"}} for n in range(8)
    ]


def test_split_keeps_the_undecided_tasks_and_their_numbers(tmp_path: Path) -> None:
    write(tmp_path / "tasks.jsonl", *(task(n) | {"_ng_task_index": n + 7} for n in range(4)))
    rewards = {7: (0, 0), 8: (1, 0), 9: (1, 1), 10: (0, 1)}
    scored = [rollout(n, k, reward=float(r)) for n, pair in rewards.items() for k, r in enumerate(pair)]
    masked = [{"mask_sample": True}, {"instance_config": {"mask_sample": True}}]
    write(tmp_path / "rollouts.jsonl", *scored, *(rollout(10, 2 + n, reward=0.0) | mask for n, mask in enumerate(masked)))
    done = run("split_tasks.py", "tasks.jsonl", "-o", "next", "--shards", 1, "--scored", "rollouts.jsonl", "--keep", 0.5, 0.9, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row["_ng_task_index"] for row in read(tmp_path / "next" / "shard-000.jsonl")] == [8, 10]
    assert done.stdout.splitlines()[0] == "rollouts.jsonl: 2 rollouts not counted: masked"


def test_split_scores_only_tasks_that_have_their_number(tmp_path: Path) -> None:
    write(tmp_path / "tasks.jsonl", *map(task, range(3)))
    write(tmp_path / "rollouts.jsonl", *(rollout(n, reward=0.5) for n in range(3)))
    refused = run("split_tasks.py", "tasks.jsonl", "-o", "next", "--shards", 1, "--scored", "rollouts.jsonl", "--keep", 0.1, 0.9, cwd=tmp_path)
    assert refused.returncode == 2 and "no _ng_task_index: which rollouts" in refused.stderr and not (tmp_path / "next").exists()


@pytest.mark.parametrize("number", ["1", [], {}, None])
def test_split_refuses_scores_of_tasks_without_a_number(tmp_path: Path, number: object) -> None:
    write(tmp_path / "tasks.jsonl", task(0) | {"_ng_task_index": 0})
    write(tmp_path / "rollouts.jsonl", rollout(0) | {"_ng_task_index": number})
    refused = run("split_tasks.py", "tasks.jsonl", "-o", "next", "--shards", 1, "--scored", "rollouts.jsonl", "--keep", 0, 1, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith("split_tasks.py: rollouts.jsonl:1: no whole number in _ng_task_index")


def test_split_keeps_a_mean_at_the_limit(tmp_path: Path) -> None:
    """Three times 0.7 has the mean 0.6999999999999998 to a computer."""
    write(tmp_path / "tasks.jsonl", task(0) | {"_ng_task_index": 0})
    write(tmp_path / "rollouts.jsonl", *(rollout(0, repeat, reward=0.7) for repeat in range(3)))
    kept = run("split_tasks.py", "tasks.jsonl", "-o", "next", "--shards", 1, "--scored", "rollouts.jsonl", "--keep", 0.7, 1, cwd=tmp_path)
    assert kept.returncode == 0, kept.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "tasks.jsonl: No such file or directory. Check the path"),
        ("", "tasks.jsonl: no rows."),
        (json.dumps(TASK) + "\n", "1 tasks are too few for 2 shards. Check --keep, or lower --shards."),
        (json.dumps(TASK | {"_ng_task_index": "3"}) + "\n", "tasks.jsonl:1: _ng_task_index is no whole number."),
        (json.dumps(TASK) + "\n{broken\n", "tasks.jsonl:2: not JSON"),
        ("[1]\n", "tasks.jsonl:1: a row is a JSON object"),
        ('{"messages": []}\n', "tasks.jsonl:1: no task: it has no responses_create_params"),
        (b"\xff\xfe", "tasks.jsonl:1: not UTF-8"),
        (json.dumps(TASK | {"_ng_task_index": 0}) + "\n" + json.dumps(TASK) + "\n", "tasks.jsonl:2: some rows have _ng_task_index, others have not"),
        ((json.dumps(TASK | {"_ng_task_index": 3}) + "\n") * 2, "Two tasks have the number 3 in _ng_task_index."),
    ],
)
def test_split_refuses_bad_tasks_and_writes_nothing(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tasks.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused = run("split_tasks.py", "tasks.jsonl", "-o", "shards", "--shards", 2, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(f"split_tasks.py: {message}"), refused.stderr
    assert "Traceback" not in refused.stderr and {path.name for path in tmp_path.iterdir()} <= {"tasks.jsonl"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shards", "0"], "--shards must be from 1 to 1000"),
        (["--shards", "2", "--scored", "r.jsonl"], "--scored and --keep belong together"),
        (["--shards", "1", "-o", "taken"], "taken exists already: a run may be using its shards. Choose a new folder"),
    ],
)
def test_split_refuses_wrong_options(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "taken").mkdir()
    refused = run("split_tasks.py", "tasks.jsonl", "-o", "shards", *options, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.endswith(f"error: {message}\n")


# watch_shards.py


def results(folder: Path, name: str, planned: int, done: int, failures: list[dict] = (), idle: float = 0) -> None:
    write(folder / "shards" / f"{name}.jsonl", TASK)
    if planned:
        write(folder / "results" / name / "rollouts_materialized_inputs.jsonl", *map(rollout, range(planned)))
        write(folder / "results" / name / "rollouts.jsonl", *map(rollout, range(done)))
        write(folder / "results" / name / "rollouts_failures.jsonl", *failures)
        for path in (folder / "results" / name).iterdir():
            os.utime(path, (time.time() - idle,) * 2)


def test_watch_tells_the_states_apart(tmp_path: Path) -> None:
    failed = [rollout(3, _ng_failure_class="agent_run_error")]
    results(tmp_path, "shard-000", 4, 3, failed * 3)  # given up: nothing is left to run
    results(tmp_path, "shard-001", 4, 2, failed * 2)
    results(tmp_path, "shard-002", 4, 2, idle=900)
    results(tmp_path, "shard-003", 0, 0)
    results(tmp_path, "shard-004", 2, 1, [rollout(1, _ng_failure_terminal=True)])
    for number, idle in ((5, 0), (6, 900)):  # their servers start; one of them for too long
        results(tmp_path, f"shard-00{number}", 0, 0)
        log = write(tmp_path / "results" / f"shard-00{number}" / "servers.log", "...")
        os.utime(log, (time.time() - idle,) * 2)
    seen = run("watch_shards.py", "shards", "results", cwd=tmp_path)
    assert seen.returncode == 1
    rows = [line.split() for line in seen.stdout.splitlines()]
    assert [row[1] for row in rows[1:4]] == ["complete", "unfinished", "stalled"]
    assert rows[1][2:] == ["3", "4", "3", "1"] and rows[2][2:6] == ["2", "4", "2", "0"]
    assert rows[4] == ["shard-003", "not", "started", "0", "?", "0", "0"]
    assert rows[5] == ["shard-004", "complete", "1", "2", "1", "1"]
    assert rows[6][:2] == ["shard-005", "starting"] and rows[7][:2] == ["shard-006", "stalled"]
    assert seen.stdout.endswith("2 of 7 shards complete: 8 of 14 rollouts, more in shards that have not started, 2 given up\n")
    more = run("watch_shards.py", "shards", "results", "--shard", "shard-000", cwd=tmp_path, NEMO_GYM_MAX_ROLLOUT_ATTEMPTS="4")
    assert (more.returncode, more.stdout) == (1, "shard-000 not complete: 3 of 4 rollouts, 0 given up\n")


def test_a_shard_that_goes_on_is_not_stalled_since_its_last_run(tmp_path: Path) -> None:
    results(tmp_path, "shard-000", 4, 2, idle=900)
    results(tmp_path, "shard-001", 4, 4)
    began = write(tmp_path / "results" / "shard-000" / "servers", "node 7")
    write(tmp_path / "results" / "shard-000" / "servers.log", "...")
    assert " unfinished " in run("watch_shards.py", "shards", "results", cwd=tmp_path).stdout
    os.utime(began, (time.time() - 700,) * 2)  # the log goes on, and no row comes
    seen = run("watch_shards.py", "shards", "results", cwd=tmp_path)
    assert " stalled " in seen.stdout and " 700" in seen.stdout


def test_a_rollout_that_succeeded_in_the_end_is_not_given_up(tmp_path: Path) -> None:
    results(tmp_path, "shard-000", 3, 2, [rollout(0, _ng_failure_class="agent_run_error")] * 3)
    seen = run("watch_shards.py", "shards", "results", "--shard", "shard-000", cwd=tmp_path)
    assert (seen.returncode, seen.stdout) == (1, "shard-000 not complete: 2 of 3 rollouts, 0 given up\n")


def test_watch_names_what_is_missing_and_ignores_half_a_line(tmp_path: Path) -> None:
    results(tmp_path, "shard-000", 3, 1)
    with (tmp_path / "results" / "shard-000" / "rollouts.jsonl").open("a") as file:
        file.write('{"_ng_task_index": 1, "_ng')
    seen = run("watch_shards.py", "shards", "results", "--missing", cwd=tmp_path)
    assert seen.returncode == 1
    assert seen.stdout.splitlines()[1:] == ["missing: shard-000 task 1 repeat 0", "missing: shard-000 task 2 repeat 0"]
    results(tmp_path, "shard-000", 3, 1, [rollout(2, _ng_failure_class="agent_run_error")] * 3)
    seen = run("watch_shards.py", "shards", "results", "--missing", cwd=tmp_path)
    assert seen.stdout.splitlines()[1:] == ["missing: shard-000 task 1 repeat 0", "given up: shard-000 task 2 repeat 0"]


@pytest.mark.live
def test_watch_follows_until_a_shard_stalls(tmp_path: Path) -> None:
    results(tmp_path, "shard-000", 3, 3)
    results(tmp_path, "shard-001", 3, 1)
    seen = run("watch_shards.py", "shards", "results", "--every", 1, "--stall", 4, cwd=tmp_path)
    assert seen.returncode == 1 and seen.stdout.count("shard-001") >= 2 and "stalled" in seen.stdout


def test_watch_finds_the_slow_shard() -> None:
    script = runpy.run_path(str(FOLDER / "watch_shards.py"))
    shard = script["Shard"]
    before = {name: shard(name, 100, 10, 0, 0, 0, 0) for name in "abc"}
    now = [shard("a", 100, 70, 0, 0, 0, 60), shard("b", 100, 64, 0, 0, 0, 60), shard("c", 100, 25, 0, 0, 0, 60)]
    lines, stalls = script["table"](now, before, 600)
    assert [line.split()[1] for line in lines[1:4]] == ["unfinished", "unfinished", "slow"] and not stalls
    assert lines[3].split()[-2:] == ["15", "5.0"]
    # Complete ones are what the last shard is compared with.
    now[:2] = [shard("a", 100, 100, 0, 0, 0, 90), shard("b", 100, 100, 0, 0, 0, 100)]
    lines, _ = script["table"](now, before, 600)
    assert [line.split()[1] for line in lines[1:4]] == ["complete", "complete", "slow"]


@pytest.mark.parametrize("content", ["{broken\n", '{"reward": 1}\n'])
def test_watch_refuses_a_broken_sidecar(tmp_path: Path, content: str) -> None:
    results(tmp_path, "shard-000", 3, 1)
    (tmp_path / "results" / "shard-000" / "rollouts_failures.jsonl").write_text(content)
    refused = run("watch_shards.py", "shards", "results", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith("watch_shards.py: results/shard-000/rollouts_failures.jsonl")


def test_watch_says_that_there_are_no_shards(tmp_path: Path) -> None:
    refused = run("watch_shards.py", "shards", "results", cwd=tmp_path)
    assert refused.returncode == 2 and "no shards in shards. Run split_tasks.py first" in refused.stderr


# same_rollouts.py


def test_order_and_identifiers_do_not_matter(tmp_path: Path) -> None:
    rows = [rollout(n, k) for n in range(3) for k in range(2)]
    write(tmp_path / "a.jsonl", *rows)
    write(tmp_path / "b.jsonl", *(row | {"response": {"id": "other"}, "_ng_attempt_index": 1} for row in reversed(rows)))
    same = run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert (same.returncode, same.stdout) == (0, "6 rollouts are the same, 0 are not\n")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rows: rows[:-1], "None task 2 repeat 0: only in a.jsonl"),
        (lambda rows: [*rows, rollout(9)], "None task 9 repeat 0: only in b.jsonl"),
        (lambda rows: [*rows, rows[1]], "None task 1 repeat 0: twice in b.jsonl"),
        (lambda rows: [rows[0] | {"reward": 0.0}, *rows[1:]], "None task 0 repeat 0: differs in reward"),
    ],
)
def test_each_difference_is_found(tmp_path: Path, change, line: str) -> None:
    rows = [rollout(n) for n in range(3)]
    write(tmp_path / "a.jsonl", *rows)
    write(tmp_path / "b.jsonl", *change(rows))
    different = run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert different.returncode == 1 and line in different.stdout.splitlines()


def test_what_a_prompt_cache_held_is_no_difference(tmp_path: Path) -> None:
    for name, cached in (("a", 0), ("b", 64)):
        write(tmp_path / f"{name}.jsonl", rollout(0, response={"usage": {"input_tokens_details": {"cached_tokens": cached}}}))
    assert run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path).returncode == 0


def test_a_whole_number_is_the_same_with_and_without_a_point(tmp_path: Path) -> None:
    write(tmp_path / "one.jsonl", rollout(0, reward=1))
    write(tmp_path / "two.jsonl", rollout(0, reward=1.0))
    told = run("same_rollouts.py", "one.jsonl", "two.jsonl", cwd=tmp_path)
    assert told.returncode == 0 and "1 rollouts are the same, 0 are not" in told.stdout


def test_the_field_that_differs_is_named(tmp_path: Path) -> None:
    for name, text in (("a", "Paris"), ("b", "Rome")):
        write(tmp_path / f"{name}.jsonl", rollout(0, response={"output": [{"content": [{"text": text}]}]}))
    different = run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert different.stdout.splitlines()[0] == "None task 0 repeat 0: differs in response.output[0].content[0].text"


@pytest.mark.parametrize(("other", "said", "code"), [([{"agent": 2}, {"agent": 1}], "the same metrics", 0), ([{"agent": 1}], "other metrics", 1)])
def test_metrics_are_compared_where_both_runs_have_them(tmp_path: Path, other: list, said: str, code: int) -> None:
    for name, metrics in (("a", [{"agent": 1}, {"agent": 2}]), ("b", other)):
        write(tmp_path / f"{name}.jsonl", rollout(0, response={}))
        (tmp_path / f"{name}_aggregate_metrics.json").write_text(json.dumps(metrics))
    done = run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, said)


def test_replies_can_be_left_out(tmp_path: Path) -> None:
    asked = {"responses_create_params": {"input": "x"}}
    write(tmp_path / "a.jsonl", rollout(0, reward=1.0, **asked))
    write(tmp_path / "b.jsonl", rollout(0, reward=0.0, **asked))
    write(tmp_path / "c.jsonl", rollout(0, responses_create_params={"input": "y"}))
    assert run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path).returncode == 1
    assert run("same_rollouts.py", "a.jsonl", "b.jsonl", "--ignore-replies", cwd=tmp_path).returncode == 0
    assert run("same_rollouts.py", "a.jsonl", "c.jsonl", "--ignore-replies", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "b.jsonl: No such file or directory."),
        ("", "b.jsonl: no rows."),
        ("{", "b.jsonl:1: not JSON"),
        ("{}", "b.jsonl:1: no rollout"),
    ],
)
def test_same_rollouts_refuses_bad_input(tmp_path: Path, content: str | None, message: str) -> None:
    write(tmp_path / "a.jsonl", rollout(0))
    if content is not None:
        (tmp_path / "b.jsonl").write_text(content)
    refused = run("same_rollouts.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(f"same_rollouts.py: {message}"), refused.stderr


# The shell scripts, with a `gym` that writes its rollouts at once


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder with the scripts, one shard of three tasks, and stand-ins for `gym` and `scontrol` that record their calls."""
    for path in FOLDER.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    write(tmp_path / "shards" / "shard-000.jsonl", *map(rollout, range(3)))
    stand_ins = {
        "gym": """echo "gym $*" >> calls
case "$1 $2" in
"env start") echo "All 7 / 7 servers ready! Polling every 60s"; python bin/head.py ${5#*=} & head=$!; trap 'kill $head; echo stopped >> calls; exit' INT; while :; do sleep 0.1; done; kill $head ;;
"eval run")
  while [ $# -gt 0 ]; do case $1 in -i) in=$2 ;; -o) out=$2 ;; esac; shift; done
  cp "$in" "${out%.jsonl}_materialized_inputs.jsonl"; head -n "${ROWS:-3}" "$in" > "$out" ;;
esac
""",
        "scontrol": 'echo "scontrol $*" >> calls\n',
        "squeue": 'echo "squeue $*" >> calls; [ -n "$ENDS" ] && date -d "$ENDS" +%Y-%m-%dT%H:%M:%S\n',
    }
    # Its first answer is that of a head server whose endpoints do not answer yet.
    write(tmp_path / "bin" / "head.py", """import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Head(BaseHTTPRequestHandler):
    status = [503]
    def do_GET(self):
        self.send_response(self.status.pop() if self.status else 200)
        self.end_headers()
    def log_request(self, code):
        print(self.path, int(code), file=open("calls", "a"))
HTTPServer(("127.0.0.1", int(sys.argv[1])), Head).serve_forever()
""")
    for name, text in stand_ins.items():
        program = write(tmp_path / "bin" / name, f"#!/bin/bash\n{text}")
        program.chmod(0o755)
    return tmp_path


@pytest.fixture
def head_port() -> Iterator[str]:
    """Where a head server runs already, as far as a shard can tell."""
    with socket.create_server(("127.0.0.1", 0)) as head:
        yield str(head.getsockname()[1])


def calls(node: Path) -> list[str]:
    return (node / "calls").read_text().splitlines() if (node / "calls").exists() else []


@pytest.mark.live
def test_a_shard_starts_servers_of_its_own_and_stops_them(node: Path) -> None:
    done = run("run_shard.sh", 0, cwd=node)
    assert (done.returncode, done.stdout) == (0, "shard-000 complete: 3 of 3 rollouts, 0 given up\n"), done.stderr
    assert calls(node) == [
        "gym env start --config servers.yaml ++head_server.port=20000 ++port_range_low=20001 ++port_range_high=20099",
        "/health 503",
        "/health 200",
        "gym eval run --no-serve --config collect.yaml -i shards/shard-000.jsonl -o results/shard-000/rollouts.jsonl ++head_server.port=20000",
        "stopped",
    ]
    assert run("run_shard.sh", 0, cwd=node).returncode == 0 and len(calls(node)) == 5, "a complete shard starts nothing"


@pytest.mark.live  # half a minute of waiting
def test_servers_that_ignore_the_interrupt_are_stopped(node: Path) -> None:
    """As below nohup: what a shell ignored when it started, it cannot give back to its programs."""
    gym = node / "bin" / "gym"
    gym.write_text(gym.read_text().replace("echo stopped >> calls; exit' INT", "echo stopped >> calls; exit' TERM"))
    write(node / "bin" / "nohup.sh", "trap '' INT\nbash run_shard.sh 0\n")
    environment = os.environ | {"PATH": f"{node / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "bin/nohup.sh"], cwd=node, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and calls(node)[-1] == "stopped", done.stderr


def test_a_shard_uses_running_servers_and_the_time_that_is_left(node: Path, head_port: str) -> None:
    short = run("run_shard.sh", 0, cwd=node, HEAD_PORT=head_port, DEADLINE=str(int(time.time()) + 1000), ROWS="1", RUN="other", CONFIG="sft.yaml")
    assert (short.returncode, short.stdout) == (1, "shard-000 not complete: 1 of 3 rollouts, 0 given up\n")
    (call,) = calls(node)
    assert "--config sft.yaml" in call and f"-o other/shard-000/rollouts.jsonl ++head_server.port={head_port}" in call
    assert 880 <= int(re.search(r"dispatch_budget_s=(\d+)", call)[1]) <= 900
    assert run("run_shard.sh", 0, cwd=node, HEAD_PORT=head_port, RUN="other").returncode == 0


def test_the_reserve_can_be_set(node: Path, head_port: str) -> None:
    assert run("run_shard.sh", 0, cwd=node, HEAD_PORT=head_port, DEADLINE=str(int(time.time()) + 62), RESERVE="0").returncode == 0
    (call,) = (call for call in calls(node) if call.startswith("gym eval run"))
    assert re.search(r"dispatch_budget_s=(6[0-2]|5\d)", call)


def test_a_head_server_that_is_not_there_is_named(node: Path, head_port: str) -> None:
    free = str(int(head_port) + 1 if int(head_port) < 60000 else 1024)
    refused = run("run_shard.sh", 0, cwd=node, HEAD_PORT=free)
    assert refused.returncode == 2 and f"no head server at port {free}" in refused.stderr and calls(node) == []


@pytest.mark.live
def test_servers_that_a_killed_run_left_behind_are_ended(node: Path) -> None:
    """kill -9 of the script and of its driver leaves them, with the ports that the next run on this node needs."""
    gym = node / "bin" / "gym"
    quick = gym.read_text()
    gym.write_text(quick.replace('"eval run")', '"eval run") touch running; exec sleep 600;'))
    path = f"{node / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    killed = subprocess.Popen(["bash", "run_shard.sh", "0"], cwd=node, env=os.environ | {"PATH": path}, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.monotonic() + 30
    while not (node / "results" / "shard-000" / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    killed.kill()
    killed.wait()
    os.kill(int((node / "results" / "shard-000" / "pid").read_text()), signal.SIGKILL)
    _, left = (node / "results" / "shard-000" / "servers").read_text().split()
    assert Path("/proc", left).exists() and "stopped" not in calls(node)
    gym.write_text(quick)
    done = run("run_shard.sh", 0, cwd=node)
    assert (done.returncode, done.stdout) == (0, "shard-000 complete: 3 of 3 rollouts, 0 given up\n"), done.stderr
    assert calls(node).count("stopped") == 2 and not (node / "results" / "shard-000" / "servers").exists()


@pytest.mark.live
def test_a_complete_shard_ends_servers_that_were_left_behind(node: Path) -> None:
    assert run("run_shard.sh", 0, cwd=node).returncode == 0
    left = subprocess.Popen(["bash", "-c", "exec -a 'gym env start' sleep 600"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    write(node / "results" / "shard-000" / "servers", f"{os.uname().nodename} {left.pid}\n")
    time.sleep(0.2)
    assert run("run_shard.sh", 0, cwd=node).returncode == 0
    assert left.wait(5) == -signal.SIGINT


def test_a_shard_without_a_lock_does_not_start(node: Path) -> None:
    write(node / "bin" / "flock", "#!/bin/bash\necho 'flock: 9: No locks available' >&2\nexit 1\n").chmod(0o755)
    refused = run("run_shard.sh", 0, cwd=node)
    assert refused.returncode == 2 and "Use a file system that supports flock" in refused.stderr and calls(node) == []


@pytest.mark.parametrize(("arguments", "message"), [([], "Usage"), (["x"], "Usage"), ([7], "run_shard.sh: there is no shards/shard-007.jsonl.")])
def test_a_shard_that_is_not_there(node: Path, arguments: list, message: str) -> None:
    refused = run("run_shard.sh", *arguments, cwd=node)
    assert refused.returncode == 2 and refused.stderr.startswith(message) and calls(node) == []


@pytest.mark.live
def test_servers_that_abort_as_they_end_do_not_disturb(node: Path) -> None:
    gym = node / "bin" / "gym"
    gym.write_text(gym.read_text().replace("echo stopped >> calls; exit", "echo stopped >> calls; kill -ABRT $$"))
    done = run("run_shard.sh", 0, cwd=node)
    assert (done.returncode, done.stdout, done.stderr) == (0, "shard-000 complete: 3 of 3 rollouts, 0 given up\n", "")
    assert "stopped" in calls(node)


def test_servers_that_end_are_reported(node: Path) -> None:
    write(node / "bin" / "gym", "#!/bin/bash\necho broken configuration; exit 1")
    failed = run("run_shard.sh", 0, cwd=node)
    assert failed.returncode == 2 and "the servers of shard-000 ended" in failed.stderr and "broken configuration" in failed.stderr


@pytest.mark.parametrize("message", ["Error: 1 model endpoint(s) never answered within 600s:", "Exception: The current node timed out during startup."])
def test_what_may_pass_is_a_reason_to_try_again(node: Path, message: str) -> None:
    write(node / "bin" / "gym", f"#!/bin/bash\necho '{message}'; exit 1")
    failed = run("run_shard.sh", 0, cwd=node)
    assert failed.returncode == 1 and message in failed.stderr


@pytest.mark.parametrize(("planned", "code"), [(False, 1), (True, 2)])
def test_a_run_that_gym_refuses_is_not_tried_again(node: Path, head_port: str, planned: bool, code: int) -> None:
    """Its own usage errors have the code 2; other refusals come before anything is planned."""
    write(node / "bin" / "gym", f"#!/bin/bash\necho 'gym eval run: error: invalid configuration'; exit {code}")
    if planned:
        write(node / "results" / "shard-000" / "rollouts_materialized_inputs.jsonl", *map(rollout, range(3)))
    refused = run("run_shard.sh", 0, cwd=node, HEAD_PORT=head_port)
    assert refused.returncode == 2
    assert "no run of shard-000 began" in refused.stderr and "invalid configuration" in refused.stderr
    write(node / "results" / "shard-000" / "rollouts_materialized_inputs.jsonl", *map(rollout, range(3)))
    write(node / "bin" / "gym", "#!/bin/bash\necho 'a crash'; exit 1")
    assert run("run_shard.sh", 0, cwd=node, HEAD_PORT=head_port).returncode == 1


@pytest.mark.live
def test_a_shard_ends_when_its_servers_do(node: Path) -> None:
    """Else the driver would ask them for ever."""
    gym = node / "bin" / "gym"
    gym.write_text(gym.read_text().replace("while :; do", "while [ ! -e running ]; do").replace('"eval run")', '"eval run") touch running; exec sleep 600;'))
    failed = run("run_shard.sh", 0, cwd=node)
    assert failed.returncode == 1 and "the servers of shard-000 ended" in failed.stderr
    assert failed.stdout == "shard-000 not complete: 0 of ? rollouts, 0 given up\n"
    driver = Path("/proc", (node / "results" / "shard-000" / "pid").read_text().strip())
    deadline = time.monotonic() + 20
    while driver.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not driver.exists()


def test_two_runs_of_a_shard_wait_for_each_other(node: Path, head_port: str) -> None:
    lock = node / "results" / "shard-000" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as other, ThreadPoolExecutor() as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = pool.submit(run, "run_shard.sh", 0, cwd=node, HEAD_PORT=head_port)
        time.sleep(1)
        waits = not second.done() and calls(node) == []
        fcntl.flock(other, fcntl.LOCK_UN)
        assert waits and second.result().returncode == 0 and calls(node) != []


@pytest.mark.live
@pytest.mark.parametrize(
    ("rows", "restarts", "status", "requeued"), [("3", "0", 0, False), ("1", "0", 1, True), ("1", "10", 1, False)]
)
def test_an_array_task_goes_back_into_the_queue(node: Path, rows: str, restarts: str, status: int, requeued: bool) -> None:
    task = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "40", "SLURM_JOB_ID": "42", "ENDS": "now + 4 hours", "SLURM_RESTART_COUNT": restarts, "HEAD_PORT": "11000", "ROWS": rows}  # the port of a rehearsal counts for nothing
    assert run("shards.sbatch", cwd=node, **task).returncode == status
    assert ("scontrol requeue 42" in calls(node)) == requeued
    (call,) = (call for call in calls(node) if call.startswith("gym eval run"))
    assert "++head_server.port=20000" in call
    assert re.search(r"dispatch_budget_s=129(5\d|60)", call), "a tenth of four hours is kept"
    assert "squeue -h -j 40_0 -o %e" in calls(node), "the job id of the last task is that of the whole array"


@pytest.mark.live
def test_an_array_task_that_never_ends_has_no_deadline(node: Path) -> None:
    task = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "40", "SLURM_JOB_ID": "42", "ENDS": ""}
    assert run("shards.sbatch", cwd=node, **task).returncode == 0
    assert not any("dispatch_budget_s" in call for call in calls(node))


def test_array_directives_are_ones_that_sbatch_reads() -> None:
    lines = (FOLDER / "shards.sbatch").read_text().splitlines()
    directives = [line for line in lines if line.startswith("#SBATCH")]
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert max(lines.index(line) for line in directives) < first_command, "sbatch stops reading at the first command"
    options = dict(re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line).groups() for line in directives)
    forms = {
        "job-name": r"\w+", "array": r"\d+-\d+(%\d+)?", "nodes": r"1", "ntasks": r"1", "cpus-per-task": r"\d+", "mem": r"\d+[KMGT]",
        "time": r"(\d+-)?\d\d:\d\d:\d\d", "output": r"\S*%A\S*%a\S*", "open-mode": r"append|truncate", "requeue": None,
    }
    assert options.keys() == forms.keys()
    assert all(value is None if forms[key] is None else re.fullmatch(forms[key], value) for key, value in options.items())


def test_a_pod_runs_its_shard(node: Path, head_port: str) -> None:
    job = yaml.safe_load((FOLDER / "shards-job.yaml").read_text())
    assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["bash", "run_shard.sh"]
    number = container["command"][2].replace("$(JOB_COMPLETION_INDEX)", "0")
    assert run("run_shard.sh", number, cwd=node, HEAD_PORT=head_port).returncode == 0
    codes = next(rule["onExitCodes"]["values"] for rule in job["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule)
    assert codes == [2], "1 must stay an ordinary failure: the next pod continues"


@pytest.mark.live
def test_the_inbox_is_published_once_and_numbered_throughout(node: Path, head_port: str) -> None:
    write(node / "inbox" / "b.jsonl", *map(task, range(2, 5)))
    write(node / "inbox" / "a.jsonl", *map(task, range(2)))
    setup = {"HEAD_PORT": head_port, "SHARDS_PER_FILE": "2"}
    done = run("continuous.sh", "agent", cwd=node, **setup)
    assert done.returncode == 0, done.stderr
    assert [line.partition(" rollouts")[0] for line in done.stdout.splitlines() if "rollouts in" in line] == ["a: 2", "b: 3"]
    published = [row["_ng_task_index"] for name in "ab" for row in read(node / "ready" / f"{name}.jsonl")]
    assert sorted(published) == list(range(5)) and not list((node / "inbox").iterdir())
    again = run("continuous.sh", "agent", cwd=node, **setup)
    assert (again.returncode, again.stdout) == (0, "")


def test_the_inbox_stops_at_an_incomplete_file_and_goes_on_with_it(node: Path, head_port: str) -> None:
    write(node / "inbox" / "a.jsonl", *map(task, range(4)))
    setup = {"HEAD_PORT": head_port, "SHARDS_PER_FILE": "1"}
    short = run("continuous.sh", "agent", cwd=node, ROWS="2", **setup)
    assert short.returncode == 1 and "a: not complete" in short.stderr and not list((node / "ready").glob("*.jsonl"))
    assert run("continuous.sh", "agent", cwd=node, ROWS="4", **setup).returncode == 0
    assert len(read(node / "ready" / "a.jsonl")) == 4


def test_a_file_whose_rollouts_were_given_up_is_not_published(node: Path, head_port: str) -> None:
    gym = node / "bin" / "gym"
    failures = """python -c 'for n in range(4): print(f"{{\\"_ng_task_index\\": {n}, \\"_ng_rollout_index\\": 0, \\"_ng_failure_terminal\\": true}}")' > "${out%.jsonl}_failures.jsonl" ;;\nesac"""
    gym.write_text(gym.read_text().replace('> "$out" ;;\nesac', '> "$out"; ' + failures))
    write(node / "inbox" / "a.jsonl", *map(task, range(4)))
    stopped = run("continuous.sh", "agent", cwd=node, ROWS="0", HEAD_PORT=head_port, SHARDS_PER_FILE="1")
    assert stopped.returncode == 1 and "a: rollouts were given up" in stopped.stderr, stopped
    assert (node / "inbox" / "a.jsonl").exists() and not list((node / "ready").glob("*.jsonl"))


# fixed_endpoint.py


def test_the_same_request_gets_the_same_answer() -> None:
    share = runpy.run_path(str(FOLDER / "fixed_endpoint.py"))["share"]
    assert share("try", "x", 1) == share("try", "x", 1) != share("try", "x", 2)
    values = [share("try", "x", n) for n in range(400)]
    assert 0 <= min(values) and max(values) < 1 and 0.4 < sum(values) / 400 < 0.6


@pytest.mark.parametrize(("content", "message"), [(None, "Cannot read tasks.jsonl"), ("{", "tasks.jsonl, line 1 is no task"), ("{}", "tasks.jsonl, line 1 is no task")])
def test_the_endpoint_refuses_bad_tasks(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tasks.jsonl").write_text(content)
    refused = run("fixed_endpoint.py", "tasks.jsonl", cwd=tmp_path)
    assert refused.returncode != 0 and refused.stderr.startswith(message) and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(tmp_path: Path, script: str) -> None:
    assert run(script, "--help", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("script", ["run_shard.sh", "continuous.sh", "shards.sbatch"])
def test_shell_syntax(script: str) -> None:
    assert subprocess.run(["bash", "-n", FOLDER / script]).returncode == 0
