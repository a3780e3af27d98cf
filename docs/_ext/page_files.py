"""``{page-files}``: the files a page works with, as a list, one by one and as one zip at a stable address.

They are the page's own folder plus the shared practice files. ``training/how-to/NAME.zip`` unpacks to a folder
``NAME``; its files are also at ``training/how-to/NAME/FILE``.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import create_component

SHARED = "training/index"
SHARED_FILES = ["doubts.py", "jsonl.py", "practice_endpoint.py", "practice_tasks.jsonl", "practice_tool_tasks.jsonl", "rollout_contents.py", "rollouts.py"]


# What runs leave behind, for a copy of the repository without git.
LEFT_BEHIND = {"__pycache__", "results", "outputs", "smollm2_tokenizer"}

POINTER = "README.md"
DOCSTRING = re.compile(r'(?:#.*\n|\n)*"""(.*?)(?:"""|\n)')  # its first line; to parse hundreds of scripts for it took a tenth of a second


def files_of(docs: Path, docname: str) -> dict[str, Path]:
    """The files of a page by their name in its folder, its own ones first. What the page includes (.md) is part of it.

    They are what git tracks there: what a build or a run has made is no file of the page.
    """
    folder, known = docs / docname, tracked(docs)
    if known is None:
        below = (path for path in folder.rglob("*") if not LEFT_BEHIND & set(path.relative_to(folder).parts))
        known = sorted(path.relative_to(docs).as_posix() for path in below)
    own = {name.removeprefix(f"{docname}/"): docs / name for name in known if name.startswith(f"{docname}/")}
    pages = tuple(f"{path.stem}/" for path in folder.glob("*.md"))  # the page below a hub has its own files
    own = {name: path for name, path in own.items() if not name.startswith(pages or "/") and not path.name.startswith(".") and path.suffix != ".md" and path.is_file()}
    return own | {name: docs / SHARED / name for name in SHARED_FILES}


@functools.cache
def tracked(docs: Path) -> list[str] | None:
    """What git tracks below docs (`git add` is enough); None in a copy of the repository without git."""
    git = functools.partial(subprocess.run, cwd=docs, capture_output=True, text=True)
    top, listing = git(["git", "rev-parse", "--show-toplevel"]), git(["git", "ls-files", "-z", "."])
    if top.returncode or Path(top.stdout.strip()) != docs.resolve().parent or not listing.stdout:
        return None
    return sorted(listing.stdout.strip("\0").split("\0"))


def describe(path: Path) -> str:
    """The first line of a script's docstring, the first sentence of a configuration's comment, the number of rows, the day of a measurement."""
    if path.suffix not in (".py", ".jsonl", ".json", ".yaml", ".yml", ".toml", ".sh", ".sbatch", ".args"):
        return ""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return docstring[1].strip() if (docstring := DOCSTRING.match(text)) else ""
    if path.suffix == ".jsonl":
        return f"{len(text.splitlines())} rows."
    if path.suffix == ".json":
        data = json.loads(text)
        return f"Measured {data['date']}." if "date" in data else ""
    comment = re.search(r"(?:^# .*\n?)+", text, re.MULTILINE)
    return re.match(r".*?\.(?=\s|$)|.*", comment[0].replace("# ", "").replace("\n", " "))[0].strip() if comment else ""


def size(path: Path) -> str:
    count = path.stat().st_size
    return f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB"


class PageFiles(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        name = Path(self.env.docname).name
        files = files_of(Path(self.env.srcdir), self.env.docname)
        for path in files.values():
            self.env.note_dependency(str(path))
        archive = nodes.reference("", f"{name}.zip", refuri=f"{name}.zip", internal=True, classes=["zip"])
        self.env.metadata[self.env.docname]["page-files"] = True
        beside = {file: path for file, path in files.items() if "/" not in file}
        # A server of Gym is a folder of a dozen files, with a list of its own.
        folders = dict.fromkeys(file.partition("/")[0] for file in files if "/" in file)
        below = {folder: {file: path for file, path in files.items() if file.startswith(f"{folder}/")} for folder in folders}
        return [
            nodes.paragraph("", "", archive, nodes.Text(f" unpacks to the folder {name}.")),
            self.closed([nodes.Text(f"{len(beside)} files")], beside),
            *(self.closed([nodes.literal("", f"{folder}/"), nodes.Text(f", {len(its)} files")], its) for folder, its in below.items()),
        ]

    def closed(self, title: list[nodes.Node], files: dict[str, Path]) -> nodes.Node:
        """One line until the reader opens it: the page's first command stays near its top."""
        options = {"opened": False, "has_title": True, "icon": None, "chevron": None}
        classes = {"container_classes": [], "title_classes": [], "body_classes": []}
        children = [nodes.rubric("", "", *title), self.listing(files)]
        return create_component("dropdown", type="dropdown", children=children, **options, **classes)

    def listing(self, files: dict[str, Path]) -> nodes.bullet_list:
        folder = Path(self.env.docname).name
        listing = nodes.bullet_list(classes=["page-files"])
        for file, path in files.items():
            link = nodes.reference("", "", nodes.literal("", file), refuri=f"{folder}/{file}", internal=True)
            weight = nodes.inline("", size(path), classes=["size"])
            words = re.split(r"(`+)(.+?)\1", describe(path))  # text, mark, code, text, ...
            told = [nodes.literal("", word) if number % 3 == 2 else nodes.Text(word) for number, word in enumerate(words) if number % 3 != 1]
            listing += nodes.list_item("", nodes.paragraph("", "", link, nodes.inline("", "", nodes.Text(" "), *told, nodes.Text(" ")), weight))
        return listing


def pointer(app, pagename: str) -> str:
    """For whoever finds the unpacked folder: which guide it belongs to, and where the others are."""
    site = app.config.html_baseurl or "the site that this zip comes from, at "
    return (
        f"# {app.env.titles[pagename].astext()}\n\nThe files of one guide for nemo-gym {app.config.release}, run in this folder.\n\n"
        f"- The guide as Markdown: {site}{pagename}.md\n- All guides, and when to read which: {site}llms.txt\n- The same as a skill: {site}SKILL.md\n"
    )


def put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)
    entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def write(app, pagename, templatename, context, doctree) -> None:
    """Write a page's files together with the page; the same bytes on every run: fixed order, time and mode."""
    if "page-files" not in app.env.metadata.get(pagename, ()):
        return
    target = Path(app.outdir, pagename)
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(f"{target}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        put(archive, f"{target.name}/{POINTER}", pointer(app, pagename).encode())
        for name, path in files_of(Path(app.srcdir), pagename).items():
            put(archive, f"{target.name}/{name}", path.read_bytes())
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def setup(app) -> dict:
    # A change to this file writes the files of every page again.
    app.add_config_value("page_files_changed", Path(__file__).stat().st_mtime_ns, "html", types=[int])
    app.add_directive("page-files", PageFiles)
    app.connect("html-page-context", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
