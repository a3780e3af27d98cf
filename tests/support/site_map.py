"""What the checks share: the pages, their front matter and headings, and the built site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from pages import DOCS, ROOT, blocks_of

HTML = ROOT / "build" / "html"


@dataclass(frozen=True)
class SourcePage:
    """One page as its author wrote it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(DOCS).with_suffix("").as_posix()

    @property
    def type(self) -> str:
        return {"how-to": "guide", "reference": "reference"}.get(self.path.parent.name, "index")

    @property
    def folder(self) -> Path:
        """Where what the page includes or offers lies."""
        return self.path.with_suffix("")

    @cached_property
    def text(self) -> str:
        """The page, with what it includes from its own folder."""

        def included(fence: re.Match) -> str:
            return (self.path.parent / fence[1]).read_text(encoding="utf-8")

        own = rf"^```\{{include\}} ({re.escape(self.folder.name)}/\S+)\n```$"
        return re.sub(own, included, self.path.read_text(encoding="utf-8"), flags=re.M)

    @cached_property
    def front_matter(self) -> dict:
        match = re.match(r"---\n(.*?)\n---\n", self.text, re.S)
        return yaml.safe_load(match[1]) if match else {}

    @cached_property
    def prose(self) -> str:
        """The text without front matter, fences and comments."""
        text = re.sub(r"\A---\n.*?\n---\n", "", self.text, flags=re.S)
        for match, _ in reversed(list(blocks_of(text, self.path))):
            text = text[:match.start()] + text[match.end():]
        return re.sub(r"^%.*$", "", text, flags=re.M)

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        return [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#+) (.+)$", self.prose, re.M)]

    def section(self, title: str) -> str:
        """The source of one second-level section, fences included; empty if the page has none of that title."""
        fences = [(m.start(), m.end()) for m, _ in blocks_of(self.text, self.path)]
        starts = [m for m in re.finditer(r"^## (.+)$", self.text, re.M) if not any(a <= m.start() < b for a, b in fences)]
        for here, after in zip(starts, [*starts[1:], None]):
            if here[1].strip() == title:
                return self.text[here.start():after.start() if after else None]
        return ""


def source_pages() -> list[SourcePage]:
    """Every page; not what pages include (that lies in folders named after pages, as the pages below a hub do)."""
    found = [*DOCS.glob("*.md"), *(DOCS / "training").glob("*.md"), *(DOCS / "training").glob("how-to/*.md"),
             *(DOCS / "training").glob("reference/*.md"), *(DOCS / "training").glob("reference/*/*.md")]
    return [SourcePage(path) for path in sorted(found)]


PAGES = source_pages()
GUIDES = [page for page in PAGES if page.type == "guide"]
