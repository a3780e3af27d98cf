#!/bin/bash
# LLaMA-Factory 0.9.5, formatting openai, pairs: an answer that is a tool call becomes an empty text, and a pair of answers to a tool's result is skipped.
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

columns = DatasetAttr("file", "rows", formatting="openai", ranking=True, messages="messages", chosen="chosen", rejected="rejected", tools="tools",
                      role_tag="role", content_tag="content", user_tag="user", assistant_tag="assistant", observation_tag="tool",
                      function_tag="function_call", system_tag="system")
convert = OpenAIDatasetConverter(columns, DataArguments())


def call(city: str) -> dict:
    return {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look_up", "arguments": {"city": city}}}]}


asked, result = {"role": "user", "content": "How cold is it in Oslo?"}, {"role": "tool", "content": "minus four"}
said, wrong = {"role": "assistant", "content": "Minus four."}, {"role": "assistant", "content": "Warm."}
print("llamafactory", version("llamafactory"))
earlier = convert({"messages": [asked, call("Oslo"), result, said, asked], "chosen": said, "rejected": wrong, "tools": ""})
print("a call earlier in the conversation:", earlier["_prompt"][1])
pair = convert({"messages": [asked], "chosen": call("Oslo"), "rejected": call("Rome"), "tools": ""})
for name, answer in zip(("chosen", "rejected"), pair["_response"]):
    print(f"a call as the {name} answer:", answer)
after = convert({"messages": [asked, call("Oslo"), result], "chosen": said, "rejected": wrong, "tools": ""})
print("answers to a result:", after["_prompt"], after["_response"])
P
venv/bin/python ask.py 2>/dev/null | grep -v '^\[WARNING' | tee printed.txt
echo "expected: the calls in the answers are kept as the one in the conversation is, and so is the pair after a result"
tail -n +2 printed.txt | diff - <(cat <<'S'
a call earlier in the conversation: {'role': 'function', 'content': '[{"name": "look_up", "arguments": {"city": "Oslo"}}]'}
a call as the chosen answer: {'role': 'assistant', 'content': ''}
a call as the rejected answer: {'role': 'assistant', 'content': ''}
answers to a result: [] []
S
)
echo "seen: tool_calls are read in messages only; the pair is skipped with a warning about the message count, since results are added when another message follows, which here none does"
