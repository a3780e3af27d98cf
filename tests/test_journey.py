"""One data set from guide to guide: the run of the Optimize guide, filtered, becomes what each trainer's converter takes whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from page_files import files_of
from pages import DOCS

FILTER, INTEGRATE = (f"training/how-to/{name}" for name in ("filter-and-curate-data", "integrate-with-rl-frameworks"))
TRAINERS = "trl llamafactory ms-swift axolotl torchtune openrlhf nemo-rl".split()
COMMANDS = """
filter_rollouts.py results/run/rollouts.jsonl -o sft_rollouts.jsonl --seed 1 @sft.args
make_training_sets.py sft sft_rollouts.jsonl -o sft.jsonl
filter_rollouts.py results/run/rollouts.jsonl -o dpo_rollouts.jsonl @dpo.args
make_training_sets.py dpo dpo_rollouts.jsonl -o dpo.jsonl --margin 0.5 --max-length-ratio 4
"""


@pytest.mark.gym
def test_the_practice_run_reaches_every_trainer(tmp_path: Path, gym_python: Path) -> None:
    curate, convert = tmp_path / "filter", tmp_path / "integrate"
    for docname, folder in ((FILTER, curate), (INTEGRATE, convert)):
        for name, path in files_of(DOCS, docname).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
    with tarfile.open(curate / "practice_run.tar.gz") as archive:
        archive.extractall(curate, filter="data")
    for command in COMMANDS.strip().splitlines():
        subprocess.run([sys.executable, *command.split()], cwd=curate, check=True, capture_output=True)
    for kind in ("sft", "dpo"):
        rows = len((curate / f"{kind}.jsonl").read_text().splitlines())
        shutil.copy(curate / f"{kind}.jsonl", convert / f"{kind}.jsonl")
        command = [gym_python, "convert_for_trainers.py", kind, f"{kind}.jsonl", "-o", "converted", "--for", *TRAINERS]
        told = subprocess.run(command, cwd=convert, capture_output=True, text=True)
        counts = re.findall(r"(\d+) (?:rows|pairs or tasks) in, (\d+) out for", told.stdout)
        assert told.returncode == 0 and counts == [(str(rows), str(rows))] * len(TRAINERS), told.stdout + told.stderr
        assert rows >= 10
