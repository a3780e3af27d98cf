#!/bin/bash
# nemo-gym 0.7.0: the warning about too few open files prints its placeholders, so a search for the number finds nothing.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${python:-python3.13}" -m venv venv
venv/bin/pip install -q --disable-pip-version-check --ignore-requires-python nemo-gym==0.7.0 2>/dev/null
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

(ulimit -n 4096; venv/bin/python -c 'from nemo_gym.server_utils import SimpleServer; SimpleServer.set_ulimit(None)' 2>/dev/null) | tee printed.txt
echo "expected: Found ulimit of 4096 and failed to automatically increase with error ..."
grep -qF 'Found ulimit of %s and failed to automatically increase with error %s.' printed.txt
grep -qE '4096' printed.txt
echo "seen: %s twice, the numbers behind the sentence"
