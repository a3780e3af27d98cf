"""Runs `gym` commands one after the other without starting Python anew. Runs in the environment that has Gym.

Imports nothing of this repository. ``{"arguments": [...], "folder": PATH, "code": TEXT or null}`` on stdin gives
``{"status": NUMBER, "printed": TEXT}`` on stdout. With ``code``, that Python runs in place of a command.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever the package prints must not mix with the answers


def run(arguments: list[str], folder: str, code: str | None, environment: dict[str, str]) -> None:
    """Be the process of this command; never returns."""
    status = 1
    try:
        os.chdir(folder)
        os.environ.update(environment)
        if code is not None:
            exec(compile(code, "<test>", "exec"), {"__name__": "__main__"})  # noqa: S102
        else:
            sys.argv = ["gym", *arguments]
            main()
        status = 0
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


from nemo_gym.cli.main import main  # noqa: E402
import nemo_gym.cli.env, nemo_gym.cli.eval, nemo_gym.rollout_collection  # noqa: E401, E402, F401

for line in sys.stdin:
    question = json.loads(line)
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            run(**question)
        _, result = os.waitpid(child, 0)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    print(json.dumps({"status": os.waitstatus_to_exitcode(result), "printed": printed}), file=answers, flush=True)
