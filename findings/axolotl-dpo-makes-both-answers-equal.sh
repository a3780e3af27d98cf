#!/bin/bash
# Axolotl 0.21.0, chat_template.default for DPO: of an answer with several messages only the last one is kept, so chosen and rejected can become equal.
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
from importlib.metadata import version
from axolotl.prompt_strategies.dpo.chat_template import default
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?")))
tokenizer.chat_template = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function.name }}</call>{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def answer(name: str) -> list[dict]:
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": "done"}, {"role": "assistant", "content": "Done."}]


made = default({"datasets": [{}], "chat_template": "tokenizer_default"})
pair = made[0]({"messages": [{"role": "user", "content": "Save my file."}], "chosen": answer("save"), "rejected": answer("delete")}, tokenizer=tokenizer)
print("axolotl", version("axolotl"))
for side in ("chosen", "rejected"):
    print(f"{side}: {pair[side]}")
P
venv/bin/python ask.py 2>/dev/null | tee printed.txt
echo "expected: the calls save and delete, which are all that the two answers differ in, or an error"
tail -n +2 printed.txt | diff - <(cat <<'S'
chosen: Done.<|end|>
rejected: Done.<|end|>
S
)
echo "seen: a pair of equal answers, whose loss teaches nothing"
