#!/bin/bash
# nemo-gym 0.7.0: when repeats are missing, pass@2 leaves tasks out that pass@1 counts, so it can be the lower of the two.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
from nemo_gym.reward_profile import compute_pass_majority_metrics

# Two repeats were asked for; of the solved task one never came back.
solved, unsolved = [{"reward": 1.0}], [{"reward": 0.0}, {"reward": 0.0}]
metrics, *_ = compute_pass_majority_metrics([solved, unsolved])
for name in ("pass@1/accuracy", "pass@1[avg-of-2]/accuracy", "pass@2/accuracy"):
    print(name, metrics[name])
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: pass@2 is at least pass@1, whatever is missing, or the metric says that it covers one task of two"
diff seen.txt - <<'S'
pass@1/accuracy 50.0
pass@1[avg-of-2]/accuracy 50.0
pass@2/accuracy 0.0
S
echo "seen: pass@2 is the mean over the tasks with two repeats, and nothing says so"
