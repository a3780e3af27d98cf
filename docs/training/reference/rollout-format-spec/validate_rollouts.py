# /// script
# requires-python = ">=3.11"
# dependencies = ["jsonschema-rs>=0.60", "orjson>=3.10"]
# ///
"""Check the files of a run against the schemas beside this script: each fault with file, line, field and reason.

    uv run validate_rollouts.py [--kind KIND] [--schema FILE] [--run] [--tokens] [--older] FILE...

A .jsonl file holds one row a line and is read as a stream; a .json file holds one row, or is one of the JSON files of a
run. What a file holds shows in its name, else in its first row.

Exit code: 0 no fault, 1 faults, 2 bad usage, a missing file or, without --run, an empty one that is no failures file.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

try:
    import jsonschema_rs
    import orjson
except ImportError as error:
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        sys.exit(0)
    sys.exit(print(f"{error}. Start this file with: uv run validate_rollouts.py", file=sys.stderr) or 2)

from rollouts import LISTS, Unclear, call_in_text, cut_off, lost_calls, masked, split_thoughts, text_in

SCHEMAS = Path(__file__).resolve().parent / "schemas"
TASK, ROLLOUT = "_ng_task_index", "_ng_rollout_index"

# What the end of a file name says about the rows. Of other files the first row decides.
BY_NAME = {
    "_materialized_inputs.jsonl": "materialized-input-row",
    "_failures.jsonl": "failure-row",
    "_aggregate_metrics.json": "aggregate-metrics",
    "_reward_profiling.jsonl": "reward-profile-row",
    "_agent_metrics.json": "profile-metrics",
    "_repeat_level_metrics.json": "profile-metrics",
    "rollout_verdicts.jsonl": "verdict-row",
    "quality_summary.json": "quality-summary",
    ".capture.jsonl": "model-call-capture-row",
}
KINDS = sorted({*BY_NAME.values(), "task-row", "rollout-row"})
ONCE = ("rollout-row", "materialized-input-row", "verdict-row")  # at most one row for each task and rollout

Faults = Iterator[tuple[str, str]]  # (field, reason)


class Keys:
    """The (task, rollout) pairs of a file: one integer per task, whose bits are its rollouts."""

    def __init__(self) -> None:
        self.bits: dict[object, int] = {}
        self.far: set[tuple[object, int]] = set()
        self.count = 0

    def __contains__(self, key: tuple[object, int]) -> bool:
        task, rollout = key
        return key in self.far if rollout > 4096 else bool(self.bits.get(task, 0) >> rollout & 1)

    def add(self, key: tuple[object, int]) -> bool:
        """False if the pair was there before."""
        if key in self:
            return False
        task, rollout = key
        if rollout > 4096:
            self.far.add(key)
        else:
            self.bits[task] = self.bits.get(task, 0) | 1 << rollout
        self.count += 1
        return True

    def without(self, *others: Keys) -> int:
        """How many pairs are here and in none of the others."""
        count = sum(not any(key in other for other in others) for key in self.far)
        for task, bits in self.bits.items():
            for other in others:
                bits &= ~other.bits.get(task, 0)
            count += bits.bit_count()
        return count


def say(line: str) -> None:
    """Print a line in one write, so that several processes that share a pipe do not mix theirs."""
    print(f"{line}\n", end="")


def place(path: list[str | int]) -> str:
    """``['response', 'output', 0, 'id']`` as ``response.output[0].id``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def in_words(error: jsonschema_rs.ValidationError) -> Faults:
    """What the schema library found, as field and reason."""
    path, kind = error.instance_path, error.kind
    match kind.name:
        case "required":
            yield place([*path, kind.property]), "is missing"
        case "additionalProperties":
            for name in kind.unexpected:
                yield place([*path, name]), "is not a field that the package knows here"
        case "falseSchema":
            yield place(path), "must not stand in this file"
        case "anyOf":
            branches = [list(branch) for branch in kind.context]
            deepest = max(branches, key=lambda branch: max(len(inner.instance_path) for inner in branch))
            if any(len(inner.instance_path) > len(path) for inner in deepest):  # that branch was meant
                for inner in deepest:
                    yield from in_words(inner)
            else:
                yield place(path), " and ".join(dict.fromkeys(short(inner.message) for branch in branches for inner in branch))
        case _:
            yield place(path), short(error.message)


def short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:60]} ... {text[-90:]}"


def between_items(row: dict) -> Faults:
    """What holds between the items of a rollout, which a schema cannot say."""
    output, given = row["response"]["output"], row["responses_create_params"]["input"]
    calls = {item.get("call_id") for item in (*given, *output) if type(item) is dict and "arguments" in item}
    for number, item in enumerate(output):
        if item["type"] == "function_call_output" and item["call_id"] not in calls:
            yield f"response.output[{number}].call_id", f"is {item['call_id']!r}, which no function_call has"
        ids, logs = item.get("generation_token_ids"), item.get("generation_log_probs")
        if ids is not None and logs is not None and len(ids) != len(logs):
            yield f"response.output[{number}].generation_log_probs", f"has {len(logs)} entries for {len(ids)} generation_token_ids"


def token_chain(row: dict, asked: bool) -> Faults:
    """What a trainer wants of a rollout with token ids: one unbroken sequence. If they are ``asked`` for: any at all."""
    if masked(row):
        return
    seen: list[int] = []
    for number, item in enumerate(row["response"]["output"]):
        if not item.get("generation_token_ids"):
            continue
        prompt = item["prompt_token_ids"]
        if prompt[:len(seen)] != seen:
            at = next((i for i, (old, new) in enumerate(zip(seen, prompt)) if old != new), len(prompt))
            yield f"response.output[{number}].prompt_token_ids", f"diverges at {at} of {len(seen)}"
        seen = prompt + item["generation_token_ids"]
    if asked and not seen:
        yield "response.output", "has no item with generation_token_ids, and the row is not masked"


def remarks(row: dict) -> Iterator[str]:
    """What is no fault of the format, and matters for training."""
    if masked(row):
        yield "masked"
    if cut_off(row):
        yield "cut off"
    items = row["response"]["output"]
    texts = [text_in(item["content"]) for item in items if item.get("role") == "assistant"]
    waiting = {item["call_id"] for item in items if item["type"] == "function_call"} - {item["call_id"] for item in items if item["type"] == "function_call_output"}
    if waiting and lost_calls(items):
        yield "with a call without its result"
    if any(map(thinks, texts)):
        yield "with reasoning in the text"
    if any(map(call_in_text, texts)):
        yield "with a tool call in the text"


def thinks(text: str) -> bool:
    try:
        return bool(split_thoughts(text)[0])
    except Unclear:
        return True


def kind_of(path: Path) -> str:
    """Which schema a file's rows should fit."""
    for ending, kind in BY_NAME.items():
        if path.name.endswith(ending):
            return kind
    try:
        row = orjson.loads(next((raw for _, raw in records(path)), b""))
    except orjson.JSONDecodeError:
        row = None
    if isinstance(row, list):
        return "aggregate-metrics" if row and isinstance(row[0], dict) and "agent_metrics" in row[0] else "profile-metrics"
    has = row.keys() if isinstance(row, dict) else set()
    for kind, fields in (
        ("quality-summary", {"run", "tasks"}), ("verdict-row", {"verdict", "findings"}), ("failure-row", {"_ng_failure_class"}),
        ("reward-profile-row", {"rollout_infos", "sample"}), ("model-call-capture-row", {"model_call_id", "dialect"}),
    ):
        if fields <= has:
            return kind
    if has & {"response", "reward", "_ng_result_type"}:
        return "rollout-row"
    return "materialized-input-row" if {TASK, ROLLOUT} <= has else "task-row"


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of a file with their line numbers."""
    with path.open("rb") as file:
        if path.suffix == ".json":
            yield 1, file.read()
        else:
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    yield number, line


@functools.cache
def validator(path: Path) -> object:
    try:
        return jsonschema_rs.validator_for(orjson.loads(path.read_bytes()))
    except OSError:
        raise ValueError(f"No such file: {path}. The folder schemas has to lie beside {Path(__file__).name}") from None
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise ValueError(f"{path}: not a JSON Schema: {short(str(error).partition(chr(10))[0])}") from None


class Report:
    def __init__(self, most: int) -> None:
        self.most, self.faults = most, 0

    def fault(self, path: Path, line: int, field: str, reason: str) -> None:
        self.faults += 1
        if self.faults <= self.most:
            say(f"{path}:{line}: {field + ' ' if field else ''}{reason}")
        elif self.faults == self.most + 1:
            print(f"... more than {self.most} faults; --max-faults shows more")


def check_file(path: Path, args: argparse.Namespace, report: Report, kind: str | None = None) -> tuple[Keys, object]:
    """Check one file and print its sum. Returns its keys, and its document if it is a JSON file."""
    kind = args.kind or kind or kind_of(path)
    schema = validator(args.schema or SCHEMAS / f"{kind}.schema.json")
    shipped = schema if not args.schema else validator(SCHEMAS / "rollout-row.schema.json")  # what the checks after a schema rely on
    fits, keys, before, document = schema.is_valid, Keys(), report.faults, None
    rows = read = 0
    told: Counter[str] = Counter()
    size = path.stat().st_size
    bar = sys.stderr.isatty() and size > 100_000_000
    for line, raw in records(path):
        rows += 1
        read += len(raw)
        if bar and not rows % 5000:
            print(f"\r{path.name}: {100 * read / size:.0f} %, {rows:,} rows ", end="", file=sys.stderr, flush=True)
        try:
            document = row = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            report.fault(path, line, "", f"is not JSON: {error}")
            continue
        whole = report.faults
        if not fits(row):
            response = row.get("response") if type(row) is dict else None
            lists = type(response) is dict and type(response.get("output")) is list and any(type(item) is list for item in response["output"])
            if lists:
                report.fault(path, line, "response.output", LISTS.removeprefix("the output "))
            for error in schema.iter_errors(row):
                for field, reason in in_words(error):
                    if not (args.older and field in (TASK, ROLLOUT) and reason == "is missing" or lists and field.startswith("response.output[")):
                        report.fault(path, line, field, reason)
        if kind == "rollout-row" and report.faults == whole and (shipped is schema or shipped.is_valid(row)):
            if "response" in row and "responses_create_params" in row:
                told.update(remarks(row))
                for field, reason in (*between_items(row), *(token_chain(row, args.tokens) if args.tokens or b"generation_token_ids" in raw else ())):
                    report.fault(path, line, field, reason)
            else:
                told["masked"] += masked(row)
        if type(row) is dict and (kind in ONCE or kind == "failure-row"):
            task, rollout, stage = row.get(TASK), row.get(ROLLOUT), row.get("stage_index")
            if type(rollout) is int and rollout >= 0 and type(task) in (int, str):
                if not keys.add((task if stage is None else f"{task} of stage {stage}", rollout)) and kind in ONCE:
                    report.fault(path, line, TASK, f"{task} with {ROLLOUT} {rollout} is in the file twice")
    if bar:
        print("\r\033[K", end="", file=sys.stderr)
    if not rows and kind != "failure-row" and not args.run:
        raise ValueError(f"{path}: is empty")
    faults = report.faults - before
    what = f"{rows} {kind.replace('-', ' ')}{'' if rows == 1 or path.suffix == '.json' else 's'}"
    notes = ", ".join(f"{count} {name}" for name, count in sorted(told.items()) if count)
    say(f"{path}: {what}{f' ({notes})' if notes else ''}, {faults} fault{'' if faults == 1 else 's'}")
    return keys, document


def check_run(path: Path, args: argparse.Namespace, report: Report) -> None:
    """Check a rollouts file with what the run left beside it, and that they belong together."""
    done, _ = check_file(path, args, report, "rollout-row")
    beside = {name: path.with_name(f"{path.stem}_{name}") for name in ("materialized_inputs.jsonl", "failures.jsonl", "aggregate_metrics.json")}
    beside |= {name: path.with_name(name) for name in ("rollout_verdicts.jsonl", "quality_summary.json")}
    keys = {}
    for name, file in beside.items():
        if not file.exists():
            print(f"{file}: not there")
            continue
        before = report.faults
        keys[name], document = check_file(file, args, report)
        if name == "quality_summary.json" and report.faults == before:
            checked = document["run"]["artifacts"]["records"]
            if checked != done.count:
                reason = f"is {checked}, but {path.name} has {done.count} rollouts: it belongs to another output of this folder"
                report.fault(file, 1, "run.artifacts.records", reason)
    wanted, failed = keys.get("materialized_inputs.jsonl"), keys.get("failures.jsonl", Keys())
    if wanted is None:
        return
    for file, found in ((path, done), (beside["failures.jsonl"], failed)):
        if strangers := found.without(wanted):
            reason = f"has {strangers} pairs of {TASK} and {ROLLOUT} that {beside['materialized_inputs.jsonl'].name} lacks"
            report.fault(file, 1, "", reason)
    print(f"{wanted.count} rollouts wanted: {done.count} done, {failed.without(done)} failed, {wanted.without(done, failed)} left nothing")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Exit code: 0 no fault, 1 faults, 2 bad usage, a missing file or, without --run, an empty one that is no failures file.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".jsonl with one row a line, or .json with one row")
    parser.add_argument("--kind", choices=KINDS, metavar="KIND", help=f"what the rows are, if neither file name nor first row says so: {', '.join(KINDS)}")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="a JSON Schema to use instead of the one beside this script")
    parser.add_argument("--run", action="store_true", help="each FILE is a rollouts file: check what its run left beside it too, and that they fit together")
    parser.add_argument("--tokens", action="store_true", help="ask for token ids on every rollout that is not masked, in one unbroken sequence")
    parser.add_argument("--older", action="store_true", help=f"accept rows without {TASK} and {ROLLOUT}, as some shipped examples have them")
    parser.add_argument("--max-faults", type=int, default=20, metavar="N", help="print at most N faults (default: %(default)s)")
    args = parser.parse_args()
    report = Report(args.max_faults)
    try:
        for path in args.files:
            if not path.is_file():
                raise ValueError(f"No such file: {path}")
        for path in args.files:
            (check_run if args.run else check_file)(path, args, report)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
