#!/bin/bash
# verl 0.9.1: where TRL 1.16.0 is installed beside it, no model can be prepared for training, SFT included, which has no use for TRL.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 tensordict==0.10.0 ray==2.60.0 omegaconf==2.3.1 pandas==3.1.1
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps verl==0.9.1

cat > ask.py <<'P'
from importlib.metadata import PackageNotFoundError, version

from transformers import LlamaConfig, LlamaForCausalLM
from verl.models.transformers.monkey_patch import apply_monkey_patch  # verl's FSDP engine calls it for each model

try:
    beside = f"beside trl {version('trl')}"
except PackageNotFoundError:
    beside = "without trl"
model = LlamaForCausalLM(LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2))
try:
    apply_monkey_patch(model)
    print(f"verl {version('verl')} {beside}: ready to train")
except ImportError as error:
    print(f"verl {version('verl')} {beside}: ImportError: {str(error).split(' (')[0]}")
P
venv/bin/python ask.py 2>/dev/null | grep '^verl ' | tee printed.txt
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps trl==1.16.0
venv/bin/python ask.py 2>/dev/null | grep '^verl ' | tee -a printed.txt
echo "expected: an optional package that is not needed changes nothing; verl alone asks for no version of TRL, its extras fsdp and megatron for 0.27.0"
diff printed.txt - <<'S'
verl 0.9.1 without trl: ready to train
verl 0.9.1 beside trl 1.16.0: ImportError: cannot import name 'AutoModelForCausalLMWithValueHead' from 'trl'
S
echo "seen: the import is for PPO's value head, and stops SFT too"
