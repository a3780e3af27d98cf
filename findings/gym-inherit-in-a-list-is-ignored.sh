#!/bin/bash
# nemo-gym 0.7.0: `_inherit_from` or `_copy` in an element of a list, such as a dataset, is left as it is, and `gym env validate --strict` calls it valid.
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
shared: {num_repeats: 4}
string_match: {resources_servers: {string_match: {datasets: [{_copy: shared, name: mine, type: train, jsonl_fpath: mine.jsonl, license: MIT}]}}}
in_a_block: {_copy: shared, name: mine}
Y
echo '{"responses_create_params": {"input": "Say A"}, "expected_answer": "A"}' > mine.jsonl
{
  venv/bin/gym env validate --strict --config config.yaml > valid.txt 2>&1 && echo "strict validation: accepted" || echo "strict validation: refused"
  venv/bin/gym env resolve --config config.yaml > resolved.txt 2>&1
  echo "in a block: num_repeats $(sed -n '/^in_a_block:/,/^[^ ]/s/^  num_repeats: //p' resolved.txt)"
  venv/bin/gym dataset collate --config config.yaml --mode train_preparation --output-dir out > log.txt 2>&1
  echo "in a list: the task is written $(wc -l < out/train.jsonl) time"
} | tee seen.txt
echo "expected: num_repeats 4 in both places, so that the task is written 4 times, or the strict check refuses the leftover key"
diff seen.txt - <<'S'
strict validation: accepted
in a block: num_repeats 4
in a list: the task is written 1 time
S
echo "seen: the directive in the list is a key that nobody reads"
