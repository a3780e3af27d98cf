#!/bin/bash
# Work through inbox/*.jsonl in the order of their names: split, collect, publish.
# Run it from cron: it continues where it was.
#   continuous.sh [AGENT]       the agent for all rows; without it, theirs
#   SHARDS_PER_FILE=2           shards of a file, all at the same time
# Exit code: 0 the inbox is empty, 1 a file is not complete (the next call continues
# it) or has rollouts that were given up (you decide), 2 bad input
set -uo pipefail
shopt -s nullglob
mkdir -p inbox work ready
exec 8> work/lock
flock -n 8 || { echo "continuous.sh: another call is at work."; exit 0; }

for file in inbox/*.jsonl; do
  name=$(basename "$file" .jsonl)
  export SHARDS=work/$name/shards RUN=work/$name/results
  if [ ! -d "$SHARDS" ]; then
    # Numbers go on where the last file ended, so that all published files can be
    # put together.
    first=$(cat /dev/null work/*/shards/*.jsonl | wc -l)
    python split_tasks.py "${1:+$1=}$file" -o "$SHARDS" \
      --shards "${SHARDS_PER_FILE:-2}" --first "$first" || exit 2
  fi
  ls "$SHARDS" | sed 's/[^0-9]*\([0-9]*\).*/\1/' |
    xargs -P 16 -n 1 bash run_shard.sh > "work/$name/log" 2>&1 8>&-
  if ! python watch_shards.py "$SHARDS" "$RUN" >> "work/$name/log"; then
    echo "$name: not complete. The end of work/$name/log:" >&2
    tail -1 "work/$name/log" >&2
    exit 1
  fi
  if ! tail -1 "work/$name/log" | grep -q ' 0 given up$'; then
    echo "$name: rollouts were given up, nothing is published. Read" \
      "$RUN/*/rollouts_failures.jsonl, mend the cause, delete those files." >&2
    exit 1
  fi
  # A reader of ready/ never sees half a file.
  cat "$RUN"/*/rollouts.jsonl > "ready/.$name" &&
    mv "ready/.$name" "ready/$name.jsonl" && rm "$file"
  echo "$name: $(wc -l < "ready/$name.jsonl") rollouts in ready/$name.jsonl"
done
