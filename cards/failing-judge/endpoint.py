"""A policy on port 8000 and a judge on port 8001, which is down at times. Standard library only: python endpoint.py [PORT PORT]"""

import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAILED, ASKED, LOCK = Counter(), Counter(), threading.Lock()


def drawn(text: str) -> int:
    return hashlib.sha256(f"2513 {text}".encode()).digest()[0]


def answer(question: str) -> str:
    """What the policy says to `How many legs have 3 spiders and 2 ants? (17)`: one word that carries the number, at times a wrong one."""
    legs = sum(int(count) * {"spiders": 8, "ants": 6, "hens": 2, "cows": 4}[animal] for count, animal in re.findall(r"(\d+) (spiders|ants|hens|cows)", question))
    number = (re.findall(r"\((\d+)\)", question) or ["0"])[-1]
    return f"Case {number}: together they have {legs if drawn(question) % 5 < 3 else legs + 2} legs."


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/asked":
            return self.reply({"policy": sum(ASKED.values())})
        self.reply({"object": "list", "data": [{"id": self.server.model, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        contents = [message["content"] for message in body["messages"]]
        prompt = "\n".join(text if isinstance(text, str) else "".join(part.get("text", "") for part in text) for text in contents)
        time.sleep(0.05)
        if self.server.model == "pupil":
            with LOCK:
                ASKED[prompt] += 1
            text = answer(prompt)
        else:
            said = re.search(r"Case (\d+): together they have (\d+) legs", prompt)
            with LOCK:
                down = bool(said) and drawn(f"judge {said[1]}") % 3 == 0 and FAILED[said[1]] < 4
                FAILED[said[1] if said else ""] += down
            if down:
                return self.reply({"error": {"message": "the grader is overloaded"}}, 500)
            expected = re.search(r"exactly (\d+) legs", prompt)
            text = f"[[{'yes' if said and expected and said[2] == expected[1] else 'no'}]]"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16}
        self.reply({"id": "x", "object": "chat.completion", "created": 0, "model": self.server.model, "choices": [choice], "usage": usage})

    def reply(self, value: dict, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    ports = [int(word) for word in sys.argv[1:3]] or [8000, 8001]
    for port, model in zip(ports, ("pupil", "grader")):
        server = Server(("127.0.0.1", port), Endpoint)
        server.model = model
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"{model} is ready at http://127.0.0.1:{port}/v1", flush=True)
    print("Ctrl+C stops both.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
