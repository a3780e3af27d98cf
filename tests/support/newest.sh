#!/bin/bash
# Runs everything against the newest releases that the declared ranges allow, and says what nemo-gym has changed since the documented
# release. `make newest` runs it. Works in a copy of the last commit, build/newest; the pinned versions stay as they are.
# Exit code: 0 if all of it holds, 1 if a test fails, 2 if the versions cannot be found out.
set -uo pipefail
documented=$1 minimum=$2 uv=$(realpath "$3")
copy=build/newest
report() { tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"; }

rm -rf "$copy" && git clone -q . "$copy" && cd "$copy" || exit 2
unset MAKEFLAGS MAKELEVEL
make -s lock || exit 2
{ echo "## Newer than the pinned versions"; echo
  git diff -U0 -- 'constraints*.txt' | grep -E '^[-+][A-Za-z]' | sed 's/^/    /' || echo "Nothing."; echo; } | report
newest=$(echo nemo-gym | "$uv" pip compile -q --no-deps --no-annotate --no-header --python-version "$minimum" - | sed -n 's/^nemo-gym==//p')
[ -n "$newest" ] || { echo "The newest nemo-gym is not known: does the package index answer?" >&2; exit 2; }
{ echo "## nemo-gym $newest"; echo
  if [ "$newest" = "$documented" ]; then echo "The documented release is the newest."; else make -s facts GYM_VERSION="$newest" 2>&1 | sed 's/^/    /'; fi; echo; } | report
if make test; then verdict="All tests pass with these versions." status=0; else verdict="Tests fail with these versions: see the log." status=1; fi
{ echo "## Tests"; echo; echo "$verdict"; } | report
exit $status
