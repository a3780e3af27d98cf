"""The entries of the troubleshooting guide: complete, and each proven or with the thread it was seen in.

``proofs.py`` says how one is proven. Here are those that a command, a function of the package, a script or a trainer causes; the
ones that need servers are in ``test_problems_live.py``, and some that guides' scripts cause in the tests of those guides.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import problems
import pytest
import scripts
from gym_environment import gym_environment
from pages import DOCS, ROOT
from problems import Entry
from proofs import ENTRIES, GUIDE, NOT_CURED, Proof, Worker, proves, rows, shows
from site_map import GUIDES, HTML

SEEN = {id for id, entry in ENTRIES.items() if "seen" in entry.options}
SILENT = {id for id, entry in ENTRIES.items() if entry.options["by"] == "nobody"}


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


def test_no_message_has_two_entries() -> None:
    messages = [message for entry in ENTRIES.values() for message in entry.messages if entry.options["by"] != "nobody"]
    assert sorted({message for message in messages if messages.count(message) > 1}) == []


@pytest.mark.gym
def test_files_that_raise_a_message_exist() -> None:
    installed = gym_environment().servers_installed()
    named = {entry.options["in"] for entry in ENTRIES.values() if "in" in entry.options}
    assert len(named) > 10 and [file for file in named if not (installed / file).exists()] == []


def test_every_entry_is_proven_or_names_its_thread() -> None:
    modules = [importlib.import_module(path.stem) for path in sorted((ROOT / "tests").glob("test_*.py"))]
    marks = [mark for module in modules for test in vars(module).values() for mark in getattr(test, "pytestmark", [])]
    proven = [id for mark in marks if mark.name == "proves" for id in mark.args]
    assert sorted(ENTRIES.keys() - SEEN - set(proven)) == [], "caused by no test, and no thread is named"
    assert sorted(set(proven) - ENTRIES.keys()) == [] and sorted(SEEN & set(proven)) == []
    assert sorted(id for id in proven if proven.count(id) > 1) == [] and NOT_CURED.keys() <= set(proven)


def test_guides_share_entries() -> None:
    """Each guide but the troubleshooting guide shows some, and says nothing of its own beside them."""
    shown = {page.name: re.search(r":::\{problems\}\n(.*?):::", page.text, re.S) for page in GUIDES if page.name != problems.HOME}
    assert all(shown.values())
    assert {id for match in shown.values() for id in match[1].split()} <= ENTRIES.keys()
    outside = [path for path in (DOCS / "training").rglob("*.md") if problems.HOME not in path.as_posix()]
    assert [path.name for path in outside if re.search(r"\*\*Cause\*\*|:::\{problem\} ", path.read_text(encoding="utf-8"))] == []


def test_the_page_stays_light_and_has_an_anchor_for_each() -> None:
    html = (HTML / f"{problems.HOME}.html").read_bytes()
    assert len(gzip.compress(html)) < 60_000
    anchors = re.findall(r'<section class="problem" id="problem-([^"]+)">', html.decode())
    assert sorted(anchors) == sorted(ENTRIES)


# --- problems that one command causes, and the same command cured -----------------------------------------------------

STRING_MATCH = "resources_servers/string_match/configs/string_match.yaml"
VLLM = "responses_api_models/vllm_model/configs/vllm_model.yaml"
OPENAI = "responses_api_models/openai_model/configs/openai_model.yaml"
ENV = "policy_base_url: http://127.0.0.1:8000/v1\npolicy_api_key: none\npolicy_model_name: small\n"
TASK = {"responses_create_params": {"input": "Capital of France?"}, "expected_answer": "Paris", "extraction_mode": "full_response"}


@dataclass
class Case:
    """What causes an entry's problem, and what cures it: other arguments, other files, or both."""

    do: list[str] | str  # the arguments of `gym` or of a script; or Python that uses the package
    files: dict[str, str | None] = field(default_factory=dict)  # None: the file is not there
    fix: list[str] | str | None = None
    fixed: dict[str, str | None] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    fixed_environment: dict[str, str] | None = None
    shows: list[str] = field(default_factory=list)  # printed because of a silent problem
    cured: list[str] = field(default_factory=list)  # printed once it is cured


def prove(case: Case, id: str, folder: Path, ask: Callable[..., str], proof: Proof) -> str:
    def write(files: dict[str, str | None]) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).unlink(missing_ok=True) if text is None else (folder / name).write_text(text)

    write(case.files)
    printed = ask(folder, case.do, **case.environment)
    proof.wrong(id, [words for words in case.shows if not shows(words, printed)] == [] if id in SILENT else printed)
    if case.fix or case.fixed or case.fixed_environment is not None:
        write(case.fixed)
        environment = case.environment if case.fixed_environment is None else case.fixed_environment
        cured = ask(folder, case.fix or case.do, **environment)
        assert [words for words in case.cured if not shows(words, cured)] == [], cured
        assert case.cured or id not in SILENT
        proof.cured(id, id in SILENT or cured)
    return printed


RUN = ["eval", "run", "--no-serve", "-i", "tasks.jsonl", "-o", "rollouts.jsonl"]
RUN_A = [*RUN, "--agent", "a"]
SERVE = ["eval", "run", "-o", "rollouts.jsonl", "--resources-server", "string_match", "--model-type", "vllm_model"]
RESOLVE = ["env", "resolve", "--config", "wrong.yaml"]
VALIDATE = ["env", "validate", "--config", "wrong.yaml"]
COLLATE = ["dataset", "collate", "--config", "data.yaml", "--mode", "train_preparation", "--output-dir", "prepared"]
RENDER = ["dataset", "render", "-i", "tasks.jsonl", "-o", "out.jsonl"]
PROFILE = ["eval", "profile", "--inputs", "inputs.jsonl", "--rollouts", "rollouts.jsonl"]
HEALTH = ["eval", "health-check"]
NO_TASK = {"messages": []}
CONNECTS = ["Could not connect to the head server"]  # how far a run without servers comes


def dataset(on: str) -> str:
    """A configuration that declares ``train.jsonl``, on the resources server or on the agent."""
    block = "datasets: [{name: train, type: train, jsonl_fpath: train.jsonl, license: MIT}]"
    return (
        f"config_paths: [{STRING_MATCH}]\n"
        f"string_match: {{resources_servers: {{string_match: {{{block if on == 'server' else ''}}}}}}}\n"
        f"string_match_simple_agent: {{responses_api_agents: {{simple_agent: {{{block if on == 'agent' else 'datasets: []'}}}}}}}\n"
    )


def wrong(text: str) -> dict[str, str | None]:
    return {"wrong.yaml": text}


def served(text: str) -> str:
    """The text in a configuration that has a server, as `gym env validate` asks."""
    return f"{text}\nconfig_paths: [{VLLM}]"


LEGACY = "{{environment_servers: {{legacy_agent: {{entrypoint: app.py, agent_server: {{type: responses_api_agents, name: {}}}}}}}}}"


def agent(more: str) -> str:
    refers = "resources_server: {type: resources_servers, name: string_match}, model_server: {type: responses_api_models, name: policy_model}"
    return f"config_paths: [{STRING_MATCH}, {VLLM}]\nmy_agent: {{responses_api_agents: {{simple_agent: {{entrypoint: app.py, {refers}}}}}}}\n{more}"


def moved(word: str) -> str:
    """The agent under two names, by ``_inherit_from`` or ``_copy``; a copy takes its environment server along."""
    lines = [f"config_paths: [{STRING_MATCH}, {VLLM}]"]
    for name in ("p", "q"):
        lines.append(f"{name}: {{{word}: string_match_simple_agent}}")
        if word == "_copy":
            lines.append(f"{name}_environment: {{_copy: string_match_environment_server, environment_servers: {{legacy_agent: {{agent_server: {{name: {name}}}}}}}}}")
    return "\n".join(lines)


def rollout(task: int, repeat: int = 0, text: str = "Paris", **more: object) -> dict:
    message = {"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    response = {"id": "r", "output": [message], "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}}
    return {"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": 1.0, "response": response,
            "agent_ref": {"name": "string_match_simple_agent"}, **TASK, **more}  # fmt: skip


ONE, BOTH = rows(rollout(0)), rows(rollout(0), rollout(1))

COMMANDS = {
    # the configuration
    "values-unset": Case(VALIDATE, wrong(served("a: {b: '???'}")), fix=[*VALIDATE, "++a.b=1"]),
    "reference-not-set": Case(["env", "validate", "--strict", "--config", VLLM], {"env.yaml": None}, fixed={"env.yaml": ENV}),
    "variable-not-found": Case(VALIDATE, wrong(served("a: ${oc.env:NOT_SET}")), fixed=wrong(served("a: ${oc.env:NOT_SET,null}"))),
    "inherited-path-missing": Case(VALIDATE, wrong(served("x: {_inherit_from: polcy_model}")), fixed=wrong(served("x: {_inherit_from: policy}\npolicy: {q: 1}"))),
    "delete-key-missing": Case(
        VALIDATE, wrong(served("x: {_inherit_from: s, _delete_key: nokey}\ns: {q: 1, r: 2}")), fixed=wrong(served("x: {_inherit_from: s, _delete_key: q}\ns: {q: 1, r: 2}")),
    ),
    "agent-inherited-twice": Case(VALIDATE, wrong(moved("_inherit_from")), fixed=wrong(moved("_copy")), cured=["✓ Config is valid."]),
    "hydra-append": Case([*RESOLVE, "+limit=2", "+limit=3"], wrong("limit: 4"), fix=[*RESOLVE, "++limit=2"], cured=["limit: 2"]),
    "hydra-override": Case([*RESOLVE, "limit=40"], wrong("limit: 4"), fix=[*RESOLVE, "++limit=40"], cured=["limit: 40"]),
    "hydra-delete": Case([*RESOLVE, "~limit"], wrong("limit: 4"), fix=[*RESOLVE, "++limit=null"], cured=["limit: null"]),
    "two-types-of-one-server": Case(
        VALIDATE, wrong(f"config_paths: [{VLLM}, {OPENAI}]"), fix=[*VALIDATE, "++policy_model.responses_api_models._delete_key=vllm_model"], cured=["✓ Config is valid."],
    ),
    "malformed-yaml": Case(VALIDATE, wrong(served("b: 1\na: 1\na: 2")), fixed=wrong(served("b: 1\na: 2"))),
    "reference-to-missing-server": Case(
        VALIDATE, wrong(f"config_paths: [{STRING_MATCH}, {VLLM}]\nstring_match_simple_agent: {{responses_api_agents: {{simple_agent: {{model_server: {{name: polcy_model}}}}}}}}"),
        fixed=wrong(f"config_paths: [{STRING_MATCH}, {VLLM}]"), cured=["✓ Config is valid."],
    ),
    "agent-without-environment-server": Case(VALIDATE, wrong(agent("")), fixed=wrong(agent("my_environment_server: " + LEGACY.format("my_agent"))), cured=["✓ Config is valid."]),
    "config-path-not-found": Case(RESOLVE, wrong("config_paths: [shard.yaml]"), fixed={"shard.yaml": "b: 1"}, cured=["b: 1"]),
    "config-paths-read-by-letter": Case(
        RESOLVE, wrong("config_paths: shared.yaml") | {"shared.yaml": "b: 1"}, fixed=wrong("config_paths: [shared.yaml]"), cured=["b: 1"],
    ),
    "implied-config-missing": Case(["env", "validate", "--resources-server", "mcq"], fix=["env", "validate", "--resources-server", "mcqa", "--model-type", "vllm_model"], cured=["✓ Config is valid."]),
    "almost-server": Case(
        VALIDATE, wrong("x: {resources_servers: {string_match: {entrypoint: app.py}}}"),
        fixed=wrong("x: {resources_servers: {string_match: {entrypoint: app.py, domain: math}}}"), cured=["✓ Config is valid."],
    ),
    "valid-but-does-not-start": Case(
        ["env", "validate", "--config", STRING_MATCH, "--config", VLLM], {"env.yaml": ""}, shows=["✓ Config is valid.", "will not start as-is"],
        fix=["env", "validate", "--config", STRING_MATCH, "--config", VLLM, "--strict"], cured=["exit code 1"],
    ),
    # how a run begins
    "required-configuration-missing": Case([*RUN_A[:-4], "--agent", "a"], fix=RUN_A, cured=CONNECTS),
    "input-not-found": Case(RUN_A, {"tasks.jsonl": None}, fixed={"tasks.jsonl": rows(TASK)}, cured=CONNECTS),
    "input-with-serving": Case([*SERVE, "-i", "tasks.jsonl"], fix=RUN_A, cured=CONNECTS),
    "split-example": Case([*SERVE, "--split", "example"], fix=RUN_A, cured=CONNECTS),
    "no-dataset-of-type": Case(
        [*SERVE, "--split", "validation"], fix=["eval", "run", "--config", "data.yaml", "--config", VLLM, "--split", "train", "-o", "rollouts.jsonl"], fixed={"data.yaml": dataset("agent")},
        cured=["MISSING the following datasets"],  # declared, and the next thing to do is to create the file
    ),
    "dispatch-budget-needs-concurrency": Case([*RUN_A, "+dispatch_budget_s=30"], fix=[*RUN_A, "+dispatch_budget_s=30", "--concurrency", "4"], cured=CONNECTS),
    "repeats-without-entry": Case([*RUN_A, "+num_repeats={b: 2}"], fix=[*RUN_A, "+num_repeats={b: 2, _default: 1}"], cured=CONNECTS),
    "no-agent-for-rows": Case(RUN, fix=RUN_A, cured=CONNECTS),
    "row-without-params": Case(RUN_A, {"tasks.jsonl": rows(NO_TASK)}, fixed={"tasks.jsonl": rows(TASK)}, cured=CONNECTS),
    # finished rollouts
    "no-shards-matched": Case(["eval", "aggregate", "-i", "part-*.jsonl", "-o", "all.jsonl"], fixed={"part-0.jsonl": ONE}, cured=CONNECTS),
    "malformed-json-in-shard": Case(RUN_A, {"tasks.jsonl": rows(TASK, TASK, '{"responses_create_params":')}, fixed={"tasks.jsonl": rows(TASK, TASK)}, cured=CONNECTS),
    "unknown-health-check": Case([*HEALTH, ".", "--ignore-checks", "no_such_check"], {"rollouts.jsonl": ONE}, fix=[*HEALTH, ".", "--ignore-checks", "agent_turn_hollow"], cured=["Rollout health"]),
    "health-rollouts-not-found": Case([*HEALTH, "comparison"], {"comparison/run.jsonl": ONE}, fix=[*HEALTH, "comparison", "--rollouts-file", "run.jsonl"], cured=["Rollout health"]),
    "profile-keys-do-not-match": Case(PROFILE, {"inputs.jsonl": BOTH, "rollouts.jsonl": ONE}, fix=[*PROFILE, "++allow_partial_rollouts=True"], cured=["exit code 0"]),
    "results-without-inputs": Case(PROFILE, {"inputs.jsonl": ONE, "rollouts.jsonl": BOTH}, fixed={"inputs.jsonl": BOTH}, cured=["exit code 0"]),
    "duplicate-rollout-key": Case(PROFILE, {"inputs.jsonl": ONE * 2, "rollouts.jsonl": ONE * 2}, fixed={"inputs.jsonl": BOTH, "rollouts.jsonl": BOTH}, cured=["exit code 0"]),
    "export-rejected": Case(["eval", "export", "--format", "atif", "--rollouts", "rollouts.jsonl", "--output-dir", "atif", "--session-id", "s", "--agent-version", "1"], {"rollouts.jsonl": ONE}),
    # data
    "collate-json-decode-error": Case(
        COLLATE, {"data.yaml": dataset("server"), "train.jsonl": '{"responses_create_params": {"input": "A text \n'}, fixed={"train.jsonl": rows(TASK), "train_metrics.json": None, "prepared/train_metrics.json": None}, cured=["Finished!"],
    ),
    "metrics-conflict": Case(
        COLLATE, {"data.yaml": dataset("server"), "train.jsonl": rows(TASK), "train_metrics.json": json.dumps({"Number of examples": 7})},
        fixed={"train_metrics.json": None}, cured=["exit code 0"],
    ),
    "missing-local-datasets": Case(COLLATE, {"data.yaml": dataset("server")}, fixed={"train.jsonl": rows(TASK)}, cured=["exit code 0"]),
    "hf-token-missing": Case([*COLLATE, "--download"], {"data.yaml": dataset("server")}, fixed={"train.jsonl": rows(TASK)}, cured=["exit code 0"]),
    "row-vanishes-in-collate": Case(
        COLLATE, {"data.yaml": dataset("agent"), "train.jsonl": rows(TASK, NO_TASK)}, shows=["'Number of examples': 1", "exit code 0"],
        fixed={"train.jsonl": rows(TASK, TASK), "train_metrics.json": None}, cured=["'Number of examples': 2"],
    ),
    "task-data-validation-skipped": Case(
        [*COLLATE, "+task_data_validation=error"], {"data.yaml": dataset("agent"), "train.jsonl": rows(TASK, NO_TASK)}, shows=["Finished!", "exit code 0"],
        fixed={"data.yaml": dataset("server")}, cured=["1/2 rows failed task_data validation"],
    ),
    "rows-fail-task-data": Case(
        [*COLLATE, "+task_data_validation=error"], {"data.yaml": dataset("server"), "train.jsonl": rows(TASK, NO_TASK)}, fixed={"train.jsonl": rows(TASK)}, cured=["exit code 0"],
    ),
    "rendered-rows-and-template": Case([*RENDER, "--prompt-config", "prompt.yaml"], {"prompt.yaml": "user: '{question}'"}, fixed={"tasks.jsonl": rows({"question": "Why?"})}, cured=["exit code 0"]),
    "template-field-missing": Case(
        [*RENDER, "--prompt-config", "prompt.yaml"], {"prompt.yaml": "user: '{question}'", "tasks.jsonl": rows({"query": "Why?", "answer": "So"})},
        fixed={"tasks.jsonl": rows({"question": "Why?"})}, cured=["Materialized 1 rows"],
    ),
}  # fmt: skip


@pytest.mark.gym
@proves(*COMMANDS)
@pytest.mark.parametrize("id", COMMANDS)
def test_a_command(id: str, worker: Worker, tmp_path: Path, proof: Proof) -> None:
    (tmp_path / "env.yaml").write_text(ENV)
    (tmp_path / "tasks.jsonl").write_text(rows(TASK))
    printed = prove(COMMANDS[id], id, tmp_path, worker.ask, proof)
    warns = id in SILENT or ENTRIES[id].options["by"] == "after" or "DEPRECATED" in ENTRIES[id].title
    assert warns or "exit code 0" not in printed, "an error comes with an exit code"


@pytest.mark.gym
def test_commands_that_entries_name_are_commands() -> None:
    """Of `gym`, with flags and settings that the package accepts."""
    gym, refused = gym_environment(), []
    for entry in ENTRIES.values():
        text = re.sub(r"\bNEMO_GYM_\w+=\S+ ", "", " ".join(entry.body.split()))
        commands = [code.replace("...", "").replace("|", "") for _, code in problems.CODE.findall(text) if code.startswith("gym ") and len(code.split()) > 2]
        refused += [(entry.id, command) for command in commands if gym.ask("command", text=command)]
    gym.close()
    assert refused == []


@pytest.mark.gym
@proves("missing-agent-ref", "key-in-outputs")
def test_what_commands_leave_behind(worker: Worker, tmp_path: Path, proof: Proof) -> None:
    (tmp_path / "data.yaml").write_text(dataset("agent"))
    (tmp_path / "train.jsonl").write_text(rows(TASK))
    worker.ask(tmp_path, COLLATE)

    def as_nemo_rl_reads(file: str) -> str:
        try:
            return json.loads((tmp_path / file).read_text())["agent_ref"]["name"]
        except KeyError as error:
            return f"{type(error).__name__}: {error}"

    run_script("manage-training-datasets/dataset_tool.py")(tmp_path, ["agent-ref", "prepared/train.jsonl", "string_match_simple_agent=some_agent", "-o", "named.jsonl"])
    recipe = "dataset row 0 is missing agent_ref"  # what the recipe of verl says, in its own words
    proof.wrong("missing-agent-ref", f"{as_nemo_rl_reads('prepared/train.jsonl')} {recipe}")
    proof.cured("missing-agent-ref", as_nemo_rl_reads("named.jsonl"))

    def key_is_on_the_disk() -> bool:
        return any("sk-very-secret" in file.read_text() for file in (tmp_path / "outputs").rglob("*.yaml"))

    (tmp_path / "tasks.jsonl").write_text(rows(TASK))
    (tmp_path / "env.yaml").write_text(ENV)
    worker.ask(tmp_path, [*RUN_A, "--model-api-key", "sk-very-secret"])
    proof.wrong("key-in-outputs", key_is_on_the_disk())
    shutil.rmtree(tmp_path / "outputs")
    (tmp_path / "env.yaml").write_text(ENV.replace("api_key: none", "api_key: ${oc.env:MY_KEY}"))
    worker.ask(tmp_path, RUN_A, MY_KEY="sk-very-secret")
    proof.cured("key-in-outputs", (tmp_path / "outputs").exists() and not key_is_on_the_disk())


# --- the package's own functions --------------------------------------------------------------------------------------

# An endpoint, and two clients of the package that ask it at once or one after the other. It answers as `serve` says; a busy one
# refuses whom it cannot serve at that moment.
ENDPOINT = """
import asyncio, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from nemo_gym import server_utils
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI

busy = threading.Lock()

class Endpoint(BaseHTTPRequestHandler):
    def answer(self, status, body=b'{"data": []}'):
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        serve(self)
    do_POST = do_GET
    def log_message(self, *_): pass

def listen(port=0):
    server = ThreadingHTTPServer(("127.0.0.1", port), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port

async def ask(clients):
    client = NeMoGymAsyncOpenAI(base_url=f"http://127.0.0.1:{listen()}/v1", api_key="none")
    calls = [client.create_models() for _ in range(2)]
    groups = [calls] if clients == 2 else [[call] for call in calls]
    for group in groups:
        for result in await asyncio.gather(*group, return_exceptions=True):
            print(getattr(result, "message", result))
"""
REFUSED_WHEN_BUSY = ENDPOINT + """
def serve(endpoint):
    if not busy.acquire(blocking=False):
        return endpoint.answer(429, b'{{"error": {{"message": "too many requests"}}}}')
    time.sleep(1)
    busy.release()
    endpoint.answer(200)
asyncio.run(ask({clients}))
""".replace("{{", "{").replace("}}", "}")
WRONG_KEY = ENDPOINT + """
serve = lambda endpoint: endpoint.answer(STATUS, b'{"error": {"code": "invalid_api_key"}, "data": []}')
asyncio.run(ask(1))
"""
# Gym prints each hundredth failed try; the first 99 are left out, as each costs half a second.
RETRY = ENDPOINT + """
serve = lambda endpoint: endpoint.answer(200)
server_utils._NUM_CLIENT_OS_ERROR = server_utils._NUM_SERVER_DISCONNECTED_ERROR = 99
async def main():
    BEFORE
    loop = asyncio.get_running_loop()
    loop.call_later(AFTER, lambda: AGAIN)
    reply = await server_utils.request("POST", "http://127.0.0.1:8000/v1/chat/completions")
    print("answered with", reply.status)
asyncio.run(main())
"""
GONE = RETRY.replace("BEFORE", "pass").replace("AFTER", "1").replace("AGAIN", "listen(8000)")
HANGS_UP = RETRY.replace("serve = lambda endpoint: endpoint.answer(200)", """
def serve(endpoint):
    if time.time() > end:
        endpoint.answer(200)
end = time.time() + 1
""").replace("BEFORE", "listen(8000)").replace("AFTER", "1").replace("AGAIN", "None")
FIXTURE = "from nemo_gym.verifier_fixture import _assert_equal; _assert_equal(OBSERVED, 0.5, \"Case 'boxed fraction' reward mismatch\")"
CAPTURE = "from nemo_gym.base_responses_api_model import ModelCallCaptureConfig as C; C(observability_enabled=True, model_call_capture_dir='FOLDER')"
KIND = "from nemo_gym.failure_kinds import validate_failure_kind; validate_failure_kind('KIND')"
OUTPUT = """
import pathlib
from nemo_gym.rollout_reverification import _prepare_output_fpaths as prepare
pathlib.Path('results/strict').mkdir(parents=True, exist_ok=True)
pathlib.Path('results/strict/rollouts.jsonl').touch()
prepare('', 'results/strict/rollouts.jsonl', False, OVERWRITE, False)
"""
# A row, and the first bytes of the next one.
DROP_TAIL = """
import pathlib
from nemo_gym.rollout_collection import _drop_truncated_tail
rollouts = pathlib.Path("rollouts.jsonl")
rollouts.write_text('{"a": 1}\\n' + '{"b": 2}'[:CUT])
_drop_truncated_tail(rollouts)
assert rollouts.read_text() == '{"a": 1}\\n'
"""
REVERIFY = """
import asyncio, types
from nemo_gym.rollout_reverification import _guard_reverify_mode
asyncio.run(_guard_reverify_mode(types.SimpleNamespace(judge_failed_only=False, force=FORCE)))
"""
FIELDS = """
from nemo_gym.base_resources_server import BaseVerifyRequest
class Request(BaseVerifyRequest):
    DECLARED
parameters, agent = {"input": "Hi"}, {"type": "responses_api_agents", "name": "a"}
response = {"id": "r", "created_at": 1, "model": "m", "object": "response", "output": [], "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
print(Request(responses_create_params=parameters, response=response, agent_ref=agent, shade="blue").model_dump().get("shade", "dropped"))
"""
MASKS = """
from nemo_gym.reward_profile import select_measured
from statistics import mean
results = [{"_ng_task_index": n, "reward": float(n < 3), "mask_sample": n == 3} for n in range(4)]
_, measured, _, _ = select_measured(results, results)
print("Gym:", mean(row["reward"] for row in measured), "yours:", mean(row["reward"] for row in results if not (row["mask_sample"] and LEAVE_OUT)))
"""
VENV = """
import os, pathlib, shutil, venv
from nemo_gym import global_config as keys
from nemo_gym.cli.setup_command import get_venv_path, setup_env_command
server = pathlib.Path("resources_servers/mine").absolute()
server.mkdir(parents=True, exist_ok=True)
(server / "requirements.txt").write_text("")
config = {keys.UV_VENV_DIR_KEY_NAME: os.getcwd() + "/venvs", keys.SKIP_VENV_IF_PRESENT_KEY_NAME: True, keys.HEAD_SERVER_DEPS_KEY_NAME: [], keys.PYTHON_VERSION_KEY_NAME: "3.13"}
venv.create(get_venv_path(server, config), with_pip=False)  # as far as an installation came that broke off
if DELETED:
    shutil.rmtree(get_venv_path(server, config))
print("installs" if "pip install" in setup_env_command(server, config, "mine") else "takes what is there")
"""
ULIMIT = """
import resource
from nemo_gym.server_utils import SimpleServer
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
SimpleServer.set_ulimit(None, WANTED)
"""
MANY_FILES = "import resource, socket; resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST)); print(len([socket.socket() for _ in range(60)]), 'are open')"
DEEP = "/tmp/" + "long" * 30
RAY = "import os, ray; os.makedirs(os.environ['TMPDIR'], exist_ok=True); ray.init(num_cpus=1, include_dashboard=False); print('Ray runs'); ray.shutdown()"

CODE = {
    "profiling-needs-graphviz": Case("import pathlib; from nemo_gym.profiling import Profiler; Profiler(name='x', base_profile_dir=pathlib.Path('.')).start()", environment={"PATH": "/nowhere"}),
    "unregistered-failure-kind": Case(KIND.replace("KIND", "timeout"), fix=KIND.replace("KIND", "short_answer:timeout"), cured=["exit code 0"]),
    "capture-dir-not-absolute": Case(CAPTURE.replace("FOLDER", "captures"), fix=CAPTURE.replace("FOLDER", "/captures"), cured=["exit code 0"]),
    "fixture-reward-mismatch": Case(FIXTURE.replace("OBSERVED", "1.0"), fix=FIXTURE.replace("OBSERVED", "0.5"), cured=["exit code 0"]),
    "reverify-output-exists": Case(OUTPUT.replace("OVERWRITE", "False"), fix=OUTPUT.replace("OVERWRITE", "True"), cured=["exit code 0"]),
    "model-retry-429": Case(REFUSED_WHEN_BUSY.replace("{clients}", "2"), fix=REFUSED_WHEN_BUSY.replace("{clients}", "1"), cured=["exit code 0"]),
    "endpoint-permanent-error": Case(WRONG_KEY.replace("STATUS", "401"), fix=WRONG_KEY.replace("STATUS", "200"), cured=["exit code 0"]),
    "hit-global-errors": Case(GONE),
    "server-disconnected": Case(HANGS_UP),
    "ray-socket-path-too-long": Case(RAY, environment={"TMPDIR": DEEP}, fixed_environment={"TMPDIR": DEEP, "RAY_TMPDIR": "/tmp"}, cured=["Ray runs"]),
    "truncated-line-dropped": Case(DROP_TAIL.replace("CUT", "4"), fix=DROP_TAIL.replace("CUT", "0"), cured=["exit code 0"]),
    "too-many-open-files": Case(MANY_FILES.replace("MOST", "40"), fix=MANY_FILES.replace("MOST", "400"), cured=["60 are open"]),
    "half-built-environment": Case(VENV.replace("DELETED", "False"), shows=["takes what is there"], fix=VENV.replace("DELETED", "True"), cured=["installs"]),
    "ulimit-not-raised": Case(ULIMIT.replace("WANTED", "65535"), fix=ULIMIT.replace("WANTED", "1000"), cured=["exit code 0"]),  # 1000 as if it were enough
    "field-dropped-by-verify": Case(FIELDS.replace("DECLARED", "pass"), shows=["dropped"], fix=FIELDS.replace("DECLARED", "shade: str"), cured=["blue"]),
    "masked-rollouts-counted": Case(MASKS.replace("LEAVE_OUT", "False"), shows=["Gym: 1.0 yours: 0.75"], fix=MASKS.replace("LEAVE_OUT", "True"), cured=["Gym: 1.0 yours: 1.0"]),
}  # fmt: skip
RECOVER = {"hit-global-errors", "server-disconnected"}  # the same request goes on by itself once the endpoint answers


@pytest.mark.gym
@proves(*CODE)
@pytest.mark.parametrize("id", CODE)
def test_the_package(id: str, worker: Worker, tmp_path: Path, proof: Proof) -> None:
    (tmp_path / "env.yaml").write_text(ENV)
    printed = prove(CODE[id], id, tmp_path, worker.ask, proof)
    if id in RECOVER:
        proof.cured(id, "answered with 200" in printed)


# --- scripts of the guides, and trainers --------------------------------------------------------------------------------


def run_script(name: str) -> Callable[..., str]:
    def ask(folder: Path, arguments: list[str], **environment: str) -> str:
        path = folder / name if (folder / name).exists() else GUIDE / name
        result = scripts.run(path, *arguments, cwd=folder, **environment)
        return result.stdout + result.stderr + f"exit code {result.returncode}"

    return ask


CURATE = "filter-and-curate-data"
RAW = {"messages": rollout(0)["response"]["output"]}  # as the published tutorial converts
CHAT = {"messages": [{"role": "user", "content": "Capital of France?"}, {"role": "assistant", "content": "Paris"}]}
SUCCESSES = "import json, sys; print(sum(bool(rollout.get('success', False)) for rollout in map(json.loads, open(sys.argv[1]))), 'kept')"
SCRIPTS = {
    "no-pair-written": (f"{CURATE}/make_training_sets.py", Case(
        ["dpo", "in.jsonl", "-o", "pairs.jsonl"], {"in.jsonl": rows(rollout(0), rollout(0, 1, "Oslo"))},
        fixed={"in.jsonl": rows(rollout(0), rollout(0, 1, "Oslo", reward=0.0))}, cured=["1 pairs", "exit code 0"],
    )),
    "two-runs-in-one-file": (f"{CURATE}/filter_rollouts.py", Case(
        ["in.jsonl", "-o", "kept.jsonl"], {"in.jsonl": ONE * 2}, fixed={"in.jsonl": BOTH}, cured=["exit code 0"],
    )),
    "script-without-its-module": ("alone/split_tasks.py", Case(
        ["--help"], {"alone/split_tasks.py": (GUIDE / "scale-parallel-generation" / "split_tasks.py").read_text()},
        fixed={f"alone/{name}": (DOCS / "training" / "index" / name).read_text() for name in ("rollouts.py", "rollout_contents.py", "jsonl.py")},
        environment={"PYTHONPATH": ""}, cured=["usage:"],
    )),
    "empty-training-sequence": (f"{CURATE}/make_training_sets.py", Case(
        ["check", "in.jsonl"], {"in.jsonl": rows(RAW)}, shows=["nothing to learn from", "no user turn"], fixed={"in.jsonl": rows(CHAT)}, cured=["no problem"],
    )),
    "filter-on-success-keeps-none": ("published.py", Case(
        ["in.jsonl"], {"in.jsonl": BOTH, "published.py": SUCCESSES}, shows=["0 kept"], fixed={"published.py": SUCCESSES.replace("'success'", "'reward'")}, cured=["2 kept"],
    )),
}  # fmt: skip


@proves(*SCRIPTS)
@pytest.mark.parametrize("id", SCRIPTS)
def test_a_script(id: str, tmp_path: Path, proof: Proof) -> None:
    script, case = SCRIPTS[id]
    prove(case, id, tmp_path, run_script(script), proof)


def test_no_rollout_of_the_package_has_the_field_that_the_published_filter_asks_for() -> None:
    examples = (DOCS / "training" / "reference" / "rollout-format-spec" / "examples").glob("*.json")
    found = [row for path in examples if "response" in (row := json.loads(path.read_text()))]
    assert len(found) > 5 and not any("success" in row for row in found)


# Each line of what this prints: the entry's id, what came of its cause, what came of its cure.
TRAINERS = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import check_loaders, jinja2, practice_policy, verl_dataset
from datasets import Dataset, load_dataset
from omegaconf import OmegaConf
from openrlhf.datasets import RewardDataset
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import DPOConfig, DPOTrainer, GRPOConfig
from verl.utils.dataset.rl_dataset import RLHFDataset

def says(do):
    try:
        do()
        return "works"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def try_both(id, wrong, right=None):
    print(json.dumps([id, says(wrong), says(right) if right else None]))

tokenizer = practice_policy.tokenizer()
def policy():
    return Qwen2ForCausalLM(Qwen2Config(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                        num_key_value_heads=1, vocab_size=len(tokenizer)))
pairs = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2)
cpu = {"output_dir": "out", "use_cpu": True, "bf16": False}
dpo = {"args": DPOConfig(**cpu, report_to="none"), "train_dataset": pairs, "processing_class": tokenizer}

def answer(city):
    return [{"role": "assistant", "content": city, "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {"city": city}}}]}]
def openrlhf(column):
    user = {"role": "user", "content": "Weather?"}
    with open(f"{column}.jsonl", "w") as file:
        for more, better, worse in (({}, "a", "b"), ({"name": 1}, "c", "d")):
            print(json.dumps({column: [user | more], "better": answer(better), "worse": answer(worse)}), file=file)
    keys = {"prompt_key": column, "chosen_key": "better", "rejected_key": "worse"}
    loaded = load_dataset("json", data_files=f"{column}.jsonl", split="train")
    RewardDataset(loaded, tokenizer, 512, check_loaders.openrlhf_strategy(**keys), is_dpo=True, num_processors=1)[0]
def verl(template):
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": {"at": "x"}}}
    result = {"role": "tool", "tool_call_id": "c", "content": "here"}
    messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "", "tool_calls": [call, call]}, result, result]
    row = {"messages": json.dumps(messages), "tools": "null"}
    Dataset.from_list([row]).to_parquet("sft.parquet")
    given = practice_policy.tokenizer()
    given.chat_template = template or given.chat_template
    settings = OmegaConf.create({"pad_mode": "no_padding", "max_length": 512, "truncation": "error"})
    verl_dataset.GymSFTDataset("sft.parquet", given, settings)[0]
merging = next(Path(sys.prefix).glob("lib/python3.*/site-packages/trl/chat_templates/qwen2_5_training.jinja")).read_text()
with open("tasks.jsonl", "w") as file:
    file.write(json.dumps({"responses_create_params": {"input": "Hi"}}))
template = jinja2.Environment().from_string("{% for name, value in arguments|items %}{{ name }}{% endfor %}")

try_both("grpo-max-prompt-length", lambda: GRPOConfig(**cpu, max_prompt_length=512), lambda: GRPOConfig(**cpu))
try_both("dpo-repo-id", lambda: DPOTrainer(policy(), **dpo), lambda: DPOTrainer(policy(), ref_model=policy(), **dpo))
try_both("verl-keyerror-prompt", lambda: RLHFDataset("tasks.jsonl", tokenizer, OmegaConf.create({"filter_overlong_prompts": False}))[0])
try_both("verl-turn-by-turn-template", lambda: verl(merging), lambda: verl(None))
try_both("openrlhf-concatenate-list", lambda: openrlhf("prompt"), lambda: openrlhf("context"))
try_both("template-item-pairs", lambda: template.render(arguments='{"city": "Paris"}'), lambda: template.render(arguments={"city": "Paris"}))
"""


@pytest.mark.live
@proves("grpo-max-prompt-length", "dpo-repo-id", "verl-keyerror-prompt", "verl-turn-by-turn-template", "openrlhf-concatenate-list", "template-item-pairs")
def test_trainers(tmp_path: Path, proof: Proof) -> None:
    scripts = shutil.copytree(GUIDE / "integrate-with-rl-frameworks", tmp_path / "scripts")  # they keep a tokenizer beside them
    command = [ROOT / ".venv-trainers" / "bin" / "python", "-c", TRAINERS, scripts]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    said = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('["')]
    assert len(said) == 6, result.stderr[-3000:]
    for id, cause, cure in said:
        proof.wrong(id, cause)
        if cure:
            proof.cured(id, cure == "works" or cure)
