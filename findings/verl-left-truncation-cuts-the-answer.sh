#!/bin/bash
# verl 0.9.1, SFT: truncation=left, which keeps the end of a row, keeps the start under the trainer's default pad_mode, and the answer is cut off.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 tensordict==0.10.0 ray==2.60.0 omegaconf==2.3.1 pandas==3.1.1 pyarrow==26.0.1 pillow==13.0.0
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps verl==0.9.1

cat > ask.py <<'P'
import importlib.util, pathlib
from importlib.metadata import version

import pandas
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", pad_token="<|pad|>")
tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
talk = [{"role": "user", "content": "A letter: " + "rain and snow, " * 8 + "which month is it?"}, {"role": "assistant", "content": "January."}]
pandas.DataFrame({"messages": [talk]}).to_parquet("rows.parquet")

defaults = OmegaConf.load(pathlib.Path(importlib.util.find_spec("verl").origin).parent / "trainer/config/sft_trainer_engine.yaml").data
print("verl", version("verl"), "whose trainer sets pad_mode", defaults.pad_mode)
for pad_mode in ("right", "no_padding"):
    row = MultiTurnSFTDataset(["rows.parquet"], tokenizer, OmegaConf.create({"max_length": 50, "truncation": "left", "pad_mode": pad_mode}))[0]
    print(f"{pad_mode}: {tokenizer.decode(row['input_ids'])!r}, {int(row['loss_mask'].sum())} tokens in the loss")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(verl|right|no_padding)' | tee printed.txt
echo "expected: both keep the end of the row, where the answer is"
diff printed.txt - <<'S'
verl 0.9.1 whose trainer sets pad_mode no_padding
right: ' and snow, which month is it?<|end|><assistant>January.<|end|>', 9 tokens in the loss
no_padding: '<user>A letter: rain and snow, rain and snow, rain', 0 tokens in the loss
S
echo "seen: without padding, left truncates on the right, and the row trains nothing"
