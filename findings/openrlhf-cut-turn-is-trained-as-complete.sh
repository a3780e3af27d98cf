#!/bin/bash
# OpenRLHF 0.11.2, SFT: a row longer than max_len is cut, its last token becomes the end token, and the model learns to stop in the middle.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 pylatexenc==2.10
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps openrlhf==0.11.2

cat > ask.py <<'P'
from importlib.metadata import version
from types import SimpleNamespace

from datasets import Dataset
from openrlhf.datasets.sft_dataset import SFTDataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


def in_the_loss(row) -> list[str]:
    parts, before = [], False
    for label, counts in zip(row[0][0, 1:].tolist(), row[2][0, :-1].tolist()):  # the loss at a place is for the token after it
        if counts:
            parts = parts if before else [*parts, []]
            parts[-1].append(label)
        before = bool(counts)
    return [tokenizer.decode(part) for part in parts]


talk = [
    {"role": "user", "content": "How cold is it in Oslo?"},
    {"role": "assistant", "content": '<call>{"name": "look_up", "arguments": {"city": "Oslo", "unit": "Celsius"}}</call>'},
]
options = SimpleNamespace(args=SimpleNamespace(data=SimpleNamespace(input_key="messages", output_key=None, apply_chat_template=True)))
print("openrlhf", version("openrlhf"))
for length in 4096, 96:
    rows = SFTDataset(Dataset.from_list([{"messages": talk}]), tokenizer, length, options, num_processors=1, multiturn=True)
    print(f"max_len {length}: {len(rows)} row, in the loss: {in_the_loss(rows[0])}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(openrlhf|max_len)' | tee printed.txt
echo "expected: a cut turn has no end token in the loss, or the row is left out with a message"
tail -n +2 printed.txt | diff - <(cat <<'S'
max_len 4096: 1 row, in the loss: ['<call>{"name": "look_up", "arguments": {"city": "Oslo", "unit": "Celsius"}}</call><|im_end|>']
max_len 96: 1 row, in the loss: ['<call>{"name": "look_up", "arguments": {"city": "Oslo"<|im_end|>']
S
)
echo "seen: a call that breaks off, trained as a complete turn"
