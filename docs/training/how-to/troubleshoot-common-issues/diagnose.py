"""Collects what somebody needs who is to help you with NeMo Gym into one report, less what looks like a secret.

Versions, limits, ports, servers, the model endpoint, the resolved configuration, the failures of a run and the last errors
of its logs. Start it with the Python that has Gym installed, in the folder that you work in:

    python diagnose.py --config servers.yaml --log servers.log --failures results/rollouts_failures.jsonl

Exit code 0: nothing looks wrong; 1: something does, and the report begins with it; 2: bad input.
"""

from __future__ import annotations

import argparse
import collections
import importlib.metadata
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ["nemo-gym", "ray", "openai", "pydantic", "aiohttp", "vllm", "torch", "transformers"]
HEAD_PORT = 11000
LEAST_FILES, LEAST_MEMORY_GB, LEAST_DISK_GB = 4096, 1.0, 2.0
LONGEST_TEMPORARY_FOLDER = 45  # characters: Ray puts the paths of its sockets, at most 107 bytes, below it
CONFIGURATION_SECONDS = 120
LAST_ERRORS, LOG_TAIL_BYTES, WIDTH = 15, 5_000_000, 400

SECRET_NAME = r"[\w-]*(?:key|token|secret|pass(?:word|wd|phrase)|credential|authorization|cookie)s?(?:[-_](?:prod(?:uction)?|dev|test|staging|old|new|value|id|[a-z\d]))?"
# A value behind a name that sounds like a secret: `name: value`, `"name": "value"`, `--name value`, `name=value`, `name: [a, b]`,
# and in a log the same with escaped quotes. In quotes it may have several words.
VALUE = r"\[[^\]\n]*\]|(?:Bearer |Basic )?[^\s\"',}\\&]+"
NAMED = re.compile(
    rf"(?i)(?<![\w-])(?:(?P<flag>--{SECRET_NAME}[ =])|(?P<name>{SECRET_NAME})(?P<between>[\\\"']*[ \t]*[:=][ \t]*))"
    rf"(?P<quote>\\*[\"'])?(?P<value>(?(quote)(?:(?!(?P=quote))(?:\\.|[^\n]))+|(?:{VALUE})))"
)
# In YAML: the rest of the line, and the lines below it that are indented further or are items of its list.
BLOCK = re.compile(rf"(?im)^(?P<name>(?P<indent>[ \t]*)(?:- )?{SECRET_NAME}:)(?P<value>(?:[ \t][^\n]*)?(?:\n(?P=indent)(?:[ \t]+|- )[^\n]+)*)$")
# Values that are secrets wherever they stand.
SHAPED = re.compile(
    r"\b(?:(?:sk|pk|rk|nvapi|glpat|xox[abp])-|(?:hf|ghp|gho)_|AKIA|eyJ)[-_A-Za-z0-9.]{12,}|(?<=Bearer )[^\s\"',}\\]+|(?<=://)[^/\s@]+(?=@)"
    r"|(?i:(?<=[?&]key=)|(?<=[?&]sig=)|(?<=[?&]token=)|(?<=api key: )|(?<=api key provided: ))[^\s&]+"
)
HARMLESS = re.compile(r"(?i)^(?:null|none|true|false|\d{1,6}|\*+|['\"]*)$")
# Counts of tokens, files and names of fields are no secrets, and a report without them is of no use; letters with digits may be one.
FILED = re.compile(r"(?i)^[\w-]*(?:_fpath|primary_key)$")
COUNTED = re.compile(r"(?i)^(?:[\w-]*tokens|key|token|keys|[\w-]*token_id)$")
MIXED = re.compile(r"(?=.*[A-Za-z])(?=.*\d).{8,}", re.S)
ERROR = re.compile(r"Error|ERROR|error=|Exception|🚨|finished unexpectedly|status=[45]\d\d|model_retry|Hit \d+ global|Killed|never answered")
NO_ERROR = re.compile(r"^Found ulimit of|^Traceback|^\s+(?:File|raise) ")  # says "Error", and names none


def known_secrets(*texts: str) -> list[str]:
    """Values behind names that sound like a secret, in the environment and in these texts, the longest first."""
    found = {value for name, value in os.environ.items() if re.fullmatch(f"(?i){SECRET_NAME}", name)}
    for text in texts:
        found |= {match["value"].strip("[]") for match in NAMED.finditer(text) if not is_harmless(match)}
        found |= {line.strip("-[]\"' \t") for match in BLOCK.finditer(text) if not is_harmless(match) for line in match["value"].splitlines()}
    return sorted((value for value in found if len(value) >= 6), key=len, reverse=True)


def is_harmless(match: re.Match) -> bool:
    value = match["value"].partition(" #")[0].strip()
    name = (match["name"] or "").strip(" \t-:")
    return bool(not value or FILED.match(name) or COUNTED.match(name) and not MIXED.search(value) or HARMLESS.match(value))


def clean(text: str, secrets: list[str]) -> str:
    """``text`` without secrets and without the name of your home folder."""
    for secret in secrets:
        text = text.replace(secret, "[removed]")
    text = SHAPED.sub("[removed]", text)
    text = BLOCK.sub(lambda match: match[0] if is_harmless(match) else f"{match['name']} [removed]", text)
    text = NAMED.sub(lambda match: match[0] if is_harmless(match) else text_before(match) + "[removed]", text)
    home = str(Path.home())
    return text if home == "/" else text.replace(home, "~")  # in some containers it is the root


def text_before(match: re.Match) -> str:
    return (match["flag"] or match["name"] + match["between"]) + (match["quote"] or "")


class Report:
    """Sections of text, and a list of what looks wrong."""

    def __init__(self) -> None:
        self.sections: list[str] = []
        self.wrong: list[str] = []

    def add(self, title: str, lines: Iterator[str] | list[str]) -> None:
        self.sections.append(f"## {title}\n\n```text\n" + "\n".join(lines) + "\n```\n")

    def text(self) -> str:
        wrong = "\n".join(f"- {line}" for line in self.wrong) or "Nothing."
        return "\n".join(["# NeMo Gym report\n", f"## What looks wrong\n\n{wrong}\n", *self.sections])


def versions(report: Report) -> Iterator[str]:
    yield f"python      {platform.python_version()} on {platform.platform()}"
    for name in PACKAGES:
        try:
            yield f"{name:<11} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            if name == "nemo-gym":
                report.wrong.append("This Python does not have nemo-gym: activate the environment that has it.")
                yield f"{name:<11} not installed"
    for program in ("gym", "uv"):
        yield f"{program:<11} {shutil.which(program) or 'not on PATH'}"
    if not shutil.which("uv"):
        report.wrong.append("uv is not on PATH, and Gym needs it to build the servers' environments.")


def limits(report: Report) -> Iterator[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield f"open files  {soft} of at most {hard}"
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        report.wrong.append(f"Only {soft} files may be open: `ulimit -n 65535` before servers and run start.")
    yield f"processors  {os.cpu_count()}"
    memory = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)) if Path("/proc/meminfo").exists() else {}
    if memory:
        available, total = (int(memory[key]) / 1e6 for key in ("MemAvailable", "MemTotal"))
        yield f"memory      {available:.1f} of {total:.1f} GB available"
        if available < LEAST_MEMORY_GB:
            report.wrong.append(f"Only {available:.1f} GB of memory are available.")
    for name, folder in (("disk here", Path.cwd()), ("disk tmp", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free / 1e9
        yield f"{name:<11} {free:.1f} GB free"
        if free < LEAST_DISK_GB:
            report.wrong.append(f"Only {free:.1f} GB are free in {folder}.")
    temporary = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(temporary) > LONGEST_TEMPORARY_FOLDER:
        report.wrong.append(f"The temporary folder has a long path ({len(temporary)} characters): `export RAY_TMPDIR=/tmp`.")


def listeners() -> dict[int, str]:
    """Ports of this machine that something listens on, with process id and command where they may be read (Linux)."""
    ports: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else []:
            fields = line.split()
            if fields[3] == "0A":  # listening
                ports[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    found = dict.fromkeys(ports.values(), "a process of another user")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                socket = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
                if socket and socket[1] in ports:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[ports[socket[1]]] = f"PID {process.name}: {command[:WIDTH].strip()}"
        except OSError:  # it ended, or belongs to another user
            continue
    return found


def get(url: str) -> tuple[int | None, str]:
    """Status and body of an address, or None and the reason. Sends no key."""
    url = re.sub(r"(?<=://)[^/@]+@", "", url)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}) if "//127.0.0.1" in url or "//localhost" in url else urllib.request.ProxyHandler())
        with opener.open(url, timeout=5) as reply:
            return reply.status, reply.read(1_000_000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.reason
    except (OSError, ValueError) as error:
        return None, str(getattr(error, "reason", error))


def servers(report: Report, head: str) -> Iterator[str]:
    status, body = get(f"{head}/server_instances")
    if status != 200:
        yield f"{head} does not answer: {body}"
        report.wrong.append(f"No servers of Gym answer at {head}: start them, or give --head.")
        return
    for server in json.loads(body):
        status, reason = get(server["url"])
        yield f"{'ready' if status else 'DEAD':<6}{server['process_name']} ({server['server_type']}/{server['name']}) {server['url']} PID {server['pid']}"
        if not status:
            report.wrong.append(f"The server {server['process_name']} does not answer: {reason}")


def endpoints(report: Report, configuration: str) -> Iterator[str]:
    """Does each model endpoint of the configuration answer, and does it have the models?"""
    addresses = re.findall(r"^\s*(?:-\s*)?(?:\w*base_url:\s*)?(https?://[^\s'\"\]]+)\s*$", configuration, re.M)
    models = set(re.findall(r"^\s*(?:\w*model_name|model|openai_model):\s*([^\s{}]+)\s*$", configuration, re.M))
    for url in dict.fromkeys(addresses):
        status, body = get(f"{url.rstrip('/')}/models")
        try:
            offered = [model["id"] for model in json.loads(body)["data"]] if status == 200 else []
        except (ValueError, KeyError, TypeError):
            offered = []
        yield f"{url}/models: {status if status else body}{'; offers ' + ', '.join(offered[:5]) if offered else ''}"
        if status is None:
            report.wrong.append(f"Nothing answers at {url}: {body}")
        elif status == 404:
            report.wrong.append(f"{url} has no /models: does the address lack /v1?")
        elif offered and models and not models & set(offered):
            report.wrong.append(f"{url} offers {', '.join(offered[:5])}, and the configuration asks for {', '.join(sorted(models))}.")
    if not addresses:
        yield "the configuration names no address"


def resolve(report: Report, files: list[str]) -> str:
    """The configuration as Gym resolves it, or what Gym says about it."""
    gym = shutil.which("gym") or str(Path(sys.executable).with_name("gym"))
    command = [gym, "env", "resolve", *(word for file in files for word in ("--config", file))]
    with tempfile.TemporaryDirectory() as scratch:  # commands of Gym leave a folder `outputs` where they run
        overrides = [f"++hydra.run.dir={scratch}"]
        environment = os.environ | {"COLUMNS": "10000", "NO_COLOR": "1"}  # one line for each message
        try:
            result = subprocess.run([*command, *overrides], env=environment, capture_output=True, text=True, timeout=CONFIGURATION_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            report.wrong.append("`gym env resolve` does not run.")
            return f"{' '.join(command)}: {error}"
    if result.returncode:
        said = [line for line in result.stderr.splitlines() + result.stdout.splitlines() if line.strip()]
        reason = next((line for line in said if "Error" in line), said[-1] if said else "no reason")
        report.wrong.append(f"The configuration does not resolve: {reason.strip()[:WIDTH]}")
        return (result.stdout + result.stderr).strip()
    return result.stdout.strip()


def last_errors(report: Report, path: Path) -> Iterator[str]:
    """The last lines of a log that speak of an error, each with the line before it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    wanted = [number for number, line in enumerate(lines) if ERROR.search(line) and not NO_ERROR.search(line)][-LAST_ERRORS:]
    shown = sorted({number for at in wanted for number in (at - 1, at) if number >= 0})
    yield from (lines[number][:WIDTH] for number in shown)
    if wanted:
        report.wrong.append(f"The last error in {path}: {lines[wanted[-1]].strip()[:WIDTH]}")
    else:
        yield "no error in it"


def failures(report: Report, path: Path) -> Iterator[str]:
    """How many rollouts failed in which way, with one message each."""
    counts: collections.Counter[str] = collections.Counter()
    example: dict[str, str] = {}
    with path.open(encoding="utf-8", errors="replace") as rows:
        for number, line in enumerate(rows, 1):
            try:
                row = json.loads(line)
                kind = row.get("_ng_failure_class", "unknown")
            except (ValueError, AttributeError):
                yield f"line {number} is not a JSON object"
                continue
            counts[kind] += 1
            parts = (row.get(key) for key in ("_ng_failure_message", "failure_reason", "_ng_failure_response_body"))
            example[kind] = " | ".join(str(part)[:WIDTH] for part in parts if part)
    for kind, count in counts.most_common():
        yield f"{count} x {kind}, the last: {example[kind]}"
    if counts:
        report.wrong.append(f"{sum(counts.values())} failed attempts in {path}: " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common()))


def existing(path: str) -> Path:
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {path}")
    return Path(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], epilog="Exit code 0: nothing looks wrong; 1: something does; 2: bad input.")
    parser.add_argument("--config", action="append", default=[], metavar="FILE", help="configuration of the servers; repeatable")
    parser.add_argument("--log", action="append", default=[], type=existing, metavar="FILE", help="output of servers or run; repeatable")
    parser.add_argument("--failures", type=existing, metavar="FILE", help="rollouts_failures.jsonl of a run")
    parser.add_argument("--head", default=f"http://127.0.0.1:{HEAD_PORT}", metavar="URL", help="Gym's head server (default: %(default)s)")
    parser.add_argument("-o", "--output", default="report.md", metavar="FILE", help="the report (default: %(default)s)")
    options = parser.parse_args()

    report = Report()
    report.add("Versions", list(versions(report)))
    report.add("Limits", list(limits(report)))
    taken = listeners()
    report.add("Ports", [f"{port:<6} {owner}" for port, owner in sorted(taken.items())] or ["none that may be read"])
    report.add("Servers", list(servers(report, options.head.rstrip("/"))))
    configuration = resolve(report, options.config)
    report.add("Model endpoints", list(endpoints(report, configuration)))
    report.add("Configuration", configuration.splitlines())
    for path in options.log:
        report.add(f"Last errors: {path}", list(last_errors(report, path)))
    if options.failures:
        report.add(f"Failures: {options.failures}", list(failures(report, options.failures)))

    own = Path("env.yaml")
    secrets = known_secrets(configuration, own.read_text(encoding="utf-8", errors="replace") if own.is_file() else "")
    text = clean(report.text(), secrets)
    output = Path(options.output)
    temporary = output.with_name(f".{output.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(output)
    except OSError as error:
        print(f"diagnose.py: cannot write {output}: {error.strerror}. Name another file with -o.", file=sys.stderr)
        return 2
    for line in report.wrong:
        print(f"- {clean(line, secrets)}")
    print(f"{output}: {len(report.wrong) or 'nothing'} to look at. Read it once before you post it.")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
