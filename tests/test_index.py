"""The practice endpoint and the practice tasks that all guides share."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest
from pages import DOCS, ROOT
from terminals import Running

FOLDER = DOCS / "training" / "index"
UV = ROOT / ".venv" / "bin" / "uv"
ENDPOINT = [UV, "run", "-q", "--no-project", FOLDER / "practice_endpoint.py"]


def test_the_practice_tasks_are_what_their_script_writes(tmp_path: Path) -> None:
    script = [sys.executable, FOLDER / "make_practice_tasks.py", "--out-dir"]
    subprocess.run([*script, tmp_path], check=True, capture_output=True)
    for name in ("practice_tasks.jsonl", "practice_tool_tasks.jsonl"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text()
    wrong = subprocess.run([*script, tmp_path / "nowhere"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "mkdir -p" in wrong.stderr


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = Running(" ".join(map(str, [*ENDPOINT, "--port", "8123", "--slots", "2"])), FOLDER, None)
    assert server.wait_until(lambda seen: "is ready at http://127.0.0.1:8123/v1 (2 requests at a time)" in seen, 300), server.seen()
    yield "http://127.0.0.1:8123"
    server.stop()


def post(endpoint: str, path: str, **body: object) -> dict:
    request = Request(endpoint + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urlopen(request, timeout=60))


@pytest.mark.live
def test_chat_completions_and_responses_answer(endpoint: str) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    chat = post(endpoint, "/v1/chat/completions", model="any", messages=messages, max_tokens=8)
    assert chat["choices"][0]["message"]["content"] and chat["usage"]["completion_tokens"] > 0
    response = post(endpoint, "/v1/responses", model="any", input="Hello", max_output_tokens=8)
    assert response["output"][0]["content"][0]["text"]


@pytest.mark.live
def test_it_calls_tools_after_worked_examples(endpoint: str) -> None:
    """What the tool tasks rely on: a template that shows the tools, and calls parsed from the answer."""
    row = json.loads((FOLDER / "practice_tool_tasks.jsonl").read_text().splitlines()[1])["responses_create_params"]
    messages = []
    for item in row["input"]:
        if item.get("type") == "function_call":
            call = {"type": "function", "id": item["call_id"], "function": {k: item[k] for k in ("name", "arguments")}}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        else:
            messages.append(item)
    tools = [{"type": "function", "function": {k: t[k] for k in ("name", "description", "parameters")}} for t in row["tools"]]
    chat = post(endpoint, "/v1/chat/completions", model="any", messages=messages, tools=tools, temperature=0, max_tokens=48)
    call = chat["choices"][0]["message"]["tool_calls"][0]["function"]
    assert call["name"] == "get_weather" and json.loads(call["arguments"]) == {"city": "Paris"}


@pytest.mark.live
def test_a_port_that_is_taken_gives_one_clear_line(endpoint: str) -> None:
    result = subprocess.run([*ENDPOINT, "--port", "8123"], capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and "--port 8124" in result.stderr


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_requests_are_in_flight(number: signal.Signals) -> None:
    server = Running(" ".join(map(str, [*ENDPOINT, "--port", "8124", "--slots", "1"])), FOLDER, None)
    try:
        assert server.wait_until(lambda seen: "is ready at" in seen, 300), server.seen()
        family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
        body = json.dumps({"prompt": "Once", "max_tokens": 1500, "ignore_eos": True}).encode()
        head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        with contextlib.ExitStack() as requests:
            for _ in range(2):  # one is worked on, one waits in line
                requests.enter_context(socket.create_connection(("127.0.0.1", 8124))).sendall(head % len(body) + body)
            time.sleep(1)
            server.process.send_signal(number)
            assert psutil.wait_procs(family, timeout=5)[1] == []
    finally:
        server.stop()


@pytest.mark.live
@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--slots", "0"], ["--slots", "many"], ["--what"]])
def test_bad_options_are_refused(arguments: list[str]) -> None:
    result = subprocess.run([*ENDPOINT, *arguments], capture_output=True, text=True)
    assert result.returncode != 0 and "Traceback" not in result.stderr and arguments[0].strip("-") in result.stderr
