#!/bin/bash
# TRL 1.16.0: the training template of LFM2 renders no tool calls, so a turn that is a call is trained as an empty answer.
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
call = {"id": "0", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
talk = [
    {"role": "user", "content": "How cold is it in Oslo?"},
    {"role": "assistant", "content": "", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": "0", "content": "minus four"},
    {"role": "assistant", "content": "Minus four."},
]
template = (folder / "lfm2_training.jinja").read_text()
texts, spans = render_jinja_template([talk], tools=tools, chat_template=template, return_assistant_tokens_mask=True, bos_token="<bos>")
loss = [texts[0][start:end] for start, end in spans[0]]
print("trl", version("trl"), "transformers", version("transformers"))
print(f"expected: the tool list is shown ({'weather' in texts[0]}), so the call is in the loss, or the template refuses the row")
print(f"seen: the trained parts are {loss!r}")
sys.exit(0 if "Oslo" not in "".join(loss) and loss[0].strip() == "<|im_end|>" else 1)
PYTHON
