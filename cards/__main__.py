"""Lay out a card for a reader, and check what the reader leaves.

    python -m cards list
    python -m cards lay NAME FOLDER      # card.md and the given files, in a new folder
    python -m cards check NAME FOLDER    # one line: done, or why not
    python -m cards search SITE WORDS    # what the search of a built site finds, for a reader without a browser
    python -m cards record NAME FOLDER READER START COMMIT
                                         # check, and add the try to results.jsonl; START is llms.txt or search, COMMIT the
                                         # one whose site was read
Exit code: 0 done, 1 not done, 2 bad input.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import subprocess
import sys
import urllib.parse
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


def search(site: Path, question: str) -> str:
    """Titles, addresses and sentences that the search page shows, best first."""
    sys.path.insert(0, str(HERE.parent / "tests" / "support"))
    from browser import FLAGS, installed
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        tab = browser.new_page()
        tab.goto(f"{(site.resolve() / 'search.html').as_uri()}?q={urllib.parse.quote(question)}")
        tab.wait_for_selector("#search-results[data-ready]", state="attached")
        links = tab.eval_on_selector_all("#search-results a", "all => all.map((a) => `${a.href}\\n    ${a.innerText.trim()}`)")
        browser.close()
    return "\n".join(link.replace(site.resolve().as_uri() + "/", "") for link in links[:20])


def record(name: str, folder: Path, reader: str, start: str, commit: str) -> dict:
    """Check a try and add it to the results, with what the reader says of it in tried.json."""
    try:
        said = json.loads((folder / "tried.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{folder}/tried.json: {error}") from None
    why = check(name, folder)
    known = subprocess.run(["git", "rev-parse", "--short", "--verify", f"{commit}^{{commit}}"], cwd=HERE, capture_output=True, text=True)
    if known.returncode:
        raise SystemExit(f"there is no commit {commit}. Name the one whose site was read")
    row = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "commit": known.stdout.strip(), "card": name, "guides": list(card(name).GUIDES), "reader": reader,
        "start": start, "done": why is None, "why": why, "pages": said["pages"], "commands": said["commands"], "stopped": said["stopped"],
    }
    with (HERE / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return row


def main(words: list[str]) -> int:
    if words == ["list"]:
        for name in NAMES:
            print(f"{name:<24}{' '.join((HERE / name / 'card.md').read_text().split())[:90]}")
        return 0
    if len(words) > 2 and words[0] == "search":
        print(search(Path(words[1]), " ".join(words[2:])))
        return 0
    if len(words) == 6 and words[0] == "record" and words[1] in NAMES and words[4] in ("llms.txt", "search"):
        row = record(words[1], Path(words[2]), *words[3:])
        print(f"{row['card']}, {row['reader']}: {'done' if row['done'] else 'not done: ' + row['why']}")
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
