#!/bin/bash
# OpenRLHF 0.11.2, multi-turn SFT: under a template that drops earlier thoughts, as Qwen3's, the loss slips from the answers onto the user's words.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 pylatexenc==2.10
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps openrlhf==0.11.2
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps trl==1.16.0  # for its copy of Qwen3's template alone

cat > ask.py <<'P'
import importlib.util, pathlib
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
tokenizer.chat_template = (pathlib.Path(importlib.util.find_spec("trl").origin).parent / "chat_templates/qwen3.jinja").read_text()


def in_the_loss(row) -> list[str]:
    parts, before = [], False
    for label, counts in zip(row[0][0, 1:].tolist(), row[2][0, :-1].tolist()):  # the loss at a place is for the token after it
        if counts:
            parts = parts if before else [*parts, []]
            parts[-1].append(label)
        before = bool(counts)
    return [tokenizer.decode(part) for part in parts]


def talk(first: str, second: str) -> dict:
    asked = ["How cold is it in Oslo?", "And how cold is it in Rome, in Celsius?"]
    said = [first + "Minus four.", second + "Plus nine."]
    return {"messages": [{"role": role, "content": text} for pair in zip(asked, said) for role, text in zip(("user", "assistant"), pair)]}


options = SimpleNamespace(args=SimpleNamespace(data=SimpleNamespace(input_key="messages", output_key=None, apply_chat_template=True)))
given = [talk("", ""), talk("<think>\nWinter, so below zero.\n</think>\n\n", "<think>\nWarmer there.\n</think>\n\n")]
rows = SFTDataset(Dataset.from_list(given), tokenizer, 4096, options, num_processors=1, multiturn=True)
print("openrlhf", version("openrlhf"))
for name, row in zip(("without thoughts", "with thoughts"), rows):
    print(f"{name}, in the loss: {in_the_loss(row)}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(openrlhf|with)' | tee printed.txt
echo "expected: two answers and nothing of the user's, or an error"
tail -n +2 printed.txt | diff - <(cat <<'S'
without thoughts, in the loss: ['Minus four.<|im_end|>\n<|im_start|>user\nAn', '<think>\n\n</think>\n\nPlus nine.<|im_end|>']
with thoughts, in the loss: ['Minus four.<|im_end|>\n<|im_start|>user\nAnd how cold is it in Ro', '<think>\nWarmer there.\n</think>\n\nPlus nine.<|im_end|>']
S
)
echo "seen: the model learns to write the user's next question: the answer was measured with its think block, which the whole conversation no longer has"
