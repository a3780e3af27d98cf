#!/bin/bash
# TRL 1.16.0: the training template of gpt-oss renders the first of two parallel calls and the results of both.
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
tools = [{"type": "function", "function": {"name": name, "description": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}} for name in ("weather", "clock")]
calls = [{"id": str(number), "type": "function", "function": {"name": name, "arguments": {"city": city}}} for number, (name, city) in enumerate((("weather", "Oslo"), ("clock", "Lima")))]
talk = [
    {"role": "user", "content": "Weather in one city, time in the other."},
    {"role": "assistant", "content": "", "tool_calls": calls},
    {"role": "tool", "tool_call_id": "0", "name": "weather", "content": "minus four"},
    {"role": "tool", "tool_call_id": "1", "name": "clock", "content": "half past nine"},
    {"role": "assistant", "content": "Cold, and half past nine."},
]
texts, _ = render_jinja_template([talk], tools=tools, chat_template=(folder / "gptoss_training.jinja").read_text())
seen = {word: word in texts[0] for word in ("Oslo", "Lima", "minus four", "half past nine")}
print("trl", version("trl"), "transformers", version("transformers"))
print("expected: both calls with their results, or an error")
print("seen:", ", ".join(f"{word} {'there' if there else 'MISSING'}" for word, there in seen.items()))
sys.exit(0 if seen == {"Oslo": True, "Lima": False, "minus four": True, "half past nine": True} else 1)
PYTHON
