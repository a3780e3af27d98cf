"""reference/configuration-options: each message of the table of configuration inheritance, provoked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pages import DOCS

FRAGMENT = DOCS / "training/reference/configuration-options/inheritance.md"
STRING_MATCH = "resources_servers/string_match/configs/string_match.yaml"
VLLM = "responses_api_models/vllm_model/configs/vllm_model.yaml"
OPENAI = "responses_api_models/openai_model/configs/openai_model.yaml"
ENV = "policy_base_url: http://127.0.0.1:8000/v1\npolicy_api_key: none\npolicy_model_name: small\n"

# The message, the configuration, the overrides. `...` in a message stands for what depends on the machine.
CASES = [
    ("1 required config value(s) are unset (still '???') after merging:", "a: {b: '???'}", []),
    ("Config value 'a' references 'nowhere', which is not set after merging.", "a: ${nowhere}", []),
    ('KeyError raised while resolving interpolation: "Environment variable \'NOT_SET\' not found"', "a: ${oc.env:NOT_SET}", []),
    ("Path specified does not exist in config: ['polcy_model']", "x: {_inherit_from: polcy_model}", []),
    ("Key not found: 'nokey' (path: 'x.nokey')", "x: {_inherit_from: s, _delete_key: nokey}\ns: {q: 1}", []),
    (
        "Agent 'string_match_simple_agent' was inherited into several names: 'p', 'q'.",
        f"config_paths: [{STRING_MATCH}, {VLLM}]\np: {{_inherit_from: string_match_simple_agent}}\nq: {{_inherit_from: string_match_simple_agent}}",
        [],
    ),
    ("Could not append to config. An item is already at 'limit'.", "limit: 4", ["+limit=2", "+limit=3"]),
    ("Could not override 'limit'.", "limit: 4", ["limit=40"]),
    ("Could not delete from config. 'limit' does not exist.", "limit: 4", ["~limit"]),
    (
        "responses_api_models: Dictionary should have at most 1 item after validation, not more",
        f"config_paths: [{VLLM}, {OPENAI}]",
        [],
    ),
    ("Malformed YAML in '...' at line 3, column 1: found duplicate key a", "b: 1\na: 1\na: 2", []),
    (
        "field 'model_server' references responses_api_models/'polcy_model', which is not defined in the merged config.",
        f"config_paths: [{STRING_MATCH}, {VLLM}]\nstring_match_simple_agent: {{responses_api_agents: {{simple_agent: {{model_server: {{name: polcy_model}}}}}}}}",
        [],
    ),
    ("config_paths entry 'shard.yaml' was not found. Looked in:", "config_paths: [shard.yaml]", []),
    ("config_paths entry 's' was not found. Looked in:", "config_paths: shared.yaml", []),
]


def resolve(folder: Path, gym_python: Path, overrides: list[str]) -> str:
    command = [gym_python.with_name("gym"), "env", "resolve", "--config", "wrong.yaml", *overrides]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return " ".join((result.stdout + result.stderr).split())


@pytest.mark.gym
@pytest.mark.parametrize(("message", "configuration", "overrides"), CASES, ids=[case[0][:40] for case in CASES])
def test_message(message: str, configuration: str, overrides: list[str], gym_python: Path, tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(ENV)
    (tmp_path / "wrong.yaml").write_text(configuration + "\n")
    printed = resolve(tmp_path, gym_python, overrides)
    assert re.search(re.escape(message).replace(r"\.\.\.", ".*"), printed), printed


def test_the_table_has_these_messages_and_no_other() -> None:
    table = FRAGMENT.read_text(encoding="utf-8").partition("## Messages")[2]
    assert re.findall(r"^\| `(.+?)` \|", table, re.M) == [message for message, _, _ in CASES]


@pytest.mark.gym
def test_the_fixes_of_the_table_work(gym_python: Path, tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(ENV)
    (tmp_path / "wrong.yaml").write_text(f"config_paths: [{VLLM}, {OPENAI}]\nlimit: 4\na: ${{oc.env:NOT_SET,null}}\n")
    fixes = ["++policy_model.responses_api_models._delete_key=vllm_model", "+limit=2", "++limit=40"]
    printed = resolve(tmp_path, gym_python, fixes)
    assert "openai_base_url: http://127.0.0.1:8000/v1" in printed and "limit: 40" in printed and "a: null" in printed


@pytest.mark.gym
def test_a_preset_that_a_flag_selects_beats_a_file(gym_python: Path, tmp_path: Path) -> None:
    """What the page says of `--model-type`: the flag appends the preset to the files."""
    from_flag = subprocess.run(
        [gym_python, "-c", "import sys; from nemo_gym.cli import main; main.dispatch = lambda target, overrides: print(overrides); "
         "sys.argv = ['gym', 'env', 'start', '--model-type', 'vllm_model', '--config', 'wrong.yaml']; main.main()"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    ).stdout
    assert re.search(r"config_paths=\[wrong\.yaml,.*vllm_model\.yaml\]", from_flag)
    (tmp_path / "env.yaml").write_text(ENV)
    block = "policy_model: {responses_api_models: {vllm_model: {extra_body: {top_k: 40}}}}"
    (tmp_path / "wrong.yaml").write_text(block)
    assert "extra_body: null" in resolve(tmp_path, gym_python, ["--config", VLLM])
    (tmp_path / "wrong.yaml").write_text(f"config_paths: [{VLLM}]\n{block}")
    assert "extra_body: top_k: 40" in resolve(tmp_path, gym_python, [])
