#!/bin/bash
# LLaMA-Factory 0.9.5, formatting openai: every row without tools gets the words "detailed thinking off" as system prompt, or after its own.
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
talk = [{"role": "user", "content": "Name a city."}, {"role": "assistant", "content": "Oslo."}]
for what, messages in (("no system prompt", talk), ("own system prompt", [{"role": "system", "content": "Answer in one word."}, *talk])):
    print(f"{what}: {convert({'messages': messages, 'tools': ''})['_system']!r}")
P
venv/bin/python ask.py 2>/dev/null | grep -v '^\[WARNING' | tee printed.txt
echo "expected: '' and 'Answer in one word.', as with formatting sharegpt"
tail -n +2 printed.txt | diff - <(cat <<'S'
no system prompt: 'detailed thinking off'
own system prompt: 'Answer in one word.\ndetailed thinking off'
S
)
echo "seen: words that one family of models knows stand in the training rows of all models"
