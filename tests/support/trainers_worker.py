"""Runs several commands of a page in one process of the trainers' environment, which takes long to import.

    .venv-trainers/bin/python trainers_worker.py FOLDER '[["check_loaders", "sft", "--for", "trl", "sft.jsonl"], ...]'

Prints one JSON line for each: its exit code and what it printed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import traceback


def run(module: str, arguments: list[str]) -> dict:
    out = io.StringIO()
    sys.argv = [module, *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = importlib.import_module(module).main()
        except SystemExit as end:
            code = end.code
        except Exception:
            code = traceback.format_exc()
    return {"code": code, "out": out.getvalue()}


if __name__ == "__main__":
    folder, commands = sys.argv[1:]
    os.chdir(folder)
    sys.path.insert(0, folder)
    answers = [run(module, arguments) for module, *arguments in json.loads(commands)]
    for answer in answers:
        print("ANSWER", json.dumps(answer))
