#!/bin/bash
# Release a dataset: check every row, look for leaks, collate, count, fingerprint.
usage="Usage: bash release_dataset.sh CONFIG SERVER OUT_DIR FILE... [NAME=VALUE]..."
if [ $# -lt 4 ]; then
  echo "$usage" >&2
  exit 2
fi
set -euo pipefail
config=$1 server=$2 out=$3
shift 3
files=() notes=(--note "resources_server=$server")
for item; do
  case $item in *=*) notes+=(--note "$item") ;; *) files+=("$item") ;; esac
done
[ ${#files[@]} -gt 0 ] || { echo "$usage" >&2; exit 2; }
if [ -e "$out" ]; then
  echo "$out exists already. A release is never overwritten: take a new folder." >&2
  exit 2
fi
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$(dirname "$out")/.release.XXXXXX")
trap 'rm -rf "$work"' EXIT

python check_rows.py --resources-server "$server" "${files[@]}"
python dataset_tool.py stats "${files[@]}" > "$work/stats.txt" \
  || { tail -1 "$work/stats.txt" >&2; exit 1; }
gym dataset collate --config "$config" --mode train_preparation \
  --output-dir "$work" +overwrite_metrics_conflicts=true \
  > "$work/collate.log" 2>&1 \
  || { tail -20 "$work/collate.log" >&2; exit 1; }

# grep ends the last line of each file; cat would join it with the next file's.
given=$(grep -ah '' "${files[@]}" | wc -l)
written=$(cat "$work"/*.jsonl | wc -l)
if [ "$given" -ne "$written" ]; then
  echo "$given rows went in, $written came out. Does every dataset of $config" \
    "name one of the given files, without repeats?" >&2
  exit 1
fi
# What is released, not only what was named: a configuration may declare others.
python check_rows.py --resources-server "$server" "$work"/*.jsonl > /dev/null
python dataset_tool.py stats "$work"/*.jsonl > "$work/.stats" \
  || { tail -1 "$work/.stats" >&2; exit 1; }
rm "$work/.stats"
cp "$config" "$work/config.yaml"
tool=$PWD/dataset_tool.py
(cd "$work" && python "$tool" manifest *.jsonl *_metrics.json config.yaml \
  stats.txt collate.log "${notes[@]}" -o manifest.json > SHA256SUMS)
chmod 755 "$work"
mv "$work" "$out"
trap - EXIT
echo "$out:" $written "rows, checked and fingerprinted"
