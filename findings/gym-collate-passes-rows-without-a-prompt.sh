#!/bin/bash
# nemo-gym 0.7.0: `gym dataset collate` that is told to stop at invalid rows writes rows without a prompt into train.jsonl and exits with 0.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > env.yaml <<'Y'
policy_base_url: http://127.0.0.1:8000/v1
policy_api_key: none
policy_model_name: any
Y
cat > config.yaml <<'Y'
config_paths:
- resources_servers/string_match/configs/string_match.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml
string_match: {resources_servers: {string_match: {datasets: [{name: mine, type: train, jsonl_fpath: mine.jsonl, license: MIT}]}}}
Y
cat > mine.jsonl <<'J'
{"responses_create_params": {"input": "Say A"}, "expected_answer": "A"}
{"expected_answer": "B"}
{"responses_create_params": {"input": "Say C", "temprature": 0.5}, "expected_answer": "C"}
J
code=0; venv/bin/gym dataset collate --config config.yaml --mode train_preparation --output-dir out +task_data_validation=error > log.txt 2>&1 || code=$?
{
  echo "exit code $code, \"Finished!\" $(grep -c 'Finished!' log.txt) time"
  echo "rows written: $(wc -l < out/train.jsonl), examples by the metrics: $(grep -o '"Number of examples": [0-9]*' out/train_metrics.json | grep -o '[0-9]*$')"
  echo "lines of the log that name a bad row or field: $(grep -ciE 'temprature|offending|row 1|row 2|rows failed' log.txt || true)"
} | tee seen.txt
echo "expected: an error that names rows 1 (no prompt) and 2 (temprature), or these rows left out with a word"
diff seen.txt - <<'S'
exit code 0, "Finished!" 1 time
rows written: 3, examples by the metrics: 1
lines of the log that name a bad row or field: 0
S
echo "seen: rows that the sample check rejects are collected in a list that nobody reads; only the count in the metrics differs"
