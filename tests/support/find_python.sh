#!/bin/bash
# Prints a Python 3.13 for NeMo Gym: $GYM_PYTHON, else the newest that PATH, uv or pyenv knows. One line of advice if none.
set -u
fits() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }
if [ -n "${GYM_PYTHON:-}" ]; then
  fits "$GYM_PYTHON" && { echo "$GYM_PYTHON"; exit 0; }
  echo "GYM_PYTHON=$GYM_PYTHON is not a Python 3.13, which NeMo Gym needs." >&2; exit 1
fi
candidates=$(
  type -aP python3.13
  "${UV:-uv}" python find --no-project --no-python-downloads 3.13 2>/dev/null
  command -v pyenv >/dev/null && ls -d "$(pyenv root)"/versions/3.13*/bin/python 2>/dev/null
)
best='' newest=0
for python in $candidates; do
  fits "$python" || continue
  micro=$("$python" -c 'import sys; print(sys.version_info.micro + 1)')
  [ "$micro" -gt "$newest" ] && { best=$python; newest=$micro; }
done
[ -n "$best" ] && { echo "$best"; exit 0; }
echo "NeMo Gym needs Python 3.13. Install it (uv python install 3.13), or name one: make test GYM_PYTHON=/path/to/python3.13" >&2
exit 1
