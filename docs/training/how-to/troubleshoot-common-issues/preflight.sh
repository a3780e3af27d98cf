#!/bin/bash
# Before a long run: validate, diagnose, and try two rollouts. Usage: preflight.sh CONFIG TASKS AGENT
set -euo pipefail
config=$1 tasks=$2 agent=$3
here=$(cd "$(dirname "$0")" && pwd)
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

gym env validate --config "$config" --strict
python "$here/diagnose.py" --config "$config" -o "$trial/report.md" || true  # it says what to look at; the run decides
gym eval run --no-serve --agent "$agent" -i "$tasks" -o "$trial/rollouts.jsonl" --limit 2 --concurrency 2 \
  +require_complete=true > "$trial/run.log" 2>&1 || { tail -3 "$trial/run.log"; echo "preflight: the trial run failed" >&2; exit 1; }
tail -n +1 "$trial"/rollouts.jsonl | grep -c '' | sed 's/$/ of 2 rollouts have a reward. Go./'
