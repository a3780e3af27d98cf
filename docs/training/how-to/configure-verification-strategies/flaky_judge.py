"""Serve a judge for practice: its rule can be read, and it fails as real judges do, at every second prompt unless told otherwise.

    python flaky_judge.py [--port 8001] [--modes ok 429 ok hang ok html ok empty ok waffle ok 500]
    curl -s 127.0.0.1:8001/modes -d "ok"           # from now on: sound
    curl -s 127.0.0.1:8001/modes -d "500"          # from now on: down
    curl -s 127.0.0.1:8001/log                     # what it was asked and what it said

An OpenAI-compatible endpoint (/v1/chat/completions) without a model. Its rule is verdict() below. Each new prompt gets the next
mode of the list and keeps it until the list changes, however often it is asked.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODES = {
    "ok": "a verdict",
    "429": "status 429 with every try",
    "500": "status 500 with every try",
    "hang": "no answer for 600 seconds",
    "html": "status 200 and a page of HTML",
    "empty": "status 200 and no text",
    "waffle": "status 200 and a text without a verdict",
}
USUAL = ["ok", "429", "ok", "hang", "ok", "html", "ok", "empty", "ok", "waffle", "ok", "500"]


def question_of(prompt: str) -> tuple[str, str]:
    """(reference, answer) of a judge prompt."""
    found = re.search(r"REFERENCE: (.*?)\n<answer>\n(.*)\n</answer>", prompt, re.S)
    return (found[1].strip(), found[2].strip()) if found else ("", "")


def verdict(reference: str, answer: str) -> str:
    """yes if the reference stands in the answer, in upper or lower case."""
    return "yes" if reference and reference.casefold() in answer.casefold() else "no"


class Judge(BaseHTTPRequestHandler):
    """One request: find the prompt's mode, behave so."""

    protocol_version = "HTTP/1.1"
    modes: itertools.cycle
    seen: dict[str, str] = {}
    log: list[str] = []
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path == "/log":
            return self.reply(200, "".join(f"{line}\n" for line in self.log), "text/plain; charset=utf-8")
        self.reply(200, json.dumps({"object": "list", "data": [{"id": "flaky-judge", "object": "model"}]}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/modes":
            return self.change(body.decode(errors="replace").split())
        try:
            content = json.loads(body)["messages"][-1]["content"]
            prompt = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return self.reply(400, json.dumps({"error": {"message": "no messages in the request"}}))
        reference, answer = question_of(prompt)
        with self.lock:
            mode = self.seen.setdefault(prompt, "") or next(self.modes)
            self.seen[prompt] = mode
            said = verdict(reference, answer)
            self.log.append(f"{time.strftime('%H:%M:%S')} {said if mode == 'ok' else mode:<7} reference {reference!r}, answer {answer[:60]!r}")
        if mode == "hang":
            time.sleep(600)
        elif mode in ("429", "500"):
            self.reply(int(mode), json.dumps({"error": {"message": f"practice: {mode}"}}))
        elif mode == "html":
            self.reply(200, "<html><body>Bad gateway</body></html>", "text/html")
        else:
            text = {"ok": f"I compared the two. [[{said}]]", "empty": "", "waffle": "Both have their merits."}[mode]
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            self.reply(200, json.dumps({
                "id": "judge", "object": "chat.completion", "created": 0, "model": "flaky-judge", "choices": [choice], "usage": usage
            }))

    def change(self, modes: list[str]) -> None:
        """Go on with other modes; every prompt gets a new one."""
        if not modes or not all(mode in MODES for mode in modes):
            return self.reply(400, f"modes are {', '.join(MODES)}\n", "text/plain")
        with self.lock:
            type(self).modes = itertools.cycle(modes)
            self.seen.clear()
        self.reply(200, f"modes: {', '.join(modes)}\n", "text/plain")

    def reply(self, status: int, text: str, kind: str = "application/json") -> None:
        data = text.encode(errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: /log tells it."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that did not wait for a hanging answer is what this program is for."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=USUAL, metavar="MODE", help=", ".join(f"{k}: {v}" for k, v in MODES.items()))
    args = parser.parse_args(argv)
    Judge.modes = itertools.cycle(args.modes)
    try:
        server = Server(("127.0.0.1", args.port), Judge)
    except (OSError, OverflowError) as error:
        print(f"flaky_judge.py: cannot listen on port {args.port} ({error}). Choose another: --port {args.port % 65000 + 1}", file=sys.stderr)
        return 2
    print(f"flaky-judge is ready at http://127.0.0.1:{args.port}/v1. Ctrl+C stops it.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
