#!/bin/bash
# Axolotl 0.21.0, SFT under Qwen3's template: the `<think>` that opens the last thought is not in the loss, and the generation prompt does not hold it.
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
import pathlib
from importlib.metadata import version

import trl
from axolotl.prompt_strategies.chat_template import load
from axolotl.utils.dict import DictDefault
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

# One token for each byte, and the two marks of a turn.
letters = Tokenizer(models.BPE({letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
letters.pre_tokenizer, letters.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="<|im_end|>", additional_special_tokens=["<|im_start|>"])
tokenizer.chat_template = (pathlib.Path(trl.__file__).parent / "chat_templates/qwen3.jinja").read_text()  # as Qwen3 is published

settings = {"train_on_inputs": False, "sequence_len": 4096, "chat_template": "tokenizer_default", "eot_tokens": ["<|im_end|>"]}
strategy = load(tokenizer, DictDefault(settings), DictDefault({"type": "chat_template"}))
row = strategy.tokenize_prompt({"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "reasoning_content": "Two and two.", "content": "Four."}]})
print("axolotl", version("axolotl"), "trl", version("trl"))
print("row: ", repr(tokenizer.decode(row["input_ids"])))
print("loss:", repr(tokenizer.decode([label for label in row["labels"] if label != -100])))
P
venv/bin/python ask.py 2>/dev/null | tee printed.txt
echo "expected: <think> in the loss, as the model itself has to write it: the prompt ends with <|im_start|>assistant"
tail -n +2 printed.txt | diff - <(cat <<'S'
row:  '<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\nTwo and two.\n</think>\n\nFour.<|im_end|>\n'
loss: 'Two and two.\n</think>\n\nFour.<|im_end|>'
S
)
echo "seen: the thought and its end are trained, its beginning is not"
