#!/bin/bash
# nemo-gym 0.7.0: an answer that Azure cut off at the token limit arrives from `azure_openai_model` like a whole one, and without its tokens.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
import asyncio, json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from responses_api_models.azure_openai_model.app import AzureOpenAIModelServer, AzureOpenAIModelServerConfig
from responses_api_models.inference_provider.app import InferenceProvider

ANSWER = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
          "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "The answer is"}}]}


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


endpoint = HTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=endpoint.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{endpoint.server_port}"
common = {"host": "127.0.0.1", "port": 1, "entrypoint": "app.py", "name": "policy_model"}


async def main() -> None:
    request = lambda: NeMoGymResponseCreateParamsNonStreaming(input="Say a lot.", max_output_tokens=3)
    azure = AzureOpenAIModelServer.model_construct(config=AzureOpenAIModelServerConfig(
        **common, openai_base_url=address, openai_api_key="k", openai_model="m", default_query={"api-version": "1"}, num_concurrent_requests=1))
    azure.model_post_init(None)
    other = InferenceProvider.model_construct(config=InferenceProvider.model_fields["config"].annotation(
        **common, base_url=address, api_key="k", model="m"))
    other.model_post_init(None)
    for name, server in (("azure_openai_model", azure), ("inference_provider", other)):
        got = await server.responses(SimpleNamespace(), request())
        reason = got.incomplete_details and got.incomplete_details.reason
        print(f"{name}: status {got.status}, reason {reason}, tokens {got.usage and got.usage.total_tokens}")


asyncio.run(main())
P
venv/bin/python ask.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
echo "expected: incomplete, max_output_tokens and 8 from both"
diff seen.txt - <<'S'
azure_openai_model: status None, reason None, tokens None
inference_provider: status incomplete, reason max_output_tokens, tokens 8
S
echo "seen: behind azure_openai_model no row says that its answer was cut off, and cost and length of a run are unknown"
