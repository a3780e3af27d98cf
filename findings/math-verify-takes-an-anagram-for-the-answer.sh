#!/bin/bash
# math-verify 0.8.0: a word without \text is a product of its letters, and a product does not care for their order.
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
for gold, answer, expected in [("listen", "silent", 0), ("no", "on", 0), ("CAB", "ABC", 0)]:
    found, parsed = score([rf"\boxed{{{gold}}}"], [rf"\boxed{{{answer}}}"])
    print(f"gold {gold}, answer {answer}: expected {expected}, seen {found:.0f}; read as {[str(one) for one in parsed[1]]}")
    seen.append(found == 1 - expected)
sys.exit(0 if all(seen) else 1)
PYTHON
