#!/bin/bash
# nemo-gym 0.7.0: `endpoint_connection_retries` of `vllm_model` (default 8) bounds nothing unless `endpoint_file` is set.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${python:-python3.13}" -m venv venv
venv/bin/pip install -q --disable-pip-version-check --ignore-requires-python nemo-gym==0.7.0 2>/dev/null
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > ask.py <<'P'
from types import SimpleNamespace
from responses_api_models.vllm_model.app import VLLMModel, VLLMModelConfig

for address_file in (None, "/tmp/an-address-file"):
    config = VLLMModelConfig(
        name="policy_model", host="127.0.0.1", port=1, entrypoint="app.py", base_url="http://127.0.0.1:9/v1", api_key="none", model="any",
        return_token_id_information=False, uses_reasoning_parser=True, endpoint_connection_retries=3, endpoint_file=address_file,
    )
    server = VLLMModel.model_construct(config=config, server_client=SimpleNamespace(global_config_dict={}))
    server._post_init()
    limit = server._clients[0].max_connection_retries
    print(f"endpoint_file {'set' if address_file else 'not set'}: refused connections are tried again", "without end" if limit is None else f"{limit} times")
P
venv/bin/python ask.py 2>/dev/null | tee seen.txt
echo "expected: 3 times in both cases"
diff seen.txt - <<'S'
endpoint_file not set: refused connections are tried again without end
endpoint_file set: refused connections are tried again 3 times
S
echo "seen: without the file the setting is accepted and ignored, and a dead endpoint stalls the run"
