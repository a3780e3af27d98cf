#!/bin/bash
# nemo-gym 0.7.0: majority@k/no_answer, by its docstring the fraction with no extracted answer, is 0 even if no rollout has one.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
from nemo_gym.reward_profile import compute_pass_majority_metrics

tasks = [[{"reward": 0.0, "answer": None} for _ in range(3)] for _ in range(2)]
metrics, *_ = compute_pass_majority_metrics(tasks, answer_key="answer")
for name in ("pass@1[avg-of-3]/no_answer", "pass@3/no_answer", "majority@3/no_answer"):
    print(name, metrics[name])
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: 100 in all three, because none of the six rollouts has an answer"
diff seen.txt - <<'S'
pass@1[avg-of-3]/no_answer 100.0
pass@3/no_answer 100.0
majority@3/no_answer 0.0
S
echo "seen: the vote leaves out missing answers first and then counts how many of the rest are missing, which is 0 for any data"
