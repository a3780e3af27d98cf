"""Run a script that readers copy as `python SCRIPT ...` would, in about half the time.

A new interpreter takes longer to start than most scripts take to run, and the fast tests start a thousand. Here each script runs
in a child of a process that has loaded of the standard library what most of them import, and nothing else.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([
    __name__, "argparse", "array", "bisect", "collections.abc", "concurrent.futures", "contextlib", "csv", "dataclasses", "datetime", "hashlib", "html", "http.client",
    "itertools", "json", "math", "random", "re", "shutil", "sqlite3", "statistics", "struct", "subprocess", "tempfile", "tomllib", "typing", "urllib.request",
])


def ours(path: str | None) -> bool:
    """Whether a path lies in this repository and not in its environment of packages."""
    return bool(path) and Path(path).is_relative_to(ROOT) and not Path(path).is_relative_to(sys.prefix)


def become(script: Path, arguments: list[str], cwd: str, environment: dict[str, str], out: str, error: str) -> NoReturn:
    """In the child: what the interpreter does from its start to its end."""
    atexit._clear()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, file in enumerate((os.devnull, out, error)):
        os.dup2(os.open(file, os.O_RDWR), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    for name in [name for name, module in sys.modules.items() if ours(getattr(module, "__file__", None))]:
        del sys.modules[name]
    more = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [str(script.parent), *filter(None, more), *(path for path in sys.path if path and not ours(path))]
    sys.argv = [str(script), *arguments]
    code: object = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((code or 0) & 0xFF)


def run(script: Path, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The exit code and what was printed. ``variables`` come on top of the environment. Standard input is empty."""
    words = [*map(str, arguments)]
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as out, tempfile.NamedTemporaryFile("w+", encoding="utf-8") as error:
        child = FORKS.Process(target=become, args=(script, words, str(cwd), os.environ | variables, out.name, error.name))
        child.start()
        child.join()
        result = subprocess.CompletedProcess([sys.executable, str(script), *words], child.exitcode, out.read(), error.read())
        child.close()
        return result
