"""The reader's terminals: one shell that runs a page's commands in order, and programs left running beside it.

A ``Shell`` keeps its folder and exported variables from one command to the next. ``Terminals`` holds the programs that a
page tells the reader to leave running, by the caption of their block, and stops them as Ctrl+C would: by their own process
ids, together with every process they started.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil

ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")


def as_seen(output: str) -> str:
    """What a terminal shows in the end: no color codes, and of a progress bar its last state."""
    lines = ANSI.sub("", output).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in lines)


class Shell:
    """Runs commands one by one in ``folder``; ``cd``, ``export``, functions and ``$?`` carry over."""

    def __init__(self, folder: Path, state: Path, environment: dict[str, str]) -> None:
        self.folder, self.state, self.environment = folder, state, environment
        self.status = 0

    def run(self, command: str, timeout: float) -> str:
        """Run ``command``, set ``status`` to its exit code and return what it printed (stdout and stderr)."""
        state = shlex.quote(str(self.state))
        script = (
            f"[ -f {state} ] && . {state}\n(exit {self.status})\n{command}\n"
            f"__status=$?\n{{ declare -f; export -p; echo cd \"$(printf %q \"$PWD\")\"; }} > {state}\nexit $__status\n"
        )
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout)
            self.status = process.returncode
        except subprocess.TimeoutExpired:
            stop_tree(process.pid)
            output, self.status = f"{process.communicate()[0]}\n[still running after {timeout:.0f} s]", 124
        return as_seen(output).strip("\n")


class Running:
    """A program that goes on while the reader works in another terminal."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            # A child of a background job may inherit "ignore" for Ctrl+C; a reader's terminal does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.output += line

    def seen(self) -> str:
        return as_seen(self.output).strip("\n")

    def wait_until(self, ready, timeout: float) -> bool:
        """True as soon as ``ready(output)`` holds; False if the program ends or time runs out before."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if ready(self.seen()):
                return True
            if self.process.poll() is not None:
                time.sleep(0.2)
                return ready(self.seen())
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        stop_tree(self.process.pid)


def stop_tree(pid: int, patience: float = 20) -> None:
    """Ctrl+C for ``pid`` and its process group, then end whatever of its family is still there, each by its own id."""
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for send, wait in ((lambda: os.killpg(pid, signal.SIGINT), patience), (None, 5)):
        if send:
            try:
                send()
            except ProcessLookupError:
                pass
        else:
            for process in family:
                _quietly(process.terminate)
        # Ctrl+C reaches the parent first; its children may outlive it by a moment.
        _, family = psutil.wait_procs(family, timeout=wait)
        if not family:
            return
    for process in family:
        _quietly(process.kill)
    psutil.wait_procs(family, timeout=5)


def _quietly(action) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        pass


class Terminals:
    """The programs a page keeps running, by the caption of the block that started them."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}

    def start(self, caption: str, command: str, folder: Path, environment: dict[str, str]) -> Running:
        if caption in self.running:
            self.running.pop(caption).stop()
        self.running[caption] = Running(command, folder, environment)
        return self.running[caption]

    def output(self) -> str:
        return "\n".join(program.seen() for program in self.running.values())

    def stop(self) -> None:
        for program in reversed(list(self.running.values())):
            program.stop()
        self.running.clear()
