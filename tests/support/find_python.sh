#!/bin/bash
# Prints a Python 3.13 for NeMo Gym, $MINIMUM or newer: $GYM_PYTHON, else one that PATH, uv or pyenv knows, else the one that uv
# installs. Where uv cannot, the newest older 3.13 stands in for it, with one line that says so. One line of advice if there is none.
set -u
minimum=${MINIMUM:?the version that the package asks for}
uv=${UV:-uv}
version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null | grep '^3\.13\.'; }
micro() { echo "${1##*.}"; }

if [ -n "${GYM_PYTHON:-}" ]; then
  version "$GYM_PYTHON" >/dev/null && { echo "$GYM_PYTHON"; exit 0; }
  echo "GYM_PYTHON=$GYM_PYTHON is not a Python 3.13, which NeMo Gym needs." >&2; exit 1
fi
best='' newest=-1
for python in $(
  type -aP python3.13
  "$uv" python find --no-project --no-python-downloads 3.13 2>/dev/null
  command -v pyenv >/dev/null && ls -d "$(pyenv root)"/versions/3.13*/bin/python 2>/dev/null
); do
  its=$(version "$python") || continue
  [ "$(micro "$its")" -gt "$newest" ] && { best=$python; newest=$(micro "$its"); }
done
if [ "$newest" -lt "$(micro "$minimum")" ] && "$uv" python install --quiet --no-bin "$minimum" 2>/dev/null; then
  best=$("$uv" python find --no-project --no-python-downloads "$minimum") && newest=$(micro "$minimum")
fi
if [ -z "$best" ]; then
  echo "NeMo Gym needs Python $minimum, and uv could not install it. Install it, or name one: make test GYM_PYTHON=/path/to/python3.13" >&2
  exit 1
fi
[ "$newest" -ge "$(micro "$minimum")" ] ||
  echo "Python $minimum could not be installed: 3.13.$newest stands in for it in this test set-up. Readers need $minimum." >&2
echo "$best"
