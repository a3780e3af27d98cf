"""What the page runs proved, kept in `build/verification.json` (shape: see README) and shown on each page."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import subprocess
import time
import tomllib
from pathlib import Path

from pages import DOCS, ROOT, Page

FILE = ROOT / "build" / "verification.json"
# What a build shows that has no run of its own behind it, as in a fresh clone.
COMMITTED = DOCS / "verification.json"


def release() -> str:
    """The documented release, from the one place that names it."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    return groups["gym"][0].split("==")[1]


def keep(page: Page) -> None:
    """Put one page's blocks into the record; a page that failed, or did not run to its end, leaves it.

    Pages that did not run in this checkout keep what the committed record says of them.
    """
    FILE.parent.mkdir(exist_ok=True)
    with FILE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pages run side by side
        known = next((path for path in (FILE, COMMITTED) if path.exists()), None)
        data = json.loads(known.read_text(encoding="utf-8")) if known else {}
        pages = data.get("pages", {}) if data.get("release") == release() else {}
        pages = {name: entry for name, entry in pages.items() if (DOCS / f"{name}.md").exists()}
        today = datetime.date.today().isoformat()
        name = page.path.relative_to(DOCS).with_suffix("").as_posix()
        pages.pop(name, None)
        if page.complete:
            pages[name] = {"date": today, "seconds": round(time.monotonic() - page.started),
                           "source_sha256": hashlib.sha256(page.path.read_bytes()).hexdigest(), "blocks": page.records}
        python = subprocess.run([page.gym.python, "-c", "import platform; print(platform.python_version())"],
                                capture_output=True, text=True, check=True).stdout.strip()
        FILE.write_text(json.dumps({
            "release": release(), "date": today, "python": python, "pages": dict(sorted(pages.items())),
        }, indent=1) + "\n", encoding="utf-8")


def commit() -> None:
    """Copy the record beside the pages, unless only its dates and times are new."""

    def undated(path: Path) -> dict:
        return json.loads(path.read_text(encoding="utf-8"), object_hook=lambda its: {key: its[key] for key in its if key not in ("date", "seconds")})

    if not COMMITTED.exists() or undated(FILE) != undated(COMMITTED):
        COMMITTED.write_text(FILE.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    commit()
