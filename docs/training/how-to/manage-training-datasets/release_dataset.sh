#!/bin/bash
# Release a dataset: check every row, look for leaks, collate, compare the counts, fingerprint. Usage: release_dataset.sh CONFIG SERVER OUT_DIR FILE...
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "Usage: bash release_dataset.sh CONFIG SERVER OUT_DIR FILE..." >&2
  exit 2
fi
config=$1 server=$2 out=$3
shift 3
[ -e "$out" ] && { echo "$out exists already. A release is never overwritten: choose a new folder." >&2; exit 2; }
work=$(mktemp -d "$(dirname "$out")/.release.XXXXXX")
trap 'rm -rf "$work"' EXIT

python check_rows.py --resources-server "$server" "$@"
python dataset_tool.py stats "$@" > "$work/stats.txt" || { tail -1 "$work/stats.txt" >&2; exit 1; }
gym dataset collate --config "$config" --mode train_preparation --output-dir "$work" \
  +overwrite_metrics_conflicts=true > "$work/collate.log" 2>&1 \
  || { tail -20 "$work/collate.log" >&2; exit 1; }

given=$(cat "$@" | wc -l)
written=$(cat "$work"/{train,validation}.jsonl 2>/dev/null | wc -l)
if [ "$given" != "$written" ]; then
  echo "$given rows went in, $written came out. Does every dataset of $config name one of the given files, without repeats?" >&2
  exit 1
fi
cp "$config" "$work/config.yaml"
tool=$PWD/dataset_tool.py
(cd "$work" && python "$tool" manifest *.jsonl *_metrics.json config.yaml -o manifest.json > SHA256SUMS)
mv "$work" "$out"
trap - EXIT
echo "$out: $written rows, checked and fingerprinted"
