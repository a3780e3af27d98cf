"""Finds the browser that the tests drive, and installs one where that is possible. `make browser` runs it.

An installed Chromium or Chrome first; else the one that Playwright downloads; else, as root on Debian, its package.
A font is part of it: without one, nothing is painted, and every measurement comes out falsely clean.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No background traffic: a browser that calls home would be taken for a page that does.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


def installed() -> str | None:
    """The path of a browser on PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def downloaded() -> bool:
    """True if Playwright's own browser is there, or could be downloaded now."""
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return subprocess.run(command, capture_output=True, timeout=600).returncode == 0


def apt_install(*packages: str) -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            return False
    return True


def has_font() -> bool:
    listing = shutil.which("fc-list") and subprocess.run(["fc-list"], capture_output=True, text=True).stdout
    return bool(listing and listing.strip()) or sys.platform == "darwin"


def main() -> int:
    if not installed() and not downloaded() and not apt_install("chromium"):
        print("The tests need a browser. Install Chromium: apt-get install chromium, or brew install --cask chromium", file=sys.stderr)
        return 1
    if not has_font() and not apt_install("fontconfig", "fonts-dejavu-core"):
        print("The browser has no font to paint with. Install one: apt-get install fonts-dejavu-core", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
