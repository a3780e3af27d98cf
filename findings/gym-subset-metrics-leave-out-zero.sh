#!/bin/bash
# nemo-gym 0.7.0: the metrics per subset leave out the tasks whose subset is called 0 or false, such as a difficulty level 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
from nemo_gym.reward_profile import compute_subset_metrics

for field, values in (("level", (0, 1)), ("level", ("0", "1")), ("has_image", (False, True))):
    tasks = [[{"reward": 1.0, field: values[0]}], [{"reward": 0.0, field: values[1]}]]
    metrics = compute_subset_metrics(tasks, field)
    print(f"{field} {values}: {({name: value for name, value in metrics.items() if '/pass@1/' in name})}")
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: two subsets each time"
diff seen.txt - <<'S'
level (0, 1): {'1/pass@1/accuracy': 0.0}
level ('0', '1'): {'0/pass@1/accuracy': 100.0, '1/pass@1/accuracy': 0.0}
has_image (False, True): {'True/pass@1/accuracy': 0.0}
S
echo "seen: a value counts as missing if it is not true, so the subset that was solved does not appear"
