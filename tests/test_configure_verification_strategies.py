"""The verifiers and scripts of `configure-verification-strategies`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

import pytest
import scripts
from pages import DOCS

FOLDER = DOCS / "training" / "how-to" / "configure-verification-strategies"
SERVERS = ["answer_judge", "code_tests", "instruction_checks", "math_problem", "tool_use"]


def script(name: str, *arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return scripts.run(FOLDER / name, *arguments, cwd=cwd, **environment)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rollout(task: int, reward: float, **more: object) -> dict:
    return {"_ng_task_index": task, "_ng_rollout_index": 0, "reward": reward, **more}


# --- the verifiers, with their own tests, by the interpreter that has Gym -------------------------------------------


@pytest.mark.gym
@pytest.mark.live
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_passes_its_cases_and_the_properties(name: str, gym_python: Path, tmp_path: Path) -> None:
    server = tmp_path / "resources_servers" / name
    shutil.copytree(FOLDER / "resources_servers" / name, server)
    shutil.copy(FOLDER / "test_properties.py", server / "tests")
    result = subprocess.run(
        [gym_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], cwd=server, capture_output=True, text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | {"PYTHONPATH": str(tmp_path)},
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_complete(name: str) -> None:
    server = FOLDER / "resources_servers" / name
    assert (server / "requirements.txt").read_text() == "nemo-gym[dev]\n"
    assert len((server / "data" / "example.jsonl").read_text().splitlines()) == 5
    kinds = {json.loads(line)["kind"] for line in (server / "tests" / "verifier_cases.jsonl").open()}
    assert kinds == {"full_reward", "zero_reward", "determinism", "malformed"}


def test_production_tasks_go_to_agents_that_the_configuration_has() -> None:
    configuration = (FOLDER / "production.yaml").read_text()
    for line in (FOLDER / "production_tasks.jsonl").open():
        agent = json.loads(line)["agent_ref"]["name"]
        server = agent.removesuffix("_simple_agent")
        assert f"resources_servers/{server}/configs/{server}.yaml" in configuration
        assert f"{agent}:" in (FOLDER / "resources_servers" / server / "configs" / f"{server}.yaml").read_text()


GYM_TEST = """
import asyncio, json, sys, time
sys.path.insert(0, sys.argv[1])
from resources_servers.answer_judge.app import VERIFIER_FIXTURE, offline
case = next(json.loads(line)["request"] for line in open(VERIFIER_FIXTURE.cases_path) if '"full_reward"' in line)
def body(text):
    case["response"]["output"][0]["content"][0]["text"] = text
    return VERIFIER_FIXTURE.request_model.model_validate(case)
async def main():
    asked = []
    server = offline(exact_first=True)
    real = type(server).ask
    async def ask(self, prompt):
        asked.append(prompt)
        return await real(self, prompt)
    type(server).ask = ask
    assert (await server.verify(body("paris."))).reward == 1.0 and not asked
    assert (await server.verify(body("It is Paris"))).reward == 1.0 and len(asked) == 1
    paced = offline(judge_requests_per_minute=600)
    began = time.monotonic()
    await asyncio.gather(*(paced.wait_for_turn() for _ in range(6)))
    assert 0.45 < time.monotonic() - began < 2, time.monotonic() - began
    free = offline()
    await asyncio.gather(*(free.wait_for_turn() for _ in range(6)))
asyncio.run(main())
print("fine")
"""


@pytest.mark.gym
def test_the_judged_server_spares_calls_and_spaces_them(gym_python: Path) -> None:
    done = subprocess.run([gym_python, "-c", GYM_TEST, FOLDER], capture_output=True, text=True)
    assert done.stdout.endswith("fine\n"), done.stderr[-2000:]


READ = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import short_answer
from resources_servers.code_tests.app import extract as code
from resources_servers.math_problem.app import extract as number
assert number("x = 42, so we are done") == "42" and number("It costs 1,000, or so.") == "1,000"
for label in ("python", "Python", "python3", "py", ""):
    assert code(f"Run `f`:\\n```{label}\\ndef f(): return 1\\n```\\nDone") == "def f(): return 1\\n", label
assert code("```bash\\npip list\\n```\\n```python\\ndef f(): return 2\\n```\\n") == "def f(): return 2\\n"
grade = lambda answer, expected: short_answer.correctness(answer, [expected], 0.5)
assert grade("5.", "5") == grade(".5", ".5") == 1 and grade("It is 5.", "5") == 0.5
assert grade(".5", "5") == grade("-5", "5") == grade("2.5", "5") == grade("5.2", "5") == 0
sys.path[0] = str(Path(sys.argv[2], "resources_servers", "verification_patterns"))
import binary
assert binary.matches("5.", ["5"]) and binary.matches(' "Paris" ', ["paris"]) and not binary.matches(".5", ["5"])
"""


@pytest.mark.gym
def test_answers_are_read_as_they_were_meant(gym_python: Path) -> None:
    """A comma behind a number, a fence of another spelling, the point of `.5`: none of them changes the answer."""
    catalog = DOCS / "training" / "reference" / "verification-patterns-catalog"
    done = subprocess.run([gym_python, "-c", READ, FOLDER, catalog], capture_output=True, text=True, cwd=FOLDER)
    assert done.returncode == 0, done.stderr


@pytest.mark.gym
def test_the_cost_of_verifiers_is_measured(gym_python: Path, tmp_path: Path) -> None:
    measured = subprocess.run([gym_python, FOLDER / "verify_cost.py", "--calls", "2"], cwd=FOLDER, capture_output=True, text=True)
    assert measured.returncode == 0, measured.stderr[-2000:]
    assert [line.split()[0] for line in measured.stdout.splitlines()[1:]] == SERVERS
    assert subprocess.run([gym_python, FOLDER / "verify_cost.py"], cwd=tmp_path, capture_output=True, text=True).returncode == 2


# --- flaky_judge.py -------------------------------------------------------------------------------------------------


@pytest.fixture
def judge():
    """Start a judge with the given modes, on a free port; yields a function that asks it."""
    started = []

    def start(*modes: str):
        spec = importlib.util.spec_from_file_location(f"flaky_judge_{len(started)}", FOLDER / "flaky_judge.py")
        flaky = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(flaky)
        flaky.Judge.modes = flaky.itertools.cycle(modes)
        server = flaky.Server(("127.0.0.1", 0), flaky.Judge)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)

        def ask(prompt: str, timeout: float = 5) -> HTTPResponse:
            body = json.dumps({"messages": [{"role": "user", "content": prompt}]}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}/v1/chat/completions", data=body)
            return urllib.request.urlopen(request, timeout=timeout)

        ask.port = server.server_port
        return ask

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def said(response: HTTPResponse) -> str:
    return json.load(response)["choices"][0]["message"]["content"]


def prompt(reference: str, answer: str) -> str:
    return f"QUESTION: q\nREFERENCE: {reference}\n<answer>\n{answer}\n</answer>\nDoes ..."


def test_a_well_judge_compares(judge) -> None:
    ask = judge("ok")
    assert "[[yes]]" in said(ask(prompt("Paris", "It is paris."))) and "[[no]]" in said(ask(prompt("Paris", "Lyon")))


def test_a_prompt_keeps_its_mode(judge) -> None:
    ask = judge("waffle", "empty", "html", "429", "500")
    for _ in range(2):
        assert "[[" not in said(ask("first")) and said(ask("second")) == "" and ask("third").read().startswith(b"<html>")
        for text, status in (("fourth", 429), ("fifth", 500)):
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(text)
            assert refused.value.code == status


def test_a_judge_fails_on_demand_and_can_be_read(judge) -> None:
    ask = judge("ok")

    def get(path: str, data: bytes | None = None) -> str:
        return urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{ask.port}{path}", data=data), timeout=5).read().decode()

    assert "[[yes]]" in said(ask(prompt("Rome", "rome")))
    assert get("/modes", b"500") == "modes: 500\n"
    with pytest.raises(urllib.error.HTTPError):
        ask(prompt("Rome", "rome"))
    get("/modes", b"ok")
    assert "[[yes]]" in said(ask(prompt("Rome", "rome")))
    lines = [line[9:] for line in get("/log").splitlines()]
    assert lines == ["yes     reference 'Rome', answer 'rome'", "500     reference 'Rome', answer 'rome'", "yes     reference 'Rome', answer 'rome'"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        get("/modes", b"cheerful")
    assert refused.value.code == 400


def test_a_hanging_judge_does_not_answer(judge) -> None:
    with pytest.raises(TimeoutError):
        judge("hang")("a prompt", timeout=0.5)


def test_flaky_judge_refuses_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = script("flaky_judge.py", "--port", taken.getsockname()[1], cwd=tmp_path)
    assert refused.returncode == 2 and "cannot listen on port" in refused.stderr and "Traceback" not in refused.stderr
    assert script("flaky_judge.py", "--modes", "cheerful", cwd=tmp_path).returncode == 2
    assert "flaky_judge.py [--port 8001]" in script("flaky_judge.py", "--help", cwd=tmp_path).stdout


# --- rescore.py -----------------------------------------------------------------------------------------------------


def fake_gym(folder: Path, body: str) -> str:
    """A `gym` that does ``body`` in place of re-scoring; the PATH that finds it."""
    program = folder / "bin" / "gym"
    program.parent.mkdir()
    program.write_text(f"#!/bin/bash\n{body}\n")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.live
def test_rescore_counts_the_changes_and_ends_what_gym_leaves(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1), rollout(1, 0.6), rollout(2, 0.6), rollout(3, 1), rollout(4, 0, mask_sample=True))
    write(tmp_path / "a_materialized_inputs.jsonl", {})
    new = "\n".join(json.dumps(row) for row in (rollout(0, 1), rollout(1, 0), rollout(2, 0), rollout(4, 0.5)))
    answers = f"echo \"$@\" > arguments\ncat > out/b.jsonl <<'X'\n{new}\nX"
    path = fake_gym(tmp_path, f"sleep 300 & echo $! > left\n{answers}")
    done = script("rescore.py", "a.jsonl", "out/b.jsonl", "--config", "c.yaml", cwd=tmp_path, PATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "    2 x 0.60 -> 0.00", "    1 x 1.00 -> 1.00  (as before)", "    1 x no longer scored", "mean reward: 0.800 of 4 -> 0.333 of 3",
        "1 rollouts were masked and stay so (--unmask to let the verifier decide)", "out/b.jsonl: 3 rewards. Next: gym eval aggregate",
    ]
    assert not Path(f"/proc/{(tmp_path / 'left').read_text().strip()}").exists()
    (Path(path.partition(":")[0]) / "gym").write_text(f"#!/bin/bash\n{answers}\n")  # which ends at once: the other one takes 5 s
    anew = script("rescore.py", "a.jsonl", "out/b.jsonl", "--config", "c.yaml", "--unmask", cwd=tmp_path, PATH=path)
    assert "    1 x no score -> 0.50" in anew.stdout and "mean reward: 0.800 of 4 -> 0.375 of 4" in anew.stdout and "stay so" not in anew.stdout
    named = script("rescore.py", "a.jsonl", "out/b.jsonl", "--list", cwd=tmp_path, PATH=path)
    assert named.stdout.splitlines()[:3] == ["task 1, rollout 0: 0.60 -> 0.00", "task 2, rollout 0: 0.60 -> 0.00", "    2 x 0.60 -> 0.00"]
    assert "--list" not in (tmp_path / "arguments").read_text()
    assert script("rescore.py", "a.jsonl", "out/b.jsonl", "--config", "c.yaml", cwd=tmp_path, PATH=path).returncode == 0
    arguments = (tmp_path / "arguments").read_text()
    assert "--inputs a_materialized_inputs.jsonl --rollouts a.jsonl -o out/b.jsonl --config c.yaml" in arguments


def test_rescore_counts_only_numbers_as_rewards(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1), rollout(1, True), rollout(2, float("nan")))
    write(tmp_path / "a_materialized_inputs.jsonl", {})
    path = fake_gym(tmp_path, "cp a.jsonl out/b.jsonl")
    done = script("rescore.py", "a.jsonl", "out/b.jsonl", "--config", "c.yaml", cwd=tmp_path, PATH=path)
    assert "mean reward: 1.000 of 1 -> 1.000 of 1" in done.stdout, done.stderr


def test_rescore_takes_the_file_that_this_run_wrote(tmp_path: Path) -> None:
    """Gym puts `unsafe_` in front of the output only where --force was needed: such a file may be of a run before."""
    write(tmp_path / "a.jsonl", rollout(0, 0))
    write(tmp_path / "a_materialized_inputs.jsonl", {})
    write(tmp_path / "unsafe_b.jsonl", rollout(0, 0.25))
    write(tmp_path / "made.jsonl", rollout(0, 1))
    for made, shown in (("b.jsonl", "b.jsonl: 1 rewards"), ("unsafe_b.jsonl", "unsafe_b.jsonl: 1 rewards")):
        (tmp_path / "bin" / "gym").unlink(missing_ok=True)
        (tmp_path / "bin").exists() and (tmp_path / "bin").rmdir()
        path = fake_gym(tmp_path, f"cp made.jsonl {made}")
        done = script("rescore.py", "a.jsonl", "b.jsonl", "--config", "c.yaml", "--force", cwd=tmp_path, PATH=path)
        assert "-> 1.000 of 1" in done.stdout and f"\n{shown}" in done.stdout, done.stderr


def test_rescore_keeps_masks_and_environment_servers(tmp_path: Path) -> None:
    """Gym takes them from neither file: 17 masked rows once came back unmasked."""
    rows = [rollout(task, 0.5, _ng_environment_server="words", agent_ref={"name": "a"}) for task in range(20)]
    for row in rows[:9]:
        row |= {"mask_sample": True, "failure_kind": "sandbox_failed"}
    for row in rows[9:17]:
        row["instance_config"] = {"mask_sample": True}
    write(tmp_path / "a.jsonl", *rows)
    write(tmp_path / "a_materialized_inputs.jsonl", {})
    new = "\n".join(json.dumps(rollout(task, 1.0, agent_ref={"name": "a"}, mask_sample=False)) for task in range(20))
    path = fake_gym(tmp_path, f"cat > b.jsonl <<'X'\n{new}\nX")
    done = script("rescore.py", "a.jsonl", "b.jsonl", "--config", "c.yaml", cwd=tmp_path, PATH=path)
    assert done.returncode == 0 and "17 rollouts were masked and stay so" in done.stdout and "-> 1.000 of 3" in done.stdout, done
    made = [json.loads(line) for line in (tmp_path / "b.jsonl").open()]
    assert sum(row["mask_sample"] for row in made) == 17 and all(row["_ng_environment_server"] == "words" for row in made)
    assert made[0]["failure_kind"] == "sandbox_failed"
    assert all(row["instance_config"]["mask_sample"] for row in made[:17]) and "instance_config" not in made[19]


def test_rescore_of_a_judge_failure_is_no_mask(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1))
    failure = {"mask_sample": True, "_ng_failure_class": "judge_failed", "_ng_environment_server": "words"}
    write(tmp_path / "a_failures.jsonl", rollout(1, 0, **failure))
    write(tmp_path / "a_materialized_inputs.jsonl", {})
    new = "\n".join(json.dumps(row) for row in (rollout(0, 1), rollout(1, 0)))
    path = fake_gym(tmp_path, f"cat > b.jsonl <<'X'\n{new}\nX")
    done = script("rescore.py", "a.jsonl", "b.jsonl", "--judge-failed-only", cwd=tmp_path, PATH=path)
    assert "mean reward: 1.000 of 1 -> 0.500 of 2" in done.stdout, done
    assert json.loads((tmp_path / "b.jsonl").read_text().splitlines()[1])["_ng_environment_server"] == "words"


def test_rescore_of_several_agents(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1, agent_ref={"name": "math"}), rollout(1, 0.25, agent_ref={"name": "code"}), rollout(2, 0.75, agent_ref={"name": "code"}))
    write(tmp_path / "a_materialized_inputs.jsonl", *({"_ng_task_index": task, "agent_ref": {"name": name}} for task, name in enumerate(["math", "code", "code"])))
    new = "\n".join(json.dumps(rollout(task, 0, agent_ref={"name": "code"})) for task in (1, 2))
    path = fake_gym(tmp_path, f"while [ \"$1\" != --rollouts ]; do shift; done; cp \"$2\" seen; cat > b.jsonl <<'X'\n{new}\nX")
    refused = script("rescore.py", "a.jsonl", "b.jsonl", "--config", "c.yaml", cwd=tmp_path, PATH=path)
    assert refused.returncode == 2 and "holds rollouts of code, math" in refused.stderr and "--agent NAME" in refused.stderr
    done = script("rescore.py", "a.jsonl", "b.jsonl", "--config", "c.yaml", "--agent", "code", cwd=tmp_path, PATH=path)
    assert done.returncode == 0 and "mean reward: 0.667 of 3 -> 0.333 of 3" in done.stdout, done
    assert len((tmp_path / "seen").read_text().splitlines()) == 2 and len((tmp_path / "b.jsonl").read_text().splitlines()) == 3
    assert script("rescore.py", "a.jsonl", "b.jsonl", "--agent", "other", cwd=tmp_path, PATH=path).returncode == 2
    assert script("rescore.py", "a.jsonl", "b.jsonl", "--all-agents", cwd=tmp_path, PATH=path).returncode == 0


def test_rescore_asks_for_the_task_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1))
    refused = script("rescore.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and "a_materialized_inputs.jsonl: no such file" in refused.stderr and "--inputs" in refused.stderr
    write(tmp_path / "other.jsonl", {})
    path = fake_gym(tmp_path, f"echo \"$@\" > arguments; echo '{json.dumps(rollout(0, 1))}' > b.jsonl")
    assert script("rescore.py", "a.jsonl", "b.jsonl", "--inputs", "other.jsonl", cwd=tmp_path, PATH=path).returncode == 0
    assert "--inputs other.jsonl --rollouts a.jsonl" in (tmp_path / "arguments").read_text()


def test_rescore_shows_why_gym_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1)), write(tmp_path / "a_materialized_inputs.jsonl", {})
    path = fake_gym(tmp_path, "echo much; echo 'Error: Output file'; echo 'already exists'; echo '(server) bye'; exit 1")
    refused = script("rescore.py", "a.jsonl", "b.jsonl", cwd=tmp_path, PATH=path)
    assert refused.returncode == 1 and "log:\nError: Output file already exists\n" in refused.stderr and "b.log" in refused.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "rescore.py: Cannot read a.jsonl: no such file."),
        ("{broken\n", "rescore.py: a.jsonl:1: not JSON"),
        ("[1]\n", "rescore.py: a.jsonl:1: a row is a JSON object"),
        ('{"reward": 1}\n', "rescore.py: a.jsonl, line 1 is no rollout"),
        ("", "rescore.py: a.jsonl holds no rollouts."),
    ],
)
def test_rescore_refuses_bad_input(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.jsonl").write_text(content)
        write(tmp_path / "a_materialized_inputs.jsonl", {})
    refused = script("rescore.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith(message) and "Traceback" not in refused.stderr
    assert not (tmp_path / "b.jsonl").exists()


def test_rescore_refuses_two_rows_of_one_rollout(tmp_path: Path) -> None:
    """Of two runs, or of several stages: Gym would take the task of one for the other, and so would the masks."""
    write(tmp_path / "a.jsonl", rollout(0, 1, stage_index=0, mask_sample=True), rollout(0, 1, stage_index=1)), write(tmp_path / "a_materialized_inputs.jsonl", {})
    refused = script("rescore.py", "a.jsonl", "b.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and "a.jsonl, line 2: task 0, repeat 0 is there twice" in refused.stderr


def test_rescore_says_that_gym_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", rollout(0, 1)), write(tmp_path / "a_materialized_inputs.jsonl", {})
    refused = script("rescore.py", "a.jsonl", "b.jsonl", cwd=tmp_path, PATH=str(tmp_path))
    assert refused.returncode == 2 and "Cannot find gym" in refused.stderr


# --- what_landed.py -------------------------------------------------------------------------------------------------


def test_what_landed_tells_zeros_masks_and_failures_apart(tmp_path: Path) -> None:
    agent = {"agent_ref": {"name": "math"}}
    write(
        tmp_path / "a.jsonl", rollout(0, 1, **agent), rollout(1, 0, **agent), rollout(2, 0, **agent),
        rollout(3, 0, **agent, failure_kind="math:timeout"),
        rollout(4, 0, **agent, mask_sample=True, failure_kind="verifier_error", failure_reason="no reference"),
    )
    write(tmp_path / "a_failures.jsonl", rollout(5, 0, agent_ref={"name": "judge"}, mask_sample=True,
          _ng_failure_class="judge_failed", failure_reason="status 429, url='http://127.0.0.1:1/v1/responses'"))
    told = script("what_landed.py", "a.jsonl", cwd=tmp_path)
    assert told.returncode == 1 and told.stdout.splitlines() == [
        "judge", "    1 x failed: judge_failed - status 429, url='URL'", "math", "    1 x masked: verifier_error - no reference",
        "    2 x scored 0.00", "    1 x scored 0.00 (math:timeout)", "    1 x scored 1.00", "        mean 0.250 of 4 scored",
    ]
    (tmp_path / "a_failures.jsonl").unlink()
    write(tmp_path / "a.jsonl", rollout(0, 1, **agent))
    assert script("what_landed.py", "a.jsonl", "--agent", "math", cwd=tmp_path).returncode == 0
    write(tmp_path / "a.jsonl", rollout(0, 1.004, **agent), rollout(1, 0.999, **agent), rollout(2, 0.333333, **agent))
    assert [line.split()[3] for line in script("what_landed.py", "a.jsonl", cwd=tmp_path).stdout.splitlines()[1:4]] == ["0.33", "0.999", "1.004"]
    assert "no rollouts of other" in script("what_landed.py", "a.jsonl", "--agent", "other", cwd=tmp_path).stderr


def test_what_landed_counts_every_stage_and_every_row(tmp_path: Path) -> None:
    agent = {"agent_ref": {"name": "a"}}
    stages = [rollout(0, stage / 2, **agent, stage_index=stage) for stage in range(3)]
    older = [{name: value for name, value in rollout(1, 1, **agent).items() if name != "_ng_rollout_index"} for _ in range(2)]
    write(tmp_path / "a.jsonl", *stages, *older)
    write(tmp_path / "a_materialized_inputs.jsonl", {"_ng_task_index": 0, "_ng_rollout_index": 0, **agent})
    told = script("what_landed.py", "a.jsonl", cwd=tmp_path)
    assert told.stdout.splitlines() == ["a", "    1 x scored 0.00", "    1 x scored 0.50", "    3 x scored 1.00", "        mean 0.700 of 5 scored"], told.stdout
    write(tmp_path / "a.jsonl", {"messages": []})
    assert "1 x no rollout, but a chat row" in script("what_landed.py", "a.jsonl", cwd=tmp_path).stdout


def test_only_finite_numbers_are_scores(tmp_path: Path) -> None:
    """As in all other guides: no truth value, no text, no NaN, and nothing of a response that failed."""
    output = {"response": {"output": []}}
    rows = [rollout(task, reward, **output) for task, reward in enumerate((1.0, True, "1", float("nan"), 10**400))]
    write(tmp_path / "a.jsonl", *rows, rollout(5, 1.0, response={"status": "failed"}))
    told = script("what_landed.py", "a.jsonl", cwd=tmp_path)
    assert told.returncode == 1 and "mean 1.000 of 1 scored" in told.stdout and "2 x the reward is not a number" in told.stdout
    assert "2 x the reward is not finite" in told.stdout and "1 x failed (failed)" in told.stdout
    assert "2 shown, of 2 with reward 1" in script("show_rollouts.py", "a.jsonl", "--reward", 1, cwd=tmp_path).stdout


def test_what_landed_sees_what_left_no_row_and_what_was_made_up(tmp_path: Path) -> None:
    agent = {"agent_ref": {"name": "math"}}
    write(tmp_path / "a_materialized_inputs.jsonl", *({"_ng_task_index": task, "_ng_rollout_index": 0, **agent} for task in range(3)))
    write(tmp_path / "a_failures.jsonl", *(rollout(0, 0, **agent, _ng_failure_class="judge_failed") for _ in range(2)))
    write(tmp_path / "a.jsonl", rollout(0, 1, **agent))
    told = script("what_landed.py", "a.jsonl", cwd=tmp_path)
    assert told.returncode == 1 and told.stdout.splitlines() == [
        "math", "    2 x no row: not reached, or killed", "    1 x scored 1.00", "        mean 1.000 of 1 scored",
    ]
    write(tmp_path / "a.jsonl", *(rollout(task, 1, **agent) for task in range(3)))
    assert script("what_landed.py", "a.jsonl", cwd=tmp_path).returncode == 0
    write(tmp_path / "a_materialized_inputs.jsonl", *({"_ng_task_index": task, "_ng_rollout_index": 0} for task in range(3)))
    assert script("what_landed.py", "a.jsonl", cwd=tmp_path).returncode == 0, "a plan that names no agents says nothing of them"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "a.jsonl: No such file"), ("", "a.jsonl: no rows."), ("{broken\n", "a.jsonl:1: not JSON"), ("[1]\n", "a.jsonl:1: a row is a JSON object")],
)
def test_what_landed_refuses_bad_input(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.jsonl").write_text(content)
    refused = script("what_landed.py", "a.jsonl", cwd=tmp_path)
    assert refused.returncode == 2 and message in refused.stderr and "Traceback" not in refused.stderr


# --- show_rollouts.py -----------------------------------------------------------------------------------------------


def message(role: str, text: object) -> dict:
    return {"type": "message", "role": role, "content": text}


def test_show_rollouts_prints_what_a_reader_needs_to_judge(tmp_path: Path) -> None:
    prompt = [message("system", "Be short."), message("user", "example"), message("user", [{"type": "input_text", "text": "Capital?"}])]
    call = {"type": "function_call", "name": "look_up", "arguments": '{"of": "it"}'}
    output = [call, {"type": "reasoning"}, message("assistant", [{"type": "output_text", "text": "Lyon"}])]
    write(
        tmp_path / "a.jsonl", rollout(0, 1, response={}), rollout(2, 0, mask_sample=True, response={}),
        rollout(1, 0, responses_create_params={"input": prompt}, response={"output": output}, expected_answer="Paris"),
    )
    told = script("show_rollouts.py", "a.jsonl", "--reward", 0, "--field", "expected_answer", cwd=tmp_path)
    assert told.returncode == 0 and told.stdout.splitlines() == [
        "--- task 2, rollout 0: masked: no failure_kind", "asked: ", "answered: ", "expected_answer: null",
        "--- task 1, rollout 0: scored 0.00", "asked: Capital?", 'answered: look_up({"of": "it"})', "Lyon", 'expected_answer: "Paris"',
        "2 shown, of 2 with reward 0 among 3 rollouts",
    ]


def test_what_a_model_wrote_does_not_steer_the_terminal(tmp_path: Path) -> None:
    output = [message("assistant", "\x1b[2Jgone\u202e \x07\tok\nline")]
    write(tmp_path / "a.jsonl", rollout(0, 1, response={"output": output}))
    told = script("show_rollouts.py", "a.jsonl", cwd=tmp_path)
    assert "answered: \\x1b[2Jgone\\u202e \\x07\tok\nline" in told.stdout


def test_show_rollouts_draws_the_same_ones_each_time(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", *(rollout(task, 1, response={}) for task in range(100)))
    first, second = (script("show_rollouts.py", "a.jsonl", "--limit", 5, cwd=tmp_path).stdout for _ in range(2))
    assert first == second and first.endswith("5 shown, of 100 among 100 rollouts\n")
    assert [line[:10] for line in first.splitlines() if line.startswith("---")] != [f"--- task {task}" for task in range(5)]


def test_show_rollouts_says_what_is_wrong(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"_ng_task_index": 0, "_ng_rollout_index": 0, "response": {}})
    assert "0 shown, of 0 with reward 0" in script("show_rollouts.py", "a.jsonl", "--reward", 0, cwd=tmp_path).stdout, "no reward is no zero"
    write(tmp_path / "a.jsonl", rollout(0, 1, response={}))
    nothing = script("show_rollouts.py", "a.jsonl", "--reward", 0.5, cwd=tmp_path)
    assert nothing.returncode == 1 and "0 shown, of 0 with reward 0.5 among 1 rollouts" in nothing.stdout
    assert "b.jsonl: No such file" in script("show_rollouts.py", "b.jsonl", cwd=tmp_path).stderr
    refused = script("show_rollouts.py", "a.jsonl", "--limit", 0, cwd=tmp_path)
    assert refused.returncode == 2 and "--limit: at least 1" in refused.stderr
    (tmp_path / "a.jsonl").write_text("[1]\n")
    assert script("show_rollouts.py", "a.jsonl", cwd=tmp_path).returncode == 2
