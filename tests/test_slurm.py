"""The practice cluster of the scaling guide, and what `gym eval submit` does on one that has no containers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gym_environment import gym_environment
from pages import DOCS
from proofs import Proof, proves
from slurm import Slurm, missing

pytestmark = [
    pytest.mark.gym, pytest.mark.live,
    pytest.mark.skipif(bool(missing()) and not os.environ.get("CI"), reason=f"no Slurm can be started here: {missing()}"),
]  # fmt: skip
SUBMIT = DOCS / "training" / "how-to" / "scale-parallel-generation" / "submit.yaml"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.close()


@pytest.fixture
def submit(cluster: Slurm, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`gym eval submit` with the page's file, adapted to the practice cluster; ``path`` is the PATH of the command."""
    text = SUBMIT.read_text(encoding="utf-8")
    for ours, theirs in (("partition: batch", "partition: all"), ("account: my_account", "account: root"), ("/shared/nemo-gym", str(tmp_path / "out"))):
        assert ours in text
        text = text.replace(ours, theirs)
    (tmp_path / "submit.yaml").write_text(text, encoding="utf-8")

    def submit(path: str) -> subprocess.CompletedProcess[str]:
        command = [gym_environment().folder / "bin" / "gym", "eval", "submit", "--config", "submit.yaml"]
        environment = os.environ | cluster.environment | {"PATH": path, "COLUMNS": "1000"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    return submit


def tools(folder: Path, *names: str) -> str:
    """A folder that has just these programs, as a container might."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(next(path for place in ("/usr/bin", "/bin") if (path := Path(place, name)).exists()))
    return str(folder)


@proves("sbatch-not-found")
def test_submit_where_there_is_no_slurm(submit, tmp_path: Path, proof: Proof) -> None:
    inside = submit(tools(tmp_path / "bin", "bash", "tr", "uname"))
    assert inside.returncode == 1
    proof.wrong("sbatch-not-found", inside.stdout + inside.stderr)
    proof.cured("sbatch-not-found", submit(os.environ["PATH"]).stdout)


@proves("submit-without-pyxis")
def test_submit_to_a_cluster_without_containers(submit, tmp_path: Path, proof: Proof) -> None:
    """Submit itself succeeds: the job's own output says what is missing."""
    done = submit(os.environ["PATH"])
    assert done.returncode == 0 and "submitted aime24" in done.stdout, done.stderr
    deadline, text = time.monotonic() + 60, ""
    while "srun:" not in text and time.monotonic() < deadline:
        time.sleep(0.5)
        text = "".join(path.read_text() for path in (tmp_path / "out").glob("*/aime24/slurm-*.out"))
    proof.wrong("submit-without-pyxis", text)


def test_the_cluster_has_two_nodes_and_ends_jobs_at_their_walltime(cluster: Slurm) -> None:
    def ask(*command: str) -> str:
        return subprocess.run(command, env=os.environ | cluster.environment, capture_output=True, text=True, check=True, timeout=60).stdout

    assert len(ask("sinfo", "-h", "-N", "-o", "%N").split()) == 2
    (line,) = (line for line in ask("scontrol", "show", "config").splitlines() if line.startswith("KillWait"))
    assert line.split()[2] == "2"
