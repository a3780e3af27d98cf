"""Serve an OpenAI-compatible endpoint, or several replicas, that give the same answer to the same request: to rehearse on.

    python fixed_endpoint.py TASKS.jsonl... [--ports 8000 8001] [--seconds 0.2]

It knows the right answers from the task files. A hash of the prompt decides how hard a task is; a hash of prompt and seed
decides whether this try is right, and how long it takes (half to one and a half times --seconds). So a run that was killed
and resumed can be compared with one that was not, row for row. ``GET /requests`` tells how many completions a replica served.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = "fixed-answers"


def share(*parts: object) -> float:
    """A number from 0 up to 1 that depends on the parts alone."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def known_answers(paths: list[Path]) -> dict[str, dict]:
    """The last message of each task, with its right answer as an assistant message."""
    answers = {}
    for path in paths:
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        task = json.loads(line)
                        prompt = task["responses_create_params"]["input"]
                        answers[prompt if isinstance(prompt, str) else prompt[-1]["content"]] = right_answer(task)
        except OSError as error:
            sys.exit(f"Cannot read {path}: {error.strerror}. Check the path.")
        except (ValueError, KeyError, TypeError, IndexError) as error:
            sys.exit(f"{path}, line {number} is no task with an answer ({type(error).__name__}: {error}).")
    return answers


def right_answer(task: dict) -> dict:
    if "expected_answers" not in task:
        return {"role": "assistant", "content": str(task["expected_answer"])}
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": c["name"], "arguments": json.dumps(c["arguments"])}}
        for n, c in enumerate(task["expected_answers"])
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


class Replica(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int, answers: dict[str, dict], seconds: float) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers, self.seconds = answers, seconds
        self.served, self.lock = 0, threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/requests":
            self.reply({"requests": self.server.served})
        else:
            self.reply({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt, seed = request["messages"][-1]["content"], request.get("seed")
        if not isinstance(prompt, str):
            prompt = prompt[0]["text"]
        time.sleep(self.server.seconds * (0.5 + share("time", prompt, seed)))
        message = self.server.answers.get(prompt)
        if message is None or share("try", prompt, seed) >= share("task", prompt):
            message = {"role": "assistant", "content": "I do not know."}
        with self.server.lock:
            self.server.served += 1
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": 4, "total_tokens": len(prompt.split()) + 4}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if message.get("tool_calls") else "stop"}
        self.reply({"id": "fixed", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage})

    def reply(self, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked may have been killed: that is what the rehearsal is for
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", type=Path, nargs="+", metavar="TASKS.jsonl", help="task files with expected answers")
    parser.add_argument("--ports", type=int, nargs="+", default=[8000], help="ports to listen on, one per replica (default: 8000)")
    parser.add_argument("--seconds", type=float, default=0.2, help="mean time of an answer (default: %(default)s)")
    args = parser.parse_args()
    answers = known_answers(args.tasks)
    replicas = []
    for port in args.ports:
        try:
            replicas.append(Replica(port, answers, args.seconds))
        except (OSError, OverflowError) as error:
            sys.exit(f"Cannot listen on port {port} ({error}). Choose other ones: --ports 8100 8101")
    for replica in replicas:
        threading.Thread(target=replica.serve_forever, daemon=True).start()
    where = ", ".join(f"http://127.0.0.1:{port}/v1" for port in args.ports)
    print(f"{MODEL}: {len(answers)} answers at {where}\nCtrl+C stops it.", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()
