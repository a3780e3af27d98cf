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
BUILDS = re.compile(r"^\$ (gym env prefetch|uv pip install nemo-gym==)", re.M)
ENV = "policy_base_url: none\npolicy_api_key: none\npolicy_model_name: none\n"


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


def build(gym: Gym) -> None:
    """Run the blocks that build environments of the package, in the network: what they download is then in uv's cache.

    Where that fails, their pages fail, and say why.
    """
    for page in sorted(DOCS.rglob("*.md")):
        for _, block in blocks_of(page.read_text(encoding="utf-8"), page):
            if block.kind == "console" and BUILDS.search(block.text) and not block.caption.startswith(NOT_RUN):
                with tempfile.TemporaryDirectory() as temporary:
                    programs, folder = Path(temporary, "programs"), Path(temporary, page.stem)
                    programs.mkdir()
                    gym.put_on_path(programs)
                    shutil.copytree(page.with_suffix(""), folder)
                    (folder / "env.yaml").write_text(ENV, encoding="utf-8")
                    variables = environment() | {"PATH": f"{programs}:{environment()['PATH']}"}
                    subprocess.run(["bash", "-ec", "\n".join(command for command, _ in block.commands())], cwd=folder, env=variables, capture_output=True)


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
    build(gym)
    return 0


if __name__ == "__main__":
    sys.exit(prefetch(gym_environment()))
