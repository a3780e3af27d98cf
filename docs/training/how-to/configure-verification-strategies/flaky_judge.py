"""Serve a judge that fails in the ways real ones do: too many requests, no answer, rubbish, no verdict.

    python flaky_judge.py [--port 8001] [--modes ok 429 ok hang ok html ok empty ok waffle ok 500]

An OpenAI-compatible endpoint (/v1/chat/completions) without a model. Each new prompt gets the next mode of the list and
keeps it, however often it is asked. "ok" says [[yes]] if the text after REFERENCE: stands between <answer> and </answer>.
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


class Judge(BaseHTTPRequestHandler):
    """One request: find the prompt's mode, behave so."""

    protocol_version = "HTTP/1.1"
    modes: itertools.cycle
    seen: dict[str, str] = {}
    lock = threading.Lock()

    def do_GET(self) -> None:
        self.reply(200, json.dumps({"object": "list", "data": [{"id": "flaky-judge", "object": "model"}]}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            content = json.loads(body)["messages"][-1]["content"]
            prompt = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return self.reply(400, json.dumps({"error": {"message": "no messages in the request"}}))
        with self.lock:
            mode = self.seen.setdefault(prompt, "") or next(self.modes)
            self.seen[prompt] = mode
        if mode == "hang":
            time.sleep(600)
        elif mode in ("429", "500"):
            self.reply(int(mode), json.dumps({"error": {"message": f"practice: {mode}"}}))
        elif mode == "html":
            self.reply(200, "<html><body>Bad gateway</body></html>")
        else:
            said = {"ok": f"I compared the two. [[{verdict(prompt)}]]", "empty": "", "waffle": "Both have their merits."}[mode]
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            self.reply(200, json.dumps({
                "id": "judge", "object": "chat.completion", "created": 0, "model": "flaky-judge", "choices": [choice], "usage": usage
            }))

    def reply(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if text.startswith("<") else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def verdict(prompt: str) -> str:
    """yes if the reference stands in the answer."""
    found = re.search(r"REFERENCE: (.*?)\n<answer>\n(.*)\n</answer>", prompt, re.S)
    return "yes" if found and found[1].strip().casefold() in found[2].casefold() else "no"


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
    print(f"flaky-judge is ready at http://127.0.0.1:{args.port}/v1 ({', '.join(args.modes)}). Ctrl+C stops it.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
