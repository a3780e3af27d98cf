#!/bin/bash
# verl 0.9.1: its rewards for GSM8K and DAPO score right answers as wrong for a full stop, bold type, or what follows them.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${UV:-uv}" venv -q --seed venv
# torch by pip, which may be configured for a place that has a CPU build; uv does not read pip's configuration.
venv/bin/pip install -q --disable-pip-version-check torch==2.13.0
"${UV:-uv}" pip install -q --python venv/bin/python setuptools==80.9.0 transformers==5.10.4 accelerate==1.15.0 datasets==5.2.0 tensordict==0.10.0 ray==2.60.0 omegaconf==2.3.1 pandas==3.1.1
"${UV:-uv}" pip install -q --python venv/bin/python --no-deps verl==0.9.1

cat > ask.py <<'P'
from importlib.metadata import version

from verl.utils.reward_score import default_compute_score

print("verl", version("verl"))
closing = "\n\nTo check: " + "a line of the check. " * 20
for source, text, shown in (
    ("openai/gsm8k", "#### 18", ""),
    ("openai/gsm8k", "#### 18.", ""),
    ("openai/gsm8k", "#### **18**", ""),
    ("math_dapo", "Answer: 18", ""),
    ("math_dapo", "**Answer:** 18", ""),
    ("math_dapo", "**Answer: 18**", ""),
    ("math_dapo", "Answer: 18" + closing, "'Answer: 18' and a check of 400 letters"),
):
    score = default_compute_score(source, text, "18")
    print(f"{source}, {shown or repr(text)}: {score['score'] if isinstance(score, dict) else score}")
P
venv/bin/python ask.py 2>/dev/null | grep -E '^(verl|openai|math)' | tee printed.txt
echo "expected: 1.0 for each, since each gives the right answer in the form that was asked for"
tail -n +2 printed.txt | diff - <(cat <<'S'
openai/gsm8k, '#### 18': 1.0
openai/gsm8k, '#### 18.': 0.0
openai/gsm8k, '#### **18**': 0.0
math_dapo, 'Answer: 18': 1.0
math_dapo, '**Answer:** 18': -1.0
math_dapo, '**Answer: 18**': -1.0
math_dapo, 'Answer: 18' and a check of 400 letters: -1.0
S
)
echo "seen: the texts are compared as they are, stars and full stops included, and only the last 300 characters are read"
