#!/bin/bash
# TRL 1.16.0: under the templates of Qwen3.5 and Nemotron 3 Nano, which it ships, a tool's argument false comes back from its parser as the text "False", which is true.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python trl==1.16.0 transformers==5.10.4 datasets==5.2.0 accelerate==1.15.0 jmespath==1.1.0

cat > ask.py <<'P'
import pathlib
from importlib.metadata import version

import trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl.chat_template_utils import add_response_schema, parse_response

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=letters, merges=[]))  # one token per letter
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
given = {"city": "Oslo", "days": 3, "in_fahrenheit": False, "after": None}
kinds = {"city": "string", "days": "integer", "in_fahrenheit": "boolean", "after": ["string", "null"]}
tools = [{"type": "function", "function": {"name": "weather", "description": "Weather", "parameters": {"type": "object", "properties": {key: {"type": kind} for key, kind in kinds.items()}}}}]
asked = [{"role": "user", "content": "How cold is it in Oslo?"}]
called = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": given}}]}

print("trl", version("trl"), "transformers", version("transformers"))
for template in ("qwen3", "qwen3_5_think", "nemotron_3_nano", "qwen3_6"):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|pad|>")
    tokenizer.chat_template = (pathlib.Path(trl.__file__).parent / f"chat_templates/{template}.jinja").read_text()
    add_response_schema(tokenizer)
    whole = tokenizer.apply_chat_template([*asked, called], tools=tools, tokenize=False)
    turn = whole[whole.rindex("<|im_start|>assistant\n") + len("<|im_start|>assistant\n") :]
    arguments = parse_response(tokenizer, tokenizer(turn)["input_ids"])["tool_calls"][0]["function"]["arguments"]
    print(f"{template}: {arguments}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(trl|qwen|nemotron)' | tee printed.txt
echo "expected: the arguments that the call was rendered from, {'city': 'Oslo', 'days': 3, 'in_fahrenheit': False, 'after': None}"
tail -n +2 printed.txt | diff - <(cat <<'S'
qwen3: {'city': 'Oslo', 'days': 3, 'in_fahrenheit': False, 'after': None}
qwen3_5_think: {'city': 'Oslo', 'days': 3, 'in_fahrenheit': 'False', 'after': 'None'}
nemotron_3_nano: {'city': 'Oslo', 'days': 3, 'in_fahrenheit': 'False', 'after': 'None'}
qwen3_6: {'city': 'Oslo', 'days': 3, 'in_fahrenheit': False, 'after': None}
S
)
echo "seen: these two templates write Python's False and None, the parser reads JSON and keeps what is none as a text; a tool that asks \`if in_fahrenheit\` answers in Fahrenheit"
