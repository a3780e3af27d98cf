#!/bin/bash
# TRL 1.16.0, SFT: with packing, truncation_mode=keep_end keeps the start of a row that is too long, so the answer goes and the prompt stays.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 trl==1.16.0

cat > ask.py <<'P'
from importlib.metadata import version

from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2))
rows = [
    {"prompt": "A letter: " + "rain and snow, " * 6 + "which month is it? ", "completion": "January."},
    {"prompt": "One plus one? ", "completion": "Two."},
]
print("trl", version("trl"))
for packing in False, True:
    options = SFTConfig(output_dir="out", max_length=45, truncation_mode="keep_end", packing=packing, report_to=[], use_cpu=True, bf16=False)
    for row in SFTTrainer(model, options, train_dataset=Dataset.from_list(rows), processing_class=tokenizer).train_dataset:
        loss = tokenizer.decode([label for label in row["labels"] if label >= 0])
        print(f"packing {packing}: {tokenizer.decode(row['input_ids'])!r}, in the loss: {loss!r}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(trl|packing)' | tee printed.txt
echo "expected: the end of the long row, with and without packing, or an error; and no row without a loss, which SFT drops without packing"
tail -n +2 printed.txt | diff - <(cat <<'S'
packing False: ', rain and snow, which month is it? January.<|im_end|>', in the loss: 'January.<|im_end|>'
packing False: 'One plus one? Two.<|im_end|>', in the loss: 'Two.<|im_end|>'
packing True: 'A letter: rain and snow, rain and snow, rain ', in the loss: ''
packing True: 'One plus one? Two.<|im_end|>', in the loss: 'Two.<|im_end|>'
S
)
echo "seen: with packing the long row has lost its answer, and takes its place in the batch with nothing to learn"
