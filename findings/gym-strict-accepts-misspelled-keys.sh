#!/bin/bash
# `gym env validate --strict` of nemo-gym 0.7.0 accepts settings that no server has.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${python:-python3.13}" -m venv venv
venv/bin/pip install -q --disable-pip-version-check --ignore-requires-python nemo-gym==0.7.0 2>/dev/null
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > env.yaml <<'Y'
policy_base_url: http://127.0.0.1:8000/v1
policy_api_key: none
policy_model_name: any
Y
cat > right.yaml <<'Y'
config_paths:
- resources_servers/string_match/configs/string_match.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml
string_match_simple_agent: {responses_api_agents: {simple_agent: {max_steps: 3}}}
Y
sed 's/max_steps/max_step/' right.yaml > misspelled.yaml
sed 's/max_steps: 3/max_steps: three/' right.yaml > not_a_number.yaml

echo "expected: --strict refuses a misspelled key and a word where a number belongs"
for file in right misspelled not_a_number; do
  if venv/bin/gym env validate --strict --config $file.yaml > $file.log 2>&1; then echo "$file.yaml: accepted"; else echo "$file.yaml: refused"; fi
done | tee seen.txt
diff seen.txt - <<'S'
right.yaml: accepted
misspelled.yaml: accepted
not_a_number.yaml: accepted
S
echo "seen: all three are valid"
