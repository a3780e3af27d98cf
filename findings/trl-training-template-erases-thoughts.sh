#!/bin/bash
# TRL 1.16.0: the training template of Nemotron 3 Nano erases the thoughts of earlier turns and marks an empty block for the loss instead.
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
call = {"type": "function", "function": {"name": "look_up", "arguments": {"city": "Oslo"}}}
talk = [
    {"role": "user", "content": "How cold is it in Oslo?"},
    {"role": "assistant", "reasoning_content": "I need the weather first.", "content": "", "tool_calls": [call]},
    {"role": "tool", "content": "minus four"},
    {"role": "assistant", "reasoning_content": "The tool says minus four.", "content": "Minus four."},
    {"role": "user", "content": "In Fahrenheit?"},
    {"role": "assistant", "reasoning_content": "Minus four is 24.8.", "content": "24.8 degrees."},
]
texts, spans = render_jinja_template([talk], chat_template=(folder / "nemotron_3_nano_training.jinja").read_text(), return_assistant_tokens_mask=True)
loss = [texts[0][start:end] for start, end in spans[0]]
thoughts = [message["reasoning_content"] for message in talk if "reasoning_content" in message]
kept = [thought for thought in thoughts if any(thought in part for part in loss)]
print("trl", version("trl"), "transformers", version("transformers"))
print("expected: a template made for training keeps what the assistant wrote in every turn: 3 thoughts in the loss")
print(f"seen: {len(kept)} of 3 thoughts in the loss; the first trained turn is {loss[0]!r}")
sys.exit(0 if len(kept) == 1 and "<think></think>" in loss[0] and "look_up" in loss[0] else 1)
PYTHON
