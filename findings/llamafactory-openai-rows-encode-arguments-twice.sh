#!/bin/bash
# LLaMA-Factory 0.9.5, formatting openai: arguments in the form that OpenAI's format has, JSON text, are trained as a text in quotes.
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
from llamafactory.data.template import TEMPLATES
from llamafactory.hparams import DataArguments

columns = DatasetAttr("file", "rows", formatting="openai", messages="messages", tools="tools", role_tag="role", content_tag="content",
                      user_tag="user", assistant_tag="assistant", observation_tag="tool", function_tag="function_call", system_tag="system")
convert = OpenAIDatasetConverter(columns, DataArguments())
print("llamafactory", version("llamafactory"))
for arguments in ({"city": "Oslo"}, "{\"city\": \"Oslo\"}"):
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": arguments}}
    talk = [
        {"role": "user", "content": "How cold is it in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    row = convert({"messages": talk, "tools": ""})
    text = TEMPLATES["qwen"].format_function.apply(content=row["_response"][0]["content"])[0]
    print(f"arguments as {type(arguments).__name__}: {text.splitlines()[1]}")
P
venv/bin/python ask.py 2>/dev/null | grep -v '^\[WARNING' | tee printed.txt
echo "expected: the same call from both rows, with arguments that are an object, as Qwen's own template writes it"
tail -n +2 printed.txt | diff - <(cat <<'S'
arguments as dict: {"name": "look_up", "arguments": {"city": "Oslo"}}
arguments as str: {"name": "look_up", "arguments": "{\"city\": \"Oslo\"}"}
S
)
echo "seen: the model learns to write arguments that a parser reads as one text"
