"""Read and write JSONL files: every line parsed once, errors with line numbers, files that are whole or not there.

Lines are parsed and written by orjson where it is installed (it comes with nemo-gym), else by json, with the same result.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import orjson
except ImportError:
    orjson = None


# What makes a spreadsheet take a cell for a formula; the full-width signs do in some languages.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
BUFFER = 1 << 17  # of files: one call of the system for many lines, not several for each

for _stream in (sys.stdout, sys.stderr):  # what a model wrote is printed where the terminal has no sign for it, too
    if hasattr(_stream, "reconfigure"):
        _stream.reconfigure(errors="backslashreplace")


class BadInput(Exception):
    """What is wrong with a file and what to do, in one line."""


def loads(text: bytes | str):
    """Parse JSON. Raises ValueError, also for what is not UTF-8 or nested too deeply."""
    if orjson:
        try:
            return orjson.loads(text)
        except ValueError:  # NaN and lone surrogates, which json accepts: it decides
            pass
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def strict(text: str):
    """``loads`` without NaN and Infinity, which Python reads and JSON does not have, and with every digit of long integers."""
    if orjson:
        try:
            value = orjson.loads(text)  # it knows no such words
            if len(text) < 24 or type(value) is dict and MAY_BE_LONG.isdisjoint(map(type, value.values())) or plain(value):
                return value  # mostly an object of texts and small numbers
            return exact(text, value)
        except ValueError:
            pass
    value = loads(text)
    if "NaN" in text or "Infinity" in text:
        json.loads(text, parse_constant=int)  # int cannot read them: ValueError
    return value if plain(value) else exact(text, value)


class Long(int):
    """An integer of more than 64 bits that is written as it was read: what a model gave a tool must not be rounded."""


LONG = re.compile(r"[0-9]{19}")
MAY_BE_LONG = frozenset((float, list, dict))  # as what orjson reads long integers, and what may hold them


def exact(text: bytes | str, value):
    """JSON text again, if it has long integers, each as a Long; else its value as it was read."""
    text = text.decode() if isinstance(text, bytes) else text
    if not LONG.search(text):
        return value
    try:
        return json.loads(text, parse_int=lambda digits: number if -(2**63) <= (number := int(digits)) < 2**64 else Long(number))
    except (ValueError, RecursionError):  # more digits than Python reads
        return value


def plain(value) -> bool:
    """Whether orjson and json write a value with the same bytes: numbers without exponent, of at most 64 bits."""
    values = [value]
    for value in values:  # it grows while it is read
        kind = type(value)
        if kind is str:
            continue
        if kind is dict:
            values += value.values()
        elif kind is list:
            values += value
        elif kind is float:
            if not (1e-4 <= value < 1e16 or value == 0 or -1e16 < value <= -1e-4):
                return False
        elif kind is int and not -(2**63) <= value < 2**64:
            return False
    return True


def _float(value):
    """A value as orjson reads it: integers of more than 64 bits are floats."""
    if isinstance(value, dict):
        return {key: _float(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_float(inner) for inner in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**64 and abs(value) < 10**308 else value


def dumps(row: object, numbers: object = None) -> bytes:
    """A row as one line of JSONL. ``numbers``: the values in it that may hold numbers; without, all are looked at."""
    same = plain(row if numbers is None else numbers)
    if orjson and same:
        try:
            return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # lone surrogates
            pass
    row = row if same else _float(row)
    try:
        return (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(row, separators=(",", ":")) + "\n").encode()


def as_cell(value: object) -> object:
    """Text that a spreadsheet shows as text: with an apostrophe before what would be a formula. Numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.lstrip("' ").startswith(FORMULA) else value


def digest(*parts) -> int:
    """Eight bytes of a hash that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def glued(raw: bytes) -> bool:
    """Whether a line holds two objects, as where files without a final newline were joined with ``cat``."""
    text = raw.decode().lstrip()
    with suppress(ValueError, RecursionError):
        first, end = json.JSONDecoder().raw_decode(text)
        return type(first) is dict and text[end:].lstrip("\ufeff \t")[:1] == "{"
    return False


def raw_lines(path: Path | str) -> Iterator[tuple[int, int, bytes]]:
    """Yield (line number, byte offset, bytes) of a file, with the progress on a terminal. Blank lines and a BOM are skipped.

    The bytes end as in the file: with or without a newline.
    """
    offset = shown = 0
    try:
        with open(path, "rb", BUFFER) as file:
            size = os.fstat(file.fileno()).st_size if sys.stderr.isatty() else 0
            for number, raw in enumerate(file, 1):
                start, offset = offset, offset + len(raw)
                if size > 20_000_000 and offset * 100 // size > shown:
                    shown = offset * 100 // size
                    print(f"\r{path}: {shown}%", end="\n" if shown == 100 else "", file=sys.stderr, flush=True)
                if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                    raw, start = raw[3:], 3
                if raw and not raw.isspace():
                    yield number, start, raw
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}. Check the path") from None


def lines(path: Path | str, torn_end: bool = False) -> Iterator[tuple[int, int, bytes, dict]]:
    """Yield (line number, byte offset, bytes, row) of a JSONL file, one at a time.

    ``torn_end`` leaves out a last line that is still being written. Raises BadInput for what is no JSONL of objects, or has no row.
    """
    found = False
    for number, start, raw in raw_lines(path):
        try:
            row = loads(raw)
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}:{number}: not UTF-8 ({error.reason})") from None
        except ValueError as error:
            if torn_end and not raw.endswith(b"\n"):
                return
            if glued(raw):
                raise BadInput(f"{path}:{number}: two rows on one line: put a line break between them") from None
            raise BadInput(f"{path}:{number}: not JSON ({error}). Mend or delete that line") from None
        if type(row) is not dict:
            raise BadInput(f"{path}:{number}: a row is a JSON object, this is {raw[:40].decode(errors='replace').strip()}")
        found = True
        yield number, start, raw if raw.endswith(b"\n") else raw + b"\n", row
    if not found:
        raise BadInput(f"{path}: no rows. Did the step before keep any?")


def row_at(file, offset: int) -> dict:
    """The row at a byte offset of a file that is open for reading bytes."""
    file.seek(offset)
    return loads(file.readline())


def whole_row(raw: bytes, row: dict) -> dict:
    """A row that is to be written again: with every digit of its long integers."""
    return row if plain(row) else exact(raw, row)


@contextmanager
def writing(path: Path | str, mode: str = "wb", inputs: Iterable[Path | str | None] = ()):
    """Open a temporary file that becomes ``path`` if the block ends well and disappears if it does not. Raises BadInput if it is one of ``inputs``."""
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder. Name a file in it")
    if path.exists() and any(os.path.exists(given) and os.path.samefile(given, path) for given in inputs if given):
        raise BadInput(f"{path} is an input, and would be overwritten. Name another file for the output")
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, BUFFER, **({} if "b" in mode else {"encoding": "utf-8", "newline": ""})) as out:
            yield out
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # there may be no such folder
            temporary.unlink()
