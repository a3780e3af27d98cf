#!/bin/bash
# math-verify 0.8.0: a thousands separator that is a space makes a product of the groups, and 000 is 0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
"${UV:-uv}" venv -q "$folder/venv"
"${UV:-uv}" pip install -q --python "$folder/venv/bin/python" math-verify==0.8.0 latex2sympy2_extended==1.10.2 sympy==1.14.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from math_verify.metric import math_metric
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig

score = math_metric(gold_extraction_target=(LatexExtractionConfig(),), pred_extraction_target=(ExprExtractionConfig(), LatexExtractionConfig()))
print("math-verify", version("math-verify"), "latex2sympy2_extended", version("latex2sympy2_extended"))
seen = []
for gold, answer, expected in [("1000000", r"1\,000\,000", 1), ("0", r"1\,000\,000", 0), ("1000000", "1 000 000", 1)]:
    found, parsed = score([rf"\boxed{{{gold}}}"], [rf"\boxed{{{answer}}}"])
    print(f"gold {gold}, answer {answer}: expected {expected}, seen {found:.0f}; read as {[str(one) for one in parsed[1]]}")
    seen.append(found == 1 - expected)
sys.exit(0 if all(seen) else 1)
PYTHON
