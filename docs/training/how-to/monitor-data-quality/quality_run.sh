#!/bin/bash
# Collect or continue one run, hold it against the limits, add it to the history, report.
# Usage: quality_run.sh NAME [FLAGS of gym eval run]
set -uo pipefail
if [ $# -lt 1 ]; then
  echo "Usage: bash quality_run.sh NAME [FLAGS of gym eval run]" >&2
  exit 2
fi
name=$1 folder=results/$1 out=results/$1/rollouts.jsonl
shift
mkdir -p "$folder"
# Of an attempt before: watch_run.py takes them for the end.
rm -f "$folder/"{quality_summary.json,rollouts_aggregate_metrics.json}

gym eval run --no-serve --config run.yaml -o "$out" "$@" > "$folder/run.log" 2>&1 &
run=$!
python watch_run.py "$out" --max-failed 0.2 --stall 900 > "$folder/watch.log" ||
  kill $run 2>/dev/null
if ! wait $run; then
  echo "$name: collection failed. The end of $folder/run.log:" >&2
  tail -3 "$folder/run.log" >&2
  exit 2
fi

python quality_gate.py "$out" --limits limits.toml | tee "$folder/gate.txt"
verdict=${PIPESTATUS[0]}
[ "$verdict" = 2 ] && exit 2
# The history keeps runs that failed the gate, too: they are what the trend has to show.
python quality_history.py append history.jsonl "$out" --label "$name" || exit 2
python quality_history.py check history.jsonl > "$folder/drift.txt"
drift=$?
tail -1 "$folder/drift.txt"
uv run -q quality_report.py "$out" -o "$folder/report.html" --title "$name" || exit 2
[ "$verdict" = 0 ] && [ "$drift" = 0 ]
