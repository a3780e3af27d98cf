"""Lay out a card for a reader, and check what the reader leaves.

    python -m cards list
    python -m cards lay NAME FOLDER      # card.md and the given files, in a new folder
    python -m cards check NAME FOLDER    # one line: done, or why not
Exit code: 0 done, 1 not done, 2 bad input.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/card.py"))
sys.path.insert(0, str(HERE))

from kit import Wrong  # noqa: E402


def card(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"card_{name.replace('-', '_')}", HERE / name / "card.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lay(name: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "card.md").write_bytes((HERE / name / "card.md").read_bytes())
    for file, content in card(name).files().items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def check(name: str, folder: Path) -> str | None:
    """None if the job is done, else why it is not."""
    try:
        card(name).check(folder)
    except Wrong as why:
        return str(why)
    return None


def main(words: list[str]) -> int:
    if words == ["list"]:
        for name in NAMES:
            print(f"{name:<24}{' '.join((HERE / name / 'card.md').read_text().split())[:90]}")
        return 0
    if len(words) != 3 or words[0] not in ("lay", "check") or words[1] not in NAMES:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(words[2])
    if words[0] == "lay":
        if folder.exists():
            print(f"{folder} is there already. Choose a new folder", file=sys.stderr)
            return 2
        lay(words[1], folder)
        return 0
    why = check(words[1], folder)
    print(f"{words[1]}: {'done' if why is None else f'not done: {why}'}")
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
