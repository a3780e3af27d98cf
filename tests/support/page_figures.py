"""What pages ask of their readers, measured on the built site. `make figures` prints the table.

words         outside code, as rendered
start         screens until the first command of the job, at 1440 x 900 and 390 x 844; the setup does not count
dots          share of the output lines that hold `...`, if more than two do
long          blocks with a line of more than 84 columns, except files of class `wrapped`
wide          blocks wider than their box, at 1440 and at 390, with every fold and tab open
unnamed       files shown without their name
self          links from a page to itself
stiff         phrases of the style note in CONTRIBUTING.md
sentence      the longest sentence, in words

Exit code: 0 if every page keeps the limits, 1 if one does not (each is named), 2 for bad input.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import re
import statistics
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import style
from browser import FLAGS, installed
from bs4 import BeautifulSoup, Tag
from pages import blocks_of, path_from
from site_map import HTML, PAGES, SourcePage

COLUMNS = 84
SCREENS = {1440: 900, 390: 844}
FIRST_COMMAND = {1440: 1.5, 390: 2.0}
GUIDE_WORDS, MEDIAN_WORDS = 4500, 3400
HOME = "training/how-to/troubleshoot-common-issues"
# Run in the page: where the first command stands, and which blocks are wider than their box.
FIRST = """() => {
    const first = [...document.querySelectorAll('.bd-article .highlight-console')].find(
        block => block.checkVisibility() && !block.closest('details.setup, section#before-you-start'));
    return first ? first.getBoundingClientRect().top + scrollY : null;
}"""
WIDE = """() => {
    document.querySelectorAll('details').forEach(fold => fold.open = true);
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = '.sd-tab-set > .sd-tab-content { display: block !important }';
    return [...document.querySelectorAll('.bd-article pre')].filter(pre => pre.scrollWidth > pre.clientWidth + 1).length;
}"""


def article(page: SourcePage) -> Tag:
    return BeautifulSoup((HTML / f"{page.name}.html").read_text(encoding="utf-8"), "html.parser").find("article")


def long_blocks(page: SourcePage) -> Iterator[str]:
    """Each block with a line that is too long, named by its line in the page or by its file."""
    for _, block in blocks_of(page.text, page.path):
        text = block.text
        if block.kind == "{literalinclude}":
            if "wrapped" in block.options.get("class", ""):
                continue  # holds a string that no line break can shorten; the browser measures it
            if block.options.keys() & {"pyobject", "lines", "start-after", "start-at", "end-before", "end-at"}:
                continue  # a part: the browser measures it
            path = path_from(block)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        elif block.kind.startswith("{") and block.kind != "{code-block}":
            continue
        if any(len(line) > COLUMNS for line in text.splitlines()):
            yield f"{page.path.name}:{block.line} {block.argument or block.caption or block.kind}"


def outputs(page: SourcePage) -> tuple[int, int]:
    """Output lines of console blocks, and those that hold `...`."""
    shown = [line for _, block in blocks_of(page.text, page.path) if block.kind == "console"
             for _, output in block.commands() for line in output.splitlines() if line.strip()]
    return len(shown), sum("..." in line for line in shown)


def self_links(page: SourcePage, its: Tag) -> list[str]:
    """A link to the page as a whole, from the page: the reader is there already."""
    own = {"#", "", f"{page.path.stem}.html"}
    return [link.get_text() for link in its.select("a[href]") if link["href"] in own and "headerlink" not in link.get("class", ())]


def still(page: SourcePage) -> dict[str, float | list]:
    """What needs no browser."""
    its = article(page)
    unnamed = [block.argument for _, block in blocks_of(page.text, page.path) if block.kind == "{literalinclude}"]
    named = [bar.get_text() for bar in its.select(".shown-file")]
    links = self_links(page, its)
    for code in its.select("pre, svg, script, .headerlink"):
        code.decompose()
    lines, dots = outputs(page)
    return {
        "words": len(re.findall(r"[^\W_][\w'’.-]*", its.get_text(" "))),
        "dots": dots / lines if dots > 2 else 0.0,
        "long": list(long_blocks(page)),
        "unnamed": [name for name in unnamed if not any(Path(name).name in bar for bar in named)],
        "self": links,
        "stiff": style.stiff(page.prose),
        "sentence": max((len(sentence.split()) for sentence in style.sentences(page.prose)), default=0),
    }


def in_browser(pages: list[SourcePage], browser, address: str) -> Iterator[tuple[SourcePage, dict[str, float | None]]]:
    """What a browser tells of the site served at ``address``: where the job starts, and which blocks are too wide."""
    tabs = {width: browser.new_page(viewport={"width": width, "height": height}) for width, height in SCREENS.items()}
    for page in pages:
        found: dict[str, float | None] = {}
        for width, tab in tabs.items():
            tab.goto(f"{address}/{page.name}.html")
            top = tab.evaluate(FIRST)
            found[f"start {width}"] = top / SCREENS[width] if top is not None else None
            found[f"wide {width}"] = tab.evaluate(WIDE)
        yield page, found
    for tab in tabs.values():
        tab.close()


def moving(pages: list[SourcePage]) -> Iterator[tuple[SourcePage, dict[str, float | None]]]:
    """The same with a browser and a server of its own."""
    from playwright.sync_api import sync_playwright

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        yield from in_browser(pages, browser, f"http://127.0.0.1:{server.server_port}")
        browser.close()
    server.shutdown()


def missed(page: SourcePage, found: dict) -> dict[str, str]:
    """Each limit that the page does not keep, with what is wrong."""
    wrong = {}
    guide = page.type == "guide"
    if guide and page.name != HOME and found.get("words", 0) > GUIDE_WORDS:
        wrong["words"] = f"{found['words']} words, at most {GUIDE_WORDS}"
    for width, most in FIRST_COMMAND.items():
        start = found.get(f"start {width}")
        if guide and page.name != HOME and start is not None and start > most:
            wrong[f"start {width}"] = f"the first command stands {start:.1f} screens down at {width} px, at most {most}"
        if found.get(f"wide {width}"):
            wrong[f"wide {width}"] = f"{found[f'wide {width}']} blocks are wider than their box at {width} px"
    if found.get("dots", 0) > 0.10:
        wrong["dots"] = f"{found['dots']:.0%} of the output lines hold `...`, at most 10 %"
    for key, what in {"long": f"blocks with more than {COLUMNS} columns", "unnamed": "files without a name", "self": "links to the page itself"}.items():
        if found.get(key):
            wrong[key] = f"{what}: {'; '.join(found[key])}"
    return wrong | {key: text for key, text in style.missed(found).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="*", help="the last part of a page's address (default: all pages)")
    options = parser.parse_args()
    pages = [page for page in PAGES if not options.page or page.path.stem in options.page]
    if not pages:
        parser.error(f"no such page; there are: {', '.join(page.path.stem for page in PAGES)}")
    figures = {page: still(page) | seen for page, seen in moving(pages)}
    wrong = {page: missed(page, found) for page, found in figures.items()}
    width = max(len(page.name) for page in pages)
    columns = ["words", "start 1440", "start 390", "dots", "long", "wide 1440", "wide 390", "unnamed", "self", "stiff", "sentence"]
    print(f"{'page':{width}}" + "".join(f"{name:>11}" for name in columns))
    for page, found in figures.items():
        cells = [len(value) if isinstance(value := found[name], list) else value for name in columns]
        shown = ["-" if cell is None else f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"{page.name:{width}}" + "".join(f"{cell:>11}" for cell in shown))
    guides = [found["words"] for page, found in figures.items() if page.type == "guide" and page.name != HOME]
    if guides:
        print(f"median guide: {statistics.median(guides):.0f} words (at most {MEDIAN_WORDS})")
    for page, texts in wrong.items():
        for text in texts.values():
            print(f"MISSED {page.name}: {text}", file=sys.stderr)
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
