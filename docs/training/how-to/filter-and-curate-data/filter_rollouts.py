"""Keep the rollouts that are worth training on, and say what each filter removed. Standard library only.

    python filter_rollouts.py ROLLOUTS.jsonl -o KEPT.jsonl [--rejects REJECTS.jsonl] FILTER...

A rollout must pass all filters. Their order decides which one a removal is counted for. `--stage NAME` puts the filters
after it under one name. The first stage is always there: it drops what has no valid reward or no answer.

    --where FIELD=VALUE       a field of the rollout, such as task_source or metadata.family, has this value
    --whole                   the reply was not cut off
    --finished                the rollout ends with a message, not with a tool call or its result
    --min-reward R, --max-reward R
    --min-tokens N, --max-tokens N      output tokens, over all model calls
    --min-calls N, --max-calls N        tool calls
    --valid-calls             every tool call names an offered tool and has its required arguments
                              (not where the rollout lists no tools: its agent brings its own)
    --drop-matching REGEX     no reply, tool call or tool result matches
    --healthy VERDICTS.jsonl  `rollout_verdicts.jsonl` does not say unhealthy
    --varied                  the rollouts of the task did not all get the same reward
    --pass-rate LOW HIGH      share of the task's rollouts with a reward of at least --success
    --min-rollouts N          the task has at least N valid rollouts
    --distinct                no earlier rollout of the task that passes the other filters has the same answer
    --best N                  the N best rollouts of a task; must be the last one

Statistics of a task (--varied, --pass-rate, --min-rollouts) count all its valid rollouts, also those that a filter removes.
What is kept is kept byte for byte.
Options can stand in a file, one filter a line: python filter_rollouts.py ROLLOUTS.jsonl -o KEPT.jsonl @sft.args

Exit code: 0 done, 1 no rollout is left, 2 bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import shlex
import sys
from array import array
from collections import Counter, defaultdict
from pathlib import Path

from rollout_filters import OF_ONE, OF_TASK, Candidate, Tasks, ValidCalls, answer, by_task
from rollouts import REPEAT, BadInput, Rollouts, Seen, digest, dumps, group_of, lines, loads, key_of, raw_lines, writing


class Verdicts:
    """For each rollout of the file, which filter removes it and why; 12 bytes a rollout, and what later filters need."""

    def __init__(self, filters: list[tuple], success: float) -> None:
        self.filters, self.success = filters, success  # (stage, flag, value)
        self.reasons: list[tuple[int, str]] = [(len(filters), "")]  # (number of the filter, reason); the first one: kept
        self.codes: dict[tuple[int, str], int] = {self.reasons[0]: 0}
        self.why, self.task = array("I"), array("I")
        self.rewards, self.repeats, self.answers = array("d"), array("q"), array("q")
        self.tasks, self.groups = Tasks(), []  # of each task: what its rollouts got, its environment
        flags = [flag for _, flag, _ in filters]
        self.checks = [(number, ValidCalls() if flag == "--valid-calls" else OF_ONE[flag], value)
                       for number, (_, flag, value) in enumerate(filters) if flag == "--valid-calls" or flag in OF_ONE]
        self.distinct, self.best = "--distinct" in flags, "--best" in flags
        self.unlisted = [check for _, check, _ in self.checks if isinstance(check, ValidCalls)]

    def code(self, number: int, reason: str) -> int:
        code = self.codes.setdefault((number, reason), len(self.reasons))
        if code == len(self.reasons):
            self.reasons.append((number, reason))
        return code

    def read(self, run: Rollouts) -> None:
        """Ask the filters that look at one rollout, and count what the rollouts of each task got."""
        seen, add = Seen(run.path), self.tasks.add
        for line, _, _, row in run:
            task = seen.add(line, row)
            if task == len(self.groups):
                self.groups.append(("task_source " if row.get("task_source") else "agent ") + (group_of(row) or ""))
            item, code = Candidate(row), 0
            add(task, item.reward if item.unmeasured is None else None, self.success)
            for number, check, value in self.checks:
                reason = check(item, value)
                if reason is not None:
                    code = self.code(number, reason)
                    break
            self.why.append(code)
            self.task.append(task)
            if self.distinct:
                self.answers.append(0 if code else answer(item))
            if self.best:
                self.rewards.append(0.0 if code else item.reward)
                repeat = row.get(REPEAT)
                self.repeats.append(repeat if type(repeat) is int and abs(repeat) < 2**63 else line)
        self.names = list(seen.tasks)

    def decide(self, seed: int) -> None:
        """Ask the filters that look at other rollouts; each sees what those before it left."""
        for number, (_, flag, value) in enumerate(self.filters):
            if flag in OF_TASK:
                check = [OF_TASK[flag](self.tasks, task, value) if self.tasks.rollouts[task] else None for task in range(len(self.groups))]
                self.drop(number, lambda line, task: check[task])
            elif flag == "--distinct":
                self.drop_marked(number, self.copies(), "same answer as another rollout")
            elif flag == "--best":
                self.drop_marked(number, self.others(seed, value), f"not among the best {value}")

    def copies(self) -> bytearray:
        """Marks the rollouts that answer like an earlier one of their task that nothing has removed."""
        marks = bytearray(len(self.why))
        for _, places in by_task(self.task, len(self.groups)):
            seen: set[int] = set()
            for place in places:
                if not self.why[place]:
                    marks[place] = self.answers[place] in seen
                    seen.add(self.answers[place])
        return marks

    def others(self, seed: int, limit: int) -> bytearray:
        """Marks the rollouts that are not among the best of their task. The seed decides between equals."""
        marks = bytearray(len(self.why))
        for task, places in by_task(self.task, len(self.groups)):
            left = [(-self.rewards[place], digest(seed, self.names[task], self.repeats[place]), place) for place in places if not self.why[place]]
            for _, _, place in sorted(left)[limit:]:
                marks[place] = 1
        return marks

    def drop_marked(self, number: int, marks: bytearray, reason: str) -> None:
        self.drop(number, lambda place, _: reason if marks[place] else None)

    def drop(self, number: int, check) -> None:
        """Give each rollout that gets to a filter, and that it drops, its reason."""
        reasons, why, tasks = self.reasons, self.why, self.task
        for line in range(len(why)):
            if reasons[why[line]][0] > number and (reason := check(line, tasks[line])) is not None:
                why[line] = self.code(number, reason)


def read_verdicts(path: Path) -> dict:
    """The first finding of each rollout that the health check calls unhealthy."""
    found = {}
    for number, _, _, row in lines(path):
        if "verdict" not in row:
            raise BadInput(f"{path}:{number}: no verdict. Give the rollout_verdicts.jsonl of the run")
        if row["verdict"] == "unhealthy":
            findings = row.get("findings") if isinstance(row.get("findings"), list) else ()
            checks = [finding.get("check") for finding in findings if isinstance(finding, dict)]
            found[key_of(row)] = next(iter(checks), None)
    return found


def told(path: Path, rollouts: int) -> str:
    """How much of the run is in the file, from the files beside it."""
    counts = {}
    for name in ("materialized_inputs", "failures"):
        beside = path.with_name(f"{path.stem}_{name}.jsonl")
        counts[name] = sum(1 for _ in raw_lines(beside)) if beside.is_file() else None
    planned, failed = counts["materialized_inputs"], counts["failures"]
    parts = [f"{path}: {rollouts} rollouts"]
    parts += [f"of {planned} planned"] if planned else []
    return " ".join(parts) + (f", {failed} failed attempts beside it" if failed is not None else "")


def rejected(raw: bytes, stage: str, reason: str) -> bytes:
    """A line with two more fields in front, the rest as it was; those of an earlier filter give way."""
    if b'"rejected_b' in raw:
        raw = dumps({name: value for name, value in loads(raw).items() if name not in ("rejected_by", "rejected_because")})
    start = json.dumps({"rejected_by": stage, "rejected_because": reason}, ensure_ascii=True)[:-1].encode()
    rest = raw.strip()[1:]
    return start + (b"" if rest.lstrip() == b"}" else b", ") + rest + b"\n"


def write(args, run: Rollouts, found: Verdicts, stages: list[str]) -> None:
    """Second pass: copy the lines, without parsing them again."""
    codes, kept = iter(found.why), 0 in found.why
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(writing(args.output)) if kept else None
        rejects = stack.enter_context(writing(args.rejects)) if args.rejects else None
        for line, _, raw in raw_lines(args.rollouts):
            if line in run.others:
                if rejects:
                    rejects.write(rejected(raw, stages[0], run.others[line]))
                continue
            code = next(codes, None)
            if code is None:
                break  # written after the first pass
            if code == 0:
                out.write(raw if raw.endswith(b"\n") else raw + b"\n")
            elif rejects:
                number, reason = found.reasons[code]
                rejects.write(rejected(raw, found.filters[number][0], reason))


def run(args) -> int:
    filters = [("usable", "usable", None)] + [(stage, flag, read_verdicts(value) if flag == "--healthy" else value) for stage, flag, value in args.filters]
    stages = list(dict.fromkeys(stage for stage, *_ in filters))
    source, found = Rollouts(args.rollouts), Verdicts(filters, args.success)
    found.read(source)
    found.decide(args.seed)
    write(args, source, found, stages)

    # A kind of task of which nothing is left would be missed: it is told, unless --where left it out.
    kept_tasks, kept_kinds, lost_kinds = set(), set(), defaultdict(Counter)
    counts = defaultdict(Counter)
    for code, task in zip(found.why, found.task):
        number, reason = found.reasons[code]
        if code == 0:
            kept_tasks.add(task)
            kept_kinds.add(found.groups[task])
            continue
        counts[filters[number][0]][reason] += 1
        if filters[number][1] != "--where":
            lost_kinds[found.groups[task]][filters[number][0]] += 1
    said, total = told(args.rollouts, source.count), source.count
    report = {"run": said, "rollouts": total, "stages": []}
    print("\n".join([said, *source.notes()]))
    left, width = total, max(map(len, (*stages, "stage")))
    print(f"{'stage':<{width}}{'in':>9}{'removed':>9}{'out':>9}  reasons")
    for stage in stages:
        own = counts[stage]
        said = ", ".join(f"{reason}: {count}" for reason, count in own.most_common(4)) + (f", and {len(own) - 4} more" if len(own) > 4 else "")
        print(f"{stage:<{width}}{left:>9}{own.total():>9}{left - own.total():>9}  {said}".rstrip())
        report["stages"].append({"stage": stage, "in": left, "out": left - own.total(), "reasons": dict(own.most_common())})
        left -= own.total()
    for kind in sorted(lost_kinds.keys() - kept_kinds - {"agent "}):
        last = max(lost_kinds[kind], key=stages.index)
        print(f"nothing of {kind} is left: {lost_kinds[kind].total()} rollouts, the last in {last}")
    for check in found.unlisted:
        if check.unlisted:
            print(f"valid-calls: {check.unlisted} rollouts list no tools, their agent brings its own: the names of their calls are not checked")
        if check.served:
            print(f"valid-calls: {check.served} rollouts list a server of tools, not their names: the names of other calls are not checked")
    if args.report:
        with writing(args.report, "w") as out:
            out.write(json.dumps(report, ensure_ascii=False) + "\n")
    if args.rejects:
        print(f"{args.rejects}: {total - left + len(source.others)} rollouts")
    if not left:
        print("filter_rollouts.py: no rollout is left, nothing written. The table says which stage removed them", file=sys.stderr)
        return 1
    print(f"{args.output}: {left} of {total} rollouts, {len(kept_tasks)} of {len(found.groups)} tasks")
    return 0


def number(kind, low: float | None = None):
    def parse(text: str):
        value = kind(text)
        if not math.isfinite(value):
            raise ValueError
        if low is not None and value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}")
        return value

    parse.__name__ = kind.__name__
    return parse


def condition(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not field or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=VALUE")
    return field, value


def pattern(text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


# What argparse needs to know of the value of each filter.
FILTERS = {
    "--where": dict(type=condition, metavar="FIELD=VALUE"),
    "--whole": dict(nargs=0),
    "--finished": dict(nargs=0),
    "--min-reward": dict(type=number(float), metavar="R"),
    "--max-reward": dict(type=number(float), metavar="R"),
    "--min-tokens": dict(type=number(int, 0), metavar="N"),
    "--max-tokens": dict(type=number(int, 0), metavar="N"),
    "--min-calls": dict(type=number(int, 0), metavar="N"),
    "--max-calls": dict(type=number(int, 0), metavar="N"),
    "--valid-calls": dict(nargs=0),
    "--drop-matching": dict(type=pattern, metavar="REGEX"),
    "--healthy": dict(type=Path, metavar="VERDICTS.jsonl"),
    "--varied": dict(nargs=0),
    "--pass-rate": dict(nargs=2, type=number(float, 0), metavar=("LOW", "HIGH")),
    "--min-rollouts": dict(type=number(int, 1), metavar="N"),
    "--distinct": dict(nargs=0),
    "--best": dict(type=number(int, 1), metavar="N"),
}


class Add(argparse.Action):
    """Appends a filter to the list, under the stage that is open or its own name."""

    def __call__(self, parser, namespace, values, option_string=None):
        flag = self.option_strings[0]
        if namespace.filters is None:
            namespace.filters = []
        if flag == "--stage":
            namespace.stage = values
            return
        own = flag[2:] + "".join(f" {value:g}" for value in (values if isinstance(values, list) else [values]) if isinstance(value, (int, float)))
        namespace.filters.append((namespace.stage or own, flag, values))


class Parser(argparse.ArgumentParser):
    def convert_arg_line_to_args(self, line: str) -> list[str]:
        return shlex.split(line, comments=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, fromfile_prefix_chars="@", allow_abbrev=False)
    parser.add_argument("rollouts", type=Path, metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="KEPT.jsonl")
    parser.add_argument("--rejects", type=Path, metavar="REJECTS.jsonl", help="write what was removed, each with stage and reason")
    parser.add_argument("--report", type=Path, metavar="TABLE.json", help="write the table, for a figure or a gate in CI")
    parser.add_argument("--success", type=number(float), default=1.0, metavar="R", help="a rollout with this reward passed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides between equally good rollouts (default: %(default)s)")
    group = parser.add_argument_group("filters, in order")
    group.add_argument("--stage", action=Add, metavar="NAME", help="name the filters that follow")
    for flag, how in FILTERS.items():
        group.add_argument(flag, action=Add, dest="filters", **how)
    parser.set_defaults(filters=None, stage=None)
    args = parser.parse_args(argv)
    args.filters = args.filters or []
    flags = [flag for _, flag, _ in args.filters]
    if "--best" in flags[:-1]:
        parser.error("--best must be the last filter: it compares what the others left")
    outputs = [path.resolve() for path in (args.output, args.rejects, args.report) if path]
    inputs = {path.resolve() for path in (args.rollouts, *(value for _, flag, value in args.filters if flag == "--healthy"))}
    if inputs & set(outputs) or len(set(outputs)) < len(outputs):
        parser.error("-o, --rejects, --report and the inputs must be different files")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        return run(args)
    except BadInput as error:
        print(f"filter_rollouts.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
