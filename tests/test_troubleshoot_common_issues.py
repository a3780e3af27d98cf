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
    assert "(#" not in entry.body and "](/training" in entry.body or "](" not in re.sub(r"\]\(https?:", "", entry.body)


def test_files_that_raise_a_message_exist() -> None:
    installed = gym_environment().servers_installed()
    named = {entry.options["in"] for entry in ENTRIES.values() if "in" in entry.options}
    assert len(named) > 10 and [file for file in named if not (installed / file).exists()] == []


def test_every_entry_is_proven_or_names_its_thread() -> None:
    proven = [*COMMANDS, *CODE, *ROLLOUTS, *STARTS, *ELSEWHERE]
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
        environment = os.environ | {"COLUMNS": "10000", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
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
    "export-rejected": Case(["eval", "export", "--format", "atif", "--rollouts", "rollouts.jsonl", "-o", "atif"], {"rollouts.jsonl": rows(rollout(0))}),
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
        _, printed = worker.ask(folder, case.fix, **case.environment)
        gone = [message for message in ENTRIES[id].messages if id not in SILENT]
        assert [message for message in gone if shows(message, printed)] == [], printed


@pytest.mark.gym
def test_what_silent_commands_leave_behind(worker: Worker, tmp_path: Path) -> None:
    """The file that collate wrote has the row that its statistics lack; a key of the command line is on the disk."""
    (tmp_path / "data.yaml").write_text(dataset("agent"))
    (tmp_path / "train.jsonl").write_text(TWO_ROWS)
    worker.ask(tmp_path, COLLATE)
    assert len((tmp_path / "prepared" / "train.jsonl").read_text().splitlines()) == 2
    worker.ask(tmp_path, ["env", "resolve", "--config", STRING_MATCH, "--model-type", "vllm_model", "--model-api-key", "sk-very-secret"])
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
            print(error)

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
PERMISSION = """
import os, sys
if os.getuid() == 0:  # root may write anywhere
    os.setgid(65534); os.setuid(65534)
sys.argv = ["gym", *{arguments!r}]
main()
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
ROLLOUTS = {}
STARTS = {}
ELSEWHERE = {}
