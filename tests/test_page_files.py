"""A page's zip holds what git tracks, and nothing that a build or a run has left in the page's folder."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import page_files
import pytest
from page_files import SHARED_FILES, files_of
from pages import DOCS
from site_map import HTML

PAGES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in (DOCS / "training").glob("*/*.md") if path.parent.name != "index")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A page with a file, one that no one tracks, and what a run of its scripts leaves behind."""
    folder = tmp_path / "docs" / "training" / "how-to" / "page"
    for name in ("a.py", "data/b.jsonl", "fragment.md", "new.py", "smollm2_tokenizer/tokenizer.json", "__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return tmp_path / "docs"


def own(docs: Path) -> set[str]:
    page_files.tracked.cache_clear()
    return files_of(docs, "training/how-to/page").keys() - set(SHARED_FILES)


def git(docs: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=docs.parent, check=True, capture_output=True)


def test_what_git_tracks(docs: Path) -> None:
    git(docs, "init")
    git(docs, "add", "docs/training/how-to/page/a.py", "docs/training/how-to/page/data", "docs/training/how-to/page/fragment.md")
    assert own(docs) == {"a.py", "data/b.jsonl"}
    (docs / "training" / "how-to" / "page" / "a.py").unlink()
    assert own(docs) == {"data/b.jsonl"}, "deleted, and not committed yet"


def test_without_git_all_but_what_runs_leave_behind(docs: Path) -> None:
    assert own(docs) == {"a.py", "data/b.jsonl", "new.py"}


def test_a_copy_inside_another_repository_is_one_without_git(docs: Path) -> None:
    copy = docs.parent / "copy"
    copy.mkdir()
    docs.rename(copy / "docs")
    (copy.parent / "other.txt").write_text("")
    subprocess.run(["git", "init"], cwd=copy.parent, check=True, capture_output=True)
    subprocess.run(["git", "add", "other.txt"], cwd=copy.parent, check=True, capture_output=True)
    assert own(copy / "docs") == {"a.py", "data/b.jsonl", "new.py"}


def test_a_page_without_a_folder_has_the_shared_files(docs: Path) -> None:
    assert list(files_of(docs, "training/index-less")) == SHARED_FILES


@pytest.mark.parametrize("page", PAGES)
def test_each_zip_holds_the_files_of_its_page(page: str) -> None:
    archive = HTML / f"{page}.zip"
    if not archive.exists():  # a page that offers no files
        assert "{page-files}" not in (DOCS / f"{page}.md").read_text(encoding="utf-8")
        return
    names = {name.partition("/")[2] for name in zipfile.ZipFile(archive).namelist()}
    assert names == {page_files.POINTER, *files_of(DOCS, page)}
    assert not any(part in page_files.LEFT_BEHIND for name in names for part in Path(name).parts)


def test_a_configuration_is_described_by_the_first_sentence_of_its_comment(tmp_path: Path) -> None:
    for name, text, told in (
        ("two.yaml", "# Servers and a judge: each has\n# an address of its own. Nothing else.\na: 1\n", "Servers and a judge: each has an address of its own."),
        ("run.sh", "#!/bin/bash\n# Run version 0.7 on each node\nset -e\n", "Run version 0.7 on each node"),
        ("none.yaml", "a: 1\n", ""),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert page_files.describe(tmp_path / name) == told
