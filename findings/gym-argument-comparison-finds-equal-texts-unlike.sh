#!/bin/bash
# nemo-gym 0.7.0: the similarity of texts in `single_step_tool_use_with_argument_comparison` ends at 0.5: at a threshold of 0.6 a text is unlike itself; at 0.0, which two of its configurations set, all texts are alike.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
# Any Python 3.13 shows it, although the package asks for 3.13.14.
python=$(for p in "$(command -v python3.13)" "$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python "${GYM_PYTHON:-}"; do [ -x "$p" ] && echo "$p"; done | tail -n 1 || true)
"${UV:-uv}" venv -q --python "${python:-python3.13}" venv
"${UV:-uv}" pip install -q --python venv/bin/python --python-version 3.13.14 nemo-gym==0.7.0
echo "nemo-gym $(venv/bin/python -c 'from importlib.metadata import version; print(version("nemo-gym"))')"

cat > score.py <<'P'
import json

from resources_servers.single_step_tool_use_with_argument_comparison.common.verification_utils import ActionComparator, FunctionCallAction, ToolCallComparatorConfig


def call(note: str) -> FunctionCallAction:
    return FunctionCallAction(type="function_call", name="send", arguments=json.dumps({"note": note}))


expected = "fly from Oslo to Rome"
for threshold in (0.6, 0.3, 0.0):
    compare = ActionComparator(config=ToolCallComparatorConfig(word_count_similarity_threshold=threshold)).compare_action
    for given in (expected, "fly from Rome to Oslo", "delete all files"):
        print(f"threshold {threshold}, {given!r} for {expected!r}: {compare(call(expected), call(given)).reward}")
P
venv/bin/python score.py 2>problems.txt | tee seen.txt || { cat problems.txt; exit 1; }
folder=$(venv/bin/python -c 'import importlib.util; print(importlib.util.find_spec("resources_servers.single_step_tool_use_with_argument_comparison").submodule_search_locations[0])')
echo "configurations of the package: $(cat "$folder"/configs/*.yaml | grep -o 'word_count_similarity_threshold: .*' | sort | uniq -c | xargs)" | tee -a seen.txt
echo "expected: an equal text has the similarity 1, the Jaccard similarity that the source names, and scores 1.0 at each threshold up to 1"
diff seen.txt - <<'S'
threshold 0.6, 'fly from Oslo to Rome' for 'fly from Oslo to Rome': 0.0
threshold 0.6, 'fly from Rome to Oslo' for 'fly from Oslo to Rome': 0.0
threshold 0.6, 'delete all files' for 'fly from Oslo to Rome': 0.0
threshold 0.3, 'fly from Oslo to Rome' for 'fly from Oslo to Rome': 1.0
threshold 0.3, 'fly from Rome to Oslo' for 'fly from Oslo to Rome': 1.0
threshold 0.3, 'delete all files' for 'fly from Oslo to Rome': 0.0
threshold 0.0, 'fly from Oslo to Rome' for 'fly from Oslo to Rome': 1.0
threshold 0.0, 'fly from Rome to Oslo' for 'fly from Oslo to Rome': 1.0
threshold 0.0, 'delete all files' for 'fly from Oslo to Rome': 1.0
configurations of the package: 2 word_count_similarity_threshold: 0.0 3 word_count_similarity_threshold: 0.1 1 word_count_similarity_threshold: 0.3
S
echo "seen: the shared words are divided by the words of both texts together, where Jaccard divides by their union"
