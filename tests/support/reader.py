"""What a reader's terminal has: the environment in which the commands of a page run, and what they fetch, fetched beforehand.

    python tests/support/reader.py    # warms uv's cache, so that pages need no network; `make test` runs it
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gym_environment import gym_environment
from pages import DOCS, NOT_RUN, ROOT, UV, Gym, blocks_of

INLINE = re.compile(r"^# /// script$", re.M)
TOOL = re.compile(r"\buv tool run (?:-q )?([\w.-]+)")
WITH = re.compile(r"\buv run (?:-q )?--with ([\w.-]+)")
TARGET = re.compile(r"\buv pip install (?:-q )?--target \S+ ([\w.-]+)")
SERVERS = re.compile(r"^\$ gym env prefetch --config (\S+)", re.M)
NO_ENDPOINT = [f"++policy_{key}=none" for key in ("base_url", "api_key", "model_name")]


def environment() -> dict[str, str]:
    """Nothing of the test environment, and the same width on all machines."""
    keep = ("HOME", "LANG", "USER", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "TMPDIR")
    kept = {key: value for key, value in os.environ.items() if key in keep or key.startswith(("UV_", "PIP_"))}
    outside = [entry for entry in os.environ["PATH"].split(":") if not Path(entry).is_relative_to(ROOT)]
    return kept | {"PATH": ":".join(outside), "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def needs() -> list[list[str]]:
    """The uv commands that fetch what the pages' own `uv run`, `uv tool run` and `uv pip install --target` need."""
    text = "\n".join(block.text for page in sorted(DOCS.rglob("*.md")) for _, block in blocks_of(page.read_text(encoding="utf-8"), page)
                     if block.kind == "console")  # fmt: skip
    scripts = [path for path in sorted((DOCS / "training").rglob("*.py")) if INLINE.search(path.read_text(encoding="utf-8"))]
    return [
        *(["sync", "--quiet", "--script", str(path)] for path in scripts),
        *(["tool", "run", "--quiet", "--from", tool, "python", "-c", ""] for tool in sorted(set(TOOL.findall(text)))),
        *(["run", "--quiet", "--no-project", "--with", its, "python", "-c", ""] for its in sorted(set(WITH.findall(text) + TARGET.findall(text)))),
    ]


def build_servers(gym: Gym) -> None:
    """What `gym env prefetch` of a page downloads is in uv's cache once that has run in the network. If it fails here, its page fails and says why."""
    for page in sorted(DOCS.rglob("*.md")):
        blocks = [block for _, block in blocks_of(page.read_text(encoding="utf-8"), page) if not block.caption.startswith(NOT_RUN)]
        for servers in sorted({its for block in blocks if block.kind == "console" for its in SERVERS.findall(block.text)}):
            with tempfile.TemporaryDirectory() as folder:
                gym.put_on_path(Path(folder))
                shutil.copy(page.with_suffix("") / servers, folder)
                subprocess.run(
                    [f"{folder}/gym", "env", "prefetch", "--config", servers, f"++uv_venv_dir={folder}/environments", *NO_ENDPOINT],
                    cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                )  # fmt: skip


def prefetch(gym: Gym) -> int:
    """0, or the exit code of what could not be fetched; uv has said why."""
    reader = environment()
    # A page finds the package's Python first on its PATH, a test of a script the one that runs the tests.
    for first in (gym.folder / "bin", ROOT / ".venv" / "bin"):
        for arguments in needs():
            done = subprocess.run([UV, *arguments], env=reader | {"PATH": f"{first}:{reader['PATH']}"}, cwd="/", check=False)
            if done.returncode:
                print(f"could not be fetched: uv {' '.join(arguments)}", file=sys.stderr)
                return done.returncode
    build_servers(gym)
    return 0


if __name__ == "__main__":
    sys.exit(prefetch(gym_environment()))
