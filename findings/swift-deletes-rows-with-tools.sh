#!/bin/bash
# ms-swift 4.6.0, SFT: under a template for which it knows no tool format, as Phi-4's, rows with tools are deleted; it trains on the rest and exits with 0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python ms-swift==4.6.0 transformers==5.10.4 datasets==4.8.4 accelerate==1.15.0 setuptools==80.9.0
export HF_HUB_OFFLINE=1 MODELSCOPE_CACHE=$PWD/cache HF_HOME=$PWD/cache CUDA_VISIBLE_DEVICES=

cat > make.py <<'P'
import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<|im_end|>", pad_token="<pad>")
tokenizer.save_pretrained("tiny")
LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)).save_pretrained("tiny")
tools = [{"type": "function", "function": {"name": "look_up", "description": "Weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Oslo"}'}}
with open("rows.jsonl", "w") as file:
    for number in range(8):
        asked = {"role": "user", "content": f"How cold is it in house {number} in Oslo?"}
        turns = [asked, {"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": "minus four"}, {"role": "assistant", "content": "Minus four."}]
        print(json.dumps({"messages": turns, "tools": json.dumps(tools)}), file=file)
    for number in range(2):
        print(json.dumps({"messages": [{"role": "user", "content": f"Say {number}."}, {"role": "assistant", "content": f"{number}."}]}), file=file)
P
venv/bin/python make.py 2>/dev/null
code=0; venv/bin/swift sft --model tiny --model_type llama --template phi4 --dataset rows.jsonl --max_steps 1 --output_dir out --torch_dtype float32 \
  --use_hf true --tuner_type full --report_to none > log.txt 2>&1 || code=$?
{
  venv/bin/python -c "from importlib.metadata import version; print('ms-swift', version('ms-swift'))"
  echo "rows given: $(wc -l < rows.jsonl), rows trained: $(grep -oP 'Dataset Token Length: .*size=\K\d+' log.txt), exit code $code"
  grep -oE 'Failed to automatically match an agent_template for template "phi4"' log.txt | uniq
} | tee printed.txt
echo "expected: it stops before training, since all rows with tools fail for one and the same missing setting"
diff printed.txt - <<'S'
ms-swift 4.6.0
rows given: 10, rows trained: 2, exit code 0
Failed to automatically match an agent_template for template "phi4"
S
echo "seen: a model trained on the two rows without tools; --agent_template hermes keeps all ten, --strict true stops"
