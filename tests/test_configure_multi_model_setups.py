"""The scripts of `configure-multi-model-setups`: what they compute, and what they say to bad input."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import scripts
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "configure-multi-model-setups"
GIB = 2**30


def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return scripts.run(FOLDER / script, *arguments, cwd=cwd)


def refused(result: subprocess.CompletedProcess[str], says: str) -> None:
    """Bad input: exit code 2, and the last line says what is wrong."""
    assert result.returncode == 2, result.stdout
    assert says in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


# memory_worksheet.py


def plan(path: Path, *edits: tuple[str, str]) -> Path:
    text = (FOLDER / "one_gpu.toml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return path


def test_memory_of_a_model_is_weights_and_cache_per_gpu() -> None:
    worksheet = runpy.run_path(str(FOLDER / "memory_worksheet.py"))
    numbers = tomllib.loads((FOLDER / "one_gpu.toml").read_text())["model"][1]
    one = worksheet["Model"](**numbers)
    assert one.weights() == pytest.approx(8.03e9 * 2)
    assert one.kv_per_token() == 2 * 32 * 8 * 128 * 2 == 128 * 1024
    assert one.kv_cache() == 128 * 1024 * 8192 * 16 == 16 * GIB
    assert one.share(80 * GIB) == 0.42
    split = worksheet["Model"](**{**numbers, "gpus": [0, 1, 2, 3], "tensor_parallel": 2, "pipeline_parallel": 2})
    assert (split.weights(), split.kv_cache(), split.replicas) == (one.weights() / 4, one.kv_cache() / 4, 1)
    # 16 GPUs and 8 heads: each GPU holds a whole head
    wide = worksheet["Model"](**{**numbers, "gpus": [*range(16)], "tensor_parallel": 16})
    assert wide.kv_per_token() == one.kv_per_token() / 8


def test_a_gpu_that_is_too_small_is_named(tmp_path: Path) -> None:
    result = run("memory_worksheet.py", plan(tmp_path / "p.toml", ("sequences = 32", "sequences = 128")), cwd=tmp_path)
    assert result.returncode == 1
    assert "GPU 0: shares of" in result.stdout and "vllm serve" not in result.stdout


def test_commands_of_two_nodes_name_the_node_and_its_own_gpus(tmp_path: Path) -> None:
    lines = run("memory_worksheet.py", FOLDER / "two_nodes.toml", cwd=tmp_path).stdout.replace(" \\\n", "").splitlines()
    commands = [(lines[at - 1], line) for at, line in enumerate(lines) if "vllm serve" in line]
    assert [node for node, _ in commands] == ["# node 0", "# node 1"] * 2
    assert [line.split()[0] for _, line in commands] == ["CUDA_VISIBLE_DEVICES=0,1,2,3"] * 2 + ["CUDA_VISIBLE_DEVICES=4,5,6,7"] * 2
    assert "--data-parallel-size 4" in commands[0][1] and "--tensor-parallel-size 4" in commands[2][1]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("gpus = [0]", "gpus = [1]", "gpus must be a list of numbers from 0 to 0"),
        ("gpus = [0]", "gpus = 0", "gpus must be a list"),
        ("layers = 36", "layer = 36", "layer"),
        ("layers = 36", "layers = -1", "layers"),
        ("layers = 36", 'layers = "36"', "layers"),
        ("kv_heads = 8", "kv_heads = 8\ntensor_parallel = 2", "no multiple"),
        ("[gpu]", "[gpus]", "gpu"),
        ("memory_gib = 80", "memory_gib = 0", "memory_gib"),
        ("[gpu]", "[gpu", "TOML"),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    refused(run("memory_worksheet.py", plan(tmp_path / "p.toml", (old, new)), cwd=tmp_path), says)


def test_a_port_is_free_on_each_node_of_a_model(tmp_path: Path) -> None:
    """Both models of this plan have copies on both nodes; the second model begins on the other one."""
    text = (FOLDER / "two_nodes.toml").read_text().replace("port = 8001", "port = 8000").replace("[4, 5, 6, 7, 12, 13, 14, 15]", "[12, 13, 14, 15]")
    text = text.replace("gpus = [0, 1, 2, 3, 8, 9, 10, 11]", "gpus = [0, 1, 2, 3, 8]")
    (tmp_path / "p.toml").write_text(text)
    refused(run("memory_worksheet.py", "p.toml", cwd=tmp_path), "the same port on one node")


def test_a_plan_that_is_missing_is_refused(tmp_path: Path) -> None:
    refused(run("memory_worksheet.py", "nowhere.toml", cwd=tmp_path), "nowhere.toml")


# endpoint_load.py


class Endpoint:
    """/metrics of an engine; each read of it adds ``tokens``."""

    def __init__(self, tokens: int, text: str = 'vllm:prompt_tokens_total{{model_name="m"}} {0}.0\nvllm:generation_tokens_total{{}} {0}\n'):
        endpoint = self
        self.count = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.count += tokens
                body = text.format(endpoint.count).encode()
                self.send_response(200 if self.path == "/metrics" else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


TRUE = ("--", sys.executable, "-c", "")


def test_the_endpoint_that_worked_is_told_from_the_one_that_rested(tmp_path: Path) -> None:
    pair = [f"policy={Endpoint(5).address}/v1", f"judge={Endpoint(0).address}"]
    result = run("endpoint_load.py", *pair, "--expect", "policy", *TRUE, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:3]] == [["policy", "5", "5"], ["judge", "0", "0"]]
    assert result.stdout.splitlines()[-1] == "As expected: policy generated tokens; no other."
    result = run("endpoint_load.py", *pair, "--expect", "policy", "judge", *TRUE, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "Not as expected: policy generated tokens."


def test_the_command_keeps_its_failure(tmp_path: Path) -> None:
    result = run("endpoint_load.py", f"policy={Endpoint(1).address}", "--", sys.executable, "-c", "raise SystemExit(7)", cwd=tmp_path)
    assert result.returncode == 1 and "exit code 7" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["policy=http://127.0.0.1:9", *TRUE], "policy: http://127.0.0.1:9/metrics does not answer"),
        (["policy", *TRUE], "an endpoint looks like"),
        (["policy=http://127.0.0.1:9"], "put the command to run behind --"),
        (["p=http://127.0.0.1:9", "p=http://127.0.0.1:8", *TRUE], "two endpoints have the same name"),
        (["p=http://127.0.0.1:9", "--expect", "judge", *TRUE], "--expect names an endpoint that is not given"),
    ],
)
def test_wrong_endpoints_are_refused(tmp_path: Path, arguments: list[str], says: str) -> None:
    refused(run("endpoint_load.py", *arguments, cwd=tmp_path), says)


def test_an_unknown_engine_and_an_unknown_command_are_refused(tmp_path: Path) -> None:
    refused(run("endpoint_load.py", f"p={Endpoint(1, 'other_total 3').address}", *TRUE, cwd=tmp_path), "no counters of vLLM or llama.cpp")
    refused(run("endpoint_load.py", f"p={Endpoint(1).address}", "--", "no-such-command", cwd=tmp_path), "Cannot run no-such-command")


# compare_agents.py and unsolved_tasks.py


def rollout(agent: str, task: int, reward: float | None, **more: object) -> dict:
    return {"agent_ref": {"name": agent}, "_ng_task_index": task, "_ng_rollout_index": agent == "b", "reward": reward, "response": {}, **more}


@pytest.mark.parametrize(
    ("gain", "verdict", "code"),
    [
        (lambda task: 1.0, "above", 0),
        (lambda task: -1.0, "below", 1),
        (lambda task: 1.0 if task % 2 else -1.0, "no difference seen", 0),
    ],
)
def test_agents_are_compared_task_by_task(tmp_path: Path, gain, verdict: str, code: int) -> None:
    # The tasks differ by far more than the agents do: only a paired comparison sees the difference.
    rows = [row for task in range(40) for row in (rollout("a", task, 100.0 * task), rollout("b", task, 100.0 * task + gain(task)))]
    result = run("compare_agents.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert result.stdout.splitlines()[4].endswith(verdict)
    assert "over 40 common tasks" in result.stdout


def test_a_rollout_without_a_score_is_no_zero(tmp_path: Path) -> None:
    rows = [row for task in range(20) for row in (rollout("a", task, 1.0), rollout("b", task, 1.0))]
    write(tmp_path / "r_failures.jsonl", rollout("b", 20, None, _ng_failure_class="judge_failed"))
    rows += [rollout("b", 21, 0.0, mask_sample=True), rollout("b", 22, 0.0, instance_config={"mask_sample": True})]
    result = run("compare_agents.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path)
    assert result.stdout.splitlines()[2].split() == ["b", "20", "20", "3", "1.000"]
    assert result.stdout.splitlines()[5].endswith("these tasks and this verifier cannot tell them apart")


def test_a_rollout_that_succeeded_in_the_end_has_a_score(tmp_path: Path) -> None:
    rows = [row for task in range(20) for row in (rollout("a", task, 1.0), rollout("b", task, 1.0))]
    write(tmp_path / "r_failures.jsonl", *[rollout("b", 3, None, _ng_failure_class="judge_failed")] * 2)
    result = run("compare_agents.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path)
    assert result.stdout.splitlines()[2].split() == ["b", "20", "20", "0", "1.000"]


def test_few_tasks_get_no_interval_and_no_verdict(tmp_path: Path) -> None:
    rows = [row for task in range(19) for row in (rollout("a", task, 1.0), rollout("b", task, 0.0))]
    result = run("compare_agents.py", write(tmp_path / "r.jsonl", *rows), cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines()[3] == "b - a: -1.000 over 19 common tasks (0 better, 19 worse): ?"


@pytest.mark.parametrize(
    ("rows", "more", "says"),
    [
        ([rollout("a", 0, 1.0)], [], "holds the rollouts of 1 agent"),
        ([rollout("a", 0, 1.0), rollout("b", 1, 1.0)], [], "no scored task in common"),
        ([rollout("a", 0, 1.0), rollout("b", 0, 1.0)], ["--baseline", "c"], "holds no agent c. It holds: a, b."),
        (["no json"], [], "r.jsonl:1: not JSON"),
        (["[1]"], [], "r.jsonl:1: a row is a JSON object"),
        ([{"response": {}}], [], "r.jsonl:1: no agent_ref.name or no _ng_task_index"),
        ([rollout("a", 0, 1.0)], ["--draws", "3"], "--draws must be at least 100"),
    ],
)
def test_rollouts_that_cannot_be_compared_are_refused(tmp_path: Path, rows: list, more: list[str], says: str) -> None:
    refused(run("compare_agents.py", write(tmp_path / "r.jsonl", *rows), *more, cwd=tmp_path), says)


def test_unsolved_tasks_go_on_once_without_their_agent(tmp_path: Path) -> None:
    rewards = [(0, 1.0), (1, 0.0), (1, 1.0), (2, 0.5), (2, 0.0), (3, None)]
    rollouts = write(tmp_path / "r.jsonl", *(rollout("a", task, reward) for task, reward in rewards))
    tasks = [{**rollout("a", task, None), "_ng_rollout_index": n, "expected_answer": "x"} for task in range(5) for n in range(2)]
    write(tmp_path / "r_materialized_inputs.jsonl", *tasks)
    result = run("unsolved_tasks.py", rollouts, "-o", "next.jsonl", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "5 tasks, 2 solved, 3 to next.jsonl\n")
    left = [json.loads(line) for line in (tmp_path / "next.jsonl").read_text().splitlines()]
    assert [row["_ng_task_index"] for row in left] == [2, 3, 4]
    assert not any({"agent_ref", "_ng_rollout_index"} & row.keys() for row in left)
    assert run("unsolved_tasks.py", rollouts, "-o", "half.jsonl", "--solved-at", "0.5", cwd=tmp_path).stdout.startswith("5 tasks, 3 solved")


def test_nothing_is_written_if_all_is_solved_or_input_is_bad(tmp_path: Path) -> None:
    rollouts = write(tmp_path / "r.jsonl", rollout("a", 0, 1.0))
    refused(run("unsolved_tasks.py", rollouts, "-o", "next.jsonl", cwd=tmp_path), "Check the path")
    write(tmp_path / "r_materialized_inputs.jsonl", {"_ng_task_index": 0})
    assert run("unsolved_tasks.py", rollouts, "-o", "next.jsonl", cwd=tmp_path).returncode == 1
    assert run("unsolved_tasks.py", rollouts, "-o", "next.jsonl", "--solved-at", "2", cwd=tmp_path).returncode == 0
    (tmp_path / "next.jsonl").unlink()
    refused(run("unsolved_tasks.py", rollouts, "-o", "r.jsonl/next.jsonl", "--solved-at", "2", cwd=tmp_path), "r.jsonl/next.jsonl")
    refused(run("unsolved_tasks.py", write(tmp_path / "bad.jsonl", "{"), "-o", "next.jsonl", cwd=tmp_path), "bad.jsonl:1: not JSON")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "r.jsonl", "r_materialized_inputs.jsonl"]
