#!/bin/bash
# nemo-gym 0.7.0: half a point for one of four answers lifts a task's pass@1 from 25 to 100, and the order of the repeats decides it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
from nemo_gym.reward_profile import compute_pass_majority_metrics

for rewards in ([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.5, 1.0]):
    metrics, *_ = compute_pass_majority_metrics([[{"reward": reward} for reward in rewards]])
    print(rewards, *(f"{name} {metrics[f'{name}/accuracy']}" for name in ("pass@1", "pass@2", "pass@1[avg-of-4]")))
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: half a point lifts pass@1 a little, to the mean that pass@1[avg-of-4] gives, and equal rewards in another order give equal metrics"
diff seen.txt - <<'S'
[1.0, 0.0, 0.0, 0.0] pass@1 25.0 pass@2 50.0 pass@1[avg-of-4] 25.0
[1.0, 0.0, 0.0, 0.5] pass@1 100.0 pass@2 100.0 pass@1[avg-of-4] 37.5
[0.0, 0.0, 0.5, 1.0] pass@1 0.0 pass@2 0.0 pass@1[avg-of-4] 37.5
S
echo "seen: a task with only 0 and 1 gets the unbiased estimate; with one value between, pass@k is the best of its first k repeats"
