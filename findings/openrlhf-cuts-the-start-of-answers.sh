#!/bin/bash
# OpenRLHF 0.11.2, SFT and DPO: under templates whose prompt ends with `<think>`, the first eight characters after it are lost: half a tag under Nemotron 3 Nano's, the start of the answer under DeepSeek-R1-Distill's.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 pylatexenc==2.10
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps openrlhf==0.11.2
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps trl==1.16.0  # for its copies of the models' templates alone

cat > ask.py <<'P'
import importlib.util, pathlib
from importlib.metadata import version
from types import SimpleNamespace

from datasets import Dataset
from openrlhf.datasets.reward_dataset import RewardDataset
from openrlhf.datasets.sft_dataset import SFTDataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
data = SimpleNamespace(input_key="messages", output_key=None, prompt_key="prompt", chosen_key="chosen", rejected_key="rejected", apply_chat_template=True)
options = SimpleNamespace(args=SimpleNamespace(data=data))
asked = [{"role": "user", "content": "How cold is it in Oslo?"}]
good, bad = ([{"role": "assistant", "content": text}] for text in ("Minus four degrees.", "Warm."))

print("openrlhf", version("openrlhf"))
for template, end in {"nemotron_3_nano": "<|im_end|>", "deepseek_r1_distill": "<｜end▁of▁sentence｜>"}.items():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token=end, pad_token="<pad>")
    tokenizer.chat_template = (pathlib.Path(importlib.util.find_spec("trl").origin).parent / f"chat_templates/{template}.jinja").read_text()
    whole = tokenizer.apply_chat_template(asked + good, tokenize=False)
    print(f"{template}, the template: {whole[whole.rindex('ssistant') + 8:]!r}")
    text = tokenizer.decode(SFTDataset(Dataset.from_list([{"messages": asked + good}]), tokenizer, 4096, options, num_processors=1)[0][0][0])
    print(f"{template}, SFT: {text[text.rindex('ssistant') + 8:]!r}")
    pairs = Dataset.from_list([{"prompt": asked, "chosen": good, "rejected": bad}])
    chosen, _, rejected, _, start = RewardDataset(pairs, tokenizer, 4096, options, is_dpo=True, num_processors=1)[0]
    print(f"{template}, DPO: chosen {tokenizer.decode(chosen[0][start:])!r}, rejected {tokenizer.decode(rejected[0][start:])!r}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(openrlhf|nemotron|deepseek)' | tee printed.txt
echo "expected: the whole answers, as the template renders them, or an error"
tail -n +2 printed.txt | diff - <(cat <<'S'
nemotron_3_nano, the template: '\n<think></think>Minus four degrees.<|im_end|>\n'
nemotron_3_nano, SFT: '\n<think>\n/think>Minus four degrees.<|im_end|>'
nemotron_3_nano, DPO: chosen '/think>Minus four degrees.<|im_end|>', rejected '/think>Warm.<|im_end|>'
deepseek_r1_distill, the template: '｜>Minus four degrees.<｜end▁of▁sentence｜>'
deepseek_r1_distill, SFT: '｜><think>\nur degrees.<｜end▁of▁sentence｜>'
deepseek_r1_distill, DPO: chosen 'ur degrees.<｜end▁of▁sentence｜>', rejected 'nd▁of▁sentence｜> <｜end▁of▁sentence｜>'
S
)
echo "seen: an answer is what follows the length of the prompt with its opened thought, which an answer without a thought does not have"
