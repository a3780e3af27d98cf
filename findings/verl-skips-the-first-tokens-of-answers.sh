#!/bin/bash
# verl 0.9.1, SFT: under templates whose prompt ends with `<think>`, as DeepSeek-R1-Distill's and V3's, the first two tokens of each answer are not in the loss.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 tensordict==0.10.0 ray==2.60.0 omegaconf==2.3.1 pandas==3.1.1 pyarrow==26.0.1 pillow==13.0.0
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps verl==0.9.1
# For its copies of the models' templates alone; beside an installed TRL verl does not start.
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps --target templates trl==1.16.0

cat > ask.py <<'P'
import pathlib
from importlib.metadata import version

import pandas
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter, and one per marker, as the models have
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
asked, said = ("How cold is it in Oslo?", "And in Rome?"), ("No snow.", "No. It is plus nine.")
talk = [{"role": role, "content": text} for pair in zip(asked, said) for role, text in zip(("user", "assistant"), pair)]
pandas.DataFrame({"messages": [talk]}).to_parquet("rows.parquet")

print("verl", version("verl"))
for template in ("llama3", "deepseek_r1_distill", "deepseekv3"):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="<|eot_id|>" if template == "llama3" else "<｜end▁of▁sentence｜>", pad_token="<pad>",
        additional_special_tokens=["<think>", "</think>", "<｜User｜>", "<｜Assistant｜>"],
    )
    tokenizer.chat_template = pathlib.Path(f"templates/trl/chat_templates/{template}.jinja").read_text()
    row = MultiTurnSFTDataset(["rows.parquet"], tokenizer, OmegaConf.create({"max_length": 999, "pad_mode": "no_padding"}))[0]
    parts, before = [], False
    for label, counts in zip(row["input_ids"].tolist(), row["loss_mask"].tolist()):
        if counts:
            parts = parts if before else [*parts, []]
            parts[-1].append(label)
        before = bool(counts)
    print(f"{template}, in the loss: {[tokenizer.decode(part) for part in parts]}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(verl|llama3|deepseek)' | tee printed.txt
echo "expected: both whole answers under each template"
tail -n +2 printed.txt | diff - <(cat <<'S'
llama3, in the loss: ['No snow.<|eot_id|>', 'No. It is plus nine.<|eot_id|>']
deepseek_r1_distill, in the loss: [' snow.<｜end▁of▁sentence｜>', '. It is plus nine.<｜end▁of▁sentence｜>']
deepseekv3, in the loss: [' snow.<｜end▁of▁sentence｜>', '. It is plus nine.<｜end▁of▁sentence｜>']
S
)
echo "seen: the prompt's opened thought, two tokens, is taken from the answer, and verl's own check of the token ids does not look at the mask"
