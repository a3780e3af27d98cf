"""How fast the site is: what each page weighs, when a phone has painted it, and how long the builds take. `make measure` runs it.

A first visit under the conditions of Lighthouse's mobile run: a screen of 412 x 823, a processor slowed down fourfold, 1.6 Mbit/s
and 150 ms for each request. LCP is when the largest part of the first screen was painted, CLS how far parts of it jumped. The
server compresses as hosts do. Times are the median of the runs. The builds take place in a copy, with the machine's own speed.

Exit code: 0 within all budgets, 1 if one is missed (each is named), 2 for bad input.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from browser import FLAGS, installed
from pages import ROOT
from site_map import HTML, PAGES

BUDGET = {"kB": 80, "requests": 14, "LCP s": 2.0, "CLS": 0.02, "rebuild s": 1.0}
REFERENCE_KB = 90
SEARCH_KB = 173  # the scripts and the index that the first search asks for
COLD_BUILD_SECONDS = 5.0
NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
CPU_SLOWDOWN = 4
PHONE = {"width": 412, "height": 823}
OBSERVE = """
    window.seen = {lcp: 0, cls: 0};
    new PerformanceObserver(list => list.getEntries().forEach(e => seen.lcp = e.startTime)).observe({type: "largest-contentful-paint", buffered: true});
    new PerformanceObserver(list => list.getEntries().forEach(e => seen.cls += e.hadRecentInput ? 0 : e.value)).observe({type: "layout-shift", buffered: true});
"""


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, compressed; the answers are kept, since it is the network that is measured."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        body = compressed(path)
        self.send_response(200)
        for name, value in {"Content-Type": self.guess_type(path), "Content-Encoding": "gzip", "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@functools.cache
def compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9)


def search_weight() -> float:
    """kB, compressed, that the first search of a visit asks for."""
    files = ("search-index.js", *(f"_static/search/{name}.js" for name in ("minisearch.min", "engine", "results")))
    return sum(len(compressed(HTML / file)) for file in files) / 1000


def weight_limit(name: str) -> float:
    return REFERENCE_KB if "/reference/" in name else BUDGET["kB"]


def visit(browser: Any, address: str, name: str) -> dict[str, float]:
    """One first visit to a page of the served site."""
    context = browser.new_context(viewport=PHONE, device_scale_factor=1.75, is_mobile=True, has_touch=True)
    tab = context.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.add_init_script(OBSERVE)
    conditions = context.new_cdp_session(tab)
    conditions.send("Network.enable")
    conditions.send("Network.emulateNetworkConditions", NETWORK)
    conditions.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})
    tab.goto(f"{address}/{name}.html", wait_until="networkidle")
    seen = tab.evaluate("seen")
    context.close()
    weight = sum(len(compressed(HTML / urlsplit(url).path.lstrip("/"))) for url in asked)
    return {"kB": weight / 1000, "requests": len(asked), "LCP s": seen["lcp"] / 1000, "CLS": seen["cls"]}


def visits(names: list[str], runs: int) -> dict[str, dict[str, float]]:
    from playwright.sync_api import sync_playwright

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Compressing, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        found = {}
        for name in names:
            results = [visit(browser, address, name) for _ in range(runs)]
            found[name] = {key: statistics.median(result[key] for result in results) for key in results[0]}
        browser.close()
    server.shutdown()
    return found


def builds(names: list[str], runs: int) -> tuple[float, dict[str, float]]:
    """Seconds for the whole site from nothing, and for each page after a change to it; strict, as `make html`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("conf.py", "pyproject.toml", "LICENSE"):
            shutil.copy2(ROOT / name, folder / name)
        shutil.copytree(ROOT / "docs", folder / "docs")
        sphinx = re.search(r"^SPHINX := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1]
        command = [*sphinx.replace("$(BIN)", f"{ROOT}/.venv/bin").split(), "docs", "html"]

        def seconds(prepare: Callable[[], object]) -> float:
            found = []
            for _ in range(runs):
                prepare()
                start = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True)
                found.append(time.perf_counter() - start)
            return statistics.median(found)

        def change(name: str) -> None:
            with (folder / "docs" / f"{name}.md").open("a", encoding="utf-8") as page:
                page.write("\nOne more line.\n")

        whole = seconds(lambda: shutil.rmtree(folder / "html", ignore_errors=True))
        return whole, {name: seconds(functools.partial(change, name)) for name in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="*", help="the last part of a page's address (default: all pages)")
    parser.add_argument("--runs", type=int, default=3, help="visits and builds of each page, of which the median counts (default: 3)")
    options = parser.parse_args()
    names = [page.name for page in PAGES if not options.page or page.path.stem in options.page]
    if not names or options.runs < 1:
        parser.error(f"no such page; there are: {', '.join(page.path.stem for page in PAGES)}" if not names else "--runs: at least 1")
    found = visits(names, options.runs)
    cold, rebuilds = builds(names, options.runs)
    missed = []
    width = max(map(len, names))
    print(f"{'page':{width}}" + "".join(f"{key:>11}" for key in BUDGET))
    for name in names:
        values = {**found[name], "rebuild s": rebuilds[name]}
        limits = BUDGET | {"kB": weight_limit(name)}
        print(f"{name:{width}}" + "".join(f"{values[key]:>11.3g}" for key in BUDGET))
        missed += [f"{name}: {key} {values[key]:.3g}, budget {limit}" for key, limit in limits.items() if values[key] > limit]
    searching = search_weight()
    print(f"The first search: {searching:.0f} kB")
    if searching > SEARCH_KB:
        missed.append(f"the first search: {searching:.0f} kB, budget {SEARCH_KB}")
    print(f"The whole site from nothing: {cold:.1f} s")
    if cold > COLD_BUILD_SECONDS:
        missed.append(f"the whole site from nothing: {cold:.1f} s, budget {COLD_BUILD_SECONDS}")
    for line in missed:
        print(f"MISSED {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
