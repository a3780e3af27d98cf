#!/bin/bash
# nemo-gym 0.7.0: `gym --json list benchmarks` prints JSON, and `gym --json eval submit --resolve-only` prints YAML: there --json counts only at the end.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > submit.yaml <<'Y'
services: {}
compute: {here: {type: slurm, account: mine}}
driver: {benchmarks: {gsm8k: {}}}
job: {output_path: out}
Y
is_json() { if "$@" 2>/dev/null | venv/bin/python -c 'import json, sys; json.load(sys.stdin)' 2>/dev/null; then echo "$*: JSON"; else echo "$*: no JSON"; fi; }
PATH=$PWD/venv/bin:$PATH
{
  is_json gym --json list benchmarks
  is_json gym list benchmarks --json
  is_json gym --json eval submit --config submit.yaml --resolve-only
  is_json gym eval submit --config submit.yaml --resolve-only --json
} | tee seen.txt
echo "expected: JSON from all four"
diff seen.txt - <<'S'
gym --json list benchmarks: JSON
gym list benchmarks --json: JSON
gym --json eval submit --config submit.yaml --resolve-only: no JSON
gym eval submit --config submit.yaml --resolve-only --json: JSON
S
echo "seen: this command's own --json, with its default of false, overwrites the one before it"
