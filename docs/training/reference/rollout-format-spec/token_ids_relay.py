"""Stand between Gym and the practice endpoint and answer the way vLLM does: with token ids.

    python token_ids_relay.py [--port 8001] [--to http://127.0.0.1:8000]

llama.cpp knows the id and the log probability of each token it sampled, but writes them another way than vLLM. This
relay changes the spelling: ``token`` of each log probability becomes ``token_id:<id>``, ``/tokenize`` takes a chat, and a
prompt that is too long is refused as vLLM refuses it. An answer in which llama.cpp leaves out a token is asked for again. It
is no vLLM: prompts are tokenized anew for every call, as any server without prefix reuse does.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen


TRIES = 10


class Gap(Exception):
    """The endpoint does not give the ids of all tokens that it sampled."""


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    to = ""

    def ask(self, path: str, body: dict) -> dict:
        request = Request(self.to + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def tokenize(self, body: dict) -> dict:
        chat = {key: body[key] for key in ("messages", "tools") if key in body}
        prompt = self.ask("/apply-template", chat)["prompt"]
        return self.ask("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})

    def complete(self, body: dict) -> dict:
        # llama.cpp says nothing of a token that ends inside a character: with a gap, the ids are not what was sampled.
        for _ in range(TRIES):
            answer = self.ask("/v1/chat/completions", body | {"top_logprobs": 1})  # llama.cpp gives none for 0
            entries = [entry for choice in answer["choices"] for entry in choice["logprobs"]["content"]]
            if len(entries) == answer["usage"]["completion_tokens"]:
                break
        else:
            raise Gap(f"{TRIES} answers, and in each of them the id of a token is missing")
        for entry in entries:
            entry["token"] = f"token_id:{entry['id']}"
        return answer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, answer = 200, self.tokenize(body) if self.path == "/tokenize" else self.complete(body)
        except HTTPError as error:
            status, reason = error.code, json.load(error)["error"]
            if reason.get("type") == "exceed_context_size_error":
                reason = {
                    "object": "error", "type": "BadRequestError", "code": status,
                    "message": f"This model's maximum context length is {reason['n_ctx']} tokens. "
                               f"However, your prompt contains {reason['n_prompt_tokens']} input tokens.",
                }
            answer = {"error": reason}
        except Gap as gap:
            status, answer = 502, {"error": {"message": str(gap)}}
        self.reply(status, answer)

    def do_GET(self) -> None:
        with urlopen(self.to + self.path, timeout=60) as answer:
            self.reply(200, json.load(answer))

    def reply(self, status: int, answer: dict) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8001, help="port to listen on (default: %(default)s)")
    parser.add_argument("--to", default="http://127.0.0.1:8000", help="the practice endpoint (default: %(default)s)")
    args = parser.parse_args()
    Relay.to = args.to.removesuffix("/")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", args.port), Relay)
    except (OSError, OverflowError) as error:
        parser.exit(1, f"Cannot listen on port {args.port} ({error}). Choose another one with --port\n")
    print(f"Relaying http://127.0.0.1:{args.port} to {Relay.to}. Ctrl+C stops it.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
