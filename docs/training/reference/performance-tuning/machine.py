"""What the measurements on this page share: a record of the machine, programs started and stopped, one JSON file per measurement."""

import contextlib
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil


class BadInput(Exception):
    """Something the reader can put right; shown as one line."""


def cores() -> int:
    """Cores that this program may use: fewer than the machine has where it is pinned."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def record(hardware: str | None) -> dict:
    """Release, versions, hardware, date, and how many cores other programs kept busy before, over two seconds."""
    try:
        release = metadata.version("nemo-gym")
    except metadata.PackageNotFoundError:
        raise BadInput("nemo-gym is not installed here. Run the script with the Python that has it.") from None
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    return {
        "release": f"nemo-gym {release}", "python": platform.python_version(), "date": datetime.date.today().isoformat(),
        "hardware": hardware or name, "cores": cores(), "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "busy_before": round(psutil.cpu_percent(2) / 100 * (os.cpu_count() or 1), 2),
    }


def write(path: Path, data: dict) -> None:
    """Through a temporary name, so that a stopped run leaves no half file."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    print(f"Wrote {path}")


def program(name: str) -> str:
    """The path of a program of the environment that runs this script."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if not found:
        raise BadInput(f"{name} is not on PATH. Activate the environment that has NeMo Gym.")
    return found


@contextlib.contextmanager
def running(command: list, folder: Path, ready: str, seconds: float) -> Iterator[tuple[subprocess.Popen, float]]:
    """A program in the background, from the moment the page at ``ready`` answers; with the seconds that took. Stopped in the end."""
    if answers(ready):
        raise BadInput(f"something answers at {ready} already: stop it first")
    log = folder / f"{Path(str(command[0])).name}-{len(list(folder.glob('*.log')))}.log"
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen([str(word) for word in command], cwd=folder, stdout=output, stderr=output, start_new_session=True)
    try:
        while not answers(ready):
            if process.poll() is not None or time.monotonic() - started > seconds:
                raise BadInput(f"{' '.join(map(str, command))} is not ready after {seconds:g} s: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process, time.monotonic() - started
    finally:
        stop(process)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(address, timeout=5).status == 200
    return False


def stop_in_order() -> None:
    """Let `kill` and `timeout` end this program as Ctrl+C does, so that it stops what it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def stop(process: subprocess.Popen) -> None:
    """As Ctrl+C would; what is left after a while is killed, with all it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGINT)
        for left in psutil.wait_procs(family, timeout=15)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
    process.wait()
