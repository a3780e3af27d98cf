"""diagnose.py and preflight.sh of the troubleshooting guide. Its entries are proven in ``test_problems*.py``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import scripts
from pages import ROOT
from proofs import GUIDE, rows
from test_problems import ENV, STRING_MATCH, VLLM

DIAGNOSE = GUIDE / "troubleshoot-common-issues" / "diagnose.py"
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def diagnose(folder: Path, *arguments: str, gym: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with a `gym` that prints what the test wants to be the configuration."""
    program = folder / "bin" / "gym"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/bash\n{gym}\n")
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"} | environment
    return scripts.run(DIAGNOSE, *arguments, cwd=folder, **environment)


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
    "short7": "vllm serve model --api-key {}",
    "in-an-override-1": "gym env start ++policy_api_key={} ++head_server.port=11001",
    "in-escaped-json-2": r'body="{{\"api_key\": \"{}\"}}"',
    "user-without-password": "base_url: http://{}@example.com/v1",
    "in-a-query-3": "GET https://example.com/v1/models?limit=1&key={}",
    "in-a-token-query-4": "GET https://example.com/v1/models?token={}&limit=1",
    "of-a-bare-name-13": "token: {}",
    "of-a-bare-key-14": '{{"key": "{}"}}',
    "of-a-longer-name-11": "OPENAI_API_KEY_PROD={}",
    "of-a-name-with-id-12": "client_secret_id: {}",
    "in-a-list-5": "judge_api_key: [first-of-two, {}]",
    "said-by-the-provider-6": "401 Incorrect API key provided: {}",
    "quoted-in-a-header": "headers={{'x-api-key': '{}'}}",
    "words of-a-phrase 7": '{{"password": "{}", "user": "me"}}',
    "words it's-escaped 8": r'body="{{\"password\": \"{}\", \"user\": \"me\"}}"',
    'words a-quote\\"-inside 9': '"passphrase": "{}"',
    "words on-a-command-line 10": "curl -u me --password '{}' https://example.com/v1",
}
IN_YAML = """judge_password: the first-phrase 1
db:
  passphrase: the second-phrase 2  # as it was given
  private_key: |
    -----BEGIN PRIVATE KEY-----
    third-phrase-3
  user_secret: the fourth
    phrase-on-two-lines 4
- cookie: fifth=phrase; sixth=phrase-5
user: kept-1
"""


@pytest.mark.parametrize("where", ["configuration", "log", "failures"])
def test_no_secret_is_in_the_report(where: str, tmp_path: Path) -> None:
    lines = [line.format(secret) for secret, line in SECRETS.items()]
    (tmp_path / "said.txt").write_text("\n".join(lines))
    (tmp_path / "servers.log").write_text("\n".join(line if number % 2 else f"Error: {line}" for number, line in enumerate(lines)))
    (tmp_path / "failures.jsonl").write_text(rows({"_ng_failure_class": "agent_run_error", "_ng_failure_message": " ".join(lines)}))
    options = {"configuration": [], "log": ["--log", "servers.log"], "failures": ["--failures", "failures.jsonl"]}[where]
    gym = "cat said.txt" if where == "configuration" else "exit 0"
    result = diagnose(tmp_path, "--head", NOBODY, *options, gym=gym, MY_SERVICE_TOKEN="value-of-a-variable")
    report = (tmp_path / "report.md").read_text()
    assert [secret for secret in SECRETS if secret in report + result.stdout + result.stderr] == []
    assert report.count("[removed]") >= (3 if where == "failures" else len(SECRETS))


def test_a_key_of_env_yaml_is_removed_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text("judge_api_key:\n  - listed-key-1\npolicy_api_key: of-no-shape-2\n")
    (tmp_path / "servers.log").write_text("Error: user of-no-shape-2 is unknown\n")
    result = diagnose(tmp_path, "--head", NOBODY, "--log", "servers.log", gym="cat env.yaml")
    report = (tmp_path / "report.md").read_text()
    assert "user [removed] is unknown" in report and "judge_api_key: [removed]" in report
    assert "of-no-shape" not in report + result.stdout and "listed-key" not in report + result.stdout


def test_secrets_of_several_words_and_lines_are_removed_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text(IN_YAML)
    diagnose(tmp_path, "--head", NOBODY, gym="cat said.txt")
    report = (tmp_path / "report.md").read_text()
    assert re.findall(r"\S*phrase-?\S*|BEGIN", report) == ["passphrase:"] and "user: kept-1" in report


def test_a_report_keeps_what_is_no_secret(tmp_path: Path) -> None:
    kept = ["max_output_tokens: 512", "eos_token_id: [151645, 151643]", "key_values: kept", "tokenizer: of/a/model", "return_token_id_information: true", "skip_venv_if_present: false", "extra_body: {top_k: 40}", "api_key: null", "tokens: 17", "KeyError: 'agent_ref'", "judge_api_key: null  # none yet", "api_key: ''", "Missing key in new metrics: name"]
    (tmp_path / "said.txt").write_text("\n".join(kept))
    diagnose(tmp_path, "--head", NOBODY, gym="cat said.txt")
    report = (tmp_path / "report.md").read_text()
    assert [line for line in kept if line not in report] == []


def test_a_home_folder_that_is_the_root_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("base_url: http://127.0.0.1:8000/v1\n")
    diagnose(tmp_path, "--head", NOBODY, gym="cat said.txt", HOME="/")
    assert "base_url: http://127.0.0.1:8000/v1" in (tmp_path / "report.md").read_text()


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
    assert "3 failed attempts in failures.jsonl: 2 judge_failed, 1 agent_run_error" in result.stdout


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
    variables = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    gym = '#!/bin/bash\n[ "$1" = env ] || { while [ "$1" != -o ]; do shift; done; cp row.jsonl "$2"; }\n'
    (tmp_path / "bin" / "gym").write_text(gym)
    (tmp_path / "bin" / "gym").chmod(0o755)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)

    def preflight(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)

    for row, said, code in (({}, "1 of 1 rollouts have a reward. Go.", 0), ({"mask_sample": True}, "0 of 1 rollouts have a reward. Stop: masked.", 1)):
        (tmp_path / "row.jsonl").write_text(rows({"_ng_task_index": 0, "reward": 1.0, "response": {}} | row))
        result = preflight(*command)
        assert (result.returncode, result.stdout.splitlines()[-1]) == (code, said), result.stderr
    (tmp_path / "bin" / "gym").write_text('#!/bin/bash\n[ "$1" = env ] || { echo "ValueError: no"; exit 1; }\n')
    result = preflight(*command)
    assert result.returncode == 1 and "ValueError: no" in result.stdout and "the trial run failed" in result.stderr
    assert preflight(*command[:3]).returncode == 2
