"""The workflows run nothing that can change under its name, and have no right that they do not need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MORE_THAN_READING = {"test": {"contents": "read", "pages": "read"}, "deploy": {"pages": "write", "id-token": "write"}}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version(workflow: Path) -> None:
    uses = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))
    assert uses and [its for its in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", its)] == []


def test_an_action_has_one_version() -> None:
    uses = {its for workflow in WORKFLOWS for its in re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))}
    names = [its.partition("@")[0] for its in uses]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_each_job_has_the_rights_it_needs(workflow: Path) -> None:
    data = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert data["permissions"] == {}
    for name, job in data["jobs"].items():
        assert job["permissions"] == MORE_THAN_READING.get(name, {"contents": "read"}), name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_commands_are_make_targets(workflow: Path) -> None:
    """What a workflow does, a contributor can do by hand."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    runs = re.findall(r"run: (.*)", workflow.read_text(encoding="utf-8"))
    assert runs and all(run.split()[0] == "make" and run.split()[1] in targets for run in runs)
