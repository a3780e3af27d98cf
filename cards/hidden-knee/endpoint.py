"""An endpoint on port 8000 that repeats the last word it is asked for. Standard library only: python endpoint.py [PORT]"""

import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACES = threading.Semaphore(hashlib.sha256(b"places 10").digest()[0] % 12 + 1)


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply({"object": "list", "data": [{"id": "parrot", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        with PLACES:
            time.sleep(2)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text.split()[-1].strip(".")}}
        usage = {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9}
        self.reply({"id": "parrot", "object": "chat.completion", "created": 0, "model": "parrot", "choices": [choice], "usage": usage})

    def reply(self, value: dict) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
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
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    print(f"parrot is ready at http://127.0.0.1:{port}/v1. Ctrl+C stops it.", flush=True)
    Server(("127.0.0.1", port), Endpoint).serve_forever()
