"""Graphviz, with which Gym's own profiler draws: found, or installed where that is possible. `make graphviz` runs it."""

from __future__ import annotations

import shutil
import sys

from browser import apt_install


def main() -> int:
    """Elsewhere the blocks that need it are recorded as not run."""
    if not shutil.which("dot") and not apt_install("graphviz"):
        print("No Graphviz here: blocks that profile are not run. To run them, as root on Debian or Ubuntu: apt-get install graphviz", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
