#!/bin/bash
# Axolotl 0.21.0 with its own template for Gemma 4, SFT on the assistant alone: the results of tools are in the loss.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python transformers==5.10.4 datasets==5.2.0 peft==0.21.2 trl==1.16.0 accelerate==1.15.0 addict==2.4.0 colorama==0.4.6 numba==0.68.1 posthog==7.91.1 distro==1.9.0
# The package asks for Python 3.12; this part runs on 3.11, too.
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.12 --no-deps axolotl==0.21.0
export AXOLOTL_DO_NOT_TRACK=1 DO_NOT_TRACK=1 HF_HUB_OFFLINE=1

cat > ask.py <<'P'
from importlib.metadata import version

from axolotl.prompt_strategies.chat_template import load
from axolotl.utils.dict import DictDefault
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

# One token for each byte, and the marks of turns, calls and results.
letters = Tokenizer(models.BPE({letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
letters.pre_tokenizer, letters.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), decoders.ByteLevel()
marks = ["<|turn>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>"]
tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, bos_token="<bos>", eos_token="<turn|>", additional_special_tokens=marks)

keys = {key: key for key in ("role", "content", "tool_calls", "name", "tool_call_id")}
settings = {"train_on_inputs": False, "sequence_len": 4096, "chat_template": "gemma4"}  # Axolotl's own template for Gemma 4
strategy = load(tokenizer, DictDefault(settings), DictDefault({"type": "chat_template", "roles_to_train": ["assistant"], "message_property_mappings": keys}))
call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": {"at": "shelf"}}}
row = strategy.tokenize_prompt({"messages": [
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": "c", "name": "look", "content": "on top"},
    {"role": "assistant", "content": "On top."},
]})
print("axolotl", version("axolotl"))
print("loss:", tokenizer.decode([label for label in row["labels"] if label != -100]))
P
venv/bin/python ask.py 2>/dev/null | tee printed.txt
echo "expected: the call and the answer in the loss, not the tool's result: roles_to_train is assistant"
tail -n +2 printed.txt | diff - <(cat <<'S'
loss: <|tool_call>call:look{at:<|"|>shelf<|"|>}<tool_call|><|tool_response>response:look{value:<|"|>on top<|"|>}<tool_response|>On top.<turn|>
S
)
echo "seen: the model is trained to write the tool's result itself"
