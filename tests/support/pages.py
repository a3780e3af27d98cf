"""Every fence of every page is a test item, run in the page's order in one folder. CONTRIBUTING.md has the conventions."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import compare
from compare import Varies
from sybil import Document, Example, Region
from terminals import Shell, Terminals

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
UV = ROOT / ".venv" / "bin" / "uv"
MINIMUM = re.search(r"^GYM_MINIMUM_PYTHON := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1]
PORTS = {8000: "the practice endpoint", 8001: "a second endpoint", 8002: "a third endpoint", 11000: "Gym's head server"}
# Several pages may share two cores.
COMMAND_SECONDS, START_SECONDS = 900, 600
NOT_RUN = "Not run here: "
# Run once, on hardware that `make test` does not have; the log of it is committed.
ON_GPU = "Run on an H200"
GPU_LOG = DOCS / "training" / "reference" / "performance-tuning" / "gpu" / "h200" / "page_commands.json"
NEEDS_SLURM, NEEDS_GRAPHVIZ = "needs-slurm", "needs-graphviz"
# Files that a program finds without being told: a block for one of them is used once the program runs.
FOUND_BY = {"env.yaml": "gym ", ".gitignore": "git "}
# Directives that hold no text a reader would copy.
SILENT = {"toctree", "plot", "diagram", "page-files", "guide-cards", "dimension-matrix", "problem-list", "problem-finder", "planner", "figure", "image", "list-table"}

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks)`* *$", re.M | re.S)
OPTION = re.compile(r"^:(?P<key>[\w-]+):[ ]*(?P<value>.*)$")


@dataclass
class Block:
    """One fence: what it is, its options, its text, and where it stands."""

    kind: str
    argument: str
    options: dict[str, str]
    text: str
    line: int
    source: Path

    @property
    def caption(self) -> str:
        return self.options.get("caption", "").strip("\"'")

    @property
    def keeps_running(self) -> bool:
        return "keep-running" in self.options.get("class", "")

    def lacks(self, environment: dict[str, str]) -> str | None:
        """What the block needs and this machine has not. CI has all of it: there, the block fails."""
        needs = self.options.get("class", "")
        if NEEDS_SLURM in needs and "SLURM_CONF" not in environment:
            return "Slurm"
        return "Graphviz" if NEEDS_GRAPHVIZ in needs and not shutil.which("dot") and not os.environ.get("CI") else None

    def commands(self) -> list[tuple[str, str]]:
        """The (command, shown output) pairs of a console block."""
        pairs: list[list[list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                pairs.append([[line[2:]], []])
            elif pairs and not pairs[-1][1] and (line.startswith("> ") or pairs[-1][0][-1].endswith("\\")):
                pairs[-1][0].append(line.removeprefix("> "))
            elif pairs:
                pairs[-1][1].append(line.rstrip())
            elif line.strip():
                raise ValueError(f"a console block starts with `$ `, this one with: {line}")
        return [("\n".join(command), "\n".join(shown).strip("\n")) for command, shown in pairs]


def blocks_of(text: str, source: Path) -> Iterator[tuple[re.Match, Block]]:
    """Every fence of a page, with the place where it stands."""
    for match in FENCE.finditer(text):
        indent, info = match["indent"], match["info"].strip()
        lines = [line.removeprefix(indent) for line in match["body"].splitlines()]
        kind, _, argument = info.partition(" ")
        options = {}
        if kind.startswith("{"):
            while lines and (option := OPTION.match(lines[0])):
                options[option["key"]] = option["value"]
                lines.pop(0)
            if kind == "{code-block}":
                kind, argument = argument.strip(), ""
        line = text.count("\n", 0, match.start()) + 1
        yield match, Block(kind, argument.strip(), options, "\n".join(lines).strip("\n"), line, source)


def outputs_of(text: str, source: Path) -> list[str]:
    """The lines that a page shows as printed."""
    shown = []
    for _, block in blocks_of(text, source):
        if block.kind == "console":
            shown += [line for _, output in block.commands() for line in output.split("\n")]
        elif block.kind == "text":
            shown += block.text.split("\n")
    return shown


def path_from(block: Block) -> Path:
    """The file that a directive's argument names: relative to the page, or to docs/ with a leading slash."""
    return DOCS / block.argument[1:] if block.argument.startswith("/") else block.source.parent / block.argument


@dataclass
class Gym:
    """The environment that has the package under documentation, and a worker in it that answers questions."""

    folder: Path
    servers: Path
    _worker: subprocess.Popen | None = field(default=None, repr=False)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def ask(self, question: str, **details: str) -> str | None:
        """None if the package has no objection, else what it says."""
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [self.python, ROOT / "tests" / "support" / "gym_worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )
        print(json.dumps({"ask": question, **details}), file=self._worker.stdin, flush=True)
        answer = self._worker.stdout.readline()
        return json.loads(answer)["error"] if answer else f"the worker died on: {question} {details}"

    def close(self) -> None:
        if self._worker:
            self._worker.stdin.close()
            self._worker.wait(120)

    def put_on_path(self, folder: Path) -> None:
        """Write `gym` and `uv` into ``folder``: that `gym` uses one ready environment for all servers, where Gym would build one each.

        That costs minutes. Only into a folder that the reader names, `gym env prefetch` builds, from uv's cache (`reader` fills it). `uv`
        lets an older Python stand in for the one that the package asks for, as `make gym` does. A reader needs none of this.
        """
        base = self.python.resolve()
        uv = shlex.quote(str(UV))
        stand_in = folder / "uv"
        stand_in.write_text(
            "#!/bin/bash\n"
            f'{uv} python find -q --no-project --no-python-downloads {MINIMUM} > /dev/null 2>&1 && exec {uv} "$@"\n'
            f'[ "$1 $2" != "pip install" ] || exec {uv} pip install --python-version {MINIMUM} "${{@:3}}"\n'
            f'exec {uv} "${{@/#{MINIMUM}/{base}}}"\n'
        )
        stand_in.chmod(0o755)
        for kind in ("resources_servers", "responses_api_agents", "responses_api_models", "environment_servers"):
            for app in (self.servers_installed() / kind).glob("**/app.py"):
                link = self.servers / app.parent.parent.name / app.parent.name / ".venv"
                link.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):  # of an earlier run, or of a page that runs beside this one
                    link.symlink_to(self.folder)
        shim = folder / "gym"
        shim.write_text(
            "#!/bin/bash\n"
            f'gym={shlex.quote(str(self.folder / "bin" / "gym"))}\n'
            'if [[ "$*" == "env prefetch "*uv_venv_dir=* ]]; then\n'
            f'  PATH=$PATH:{shlex.quote(str(base.parent))} exec "$gym" "$@" ++uv_cache_dir="$({uv} cache dir)"\n'
            'fi\n'
            'case "$1 $2" in\n'
            '"env start" | "env test" | "env prefetch" | "eval run" | "eval reverify" | "eval prepare")\n'
            # A server that the reader wrote uses the ready environment as well.
            '  for its in {resources_servers,responses_api_models}/*/requirements.txt; do\n'
            f'    venv={shlex.quote(str(self.servers))}/${{its%/requirements.txt}}/.venv\n'
            f'    [ ! -e "$its" ] || [ -e "$venv" ] || {{ mkdir -p "${{venv%/.venv}}"; ln -sfn {shlex.quote(str(self.folder))} "$venv"; }}\n'
            '  done\n'
            f'  exec "$gym" "$@" ++skip_venv_if_present=true ++uv_venv_dir={shlex.quote(str(self.servers))} ;;\n'
            '*) exec "$gym" "$@" ;;\n'
            "esac\n"
        )
        shim.chmod(0o755)

    def servers_installed(self) -> Path:
        return next((self.folder / "lib").glob("python3.*/site-packages"))


class Page:
    """A reader at work on one page: a folder with the page's files, a shell, and the programs left running."""

    def __init__(
        self, path: Path, folder: Path, programs: Path, environment: dict[str, str], gym: Gym, update: bool = False,
        numbers: bool = False, varies: Path = DOCS / "varies",
    ) -> None:  # fmt: skip
        self.path, self.folder, self.gym, self.update, self.numbers = path, folder, gym, update, numbers
        self.environment = {**environment, "PATH": f"{programs}:{gym.folder / 'bin'}:{environment['PATH']}"}
        self.shell = Shell(folder, folder.parent / f"{folder.name}.state", self.environment)
        self.terminals = Terminals()
        self.printed = ""
        self.records: list[dict] = []
        self.failed_line: int | None = None
        self.new_text: dict[Path, list[tuple[str, str]]] = {}
        text = path.read_text(encoding="utf-8")
        own = [block for _, block in blocks_of(text, path)]
        included = [
            block for fence in own if fence.kind == "{include}"
            for _, block in blocks_of(path_from(fence).read_text(encoding="utf-8"), path_from(fence))
        ]
        self.varies = {block.source: Varies(varies, block.source) for block in own + included}
        self.expected = sum(1 for block in own if block.kind.strip("{}") not in SILENT)
        self.tried = 0
        self.started = time.monotonic()
        self.all_commands = "\n".join(
            command for block in own + included if block.kind == "console" and not block.caption.startswith((NOT_RUN, ON_GPU))
            for command, _ in block.commands()
        )

    @property
    def complete(self) -> bool:
        """True if every block of the page was verified."""
        return self.failed_line is None and self.tried == self.expected

    # One method per kind of block. Each returns None, or what is wrong.

    def check(self, block: Block) -> str | None:
        """Verify one block and record how."""
        if self.failed_line:
            return f"not tried: the block at line {self.failed_line} of this page failed, and this one may need it"
        if block.kind.strip("{}") in SILENT:
            return None
        try:
            if block.caption.startswith(NOT_RUN):
                return self._not_run(block)
            if block.caption.startswith(ON_GPU):
                return self._on_gpu(block)
            if lacking := block.lacks(self.environment):
                return self._record(block, "not-run", reason=f"no {lacking} on the machine of the test")
            checks = {
                "console": self._console, "python": self._python, "yaml": self._yaml, "json": self._rows,
                "jsonl": self._rows, "text": self._text, "{literalinclude}": self._file, "{include}": self._include,
            }
            if block.kind not in checks and not self._is_file(block):
                return f"nothing verifies a `{block.kind}` block: see CONTRIBUTING.md"
            error = self._save(block) if self._is_file(block) else checks[block.kind](block)
        except ValueError as wrong:
            error = str(wrong)
        if error:
            self.failed_line = block.line
        elif block.kind != "{include}":
            self._record(block, "executed")
        return error

    def _record(self, block: Block, status: str, **more: str) -> None:
        entry = {"line": block.line, "kind": block.kind.strip("{}"), "status": status, **more}
        if block.source != self.path:
            entry["file"] = block.source.relative_to(DOCS).as_posix()
        self.records.append(entry)

    @staticmethod
    def _is_file(block: Block) -> bool:
        return block.kind != "console" and "." in block.caption and not block.kind.startswith("{")

    def _console(self, block: Block) -> str | None:
        commands = block.commands()
        if block.keeps_running:
            return self._keep_running(block, commands)
        outputs = []
        for number, (command, shown) in enumerate(commands):
            printed = self._as_home(self.shell.run(command, COMMAND_SECONDS))
            self.printed += printed + "\n"
            expects_failure = number + 1 < len(commands) and commands[number + 1][0] == "echo $?"
            if self.shell.status and not expects_failure:
                return f"$ {command}\nexit code {self.shell.status}:\n{printed}\n{self._others()}"
            text, problem = self._hold(block, shown, printed)
            if problem is not None:
                return f"$ {command}\n{problem}the page shows:\n{shown}\nit printed:\n{printed}\n{self._others()}"
            outputs.append(text)
        self._show(block, outputs)
        return None

    def _keep_running(self, block: Block, commands: list[tuple[str, str]]) -> str | None:
        if len(commands) != 1 or not block.caption:
            return "a keep-running block holds one command, and its caption names the terminal"
        command, shown = commands[0]
        program = self.terminals.start(block.caption, command, self.folder, self.shell.environment)
        program.wait_until(lambda seen: self._hold(block, shown, self._as_home(seen), "...", peek=True)[1] is None, START_SECONDS)
        text, problem = self._hold(block, shown, self._as_home(program.seen()), "...")
        if problem is not None:
            return f"$ {command}\n{problem}the page shows:\n{shown}\nso far it printed:\n{program.seen()}"
        self._show(block, [text])
        return None

    def _as_home(self, printed: str) -> str:
        """The page's folder as a reader may have it."""
        return printed.replace(str(self.folder), f"/home/you/{self.folder.name}")

    def _hold(self, block: Block, shown: str, printed: str, end: str = "", peek: bool = False) -> tuple[str, str | None]:
        """What the page is to show, and what is wrong with what it shows."""
        varies = self.varies[block.source]
        if not self.update:
            return shown, compare.problem(shown, printed, varies, end)
        return compare.record(shown, printed, varies, end, self.numbers, peek)

    def _show(self, block: Block, outputs: list[str]) -> None:
        commands = [command for command, _ in block.commands()]
        self._rewrite(block, "\n".join(f"$ {command}" + (f"\n{output}" if output else "") for command, output in zip(commands, outputs)))

    def _rewrite(self, block: Block, text: str) -> None:
        if self.update and text != block.text:
            self.new_text.setdefault(block.source, []).append((block.text, text))

    def _others(self) -> str:
        return "".join(f"--- {name}\n{p.seen()[-3000:]}\n" for name, p in self.terminals.running.items())

    def _python(self, block: Block) -> str | None:
        result = subprocess.run(
            [self.gym.python, "-c", block.text], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=COMMAND_SECONDS,
        )
        self.printed += result.stdout
        return f"exit code {result.returncode}:\n{result.stderr}" if result.returncode else None

    def _yaml(self, block: Block) -> str | None:
        return self.gym.ask("configuration", text=block.text, folder=str(self.folder))

    def _rows(self, block: Block) -> str | None:
        rows = [block.text] if block.kind == "json" else block.text.splitlines()
        return next((error for row in rows if (error := self.gym.ask("row", text=row))), None)

    def _text(self, block: Block) -> str | None:
        seen = self.printed + self._as_home(self.terminals.output())
        text, problem = self._hold(block, f"...\n{block.text}", seen, "...")
        self._rewrite(block, text.removeprefix("...\n"))
        return None if problem is None else f"no command of this page has printed this\n{problem}"

    def _file(self, block: Block) -> str | None:
        path = path_from(block)
        if not path.exists():
            return f"no such file: {block.argument}"
        return None if path.name in self.all_commands else f"no command of this page uses {path.name}"

    def _save(self, block: Block) -> str | None:
        """Write a block to the file that its caption names. A command of the page must use it."""
        path = self.folder / block.caption
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text + "\n", encoding="utf-8")
        used = path.name in self.all_commands or FOUND_BY.get(path.name, "\0") in self.all_commands
        return None if used else f"no command of this page uses {block.caption}"

    def _include(self, block: Block) -> str | None:
        path = path_from(block)
        for _, inner in blocks_of(path.read_text(encoding="utf-8"), path):
            if error := self.check(inner):
                return f"{path.relative_to(ROOT)}:{inner.line}: {error}"
        return None

    def _not_run(self, block: Block) -> str | None:
        """Check what a program can check without running it: shell syntax, and of `gym` commands each flag and key."""
        if not block.caption.removeprefix(NOT_RUN).strip():
            return "say why this block is not run"
        if block.kind not in ("console", "bash"):
            return f"a `{block.kind}` block can be verified; only shell blocks may say that they are not run"
        commands = [command for command, _ in block.commands()] if block.kind == "console" else [block.text]
        for command in commands:
            syntax = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
            if syntax.returncode:
                return f"$ {command}\n{syntax.stderr}"
        gym_commands = [c.replace("\\\n", " ") for c in commands if c.startswith("gym ")]
        for command in gym_commands:
            if error := self.gym.ask("command", text=command):
                return error
        checked = commands and len(gym_commands) == len(commands)
        self._record(block, "validated" if checked else "not-run", reason=block.caption.removeprefix(NOT_RUN))
        return None

    def _on_gpu(self, block: Block) -> str | None:
        """The log holds a run of this very block that ended well; gpu/page_commands.py made it."""
        text = block.text.strip("\n")
        runs = json.loads(GPU_LOG.read_text(encoding="utf-8"))
        run = next((run for run in runs.values() if (run["page"], run["block"]) == (self.path.stem, text)), None)
        if run is None or run["exit_code"]:
            return f"{GPU_LOG.name} has no run of this block as it stands: run it with gpu/page_commands.py, or say why it is not run"
        return self._record(block, "on-gpu", date=run["date"], hardware=run["hardware"])

    def close(self) -> None:
        """Stop what runs, write recorded outputs into the page, and insist that the ports are free again."""
        self.terminals.stop()
        for source, changes in self.new_text.items():
            text = source.read_text(encoding="utf-8")
            for old, new in changes:
                for match, block in blocks_of(text, source):
                    if block.text == old:
                        indent = match["indent"]
                        pad = lambda t: "\n".join(indent + line if line else line for line in t.splitlines())  # noqa: E731
                        text = text[:match.start("body")] + match["body"].replace(pad(old), pad(new)) + text[match.end("body"):]
                        break
            source.write_text(text, encoding="utf-8")
        if self.update and self.complete:
            for source, varies in self.varies.items():
                varies.write(outputs_of(source.read_text(encoding="utf-8"), source))
        require_free_ports()


def require_free_ports() -> None:
    """Fail if a program of a page still listens, or another one would be mistaken for it."""
    for port, owner in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise RuntimeError(f"port {port} ({owner}) is taken: stop the program that listens there") from None


def copy_files(files: dict[str, Path], folder: Path) -> None:
    """What the reader has after unpacking the page's zip."""
    for name, path in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def evaluate(example: Example) -> str | None:
    page = example.namespace["page"]
    page.tried += 1
    return page.check(example.parsed)


def parse(document: Document) -> Iterable[Region]:
    """Sybil's view of a page: one region per fence."""
    for match, block in blocks_of(document.text, Path(document.path)):
        if block.kind.strip("{}") not in SILENT:
            yield Region(match.start(), match.end(), block, evaluate)
