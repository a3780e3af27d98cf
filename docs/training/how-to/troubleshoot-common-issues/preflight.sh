#!/bin/bash
# Before a long run: validate, diagnose, and try two rollouts.
# Usage: preflight.sh CONFIG TASKS AGENT
# Exit code: 0 go, 1 something is wrong, 2 bad usage
set -euo pipefail
[ $# = 3 ] || { echo "Usage: bash preflight.sh CONFIG TASKS AGENT" >&2; exit 2; }
config=$1 tasks=$2 agent=$3
here=$(cd "$(dirname "$0")" && pwd)
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

gym env validate --config "$config" --strict
python "$here/diagnose.py" --config "$config" -o "$trial/report.md" ||
  true  # it says what to look at; the run decides
gym eval run --no-serve --agent "$agent" -i "$tasks" -o "$trial/rollouts.jsonl" \
  --limit 2 --concurrency 2 +require_complete=true > "$trial/run.log" 2>&1 || {
  tail -n 3 "$trial/run.log"
  echo "preflight.sh: the trial run failed" >&2
  exit 1
}

PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} python - "$trial/rollouts.jsonl" <<'P'
import sys
from rollouts import Rollouts, unmeasured

reasons = [unmeasured(row) for _, _, _, row in Rollouts(sys.argv[1])]
wrong = [reason for reason in reasons if reason]
verdict = f"Stop: {wrong[0]}." if wrong else "Go."
good = len(reasons) - len(wrong)
print(f"{good} of {len(reasons)} rollouts have a reward. {verdict}")
sys.exit(bool(wrong))
P
