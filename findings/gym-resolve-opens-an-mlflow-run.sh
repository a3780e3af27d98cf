#!/bin/bash
# nemo-gym 0.7.0: `gym env resolve` and `gym env validate`, which look at a configuration, each open and finish a run on the MLflow tracking server.
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
mlflow_tracking_uri: sqlite:///runs.db
mlflow_experiment_name: mine
mlflow_run_name: night
Y
cat > config.yaml <<'Y'
config_paths:
- resources_servers/string_match/configs/string_match.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml
Y
for command in resolve validate; do
  code=0; venv/bin/gym env "$command" --config config.yaml > log.txt 2>&1 || code=$?
  echo "gym env $command: exit code $code, runs $(venv/bin/python -c 'import sqlite3; print(sqlite3.connect("runs.db").execute("select name, status from runs").fetchall())')"
done | tee seen.txt
echo "expected: no runs, since nothing ran"
diff seen.txt - <<'S'
gym env resolve: exit code 0, runs [('night', 'FINISHED')]
gym env validate: exit code 0, runs [('night', 'FINISHED'), ('night', 'FINISHED')]
S
echo "seen: each look at the configuration leaves a finished run without metrics under the name of the real one"
