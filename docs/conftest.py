"""Makes every fence of every page a pytest item, named by page and line (see tests/support/pages.py)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import record
from gym_environment import gym_environment
from page_files import files_of
from pages import DOCS, ROOT, Gym, Page, copy_files, parse, require_free_ports
from sybil import Sybil

# Files that pages include lie in folders named after their page; they run as part of it.
PAGES = Sybil(
    parsers=[parse], path=str(DOCS), patterns=["**/*.md"], fixtures=["page"],
    excludes=["training/index/*", "training/how-to/*/*", "training/reference/*/*"],
)
pytest_collect_file = PAGES.pytest()
# Readers' own tests are run by the commands of their page, where their server is installed.
collect_ignore_glob = ["*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def gym() -> Iterator[Gym]:
    gym = gym_environment()
    yield gym
    gym.close()


@pytest.fixture(scope="session")
def programs(gym: Gym, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put first on PATH: `gym` and `uv`, as a reader has them, and nothing of the test environment."""
    folder = tmp_path_factory.mktemp("programs")
    gym.put_on_path(folder)
    (folder / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")
    return folder


@pytest.fixture(scope="module")
def page(
    request: pytest.FixtureRequest, gym: Gym, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    path = Path(request.path)
    folder = tmp_path_factory.mktemp(path.stem, numbered=True) / path.stem
    folder.mkdir()
    copy_files(files_of(DOCS, path.relative_to(DOCS).with_suffix("").as_posix()), folder)
    if "trainers/bin/" in path.read_text(encoding="utf-8"):
        # The environment that such a page tells to build, from the same pins: building it takes minutes.
        (folder / "trainers").symlink_to(ROOT / ".venv-trainers")
    keep = ("HOME", "LANG", "USER", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "TMPDIR")
    environment = {key: value for key, value in os.environ.items() if key in keep or key.startswith(("UV_", "PIP_"))}
    outside = [entry for entry in os.environ["PATH"].split(":") if not Path(entry).is_relative_to(ROOT)]
    environment |= {"PATH": ":".join(outside), "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    require_free_ports()
    page = Page(path, folder, programs, environment, gym, request.config.getoption("--update-outputs"),
                request.config.getoption("--numbers"))
    yield page
    page.close()
    record.keep(page)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-outputs", action="store_true", help="write what commands print into the pages")
    parser.addoption("--numbers", action="store_true", help="with --update-outputs: numbers instead of ellipses")
