"""What readers copy imports a name from the top level of the package where it has the name: only that is promised to stay."""

from __future__ import annotations

import json
import re

from pages import DOCS

PUBLIC = set(json.loads((DOCS / "_ext" / "facts.json").read_text(encoding="utf-8"))["public_names"])
IMPORT = re.compile(r"from (nemo_gym\.[\w.]+) import (\([^)]*\)|[^\n#;\"]*)")


def from_submodules(text: str) -> list[str]:
    """MODULE:NAME of each import from a module below the top level that the top level has, too."""
    found = ((module, re.split(r"[\s,()]+", names)) for module, names in IMPORT.findall(text))
    return [f"{module}:{name}" for module, names in found for name in names if name in PUBLIC]


def test_what_is_looked_for_is_found() -> None:
    assert from_submodules("from nemo_gym.server_utils import (\n    ServerClient,\n    get_response_json,\n    x,\n)") == [
        "nemo_gym.server_utils:ServerClient", "nemo_gym.server_utils:get_response_json",
    ]  # fmt: skip
    assert from_submodules("$ python -c 'from nemo_gym.openai_utils import NeMoGymResponse; print(1)'") == ["nemo_gym.openai_utils:NeMoGymResponse"]


def test_names_come_from_the_top_level() -> None:
    assert len(PUBLIC) > 30
    files = [path for path in (DOCS / "training").rglob("*") if path.suffix in (".md", ".py") and path.is_file()]
    found = {path.relative_to(DOCS).as_posix(): from_submodules(path.read_text(encoding="utf-8")) for path in files}
    assert {name: names for name, names in found.items() if names} == {}
