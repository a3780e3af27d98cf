"""Plans of reference/performance-tuning/plan-a-run, downloaded as a zip and run as their README says."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import planner
import pytest
from gym_environment import gym_environment
from pages import DOCS

pytestmark = [pytest.mark.live, pytest.mark.gym, pytest.mark.timeout(900)]
ENDPOINT = DOCS / "training" / "reference" / "performance-tuning" / "fixed_endpoint.py"
PLANS = {
    "practice": "goal=sft&tasks=40&repeats=1&where=practice&tokens=24&cores=2",
    "judge": "goal=dpo&tasks=8&repeats=2&where=practice&judge_calls=1&judge_seconds=0.2&judge_limit=2&tokens=24&cores=2",
    "endpoint": "goal=evaluation&tasks=40&repeats=1&where=endpoint&call_seconds=0.2&slots=8&tokens=24&cores=2&walltime_hours=0.2",
}


@pytest.fixture(scope="module")
def endpoint(gym_python: Path):
    """The address of a stand-in that takes 0.05 s per call."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([gym_python, ENDPOINT, "--port", str(port), "--delay", "0.05", "--slots", "8"], stdout=subprocess.PIPE, text=True)
    assert "is ready" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}/v1"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def on_path(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, gym = tmp_path_factory.mktemp("programs"), gym_environment()
    gym.put_on_path(folder)
    return os.environ | {"PATH": f"{folder}:{gym.folder / 'bin'}:{os.environ['PATH']}", "POLICY_API_KEY": "none", "JUDGE_API_KEY": "none", "NO_COLOR": "1"}


@pytest.mark.parametrize("name", PLANS)
def test_a_zip_runs_as_it_is(name: str, opened, address, endpoint: str, on_path: dict[str, str], tmp_path: Path) -> None:
    """All that is changed is what the README tells to write: address and model in env.yaml."""
    tab = opened(f"{address}/{planner.FOLDER}.html#plan?{PLANS[name]}")
    with tab.expect_download() as download:
        tab.click("[data-part=zip]")
    download.value.save_as(tmp_path / "plan.zip")
    with zipfile.ZipFile(tmp_path / "plan.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    folder = tmp_path / "plan"
    env = (folder / "env.yaml").read_text()
    (folder / "env.yaml").write_text(re.sub(r"(_base_url): .*", rf"\1: {endpoint}", env))
    rows = (folder / "tasks.jsonl").read_text().splitlines()
    done = subprocess.run(["bash", "run.sh"], cwd=folder, env=on_path, capture_output=True, text=True, timeout=600)
    logs = "".join(path.read_text(errors="replace")[-1500:] for path in folder.glob("results/*/*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    rollouts = [json.loads(line) for path in folder.glob("results/shard-*/rollouts.jsonl") for line in path.read_text().splitlines()]
    repeats = int(re.search(r"repeats=(\d+)", PLANS[name])[1])
    assert len(rollouts) == len(rows) * repeats and all("reward" in its for its in rollouts)
    limit = int(re.search(r"num_samples_in_parallel: (\d+)", (folder / "collect.yaml").read_text())[1])
    assert limit >= 2
    begun = time.monotonic()
    again = subprocess.run(["bash", "run.sh"], cwd=folder, env=on_path, capture_output=True, text=True, timeout=100)
    assert again.returncode == 0 and time.monotonic() - begun < 60, "a finished run starts no servers"
    (folder / "tasks.jsonl").write_text("\n".join(rows[:2]) + "\n")
    other = subprocess.run(["bash", "run.sh"], cwd=folder, env=on_path, capture_output=True, text=True, timeout=100)
    assert other.returncode == 2 and "Move shards and results away" in other.stderr, "other tasks would be ignored"
