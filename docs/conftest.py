"""Makes every fence of every page a pytest item, named by page and line (see tests/support/pages.py)."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import record
from gym_environment import gym_environment
from page_files import files_of
from pages import DOCS, NEEDS_SLURM, ROOT, Gym, Page, copy_files, parse, require_free_ports
from reader import environment
from slurm import Slurm, missing
from sybil import Sybil

# Files that pages include lie in folders named after their page; they run as part of it. The pages below a reference run by themselves.
PAGES = Sybil(
    parsers=[parse], path=str(DOCS), patterns=["**/*.md"], fixtures=["page"],
    excludes=["training/index/*", "training/how-to/*/*"],
)
pytest_collect_file = PAGES.pytest()
# Readers' own tests are run by the commands of their page, where their server is installed.
collect_ignore_glob = ["*.py"]


# Modules of tests that take minutes, the longest first.
LONG = ["test_problems_live", "test_integrate_with_rl_frameworks", "test_problems", "test_filter_and_curate_data", "test_browser"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes take one file after the other: what takes longest comes first."""
    known = json.loads(record.COMMITTED.read_text(encoding="utf-8"))["pages"] if record.COMMITTED.exists() else {}
    count = collections.Counter(item.path for item in items)

    def seconds(item: pytest.Item) -> float:
        if item.path.suffix == ".md":
            page = item.path.relative_to(DOCS).with_suffix("").as_posix()
            return known.get(page, {}).get("seconds", 5 * count[item.path])
        return 300 - LONG.index(item.path.stem) if item.path.stem in LONG else 0

    items.sort(key=lambda item: -seconds(item))  # stable: the blocks of a page stay in order
    for item in items:
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.timeout(1800))


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
    require_free_ports()
    cluster, variables = None, environment()
    if NEEDS_SLURM in path.read_text(encoding="utf-8"):
        # CI has one: there, a cluster that does not come up is a failure. Elsewhere the record says that these blocks were not run.
        if not missing() or os.environ.get("CI"):
            cluster = Slurm(tmp_path_factory.mktemp("slurm"))
            variables |= cluster.environment
    page = Page(path, folder, programs, variables, gym, request.config.getoption("--update-outputs"),
                request.config.getoption("--numbers"))
    yield page
    if cluster:
        cluster.close()
    page.close()
    record.keep(page)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-outputs", action="store_true", help="write what commands print into the pages")
    parser.addoption("--numbers", action="store_true", help="with --update-outputs: numbers instead of ellipses")
