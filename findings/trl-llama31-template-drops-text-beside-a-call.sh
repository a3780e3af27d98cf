#!/bin/bash
# TRL 1.16.0: the template of Llama 3.1 drops the text that stands beside a tool call.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${UV:-uv}" venv -q "$folder/venv"
"${UV:-uv}" pip install -q --python "$folder/venv/bin/python" transformers==5.10.4 jinja2==3.1.6
"${UV:-uv}" pip install -q --python "$folder/venv/bin/python" --no-deps trl==1.16.0
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util, pathlib, sys
from importlib.metadata import version
from transformers.utils.chat_template_utils import render_jinja_template

folder = pathlib.Path(importlib.util.find_spec("trl").origin).parent / "chat_templates"
tools = [{"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
call = {"id": "0", "type": "function", "function": {"name": "weather", "arguments": {"city": "Tromso"}}}
talk = [
    {"role": "user", "content": "How cold is it in Oslo?"},
    {"role": "assistant", "content": "I will look that up for you.", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": "0", "content": "minus four"},
    {"role": "assistant", "content": "Minus four."},
]
texts, _ = render_jinja_template([talk], tools=tools, chat_template=(folder / "llama3_1.jinja").read_text(), bos_token="<bos>")
seen = {word: word in texts[0] for word in ("I will look that up", "Tromso", "Minus four.")}
print("trl", version("trl"), "transformers", version("transformers"))
print("expected: the text and the call, or an error")
print("seen:", ", ".join(f"{word} {'there' if there else 'MISSING'}" for word, there in seen.items()))
sys.exit(0 if seen == {"I will look that up": False, "Tromso": True, "Minus four.": True} else 1)
PYTHON
