"""Fixtures that several test modules share."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import FLAGS, installed
from gym_environment import gym_environment
from pages import DOCS
from proofs import Proof, Worker
from site_map import HTML

# Scripts of a page's folder find there what all pages share, as they do in the folder that readers unpack.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(DOCS / "training" / "index"), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def gym_python() -> Path:
    """The interpreter that has the package under documentation."""
    return gym_environment().python


@pytest.fixture(scope="session")
def worker(gym_python: Path) -> Iterator[Worker]:
    worker = Worker(gym_python)
    yield worker
    worker.close()


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Iterator[Proof]:
    """Of a test with the mark ``proves``; one of a table has the entry as its parameter ``id``."""
    call = getattr(request.node, "callspec", None)
    ids = {call.params["id"]} if call and "id" in call.params else set(request.node.get_closest_marker("proves").args)
    proof, failed = Proof(ids), request.session.testsfailed
    yield proof
    if request.session.testsfailed == failed:
        proof.finish()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The built site, served from a sub-path's worth of nothing: any free port of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable]:
    """Open an address in a fresh profile, with the options of a Playwright context."""
    contexts = []

    def opened(address: str, **options):
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        contexts.append(context)
        context.set_default_timeout(120_000)  # several tests share two cores
        tab = context.new_page()
        tab.goto(address)
        return tab

    yield opened
    for context in contexts:
        context.close()
