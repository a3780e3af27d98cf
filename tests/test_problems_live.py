"""Problems of the troubleshooting guide that need running servers: rollouts that fail, vanish or lie, and servers that do not start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from gym_environment import gym_environment
from pages import ROOT
from proofs import ENTRIES, Proof, Worker, proves, rows, shows
from test_problems import ENV, OPENAI, REVERIFY, STRING_MATCH, TASK, VLLM, rollout

pytestmark = [pytest.mark.gym, pytest.mark.live, pytest.mark.timeout(1800)]


class Endpoint(BaseHTTPRequestHandler):
    """A model that does what a word in the prompt asks for. Paths below /judge are the judge's."""

    protocol_version = "HTTP/1.1"
    asked: list[dict] = []  # every request to the policy model
    broken = True  # does BREAK break it?
    one_at_a_time = threading.Lock()

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
        prompt, judge = json.dumps(request["messages"]), "/judge" in self.path
        if not judge:
            self.asked.append(request)
        if "REFUSE" in prompt and "top_p" in request:
            return self.reply(422, {"detail": [{"loc": ["body", "top_p"], "msg": "Extra inputs are not permitted"}]})
        if "BREAK" in prompt and self.broken:
            return self.reply(500, {"error": {"message": "broken on purpose"}})
        if "LONG" in prompt:
            text = "This model's maximum context length is 8192 tokens. However, your request has 9691 input tokens."
            return self.reply(400, {"object": "error", "message": text, "type": "BadRequestError", "code": 400})
        message: dict = {"role": "assistant", "content": "Paris"}
        if judge:
            message["content"] = "[[A=B]]" if "CLEAR" in prompt else "[[COMPLIED]]" if "SAFE" in prompt else "I cannot say."
        elif "BOX" in prompt:
            message["content"] = r"It is \boxed{Paris}"
        elif "SLOW" in prompt:
            began = time.monotonic()
            with self.one_at_a_time:
                time.sleep(0.3)
            request["waited"] = time.monotonic() - began
        elif "THINK" in prompt:
            message = {"role": "assistant", "content": None, "reasoning_content": "Hm."}
        elif "LOOP" in prompt and len(request["messages"]) < 14:
            call = {"id": f"call_{len(request['messages'])}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        cut = "CUT" in prompt and (request.get("max_tokens") or 0) < 100
        choice = {"index": 0, "message": message, "finish_reason": "length" if cut else "stop", "logprobs": None}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        return self.reply(200, {"id": "x", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice], "usage": usage})


REFERS = "resources_server: {type: resources_servers, name: string_match}, model_server: {type: responses_api_models, name: policy_model}"
JUDGE = "judge_model_server: {type: responses_api_models, name: judge_model}, judge_responses_create_params: {input: []}"
SERVERS = f"""
config_paths: [{STRING_MATCH}, {VLLM}, resources_servers/equivalence_llm_judge/configs/equivalence_llm_judge.yaml]
policy_model: {{responses_api_models: {{vllm_model: {{extra_body: {{top_k: 4}}}}}}}}
judge_model:
  responses_api_models:
    vllm_model: {{entrypoint: app.py, base_url: URL/judge/v1, api_key: none, model: small, return_token_id_information: false, uses_reasoning_parser: true}}
equivalence_llm_judge: {{resources_servers: {{equivalence_llm_judge: {{judge_model_server: {{name: judge_model}}}}}}}}
lenient: {{resources_servers: {{over_refusal_detection: {{entrypoint: app.py, domain: safety, {JUDGE}, judge_prompt_template: "SAFE {{safe_prompt}} {{model_response}}"}}}}}}
string_match_simple_agent: {{responses_api_agents: {{simple_agent: {{max_step: 3}}}}}}
capped: {{responses_api_agents: {{simple_agent: {{entrypoint: app.py, max_steps: 3, {REFERS}}}}}}}
"""
SIDECAR = "++route_failures_to_sidecar=true"
JUDGED = "equivalence_llm_judge_simple_agent"


def task(prompt: str = "ok", agent: str = "string_match_simple_agent", **more: object) -> dict:
    return TASK | {"responses_create_params": {"input": prompt}, "agent_ref": {"name": agent}} | more


def without(row: dict, key: str) -> dict:
    return {name: value for name, value in row.items() if name != key}


class Live:
    """Servers of Gym in one folder, and runs against them."""

    def __init__(self, folder: Path, worker: Worker, environment: dict[str, str]) -> None:
        self.folder, self.worker, self.environment = folder, worker, environment
        self.started: list[subprocess.Popen] = []

    def start(self, log: str, *arguments: str) -> None:
        with (self.folder / log).open("w") as output:
            self.started.append(subprocess.Popen(
                ["gym", "env", "start", *arguments], cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            ))  # fmt: skip

    def said(self, log: str, *words: str, seconds: int = 600) -> str:
        """What a start has printed once all words are in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = (self.folder / log).read_text(errors="replace")
            if all(shows(word, text) for word in words):
                break
            time.sleep(0.5)
        return text

    def ask(self, *command: str, **environment: str) -> str:
        return self.worker.ask(self.folder, list(command), **environment)

    def run(self, name: str, tasks: list[dict], *arguments: str, **environment: str) -> str:
        """Collect rollouts into NAME.jsonl; what the run printed."""
        (self.folder / f"{name}_tasks.jsonl").write_text(rows(*tasks))
        return self.ask("eval", "run", "--no-serve", "-i", f"{name}_tasks.jsonl", "-o", f"{name}.jsonl", *arguments, **environment)

    def rows(self, name: str) -> list[dict]:
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").open()]

    def one(self, name: str, tasks: list[dict], *arguments: str) -> dict:
        """The first rollout of a run."""
        printed = self.run(name, tasks, *arguments)
        assert (self.folder / f"{name}.jsonl").exists(), printed
        return self.rows(name)[0]

    def verify(self, server: str, request: dict) -> dict:
        """What a resources server answers."""
        with urllib.request.urlopen("http://127.0.0.1:11000/server_instances") as instances:
            address = next(found["url"] for found in json.load(instances) if found["process_name"] == server)
        post = urllib.request.Request(f"{address}/verify", json.dumps(request).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(post) as answer:
            return json.load(answer)

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
        (Path(folder) / "env.yaml").write_text(
            ENV.replace("http://127.0.0.1:8000", address) + f"observability_enabled: true\nmodel_call_capture_dir: {folder}/captures\n"
        )
        (Path(folder) / "servers.yaml").write_text(SERVERS.replace("URL", address))
        path = f"{programs}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
        live = Live(Path(folder), worker, os.environ | {"PATH": path, "COLUMNS": "10000", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"})
        try:
            live.start("servers.log", "--config", "servers.yaml")
            assert "servers ready!" in live.said("servers.log", "servers ready!"), live.said("servers.log", seconds=1)[-3000:]
            yield live
        finally:
            live.stop()
            endpoint.shutdown()


# --- rollouts that fail -----------------------------------------------------------------------------------------------


@proves("one-failure-ends-the-run", "denominator-shifts", "eval-failed-incomplete", "max-attempts-reached")
def test_one_bad_sample(live: Live, proof: Proof) -> None:
    """It ends a run; with the sidecar it leaves the score; a complete run is refused; and it is not tried for ever."""
    tasks, zero = [task(), task("BREAK")], "+count_failure_classes_as_zero=[agent_run_error]"
    proof.wrong("one-failure-ends-the-run", live.run("one", tasks))
    proof.cured("one-failure-ends-the-run", live.run("one", tasks, SIDECAR, "--resume"))
    incomplete = live.run("kept", tasks, SIDECAR, "+require_complete=true")
    proof.wrong("denominator-shifts", incomplete)
    assert '"mean/reward": 1.0' in incomplete and [row["reward"] for row in live.rows("kept")] == [1.0]
    proof.cured("denominator-shifts", '"mean/reward": 0.5' in live.run("counted", tasks, SIDECAR, zero))
    proof.wrong("eval-failed-incomplete", incomplete)
    sidecar = live.folder / "kept_failures.jsonl"
    sidecar.write_text(sidecar.read_text() * 3)
    proof.wrong("max-attempts-reached", live.run("kept", tasks, SIDECAR, "--resume"))
    Endpoint.broken = False
    more = live.run("kept", tasks, SIDECAR, "+require_complete=true", "--resume", NEMO_GYM_MAX_ROLLOUT_ATTEMPTS="6")
    Endpoint.broken = True
    for id in ("max-attempts-reached", "eval-failed-incomplete"):
        proof.cured(id, more)
    assert len(live.rows("kept")) == 2


@proves("none-produced-agent-run-error", "none-produced-judge-failed", "none-started-in-time")
def test_no_rollout_at_all(live: Live, proof: Proof) -> None:
    broken, judged, late = [task("BREAK")] * 2, [task(agent=JUDGED, expected_answer="BREAK")] * 3, [task()] * 2
    proof.wrong("none-produced-agent-run-error", live.run("none", broken, SIDECAR))
    proof.wrong("none-produced-judge-failed", live.run("judged", judged))
    assert {row["_ng_failure_class"] for row in live.rows("judged_failures")} == {"judge_failed"}, "kept without the sidecar's setting"
    Endpoint.broken = False
    proof.cured("none-produced-agent-run-error", live.run("none", broken, SIDECAR, "--limit", "2"))
    proof.cured("none-produced-judge-failed", live.run("judged", judged, "--resume"))
    Endpoint.broken = True
    assert len(live.rows("judged")) == 3
    proof.wrong("none-started-in-time", live.run("late", late, "--concurrency", "1", "+dispatch_budget_s=0"))
    proof.cured("none-started-in-time", live.run("late", late, "--resume"))
    assert len(live.rows("late")) == 2


@proves("extra-inputs", "verify-field-required", "agent-not-in-config", "task-source-not-in-config", "task-source-of-two-agents", "head-server-unreachable")
def test_requests_that_are_refused(live: Live, proof: Proof) -> None:
    live.run("topk", [task()], SIDECAR, "++responses_create_params.top_k=4")
    proof.wrong("extra-inputs", live.rows("topk_failures")[0]["_ng_failure_response_body"])
    proof.cured("extra-inputs", live.run("topk", [task()], SIDECAR))
    assert Endpoint.asked[-1]["top_k"] == 4, "from the model server's extra_body"
    live.run("lacking", [without(task(), "expected_answer")], SIDECAR)
    proof.wrong("verify-field-required", live.rows("lacking_failures")[0]["_ng_failure_response_body"].replace("\\", ""))
    proof.cured("verify-field-required", live.one("lacking", [task()], SIDECAR)["reward"] == 1)
    unknown = [task(agent="string_match_agent")]
    proof.wrong("agent-not-in-config", live.run("agent", unknown))
    proof.cured("agent-not-in-config", live.one("agent", unknown, "+agent_map={string_match: string_match_simple_agent, _default: string_match_simple_agent}")["reward"] == 1)
    elsewhere, here = (without(task(task_source=name), "agent_ref") for name in ("mcqa", "string_match"))
    proof.wrong("task-source-not-in-config", live.run("source", [elsewhere]))
    proof.wrong("task-source-of-two-agents", live.run("source", [here]))
    mapped = live.run("source", [here], "+agent_map={string_match: string_match_simple_agent}")
    for id in ("task-source-not-in-config", "task-source-of-two-agents"):
        proof.cured(id, mapped)
    assert live.rows("source")[0]["reward"] == 1
    status = live.ask("env", "status")
    proof.cured("head-server-unreachable", status if "healthy" in status else False)
    elsewhere = live.run("nowhere", [task()], "++head_server.port=11099")
    proof.wrong("head-server-unreachable", elsewhere.replace("11099", "11000"))


class Between:
    """A head server that says what Gym's says, but for the address of one server: there answers a proxy, or nobody. Until ``over``."""

    def __init__(self, live: Live, server: str) -> None:
        instances = json.loads(urllib.request.urlopen("http://127.0.0.1:11000/server_instances").read())
        real = next(found["url"] for found in instances if found["process_name"] == server).rsplit(":", 1)[1]
        between = self
        self.over = lambda: False

        class Answers(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(504, b"<html>504 Gateway Time-out</html>")

            def do_GET(self) -> None:
                if between.over():
                    return self.connection.close()
                with urllib.request.urlopen(f"http://127.0.0.1:11000{self.path}") as said:
                    self.answer(200, said.read().replace(real.encode(), str(between.port or real).encode()))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.port: int | None = self.server.server_port  # where the server is said to be; None: where it is
        self.head = f"++head_server.port={self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@proves("proxy-cuts-runs", "servers-gone", "endpoint-refuses-field")
def test_what_stands_between_a_run_and_its_servers(live: Live, proof: Proof) -> None:
    between = Between(live, "string_match_environment_server")
    cut = live.run("cut_off", [task()], between.head)
    proof.wrong("proxy-cuts-runs", cut)
    live.run("cut_off", [task()], between.head, SIDECAR)
    assert live.rows("cut_off_failures")[0]["_ng_failure_class"] == "agent_request_failed"
    proof.cured("proxy-cuts-runs", live.run("cut_off", [task()], SIDECAR, "--resume"))

    between.port = 9  # the discard port: nothing listens there
    (live.folder / "gone_tasks.jsonl").write_text(rows(*[task()] * 120))
    command = ["gym", "eval", "run", "--no-serve", "-i", "gone_tasks.jsonl", "-o", "gone.jsonl", between.head]
    with (live.folder / "gone.log").open("w") as log:
        gone = subprocess.Popen(command, cwd=live.folder, env=live.environment, stdout=log, stderr=log, start_new_session=True)
    proof.wrong("servers-gone", live.said("gone.log", *ENTRIES["servers-gone"].messages, seconds=120))
    assert gone.poll() is None, "it asks for ever"
    os.killpg(gone.pid, signal.SIGKILL)
    proof.cured("servers-gone", live.run("gone", [task()] * 120, "--resume"))

    found = live.folder / "headless.jsonl"
    between.port, between.over = None, lambda: found.exists() and found.stat().st_size > 0
    headless = live.run("headless", [task()], between.head)
    assert "Could not connect to the head server" in headless[-400:], headless[-3000:]
    assert "exit code 1" in headless and len(live.rows("headless")) == 1
    live.run("headless", [task()], "--resume")
    assert (live.folder / "headless_aggregate_metrics.json").exists()

    def with_top_p() -> dict:
        return task() | {"responses_create_params": {"input": "REFUSE", "top_p": 0.9}}

    live.run("refused", [with_top_p()], SIDECAR)
    answer = live.rows("refused_failures")[0]
    assert answer["_ng_failure_http_status"] == 500 and "VLLMModel___policy_model calling an inner server" in answer["_ng_failure_response_body"]
    proof.wrong("endpoint-refuses-field", live.said("servers.log", *ENTRIES["endpoint-refuses-field"].messages, seconds=60))
    kept = live.run("refused", [with_top_p()], "++responses_create_params.top_p=null")
    proof.cured("endpoint-refuses-field", live.rows("refused")[0]["reward"] == 1 and "exit code 0" in kept)
    between.server.shutdown()


# --- rollouts that lie ------------------------------------------------------------------------------------------------


@proves("answers-cut-off", "empty-answers-context-overflow", "thoughts-without-answer", "boxed-answers-score-0", "health-unobserved")
def test_answers_that_are_none(live: Live, proof: Proof) -> None:
    cut, whole = live.one("cut", [task("CUT")]), live.one("whole", [task("CUT")], "--max-output-tokens", "200")
    proof.wrong("answers-cut-off", cut["response"]["incomplete_details"] == {"reason": "max_output_tokens"})
    proof.cured("answers-cut-off", whole["response"]["incomplete_details"] is None)
    long, short = live.one("long", [task("LONG")]), live.one("short", [task()])
    empty = long["response"]["incomplete_details"] == {"reason": "max_output_tokens"} and long["response"]["output"][0]["content"][0]["text"] == ""
    proof.wrong("empty-answers-context-overflow", empty and long["reward"] == 0 and not long["failure_kind"])
    proof.cured("empty-answers-context-overflow", short["response"]["output"][0]["content"][0]["text"] == "Paris")
    thoughts = live.one("think", [task("THINK")])
    assert thoughts["reward"] == 0 and "ng_termination_reason" in thoughts["response"]["metadata"]
    proof.wrong("thoughts-without-answer", live.said("servers.log", *ENTRIES["thoughts-without-answer"].messages, seconds=60))
    proof.cured("thoughts-without-answer", "ng_termination_reason" not in (short["response"]["metadata"] or {}))
    boxed = live.one("boxed", [task("BOX")]), live.one("extracted", [task("BOX", extraction_mode="boxed")])
    proof.wrong("boxed-answers-score-0", boxed[0]["reward"] == 0)
    proof.cured("boxed-answers-score-0", boxed[1]["reward"] == 1)
    (live.folder / "unseen").mkdir()
    (live.folder / "unseen" / "rollouts.jsonl").write_text(rows(*[rollout(n) for n in range(500, 612)]))
    proof.wrong("health-unobserved", live.ask("eval", "health-check", "unseen"))
    observed = live.ask("eval", "health-check", ".", "--rollouts-file", "short.jsonl")
    proof.cured("health-unobserved", "1 checked, 1 healthy, 0 unhealthy, 0 unobserved" in observed)


@proves("judge-verdict-not-understood", "judge-down-and-scored")
def test_judges_that_fail_in_silence(live: Live, proof: Proof) -> None:
    unreadable = live.one("gibberish", [task(agent=JUDGED)])
    assert "judge_evaluations" in unreadable and not unreadable["failure_kind"]
    proof.wrong("judge-verdict-not-understood", unreadable["reward"] == 0)
    proof.cured("judge-verdict-not-understood", live.one("clear", [task(agent=JUDGED, expected_answer="CLEAR")])["reward"] == 1)
    answered = {key: value for key, value in live.one("any", [task()]).items() if key in ("responses_create_params", "response")}
    down = live.verify("lenient", answered | {"safe_prompt": "BREAK"})
    proof.wrong("judge-down-and-scored", down["reward"] == 0.5 and not down["failure_kind"] and "500" in down["judge_evaluation"]["error"])
    well = live.verify("lenient", answered | {"safe_prompt": "Kill a process?"})
    proof.cured("judge-down-and-scored", well["reward"] == 1 and well["judge_evaluation"]["error"] is None)


@proves("agent-loops-for-ever", "misspelled-key", "rate-does-not-grow")
def test_runs_that_take_long(live: Live, proof: Proof) -> None:
    """An agent without a limit goes on as long as the model calls tools; an endpoint that is full makes everybody wait."""

    def calls(agent: str) -> int:
        before = len(Endpoint.asked)
        live.run(agent, [task("LOOP", agent)])
        return len(Endpoint.asked) - before

    unlimited, capped = calls("string_match_simple_agent"), calls("capped")
    proof.wrong("agent-loops-for-ever", unlimited == 8)
    proof.wrong("misspelled-key", unlimited == 8 and "✓ Config is valid." in live.ask("env", "validate", "--config", "servers.yaml", "--strict"))
    proof.cured("agent-loops-for-ever", capped == 3)
    proof.cured("misspelled-key", capped == 3)
    waited = {}
    for concurrency in (4, 1):
        del Endpoint.asked[:]
        live.run(f"slow{concurrency}", [task("SLOW")] * 4, "--concurrency", str(concurrency))
        waited[concurrency] = max(request["waited"] for request in Endpoint.asked)
    proof.wrong("rate-does-not-grow", waited[4] > 2 * 0.3)
    proof.cured("rate-does-not-grow", waited[1] < waited[4])


@proves("repeats-all-alike", "resume-ignores-changes", "old-rollouts-cleared", "override-replaces-all")
def test_runs_that_are_not_what_was_meant(live: Live, proof: Proof) -> None:
    def temperatures(name: str) -> set[float]:
        return {row["responses_create_params"]["temperature"] for row in live.rows(f"{name}_materialized_inputs")}

    def metadata(name: str) -> set[str]:
        return live.rows(f"{name}_materialized_inputs")[0]["responses_create_params"]["metadata"].keys()

    del Endpoint.asked[:]
    live.run("alike", [task()], "--num-repeats", "2", "--temperature", "0.5")
    same = {json.dumps(request, sort_keys=True) for request in Endpoint.asked}
    proof.wrong("repeats-all-alike", len(Endpoint.asked) == 2 and len(same) == 1)
    live.run("seeded", [task()], "--num-repeats", "2", "+num_repeats_add_seed=true")
    proof.cured("repeats-all-alike", sorted(request["seed"] for request in Endpoint.asked[2:]) == [0, 1])
    live.run("alike", [task()], "--num-repeats", "3", "--temperature", "0.9", "--resume")
    proof.wrong("resume-ignores-changes", temperatures("alike") == {0.5} and len(live.rows("alike")) == 2)
    live.run("new", [task()], "--num-repeats", "3", "--temperature", "0.9", "--resume")
    proof.cured("resume-ignores-changes", temperatures("new") == {0.9} and len(live.rows("new")) == 3)
    before = live.rows("new")
    proof.cured("old-rollouts-cleared", live.run("new", [task()], "--num-repeats", "3", "--resume"))
    assert live.rows("new") == before
    proof.wrong("old-rollouts-cleared", live.run("new", [task()]))
    assert len(live.rows("new")) == 1
    own = task()
    own["responses_create_params"]["metadata"] = {"y": "2"}
    live.run("override", [own], "++responses_create_params.metadata.x=a")
    proof.wrong("override-replaces-all", metadata("override") == {"x"})
    live.run("override", [own], "++responses_create_params.metadata={x: a, y: b}")
    proof.cured("override-replaces-all", metadata("override") == {"x", "y"})


@proves("compare-precision-loss", "reverify-unsupported")
def test_commands_on_finished_rollouts(live: Live, proof: Proof) -> None:
    live.run("base", [task()], "--num-repeats", "2")
    compared = live.ask("eval", "compare", "--baseline", "base.jsonl", "--candidates", "base.jsonl", "-o", "compared")
    proof.wrong("compare-precision-loss", compared)
    assert "exit code 0" in compared
    # The question that `gym eval reverify` asks first; the command itself would start servers of its own.
    proof.wrong("reverify-unsupported", live.worker.ask(live.folder, REVERIFY.replace("FORCE", "False")))
    proof.cured("reverify-unsupported", live.worker.ask(live.folder, REVERIFY.replace("FORCE", "True")))


# --- servers that do not start ----------------------------------------------------------------------------------------

NOBODY = "http://127.0.0.1:9/v1"  # the discard port: nothing listens there
TOO_SHORT = 0.0001  # seconds; no server can answer within it, however long the command took to come to ask
STARTS = {
    "head-server-port-taken": ["--config", VLLM],
    "first-start-takes-minutes": ["--config", VLLM, "++head_server.port=11055", f"++server_spinup_timeout_seconds={TOO_SHORT}"],
    "endpoint-never-answered": ["--config", VLLM, "++head_server.port=11056", f"++policy_base_url={NOBODY}", "++model_endpoint_readiness_timeout_seconds=1"],
    "worker-failed-to-start": ["--config", "workers.yaml", "++head_server.port=11057"],
}


@proves(*STARTS, "process-finished", "no-server-instances")
def test_starts(live: Live, proof: Proof) -> None:
    """All at once, next to servers that run: each says its message. The servers that run have started without the fault."""
    (live.folder / "workers.yaml").write_text(f"config_paths: [{OPENAI}]\npolicy_model: {{responses_api_models: {{openai_model: {{num_workers: 2}}}}}}\n")
    for id, arguments in STARTS.items():
        live.start(f"{id}.log", *arguments)
    late = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint, bind_and_activate=False)
    late.server_bind()  # until it is activated, its port refuses
    live.start("late.log", "--config", VLLM, "++head_server.port=11058", f"++policy_base_url=http://127.0.0.1:{late.server_port}/v1")
    (live.folder / "no-server-instances.log").write_text(live.ask("env", "start"))
    for id in [*STARTS, "process-finished", "no-server-instances"]:
        log = f"{'worker-failed-to-start' if id == 'process-finished' else id}.log"
        within = [message.replace("600s", "...s") for message in ENTRIES[id].messages]
        proof.wrong(id, re.sub(r"(after|within) [\d.]+s", r"\1 600s", live.said(log, *within)))
        if id != "endpoint-never-answered":
            proof.cured(id, live.said("servers.log", seconds=1))
    live.said("late.log", "Waiting for 1 model endpoint(s) to answer")
    late.server_activate()
    threading.Thread(target=late.serve_forever, daemon=True).start()
    proof.cured("endpoint-never-answered", live.said("late.log", "All model endpoints are answering"))
    late.shutdown()
    late.server_close()
