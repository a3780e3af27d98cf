#!/bin/bash
# nemo-gym 0.7.0: `_delete_key` on a key that a block overrides does not delete it: the value of the source comes back.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${python:-python3.13}" -m venv venv
venv/bin/pip install -q --disable-pip-version-check --ignore-requires-python nemo-gym==0.7.0 2>/dev/null
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > config.yaml <<'Y'
source: {color: red, size: 1}
inherits_only: {_copy: source, _delete_key: color}
overrides_too: {_copy: source, color: blue, _delete_key: color}
Y
venv/bin/gym env resolve --config config.yaml > resolved.txt 2>&1 || true
venv/bin/python - <<'P' | tee seen.txt
import re
text = open("resolved.txt").read()
for name in ("inherits_only", "overrides_too"):
    block = re.search(rf"^{name}:\n((?:  .*\n)+)", text, re.M)[1]
    found = re.search(r"color: (\w+)", block)
    print(f"{name}: color {'is ' + found[1] if found else 'is gone'}")
P
echo "expected: color is gone from both"
diff seen.txt - <<'S'
inherits_only: color is gone
overrides_too: color is red
S
echo "seen: where the block has the key as well, only the block's own value is removed"
