#!/bin/bash
# nemo-gym 0.7.0: `gym eval compare` counts no flip where each task went from two right answers of two to one, although "a task passes when its mean is above 0.5".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > make.py <<'P'
import json

from nemo_gym.reward_profile import compute_aggregate_metrics

# Ten tasks with two repeats: the baseline solves each twice, the candidate once.
for name, rewards in (("before", (1.0, 1.0)), ("after", (1.0, 0.0))):
    rows = [{"_ng_task_index": task, "_ng_rollout_index": repeat, "reward": reward} for task in range(10) for repeat, reward in enumerate(rewards)]
    with open(f"{name}_aggregate_metrics.json", "w") as out:
        json.dump([{"agent_ref": {"name": "any"}, **compute_aggregate_metrics(rows).model_dump(mode="json")}], out)
P
venv/bin/python make.py 2>/dev/null
venv/bin/gym eval compare --baseline before.jsonl --candidates after.jsonl --output-dir out > log.txt 2>/dev/null
{
  grep -o 'Sample flips: .*' log.txt
  grep -oE '\| `mean/reward` \| [^|]*\|' out/compare_report.md
  grep -oE 'A task passes when .*|\*\*10 common tasks.*' out/compare_report.md
} | tee seen.txt
echo "expected: ten tasks from pass to fail, since 0.5 is not above 0.5"
diff seen.txt - <<'S'
Sample flips: 0 fail→pass, 0 pass→fail over 10 common tasks
| `mean/reward` | -0.5000 (-50.0%) |
A task passes when its mean is above 0.5.
**10 common tasks · 0 pass→fail · 0 fail→pass · net +0 · 0 unchanged · 10 tied**
S
echo "seen: a task whose mean is 0.5 on either side is a tie, whatever it was before; with two repeats the terminal shows no loss where half was lost"
