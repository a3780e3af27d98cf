#!/bin/bash
# math-verify 0.8.0: a date is a subtraction, a time of day a fraction; what comes out equal is right.
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
for gold, answer, expected in [("2024-01-05", "2024-02-04", 0), ("2024-01-05", "2018", 0), ("3:45", "1:15", 0)]:
    found, parsed = score([rf"\boxed{{{gold}}}"], [rf"\boxed{{{answer}}}"])
    print(f"gold {gold}, answer {answer}: expected {expected}, seen {found:.0f}; read as {[str(one) for one in parsed[1]]}")
    seen.append(found == 1 - expected)
sys.exit(0 if all(seen) else 1)
PYTHON
