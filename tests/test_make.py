"""The make targets, from a clean copy of the repository and with bad input."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT
from terminals import Running

pytestmark = [pytest.mark.live, pytest.mark.network]


def make(*arguments: str, folder: Path = ROOT, timeout: float = 1000) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "PYTEST"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tracked files of this repository, as a fresh clone has them (with what is not committed yet)."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listing.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    yield folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    listed = set(re.findall(r"^  make ([a-z-]+)", make("help").stdout, re.M))
    assert listed == targets


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The advice that make gives, which is one line before make's own."""
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_python_that_is_missing_is_named(clone: Path) -> None:
    assert "PYTHON=" in one_line(make("html", "PYTHON=no-such-python", folder=clone))


def test_an_unknown_page_is_named() -> None:
    result = make("test-page", "PAGE=no-such-page")
    assert result.returncode != 0 and 'There is no page named "no-such-page"' in result.stderr


def test_the_site_builds_in_a_clean_clone_and_clean_leaves_nothing(clone: Path) -> None:
    before = {name for name in files(clone) if name.split("/")[0] != "build"}  # make makes that folder whatever it is asked
    built = make("html", folder=clone)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "Open build/html/index.html" in built.stdout
    assert (clone / "build" / "html" / "training" / "index.html").is_file()
    live_reload_works_and_does_not_loop(clone)
    assert make("clean", folder=clone).returncode == 0
    assert files(clone) == before


def live_reload_works_and_does_not_loop(clone: Path) -> None:
    """Part of the test above: the environment it needs is built there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Running(f"make livehtml PORT={port}", clone, dict(os.environ))

    def builds() -> int:
        return server.seen().count("build succeeded")

    def settled() -> int:
        """The number of builds once none was added for some seconds: what was touched during a build is built after it."""
        seen = -1
        while builds() > seen:
            seen = builds()
            time.sleep(5)
        return seen

    try:
        assert server.wait_until(lambda seen: "Serving on" in seen, 400), server.seen()
        page = next((clone / "docs" / "training" / "how-to").glob("*.md"))
        example = next(path for path in page.with_suffix("").iterdir() if path.suffix == ".py")
        # sphinx-autobuild says "Serving on" before its watcher stands: touch a page until the first rebuild is seen.
        assert server.wait_until(lambda _: page.touch() or builds() > 1, 200), server.seen()
        for changed in (page, example, clone / "conf.py"):
            count = settled()
            with changed.open("a") as file:
                file.write("\n")
            assert server.wait_until(lambda _, count=count: builds() > count, 200), f"{changed.name}\n{server.seen()}"
            assert settled() == count + 1, f"{changed.name} is built again and again\n{server.seen()}"
    finally:
        server.stop()
