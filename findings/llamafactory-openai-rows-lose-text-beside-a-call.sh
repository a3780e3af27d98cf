#!/bin/bash
# LLaMA-Factory 0.9.5, formatting openai: of a turn with text and a tool call the text disappears, also a thought.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python transformers==5.10.4 datasets==5.2.0 peft==0.21.2 trl==1.16.0 accelerate==1.15.0 omegaconf==2.3.1 pillow==13.0.0
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps llamafactory==0.9.5
# The package asks for older versions and imports torchaudio; neither matters to the code below.
export DISABLE_VERSION_CHECK=1 PYTHONPATH=$PWD; : > torchaudio.py

cat > ask.py <<'P'
from importlib.metadata import version
from llamafactory.data.converter import OpenAIDatasetConverter
from llamafactory.data.parser import DatasetAttr
from llamafactory.hparams import DataArguments

columns = DatasetAttr("file", "rows", formatting="openai", messages="messages", tools="tools", role_tag="role", content_tag="content",
                      user_tag="user", assistant_tag="assistant", observation_tag="tool", function_tag="function_call", system_tag="system")
convert = OpenAIDatasetConverter(columns, DataArguments())
print("llamafactory", version("llamafactory"))
call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": {"city": "Oslo"}}}
talk = [
    {"role": "user", "content": "How cold is it in Oslo?"},
    {"role": "assistant", "content": "<think>I need the weather.</think>One moment.", "tool_calls": [call]},
    {"role": "tool", "content": "minus four"},
    {"role": "assistant", "content": "Minus four."},
]
row = convert({"messages": talk, "tools": ""})
for message in row["_prompt"] + row["_response"]:
    print(f"{message['role']}: {message['content']}")
P
venv/bin/python ask.py 2>/dev/null | grep -v '^\[WARNING' | tee printed.txt
echo "expected: the thought and the text stay beside the call, as this package's own sharegpt form keeps them, or a warning"
tail -n +2 printed.txt | diff - <(cat <<'S'
user: How cold is it in Oslo?
function: [{"name": "look_up", "arguments": {"city": "Oslo"}}]
observation: minus four
assistant: Minus four.
S
)
echo "seen: the model learns to call without a thought or a word"
