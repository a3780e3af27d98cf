"""Every message of the catalog comes from where it says, and every fix that can run here makes it go away.

Most messages are provoked here, by commands (``COMMANDS``), by the package's own functions (``CODE``) or by rollouts that go
through real servers (``ROLLOUTS``). The rest is provoked by the tests and pages of its guide (``ELSEWHERE``), or names
the thread it was seen in.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import problems
import pytest
from gym_environment import gym_environment
from pages import DOCS, ROOT
from problems import Entry
from site_map import GUIDES, HTML

ENTRIES = {entry.id: entry for entry in problems.read(DOCS)}
SEEN = {id for id, entry in ENTRIES.items() if "seen" in entry.options}
SILENT = {id for id, entry in ENTRIES.items() if entry.options["by"] == "nobody"}

STRING_MATCH = "resources_servers/string_match/configs/string_match.yaml"
VLLM = "responses_api_models/vllm_model/configs/vllm_model.yaml"
ENV = "policy_base_url: http://127.0.0.1:8000/v1\npolicy_api_key: none\npolicy_model_name: small\n"
TASK = {"responses_create_params": {"input": "Capital of France?"}, "expected_answer": "Paris", "extraction_mode": "full_response"}
RUN = ["eval", "run", "--no-serve", "-i", "tasks.jsonl", "-o", "rollouts.jsonl"]
COLLATE = ["dataset", "collate", "--config", "data.yaml", "--mode", "train_preparation", "--output-dir", "prepared"]
PROFILE = ["eval", "profile", "--inputs", "inputs.jsonl", "--rollouts", "rollouts.jsonl"]


def rows(*items: object) -> str:
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items)


def dataset(on: str = "string_match", license: str = "MIT") -> str:
    """A configuration that declares ``train.jsonl``, on the resources server or on the agent."""
    block = f"datasets: [{{name: train, type: train, jsonl_fpath: train.jsonl{f', license: {license}' if license else ''}}}]"
    server, agent = (block, "datasets: []") if on == "string_match" else ("{}", block)
    return (
        f"config_paths: [{STRING_MATCH}]\n"
        f"string_match: {{resources_servers: {{string_match: {{{server.strip('{}')}}}}}}}\n"
        f"string_match_simple_agent: {{responses_api_agents: {{simple_agent: {{{agent}}}}}}}\n"
    )


def rollout(task: int, repeat: int = 0, **more: object) -> dict:
    usage = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
    response = {"id": "r", "output": [], "usage": usage}
    return {"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": 1.0, "response": response,
            "agent_ref": {"name": "string_match_simple_agent"}, **TASK, **more}  # fmt: skip


def shows(message: str, printed: str) -> bool:
    """Is the message in what was printed? ``...`` stands for what varies, and line ends do not count."""
    pattern = r"\s+".join(re.escape(word).replace(r"\.\.\.", ".*?") for word in message.split())
    return re.search(pattern, printed, re.S) is not None


# --- the entries themselves -----------------------------------------------------------------------------------------


def test_there_are_enough_and_silent_ones_have_room() -> None:
    assert len(ENTRIES) >= 60 and len(SILENT) >= 20


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_an_entry_is_complete(entry: Entry) -> None:
    """Cause, fix and how to know that it worked, in this order, short, and without a block that nothing would run."""
    assert problems.PARTS.search(entry.body), "**Cause**: ... **Fix**: ... **It worked** if ..."
    assert entry.options["by"] in problems.PRINTED_BY
    assert entry.messages or entry.options["by"] in ("nobody", "system"), "the exact message, as code"
    assert "```" not in entry.body and len(entry.body) < 1100
    assert re.findall(r"\]\((?!/training/|https:).*?\)", entry.body) == [], "an entry stands on several pages: links start at docs/"


def test_files_that_raise_a_message_exist() -> None:
    installed = gym_environment().servers_installed()
    named = {entry.options["in"] for entry in ENTRIES.values() if "in" in entry.options}
    assert len(named) > 10 and [file for file in named if not (installed / file).exists()] == []


def test_every_entry_is_proven_or_names_its_thread() -> None:
    by_rollouts = [id for ids in ROLLOUTS.values() for id in ids]
    proven = [*COMMANDS, *CODE, *SCRIPTS, *by_rollouts, *STARTS, "process-finished", *ELSEWHERE]
    assert sorted(ENTRIES.keys() - SEEN - set(proven)) == []
    assert sorted(set(proven) - ENTRIES.keys()) == [] and sorted(SEEN & set(proven)) == []


def test_guides_share_entries() -> None:
    """Each guide but the troubleshooting guide shows some, and says nothing of its own beside them."""
    shown = {page.name: re.search(r":::\{problems\}\n(.*?):::", page.text, re.S) for page in GUIDES if page.name != problems.HOME}
    assert all(shown.values())
    assert {id for match in shown.values() for id in match[1].split()} <= ENTRIES.keys()


def test_the_page_stays_light_and_has_an_anchor_for_each() -> None:
    html = (HTML / f"{problems.HOME}.html").read_bytes()
    assert len(gzip.compress(html)) < 60_000
    anchors = re.findall(r'<section class="problem" id="problem-([^"]+)">', html.decode())
    assert sorted(anchors) == sorted(ENTRIES)


# --- commands -------------------------------------------------------------------------------------------------------


class Worker:
    """Runs many `gym` commands in the environment that has the package, without starting Python anew for each."""

    def __init__(self, python: Path) -> None:
        environment = os.environ | {"COLUMNS": "10000", "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [python, ROOT / "tests" / "gym_cli.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip

    def ask(self, folder: Path, do: list[str] | str, **environment: str) -> tuple[int, str]:
        """Status and output of a command (a list) or of Python code (a text)."""
        arguments, code = ([], do) if isinstance(do, str) else (do, None)
        question = {"arguments": arguments, "code": code, "folder": str(folder), "environment": environment}
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return answer["status"], answer["printed"]


@pytest.fixture(scope="session")
def worker(gym_python: Path) -> Iterator[Worker]:
    worker = Worker(gym_python)
    yield worker
    worker.process.stdin.close()
    worker.process.wait(20)


@dataclass
class Case:
    """What provokes the messages of an entry, and what makes them go away."""

    do: list[str] | str
    files: dict[str, str] = field(default_factory=dict)
    fix: list[str] | str | None = None
    fixed_files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    shows: list[str] = field(default_factory=list)  # for a silent problem: what shows it


def start(*more: str) -> list[str]:
    return ["env", "validate", "--config", "wrong.yaml", *more]


TWO_ROWS = rows(TASK, {"messages": []})
COMMANDS = {
    "required-configuration-missing": Case(RUN[:-2]),
    "implied-config-missing": Case(["env", "validate", "--resources-server", "mcq"], fix=["env", "validate", "--resources-server", "mcqa", "--model-type", "vllm_model"]),
    "almost-server": Case(
        start(), {"wrong.yaml": "x: {resources_servers: {string_match: {entrypoint: app.py}}}"},
        fix=start(), fixed_files={"wrong.yaml": "x: {resources_servers: {string_match: {entrypoint: app.py, domain: math}}}"},
    ),
    "no-server-instances": Case(["env", "start"], shows=["No server instances are configured, so there is nothing to run."]),
    "valid-but-does-not-start": Case(
        ["env", "validate", "--config", STRING_MATCH, "--config", VLLM], {"env.yaml": ""}, shows=["✓ Config is valid.", "will not start as-is"],
        fix=["env", "validate", "--config", STRING_MATCH, "--config", VLLM, "--strict"], fixed_files={"env.yaml": ENV},
    ),
    "input-not-found": Case(RUN, {"tasks.jsonl": None}),
    "input-with-serving": Case(["eval", "run", "-i", "tasks.jsonl", "-o", "rollouts.jsonl", "--resources-server", "string_match", "--model-type", "vllm_model"]),
    "split-example": Case(["eval", "run", "-o", "rollouts.jsonl", "--resources-server", "string_match", "--model-type", "vllm_model", "--split", "example"]),
    "no-dataset-of-type": Case(["eval", "run", "-o", "rollouts.jsonl", "--resources-server", "string_match", "--model-type", "vllm_model", "--split", "validation"]),
    "dispatch-budget-needs-concurrency": Case([*RUN, "--agent", "a", "+dispatch_budget_s=30"], fix=[*RUN, "--agent", "a", "+dispatch_budget_s=30", "--concurrency", "4"]),
    "repeats-without-entry": Case([*RUN, "--agent", "a", "+num_repeats={b: 2}"], fix=[*RUN, "--agent", "a", "+num_repeats={b: 2, _default: 1}"]),
    "no-agent-for-rows": Case(RUN, fix=[*RUN, "--agent", "a"]),
    "head-server-unreachable": Case([*RUN, "--agent", "a"]),
    "row-without-params": Case([*RUN, "--agent", "a"], {"tasks.jsonl": rows({"messages": []})}),
    "no-shards-matched": Case(["eval", "aggregate", "-i", "part-*.jsonl", "-o", "all.jsonl"]),
    "malformed-json-in-shard": Case(["eval", "aggregate", "-i", "shard.jsonl", "-o", "all.jsonl"], {"shard.jsonl": '{"a": 1}\n{"b":\n'}),
    "unknown-health-check": Case(
        ["eval", "health-check", ".", "--ignore-checks", "no_such_check"], {"rollouts.jsonl": rows(rollout(0))},
        fix=["eval", "health-check", ".", "--ignore-checks", "agent_turn_hollow"],
    ),
    "health-rollouts-not-found": Case(
        ["eval", "health-check", "comparison"], {"comparison/run.jsonl": rows(rollout(0))},
        fix=["eval", "health-check", "comparison", "--rollouts-file", "comparison/run.jsonl"],
    ),
    "health-unobserved": Case(["eval", "health-check", "."], {"rollouts.jsonl": rows(*(rollout(n) for n in range(112)))}),
    "profile-keys-do-not-match": Case(
        PROFILE, {"inputs.jsonl": rows(rollout(0), rollout(1)), "rollouts.jsonl": rows(rollout(0))}, fix=[*PROFILE, "++allow_partial_rollouts=True"],
    ),
    "results-without-inputs": Case(PROFILE, {"inputs.jsonl": rows(rollout(0)), "rollouts.jsonl": rows(rollout(0), rollout(1))}),
    "duplicate-rollout-key": Case(
        PROFILE, {"inputs.jsonl": rows(rollout(0), rollout(0)), "rollouts.jsonl": rows(rollout(0), rollout(0))},
        fix=PROFILE, fixed_files={"inputs.jsonl": rows(rollout(0), rollout(1)), "rollouts.jsonl": rows(rollout(0), rollout(1))},
    ),
    "export-rejected": Case(["eval", "export", "--format", "atif", "--rollouts", "rollouts.jsonl", "--output-dir", "atif", "--session-id", "s", "--agent-version", "1"], {"rollouts.jsonl": rows(rollout(0))}),
    "collate-json-decode-error": Case(
        COLLATE, {"data.yaml": dataset(), "train.jsonl": '{"responses_create_params": {"input": "A text long enough to be\n'},
        fix=COLLATE, fixed_files={"train.jsonl": rows(TASK)}, shows=["json.decoder.JSONDecodeError: Invalid control character at: line 1 column"],
    ),
    "metrics-conflict": Case(
        COLLATE, {"data.yaml": dataset(), "train.jsonl": rows(TASK), "train_metrics.json": json.dumps({"Number of examples": 7})},
        fix=[*COLLATE, "+overwrite_metrics_conflicts=true"],
    ),
    "missing-local-datasets": Case(COLLATE, {"data.yaml": dataset()}, fix=COLLATE, fixed_files={"train.jsonl": rows(TASK)}),
    "row-vanishes-in-collate": Case(COLLATE, {"data.yaml": dataset("agent"), "train.jsonl": TWO_ROWS}, shows=["'Number of examples': 1"]),
    "task-data-validation-skipped": Case(
        [*COLLATE, "+task_data_validation=error"], {"data.yaml": dataset("agent"), "train.jsonl": TWO_ROWS}, shows=["Finished!"],
    ),
    "rows-fail-task-data": Case(
        [*COLLATE, "+task_data_validation=error"], {"data.yaml": dataset(), "train.jsonl": TWO_ROWS},
        fix=[*COLLATE, "+task_data_validation=error"], fixed_files={"train.jsonl": rows(TASK)},
    ),
    "rendered-rows-and-template": Case(
        ["dataset", "render", "-i", "tasks.jsonl", "--prompt-config", "prompt.yaml", "-o", "out.jsonl"], {"prompt.yaml": "user: '{question}'"},
        fix=["dataset", "render", "-i", "tasks.jsonl", "--prompt-config", "prompt.yaml", "-o", "out.jsonl"], fixed_files={"tasks.jsonl": rows({"question": "Why?"})},
    ),
    "template-field-missing": Case(
        ["dataset", "render", "-i", "tasks.jsonl", "--prompt-config", "prompt.yaml", "-o", "out.jsonl"],
        {"prompt.yaml": "user: '{question}'", "tasks.jsonl": rows({"query": "Why?", "answer": "So"})},
        fix=["dataset", "render", "-i", "tasks.jsonl", "--prompt-config", "prompt.yaml", "-o", "out.jsonl"], fixed_files={"tasks.jsonl": rows({"question": "Why?"})},
    ),
    "key-in-outputs": Case(
        [*RUN, "--agent", "a", "--model-api-key", "sk-very-secret"],
        shows=["head server"],
    ),
}  # fmt: skip


@pytest.mark.gym
@pytest.mark.parametrize("id", COMMANDS)
def test_a_command_says_it_and_the_fix_ends_it(id: str, worker: Worker, tmp_path: Path) -> None:
    prove(COMMANDS[id], id, worker, tmp_path)


def prove(case: Case, id: str, worker: Worker, folder: Path) -> None:
    def write(files: dict[str, str | None]) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).unlink(missing_ok=True) if text is None else (folder / name).write_text(text)

    write({"env.yaml": ENV, "tasks.jsonl": rows(TASK), **case.files})
    status, printed = worker.ask(folder, case.do, **case.environment)
    expected = case.shows or ENTRIES[id].messages
    assert [message for message in expected if not shows(message, printed)] == [], printed
    assert id in SILENT or status or ENTRIES[id].options["by"] == "after", "a message of an error comes with an exit code"
    if case.fix:
        write(case.fixed_files)
        status, printed = worker.ask(folder, case.fix, **case.environment)
        gone = [message for message in ENTRIES[id].messages if id not in SILENT]
        assert status == 0 or [message for message in gone if shows(message, printed)] == [], printed


@pytest.mark.gym
def test_what_silent_commands_leave_behind(worker: Worker, tmp_path: Path) -> None:
    """The file that collate wrote has the row that its statistics lack; a key of the command line is on the disk."""
    (tmp_path / "data.yaml").write_text(dataset("agent"))
    (tmp_path / "train.jsonl").write_text(TWO_ROWS)
    worker.ask(tmp_path, COLLATE)
    collated = [json.loads(line) for line in (tmp_path / "prepared" / "train.jsonl").open()]
    assert len(collated) == 2 and "task_source" in collated[0]
    with pytest.raises(KeyError, match="agent_ref"):  # as NeMo RL reads a row
        collated[0]["agent_ref"]["name"]
    (tmp_path / "tasks.jsonl").write_text(rows(TASK))
    worker.ask(tmp_path, [*RUN, "--agent", "a", "--model-api-key", "sk-very-secret"])
    assert any("sk-very-secret" in file.read_text() for file in (tmp_path / "outputs").rglob("*.yaml"))


# --- the package's own functions --------------------------------------------------------------------------------------

# A web server that answers every request with one status and body, and a client of the package that asks it.
ASK_ENDPOINT = """
import asyncio, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI

class Endpoint(BaseHTTPRequestHandler):
    def do_GET(self):
        body = {body!r}.encode()
        self.send_response({status}); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass

server = HTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()

async def ask():
    client = NeMoGymAsyncOpenAI(base_url=f"http://127.0.0.1:{{server.server_port}}/v1", api_key="none")
    for _ in range(2):
        try:
            await client.create_models()
        except Exception as error:
            print(error.message)

asyncio.run(ask())
"""
# The hundredth error of a kind; the first 99 are left out, as each costs half a second.
RETRY = """
import asyncio, socket, threading
from nemo_gym import server_utils

listener = socket.socket(); listener.bind(("127.0.0.1", 8000))
if {answers}:
    listener.listen()
    def hang_up():
        while True:
            connection, _ = listener.accept(); connection.recv(1000); connection.close()
    threading.Thread(target=hang_up, daemon=True).start()
server_utils._NUM_CLIENT_OS_ERROR = server_utils._NUM_SERVER_DISCONNECTED_ERROR = 99

async def ask():
    try:
        await server_utils.request("POST", "http://127.0.0.1:8000/v1/chat/completions", _max_connection_retries=1)
    except Exception as error:
        print(type(error))

asyncio.run(ask())
"""
FIXTURE = """
import json, pathlib
from nemo_gym.verifier_fixture import _assert_equal
_assert_equal({observed}, 0.5, "Case 'boxed fraction' reward mismatch")
"""
CODE = {
    "profiling-needs-graphviz": Case("import pathlib; from nemo_gym.profiling import Profiler; Profiler(name='x', base_profile_dir=pathlib.Path('.')).start()", environment={"PATH": "/nowhere"}),
    "unregistered-failure-kind": Case(
        "from nemo_gym.failure_kinds import validate_failure_kind as check; check('timeout')",
        fix="from nemo_gym.failure_kinds import validate_failure_kind as check; check('short_answer:timeout')",
    ),
    "capture-dir-not-absolute": Case(
        "from nemo_gym.base_responses_api_model import ModelCallCaptureConfig as C; C(observability_enabled=True, model_call_capture_dir='captures')",
        fix="from nemo_gym.base_responses_api_model import ModelCallCaptureConfig as C; C(observability_enabled=True, model_call_capture_dir='/captures')",
    ),
    "fixture-reward-mismatch": Case(FIXTURE.format(observed=1.0), fix=FIXTURE.format(observed=0.5)),
    "reverify-output-exists": Case(
        "from nemo_gym.rollout_reverification import _prepare_output_fpaths as p; import pathlib; pathlib.Path('results/strict').mkdir(parents=True); "
        "pathlib.Path('results/strict/rollouts.jsonl').touch(); p('', 'results/strict/rollouts.jsonl', False, False, False)",
        fix="from nemo_gym.rollout_reverification import _prepare_output_fpaths as p; p('', 'results/strict/rollouts.jsonl', False, True, False)",
    ),
    "model-retry-429": Case(ASK_ENDPOINT.format(status=429, body='{"error": {"message": "too many requests"}}')),
    "endpoint-permanent-error": Case(
        ASK_ENDPOINT.format(status=401, body='{"error": {"code": "invalid_api_key"}}'), fix=ASK_ENDPOINT.format(status=200, body='{"data": []}'),
    ),
    "hit-global-errors": Case(RETRY.format(answers=False)),
    "server-disconnected": Case(RETRY.format(answers=True)),
    "ray-socket-path-too-long": Case(f"import ray; ray.init(_temp_dir='/tmp/{'long' * 30}', num_cpus=1)"),
    "too-many-open-files": Case("import resource, socket; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); [socket.socket() for _ in range(60)]"),
}  # fmt: skip


@pytest.mark.gym
@pytest.mark.parametrize("id", CODE)
def test_the_package_says_it_and_the_fix_ends_it(id: str, worker: Worker, tmp_path: Path) -> None:
    case = CODE[id]
    (tmp_path / "env.yaml").write_text(ENV)
    _, printed = worker.ask(tmp_path, case.do, **case.environment)
    assert [message for message in ENTRIES[id].messages if not shows(message, printed)] == [], printed
    if case.fix:
        _, printed = worker.ask(tmp_path, case.fix)
        assert [message for message in ENTRIES[id].messages if shows(message, printed)] == [], printed


# --- scripts of the guides ------------------------------------------------------------------------------------------

GUIDE = DOCS / "training" / "how-to"
RAW = {"messages": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4"}]}]}


def script(guide: str, name: str, *arguments: str, cwd: Path) -> str:
    result = subprocess.run([sys.executable, GUIDE / guide / name, *arguments], cwd=cwd, capture_output=True, text=True)
    return result.stdout + result.stderr


def test_scripts_say_what_the_entries_quote(tmp_path: Path) -> None:
    curate = "filter-and-curate-data"
    (tmp_path / "same.jsonl").write_text(rows(rollout(0), rollout(0, 1)))
    (tmp_path / "twice.jsonl").write_text(rows(rollout(0), rollout(0)))
    (tmp_path / "raw.jsonl").write_text(rows(RAW))
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "describe_rollouts.py").write_text((GUIDE / curate / "describe_rollouts.py").read_text())
    said = {
        "no-pair-written": script(curate, "make_training_sets.py", "dpo", "same.jsonl", "-o", "none.jsonl", cwd=tmp_path),
        "two-runs-in-one-file": script(curate, "filter_rollouts.py", "twice.jsonl", "-o", "kept.jsonl", cwd=tmp_path),
        "script-without-its-module": script("..", str(tmp_path / "alone" / "describe_rollouts.py"), "--help", cwd=tmp_path),
    }
    assert {id: said[id] for id in said if not all(shows(message, said[id]) for message in ENTRIES[id].messages)} == {}
    assert "no user turn: the prompt is missing" in script(curate, "make_training_sets.py", "check", "raw.jsonl", cwd=tmp_path)


def test_no_rollout_has_the_field_that_the_published_filter_asks_for() -> None:
    examples = (DOCS / "training" / "reference" / "rollout-format-spec" / "examples").glob("*.json")
    found = [row for path in examples if "response" in (row := json.loads(path.read_text()))]
    assert len(found) > 5 and not any("success" in row for row in found)


def test_a_template_that_walks_through_arguments_refuses_a_json_string() -> None:
    import jinja2

    template = jinja2.Environment().from_string("{% for name, value in arguments|items %}{{ name }}{% endfor %}")
    with pytest.raises(TypeError, match=re.escape("Can only get item pairs from a mapping.")):
        template.render(arguments='{"city": "Paris"}')
    assert template.render(arguments={"city": "Paris"}) == "city"


OPENRLHF = """
import sys; sys.path.insert(0, sys.argv[1])
import check_loaders, practice_policy
from datasets import load_dataset
from openrlhf.datasets import RewardDataset
for prompt in ("prompt", "context"):
    rows = load_dataset("json", data_files=f"{prompt}.jsonl", split="train")
    keys = {"prompt_key": prompt, "chosen_key": "better", "rejected_key": "worse"}
    try:
        RewardDataset(rows, practice_policy.tokenizer(), 512, check_loaders.openrlhf_strategy(**keys), is_dpo=True, num_processors=1)[0]
        print(prompt, "is read")
    except Exception as error:
        print(prompt, f"{type(error).__name__}: {error}")
"""


def guide_scripts(folder: Path) -> Path:
    """A copy of the integrate guide's scripts: they keep a tokenizer beside them."""
    return Path(shutil.copytree(GUIDE / "integrate-with-rl-frameworks", folder / "scripts"))


@pytest.mark.live
def test_openrlhf_does_not_read_a_column_of_the_name_prompt(tmp_path: Path) -> None:
    def answer(city: str) -> list[dict]:
        return [{"role": "assistant", "content": city, "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {"city": city}}}]}]

    user = {"role": "user", "content": "Weather?"}
    for name in ("prompt", "context"):
        one, other = {"better": answer("a"), "worse": answer("b")}, {"better": answer("c"), "worse": answer("d")}
        (tmp_path / f"{name}.jsonl").write_text(rows(one | {name: [user]}, other | {name: [user | {"name": 1}]}))
    command = [ROOT / ".venv-trainers" / "bin" / "python", "-c", OPENRLHF, guide_scripts(tmp_path)]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert shows(f"prompt {ENTRIES['openrlhf-concatenate-list'].messages[0]}", printed) and "context is read" in printed, printed


TRAINERS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import practice_policy
from datasets import Dataset
from omegaconf import OmegaConf
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import DPOConfig, DPOTrainer, GRPOConfig
from verl.utils.dataset.rl_dataset import RLHFDataset

def says(id, do):
    try:
        do()
        print(id, "works")
    except Exception as error:
        print(id, f"{type(error).__name__}: {error}")

tokenizer = practice_policy.tokenizer()
def policy():
    return Qwen2ForCausalLM(Qwen2Config(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                        num_key_value_heads=1, vocab_size=len(tokenizer)))
pairs = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2)
cpu = {"output_dir": "out", "use_cpu": True, "bf16": False}
dpo = {"args": DPOConfig(**cpu, report_to="none"), "train_dataset": pairs, "processing_class": tokenizer}
with open("tasks.jsonl", "w") as file:
    file.write(json.dumps({"responses_create_params": {"input": "Hi"}}))
says("grpo-max-prompt-length", lambda: GRPOConfig(**cpu, max_prompt_length=512))
says("grpo-max-prompt-length", lambda: GRPOConfig(**cpu))
says("dpo-repo-id", lambda: DPOTrainer(policy(), **dpo))
says("dpo-repo-id", lambda: DPOTrainer(policy(), ref_model=policy(), **dpo))
says("verl-keyerror-prompt", lambda: RLHFDataset("tasks.jsonl", tokenizer, OmegaConf.create({"filter_overlong_prompts": False}))[0])
"""
TRAINERS_FIXED = {"grpo-max-prompt-length": True, "dpo-repo-id": True, "verl-keyerror-prompt": False}  # its fix needs the recipe's own checkout


@pytest.mark.live
def test_trainers_say_it_and_the_fix_ends_it(tmp_path: Path) -> None:
    command = [ROOT / ".venv-trainers" / "bin" / "python", "-c", TRAINERS, guide_scripts(tmp_path)]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    for id, fixed in TRAINERS_FIXED.items():
        said = re.search(f"^{id} .*Error.*", printed, re.M)
        assert said and shows(ENTRIES[id].messages[0], said[0]), (id, printed)
        assert (f"{id} works" in printed) == fixed, (id, printed)


SCRIPTS = {*TRAINERS_FIXED, "missing-agent-ref", "openrlhf-concatenate-list", "no-pair-written", "two-runs-in-one-file", "script-without-its-module", "empty-training-sequence",
           "filter-on-success-keeps-none", "template-item-pairs"}  # fmt: skip

# --- rollouts through real servers -----------------------------------------------------------------------------------


class Endpoint(BaseHTTPRequestHandler):
    """A model that does what a word in the prompt asks for. Paths below /judge are the judge's."""

    protocol_version = "HTTP/1.1"
    asked: list[dict] = []

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.reply(200, {"data": [{"id": "small"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = json.dumps(request["messages"])
        self.asked.append(request)
        if "BREAK" in prompt:
            return self.reply(500, {"error": {"message": "broken on purpose"}})
        if "LONG" in prompt:
            text = "This model's maximum context length is 8192 tokens. However, your request has 9691 input tokens."
            return self.reply(400, {"object": "error", "message": text, "type": "BadRequestError", "code": 400})
        message: dict = {"role": "assistant", "content": "I cannot say." if "/judge" in self.path else "Paris"}
        if "THINK" in prompt:
            message = {"role": "assistant", "content": None, "reasoning_content": "Hm."}
        if "LOOP" in prompt and len(request["messages"]) < 14:
            call = {"id": f"call_{len(request['messages'])}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        choice = {"index": 0, "message": message, "finish_reason": "length" if "CUT" in prompt else "stop", "logprobs": None}
        return self.reply(200, {"id": "x", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice], "usage": usage})


SERVERS = f"""
config_paths: [{STRING_MATCH}, {VLLM}, resources_servers/equivalence_llm_judge/configs/equivalence_llm_judge.yaml]
judge_model:
  responses_api_models:
    vllm_model: {{entrypoint: app.py, base_url: URL/judge/v1, api_key: none, model: small, return_token_id_information: false, uses_reasoning_parser: true}}
equivalence_llm_judge: {{resources_servers: {{equivalence_llm_judge: {{judge_model_server: {{name: judge_model}}}}}}}}
capped:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {{type: resources_servers, name: string_match}}
      model_server: {{type: responses_api_models, name: policy_model}}
      max_steps: 3
"""
SIDECAR = "++route_failures_to_sidecar=true"
JUDGED = "equivalence_llm_judge_simple_agent"


def task(prompt: str, agent: str = "string_match_simple_agent", **more: object) -> dict:
    return TASK | {"responses_create_params": {"input": prompt}, "agent_ref": {"name": agent}} | more


class Live:
    """Servers of Gym in one folder, and runs against them."""

    def __init__(self, folder: Path, worker: Worker, environment: dict[str, str]) -> None:
        self.folder, self.worker, self.environment = folder, worker, environment
        self.started: list[subprocess.Popen] = []

    def start(self, log: str, *arguments: str) -> subprocess.Popen:
        with (self.folder / log).open("w") as output:
            process = subprocess.Popen(
                ["gym", "env", "start", *arguments], cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )  # fmt: skip
        self.started.append(process)
        return process

    def said(self, log: str, *words: str, seconds: int = 150) -> str:
        """What a start has printed once all words are in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = (self.folder / log).read_text(errors="replace")
            if all(shows(word, text) for word in words):
                break
            time.sleep(0.5)
        return text

    def run(self, name: str, tasks: list[dict], *arguments: str, **environment: str) -> str:
        (self.folder / f"{name}_tasks.jsonl").write_text(rows(*tasks))
        command = ["eval", "run", "--no-serve", "-i", f"{name}_tasks.jsonl", "-o", f"{name}.jsonl", *arguments]
        return self.worker.ask(self.folder, command, **environment)[1]

    def rows(self, name: str) -> list[dict]:
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").open()]

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process in self.started:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def live(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{endpoint.server_port}"
    with tempfile.TemporaryDirectory() as folder:
        programs = tmp_path_factory.mktemp("programs")
        gym_environment().put_on_path(programs)
        (Path(folder) / "env.yaml").write_text(ENV.replace("http://127.0.0.1:8000", address))
        (Path(folder) / "servers.yaml").write_text(SERVERS.replace("URL", address))
        path = f"{programs}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
        live = Live(Path(folder), worker, os.environ | {"PATH": path, "COLUMNS": "10000", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"})
        try:
            live.start("servers.log", "--config", "servers.yaml")
            assert "servers ready!" in live.said("servers.log", "servers ready!"), live.said("servers.log")[-3000:]
            yield live
        finally:
            live.stop()
            endpoint.shutdown()


def check(id: str, printed: str) -> None:
    assert [message for message in ENTRIES[id].messages if not shows(message, printed)] == [], printed[-3000:]


def failing_runs(live: Live) -> None:
    """One bad sample ends a run; with the sidecar it leaves the score; and what else a run says about failures."""
    check("one-failure-ends-the-run", live.run("one", [task("ok"), task("BREAK")]))
    printed = live.run("kept", [task("ok"), task("BREAK")], SIDECAR, "+require_complete=true")
    check("denominator-shifts", printed)
    check("eval-failed-incomplete", printed)
    assert [row["reward"] for row in live.rows("kept")] == [1.0]
    counted = live.run("counted", [task("ok"), task("BREAK")], SIDECAR, "+count_failure_classes_as_zero=[agent_run_error]")
    assert '"mean/reward": 0.5' in counted and '"mean/reward": 1.0' in printed
    sidecar = live.folder / "kept_failures.jsonl"
    sidecar.write_text(sidecar.read_text() * 3)
    check("max-attempts-reached", printed := live.run("kept", [task("ok"), task("BREAK")], SIDECAR, "--resume"))
    check("none-produced-agent-run-error", live.run("none", [task("BREAK"), task("BREAK")], SIDECAR))
    printed = live.run("judged", [task("ok", JUDGED, expected_answer="BREAK")] * 3)
    check("none-produced-judge-failed", printed)


def refused_rows(live: Live) -> None:
    """Rows that servers refuse, and rows that lead nowhere."""
    live.run("topk", [task("ok")], SIDECAR, "++responses_create_params.top_k=4")
    check("extra-inputs", live.rows("topk_failures")[0]["_ng_failure_response_body"])
    without = task("ok")
    del without["expected_answer"]
    live.run("lacking", [without], SIDECAR)
    check("verify-field-required", live.rows("lacking_failures")[0]["_ng_failure_response_body"].replace("\\", ""))
    check("agent-not-in-config", live.run("agent", [task("ok", "string_match_agent")]))
    elsewhere = task("ok", task_source="mcqa")
    del elsewhere["agent_ref"]
    check("task-source-not-in-config", live.run("source", [elsewhere]))


def silent_runs(live: Live) -> None:
    """Runs that end well and are wrong."""
    live.run("cut", [task("CUT")])
    live.run("long", [task("LONG")])
    assert live.rows("cut")[0]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    long = live.rows("long")[0]
    assert long["reward"] == 0 and not long["failure_kind"] and long["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert long["response"]["output"][0]["content"][0]["text"] == ""
    live.run("gibberish", [task("ok", JUDGED)])
    judged = live.rows("gibberish")[0]
    assert judged["reward"] == 0 and not judged["failure_kind"] and "judge_evaluations" in judged
    live.run("think", [task("THINK")])
    check("thoughts-without-answer", live.said("servers.log", *ENTRIES["thoughts-without-answer"].messages, seconds=10))
    live.run("extra", [task("ok", shade_of_row="blue")])
    assert "shade_of_row" not in live.rows("extra")[0] and "shade_of_row" in live.rows("extra_materialized_inputs")[0]


def loops(live: Live) -> None:
    """An agent without a limit goes on as long as the model calls tools; with one it stops."""
    del Endpoint.asked[:]
    live.run("loop", [task("LOOP")])
    unlimited = len(Endpoint.asked)
    live.run("capped", [task("LOOP", "capped")])
    assert unlimited == 8 and len(Endpoint.asked) - unlimited == 3


def repeats(live: Live) -> None:
    """Repeats that are alike, the seed that tells them apart, and what a resumed or repeated run keeps."""
    del Endpoint.asked[:]
    live.run("alike", [task("ok")], "--num-repeats", "2", "--temperature", "0.5")
    texts = [row["response"]["output"][0]["content"][0]["text"] for row in live.rows("alike")]
    assert texts == ["Paris", "Paris"] and not any("seed" in request for request in Endpoint.asked)
    live.run("seeded", [task("ok")], "--num-repeats", "2", "+num_repeats_add_seed=true")
    assert sorted(request["seed"] for request in Endpoint.asked if "seed" in request) == [0, 1]
    live.run("alike", [task("ok")], "--num-repeats", "3", "--temperature", "0.9", "--resume")
    assert [row["responses_create_params"]["temperature"] for row in live.rows("alike_materialized_inputs")] == [0.5, 0.5]
    assert len(live.rows("alike")) == 2
    (live.folder / "alike.jsonl").write_text(rows({"an": "old rollout"}))
    check("old-rollouts-cleared", live.run("alike", [task("ok")], "++responses_create_params.metadata.x=a"))
    assert len(live.rows("alike")) == 1 and "an" not in live.rows("alike")[0]
    own = task("ok")
    own["responses_create_params"]["metadata"] = {"y": "2"}
    live.run("override", [own], "++responses_create_params.metadata.x=a")
    assert live.rows("override_materialized_inputs")[0]["responses_create_params"]["metadata"].keys() == {"x"}


def after(live: Live) -> None:
    """What commands say about finished rollouts."""
    live.run("base", [task("ok")], "--num-repeats", "2")
    _, printed = live.worker.ask(live.folder, ["eval", "compare", "--baseline", "base.jsonl", "--candidates", "base.jsonl", "-o", "compared"])
    check("compare-precision-loss", printed)
    check("reverify-unsupported", live.worker.ask(live.folder, REVERIFY_GUARD)[1])


# The question that `gym eval reverify` asks first; the command itself would start servers of its own.
REVERIFY_GUARD = """
import asyncio, types
from nemo_gym.rollout_reverification import _guard_reverify_mode
asyncio.run(_guard_reverify_mode(types.SimpleNamespace(judge_failed_only=False, force=False)))
"""
ROLLOUTS = {
    failing_runs: ["one-failure-ends-the-run", "denominator-shifts", "eval-failed-incomplete", "max-attempts-reached",
                   "none-produced-agent-run-error", "none-produced-judge-failed"],
    refused_rows: ["extra-inputs", "verify-field-required", "agent-not-in-config", "task-source-not-in-config"],
    silent_runs: ["answers-cut-off", "empty-answers-context-overflow", "judge-verdict-not-understood", "thoughts-without-answer", "field-dropped-by-verify"],
    loops: ["agent-loops-for-ever"],
    repeats: ["repeats-all-alike", "resume-ignores-changes", "old-rollouts-cleared", "override-replaces-all"],
    after: ["compare-precision-loss", "reverify-unsupported"],
}  # fmt: skip


@pytest.mark.gym
@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("prove", ROLLOUTS, ids=lambda prove: prove.__name__)
def test_rollouts(prove, live: Live) -> None:
    prove(live)


STARTS = {
    "head-server-port-taken": ["--config", VLLM],
    "first-start-takes-minutes": ["--config", VLLM, "++head_server.port=11055", "++server_spinup_timeout_seconds=1"],
    "endpoint-never-answered": ["--config", VLLM, "++head_server.port=11056", "++policy_base_url=http://127.0.0.1:9/v1", "++model_endpoint_readiness_timeout_seconds=1"],
    "worker-failed-to-start": ["--config", "workers.yaml", "++head_server.port=11057"],
}
STARTS_PROVE = {"worker-failed-to-start": ["worker-failed-to-start", "process-finished"]}


@pytest.mark.gym
@pytest.mark.live
@pytest.mark.timeout(300)
def test_starts_that_fail(live: Live) -> None:
    """All at once, next to servers that run: each says its message and ends."""
    openai = "responses_api_models/openai_model/configs/openai_model.yaml"
    (live.folder / "workers.yaml").write_text(f"config_paths: [{openai}]\npolicy_model: {{responses_api_models: {{openai_model: {{num_workers: 2}}}}}}\n")
    for id, arguments in STARTS.items():
        live.start(f"{id}.log", *arguments)
    for id in STARTS:
        for proven in STARTS_PROVE.get(id, [id]):
            messages = [re.sub(r"within 600s|after 600s", lambda m: m[0].replace("600", "1"), message) for message in ENTRIES[proven].messages]
            printed = live.said(f"{id}.log", *messages)
            assert [message for message in messages if not shows(message, printed)] == [], printed[-3000:]


# --- proven by the tests and pages of their guide: the file, and words in it ----------------------------------------

TESTS = ROOT / "tests"
CONFIGURATION = TESTS / "test_configuration_options.py"
ELSEWHERE = {
    "values-unset": (CONFIGURATION, "are unset (still '???')"),
    "reference-not-set": (CONFIGURATION, "references 'nowhere'"),
    "variable-not-found": (CONFIGURATION, "not found"),
    "inherited-path-missing": (CONFIGURATION, "Path specified does not exist"),
    "delete-key-missing": (CONFIGURATION, "Key not found"),
    "agent-inherited-twice": (CONFIGURATION, "was inherited into several names"),
    "hydra-append": (CONFIGURATION, "Could not append"),
    "hydra-override": (CONFIGURATION, "Could not override"),
    "hydra-delete": (CONFIGURATION, "Could not delete"),
    "two-types-of-one-server": (CONFIGURATION, "at most 1 item"),
    "malformed-yaml": (CONFIGURATION, "Malformed YAML"),
    "reference-to-missing-server": (CONFIGURATION, "is not defined in the merged config"),
    "config-path-not-found": (CONFIGURATION, "'shard.yaml' was not found"),
    "config-paths-read-by-letter": (CONFIGURATION, "'s' was not found"),
    "stalled-run": (TESTS / "test_monitor_data_quality.py", "no new row"),
    "limits-for-other-tasks": (TESTS / "test_monitor_data_quality.py", "was made for other tasks"),
    "gate-stops-on-not-measured": (TESTS / "test_monitor_data_quality.py", "not measured"),
    "token-ids-not-contiguous": (TESTS / "test_integrate_with_rl_frameworks.py", "not contiguous"),
    "no-token-ids": (TESTS / "test_integrate_with_rl_frameworks.py", "no token ids"),
    "verl-turn-by-turn-template": (TESTS / "test_integrate_with_rl_frameworks.py", "the loader refuses"),
    "kind-filtered-away": (TESTS / "test_filter_and_curate_data.py", "nothing of task_source tools is left"),
    "single-tool-calls-only": (TESTS / "test_integrate_with_rl_frameworks.py", "This model only supports single tool-calls at once!"),
    "loss-on-wrong-tokens": (TESTS / "test_integrate_with_rl_frameworks.py", "user or tool tokens in the loss"),
    "dpo-loss-ln-2": (TESTS / "test_filter_and_curate_data.py", "0.6931"),
    "masked-rollouts-counted": (DOCS / "training" / "reference" / "rollout-format-spec" / "examples" / "masked.json", '"mask_sample": true'),
    "rate-does-not-grow": (GUIDE / "optimize-rollout-collection.md", "make no difference here"),
    "boxed-answers-score-0": (GUIDE / "configure-verification-strategies/resources_servers/math_problem/tests/verifier_cases.jsonl", "boxed"),
}  # fmt: skip


@pytest.mark.parametrize("id", ELSEWHERE)
def test_what_is_proven_elsewhere_is_still_there(id: str) -> None:
    file, words = ELSEWHERE[id]
    assert words in file.read_text(encoding="utf-8")


# --- diagnose.py ----------------------------------------------------------------------------------------------------

DIAGNOSE = GUIDE / "troubleshoot-common-issues" / "diagnose.py"
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def diagnose(folder: Path, *arguments: str, gym: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with a `gym` that prints what the test wants to be the configuration."""
    program = folder / "bin" / "gym"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/bash\n{gym}\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"} | environment
    return subprocess.run([sys.executable, DIAGNOSE, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


SECRETS = {
    "sk-proj-abcdefghij0123456789": "policy_api_key: {}",
    "plain-but-behind-a-name": "wandb_api_key: {}",
    "hf_abcdefghijklmnopqrstuvwx": "anything: {}",
    "nvapi-abcdefghijklmnopqrst": "default_headers: {{x: '{}'}}",
    "bearer.of.something.long": "Authorization: Bearer {}",
    "someone:pass-word": "uri: https://{}@example.com/v1",
    "value-of-a-variable": "note: {}",
    "xq7-quoted-value": '"client_secret": "{}"',
    "given-on-a-command-line": "gym env start --model-api-key {}",
    "github_pat_not_known_by_shape": "password={}",
}


@pytest.mark.parametrize("where", ["configuration", "log", "failures"])
def test_no_secret_is_in_the_report(where: str, tmp_path: Path) -> None:
    lines = [line.format(secret) for secret, line in SECRETS.items()]
    (tmp_path / "said.txt").write_text("\n".join(lines))
    (tmp_path / "servers.log").write_text("\n".join(f"Error: {line}" for line in lines))
    (tmp_path / "failures.jsonl").write_text(rows({"_ng_failure_class": "agent_run_error", "_ng_failure_message": " ".join(lines)}))
    options = {"configuration": [], "log": ["--log", "servers.log"], "failures": ["--failures", "failures.jsonl"]}[where]
    gym = "cat said.txt" if where == "configuration" else "exit 0"
    result = diagnose(tmp_path, "--head", NOBODY, *options, gym=gym, MY_SERVICE_TOKEN="value-of-a-variable")
    report = (tmp_path / "report.md").read_text()
    assert [secret for secret in SECRETS if secret in report + result.stdout + result.stderr] == []
    assert report.count("[removed]") >= (3 if where == "failures" else len(SECRETS))


def test_a_report_keeps_what_is_no_secret(tmp_path: Path) -> None:
    kept = ["max_output_tokens: 512", "return_token_id_information: true", "skip_venv_if_present: false", "extra_body: {top_k: 40}", "api_key: null", "tokens: 17"]
    (tmp_path / "said.txt").write_text("\n".join(kept))
    diagnose(tmp_path, "--head", NOBODY, gym="cat said.txt")
    report = (tmp_path / "report.md").read_text()
    assert [line for line in kept if line not in report] == []


@pytest.mark.gym
def test_a_key_of_env_yaml_is_not_in_the_report_of_the_real_package(gym_python: Path, tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(ENV.replace("api_key: none", "api_key: sk-proj-abcdefghij0123456789"))
    (tmp_path / "servers.yaml").write_text(f"config_paths: [{STRING_MATCH}, {VLLM}]")
    environment = os.environ | {"PATH": f"{gym_python.parent}:{os.environ['PATH']}"}
    command = [gym_python, DIAGNOSE, "--head", NOBODY, "--config", "servers.yaml"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    report = (tmp_path / "report.md").read_text()
    assert result.returncode == 1 and "nemo-gym    0.7.0" in report and "base_url: http://127.0.0.1:8000/v1" in report
    assert "sk-proj" not in report and not (tmp_path / "outputs").exists()
    (tmp_path / "servers.yaml").write_text("a: 1\na: 2")
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "does not resolve" in result.stdout and "found duplicate key" in result.stdout.replace("\n", " ")


def test_no_servers_and_no_endpoint(tmp_path: Path) -> None:
    result = diagnose(tmp_path, "--head", NOBODY, gym=f"echo 'base_url: {NOBODY}/v1'")
    assert result.returncode == 1
    assert f"No servers of Gym answer at {NOBODY}" in result.stdout and f"Nothing answers at {NOBODY}/v1" in result.stdout


def test_servers_that_run_and_one_that_died(tmp_path: Path) -> None:
    class Head(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            about = {"server_type": "responses_api_models", "name": "vllm_model", "pid": 7}
            here = f"http://127.0.0.1:{self.server.server_port}"
            instances = [about | {"process_name": "alive", "url": here}, about | {"process_name": "gone", "url": NOBODY}]
            answers = {"/server_instances": instances, "/v1/models": {"data": [{"id": "large"}]}}
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path)).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Head)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    result = diagnose(tmp_path, "--head", address, gym=f"printf 'base_url: {address}/v1\\nother_base_url: {address}\\nmodel: small\\n'")
    server.shutdown()
    report = (tmp_path / "report.md").read_text()
    assert "ready alive (responses_api_models/vllm_model)" in report and "The server gone does not answer" in result.stdout
    assert "offers large, and the configuration asks for small" in result.stdout and "does the address lack /v1?" in result.stdout
    assert re.search(rf"^{server.server_port} +PID {os.getpid()}: ", report, re.M)


def test_a_configuration_that_is_broken_or_a_gym_that_is_missing(tmp_path: Path) -> None:
    result = diagnose(tmp_path, "--head", NOBODY, gym="echo 'Error: Malformed YAML in x.yaml' >&2; exit 1")
    assert "The configuration does not resolve: Error: Malformed YAML in x.yaml" in result.stdout
    assert "Malformed YAML" in (tmp_path / "report.md").read_text().partition("## Configuration")[2]


def test_errors_of_a_log_and_failed_rollouts(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("fine\n" * 1000 + "the row\nValueError: bad\n" + "fine\n" * 10)
    failed = {"_ng_failure_class": "judge_failed", "failure_reason": "500 from the judge"}
    (tmp_path / "failures.jsonl").write_text(rows(failed, failed, "{broken", [1], {"_ng_failure_class": "agent_run_error"}))
    result = diagnose(tmp_path, "--head", NOBODY, "--log", "run.log", "--failures", "failures.jsonl")
    report = (tmp_path / "report.md").read_text()
    assert "the row\nValueError: bad" in report and "fine" not in report
    assert "2 x judge_failed, the last: 500 from the judge" in report and "line 3 is not a JSON object" in report
    assert "3 failed tries in failures.jsonl: 2 judge_failed, 1 agent_run_error" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--log", "none.log"], "no such file: none.log"), (["--failures", "none"], "no such file: none"), (["--nonsense"], "unrecognized"),
     (["-o", "no/such/folder/report.md", "--head", NOBODY], "cannot write no/such/folder/report.md")],
)  # fmt: skip
def test_bad_input_is_one_line_and_no_report(arguments: list[str], says: str, tmp_path: Path) -> None:
    result = diagnose(tmp_path, *arguments)
    assert result.returncode == 2 and says in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr
    assert not list(tmp_path.glob("*.md")) and not list(tmp_path.glob(".*tmp"))


def test_help_and_the_trial_before_a_long_run(tmp_path: Path) -> None:
    assert diagnose(tmp_path, "--help").returncode == 0
    (tmp_path / "bin").mkdir(exist_ok=True)
    command = ["bash", DIAGNOSE.with_name("preflight.sh"), "a.yaml", "tasks.jsonl", "agent"]
    (tmp_path / "bin" / "gym").write_text('#!/bin/bash\n[ "$1" = env ] || { echo "ValueError: no"; exit 1; }\n')
    (tmp_path / "bin" / "gym").chmod(0o755)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    result = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}, capture_output=True, text=True)
    assert result.returncode == 1 and "ValueError: no" in result.stdout and "the trial run failed" in result.stderr
