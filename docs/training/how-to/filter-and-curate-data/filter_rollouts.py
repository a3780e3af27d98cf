"""Keep the rollouts that are worth training on, and say what each filter removed. Standard library only.

    python filter_rollouts.py ROLLOUTS.jsonl -o KEPT.jsonl [--rejects REJECTS.jsonl] FILTER...

The filters run in the order in which you give them, and a rollout must pass them all. `--stage NAME` puts the filters
after it under one name. The first stage is always there: it drops what has no valid reward or no answer.

    --where FIELD=VALUE       a field of the rollout, such as task_source or metadata.family, has this value
    --whole                   the reply was not cut off
    --finished                the rollout ends with a message, not with a tool call
    --min-reward R, --max-reward R
    --min-tokens N, --max-tokens N      output tokens, over all model calls
    --min-calls N, --max-calls N        tool calls
    --valid-calls             every tool call names an offered tool and has its required arguments
    --drop-matching REGEX     no reply, tool call or tool result matches
    --healthy VERDICTS.jsonl  `rollout_verdicts.jsonl` does not say unhealthy
    --varied                  the rollouts of the task did not all get the same reward
    --pass-rate LOW HIGH      share of the task's rollouts with a reward of at least --success
    --min-rollouts N          the task has at least N valid rollouts
    --distinct                no earlier rollout of the task that got here has the same answer
    --best N                  the N best rollouts of a task; must be the last one

Statistics of a task (--varied, --pass-rate, --min-rollouts) count all its valid rollouts, also those that a filter removes.
Options can stand in a file, one filter a line: python filter_rollouts.py ROLLOUTS.jsonl -o KEPT.jsonl @sft.args

Exit code: 0 done, 1 no rollout is left, 2 bad input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import shlex
import sys
from collections import Counter, defaultdict
from pathlib import Path

from rollout_to_chat import BadInput, NoChat, answer_of, convert, cut_off, dump, field_of, read_rollouts, read_rows, tokens_of, writing


def digest(*parts) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


class Candidate:
    """One rollout, and what the filters ask of it."""

    def __init__(self, row: dict, tasks: dict, healthy: dict) -> None:
        self.row, self.reward, self.tokens = row, row["reward"], tokens_of(row)
        self.task, self.repeat = row["_ng_task_index"], row.get("_ng_rollout_index")
        self.tasks, self.healthy = tasks, healthy
        self.problem = unmeasured(row)
        self.prompt, self.completion, self.tools = [], [], []
        if self.problem is None:
            try:
                self.prompt, self.completion, self.tools = convert(row)
            except NoChat as reason:
                self.problem = str(reason)

    @property
    def calls(self) -> list[dict]:
        return [call["function"] for message in self.completion for call in message.get("tool_calls", ())]


class Task:
    """What the valid rollouts of one task got."""

    def __init__(self) -> None:
        self.rollouts = self.passed = 0
        self.low, self.high = math.inf, -math.inf

    def add(self, reward: float, success: float) -> None:
        self.rollouts += 1
        self.passed += reward >= success
        self.low, self.high = min(self.low, reward), max(self.high, reward)


def unmeasured(row: dict) -> str | None:
    """Why the reward of a row says nothing about the model, or None."""
    if row.get("mask_sample"):
        return f"masked ({row['failure_kind']})" if row.get("failure_kind") else "masked"
    return None if math.isfinite(row["reward"]) else "reward is not finite"


# Each filter takes a rollout and its value, and returns the reason to drop it, or None.


def where(item: Candidate, wanted: tuple[str, str]) -> str | None:
    field, value = wanted
    return None if str(field_of(item.row, field)) == value else f"{field} is not {value}"


def whole(item: Candidate, _) -> str | None:
    return cut_off(item.row)


def finished(item: Candidate, _) -> str | None:
    return "ends with a tool call" if item.completion[-1].get("tool_calls") else None


def min_reward(item: Candidate, limit: float) -> str | None:
    return f"reward below {limit:g}" if item.reward < limit else None


def max_reward(item: Candidate, limit: float) -> str | None:
    return f"reward above {limit:g}" if item.reward > limit else None


def min_tokens(item: Candidate, limit: int) -> str | None:
    return "no token count" if item.tokens is None else f"fewer than {limit} tokens" if item.tokens < limit else None


def max_tokens(item: Candidate, limit: int) -> str | None:
    return "no token count" if item.tokens is None else f"more than {limit} tokens" if item.tokens > limit else None


def min_calls(item: Candidate, limit: int) -> str | None:
    return f"fewer than {limit} tool calls" if len(item.calls) < limit else None


def max_calls(item: Candidate, limit: int) -> str | None:
    return f"more than {limit} tool calls" if len(item.calls) > limit else None


def valid_calls(item: Candidate, _) -> str | None:
    offered = {tool["function"].get("name"): tool["function"].get("parameters") or {} for tool in item.tools}
    for call in item.calls:
        if call["name"] not in offered:
            return "calls a tool that was not offered"
        if missing := set(offered[call["name"]].get("required") or ()) - set(call["arguments"]):
            return f"a call lacks {', '.join(sorted(missing))}"
    return None


def drop_matching(item: Candidate, pattern: re.Pattern) -> str | None:
    texts = [message["content"] for message in item.completion] + [json.dumps(call, ensure_ascii=False) for call in item.calls]
    # A tool result that no reply follows is not in the completion.
    texts += [str(out.get("output")) for out in item.row["response"]["output"] if out.get("type") == "function_call_output"]
    return f"matches {pattern.pattern}" if any(pattern.search(text) for text in texts) else None


def healthy(item: Candidate, _) -> str | None:
    key = item.task, item.repeat
    return f"unhealthy: {item.healthy[key]}" if key in item.healthy else None


def varied(item: Candidate, _) -> str | None:
    task = item.tasks[item.task]
    return f"every rollout got {task.low:g}" if task.low == task.high else None


def pass_rate(item: Candidate, limits: list[float]) -> str | None:
    task = item.tasks[item.task]
    rate = task.passed / task.rollouts
    return None if limits[0] <= rate <= limits[1] else f"pass rate {'below' if rate < limits[0] else 'above'} {limits[rate > limits[1]]:g}"


def min_rollouts(item: Candidate, limit: int) -> str | None:
    return f"fewer than {limit} rollouts" if item.tasks[item.task].rollouts < limit else None


class Distinct:
    """Remembers eight bytes of each answer that got here."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, item: Candidate, _) -> str | None:
        key = digest(item.task, answer_of(item.completion))
        if key in self.seen:
            return "same answer as another rollout"
        self.seen.add(key)
        return None


def best(rows: list[tuple[int, float, int, int]], limit: int, seed: int) -> set[int]:
    """The lines of the rollouts that are not among the ``limit`` best of their task. The seed decides between equals."""
    tasks = defaultdict(list)
    for line, reward, task, repeat in rows:
        tasks[task].append((-reward, digest(seed, task, repeat), line))
    return {line for rollouts in tasks.values() for _, _, line in sorted(rollouts)[limit:]}


def read_verdicts(path: Path) -> dict:
    """The first finding of each rollout that the health check calls unhealthy."""
    found = {}
    for number, row in read_rows(path):
        if "verdict" not in row:
            raise BadInput(f"{path}:{number}: no verdict. Give the rollout_verdicts.jsonl of the run")
        if row["verdict"] == "unhealthy":
            checks = [finding.get("check") for finding in row.get("findings") or () if isinstance(finding, dict)]
            found[row.get("_ng_task_index"), row.get("_ng_rollout_index")] = next(iter(checks), None)
    return found


def told(path: Path, rollouts: int) -> str:
    """How much of the run is in the file, from the files beside it."""
    counts = {}
    for name in ("materialized_inputs", "failures"):
        try:
            with open(path.with_name(f"{path.stem}_{name}.jsonl"), "rb") as lines:
                counts[name] = sum(1 for line in lines if line.strip())
        except OSError:
            counts[name] = None
    planned, failed = counts["materialized_inputs"], counts["failures"]
    parts = [f"{path}: {rollouts} rollouts"]
    parts += [f"of {planned} planned"] if planned else []
    return " ".join(parts) + (f", {failed} failed attempts beside it" if failed is not None else "")


def run(args) -> int:
    verdicts = read_verdicts(args.healthy_file) if args.healthy_file else {}
    filters = [("usable", None, lambda item, _: item.problem, None)]
    filters += [(stage, flag, Distinct() if flag == "--distinct" else FILTERS[flag][0], value) for stage, flag, value in args.filters]
    stages = list(dict.fromkeys(stage for stage, *_ in filters))

    # First pass: what the rollouts of each task got.
    tasks, seen, total = defaultdict(Task), set(), 0
    for number, row in read_rollouts(args.rollouts):
        total += 1
        key = row["_ng_task_index"], row.get("_ng_rollout_index")
        if key in seen:
            raise BadInput(
                f"{args.rollouts}:{number}: task {key[0]}, repeat {key[1]} is there twice. Two runs in one file? "
                "Their task numbers mean different tasks: filter each run on its own"
            )
        seen.add(key)
        if unmeasured(row) is None:
            tasks[key[0]].add(row["reward"], args.success)

    # Second pass: which filter, if any, drops each rollout. Only the reasons are kept, not the rollouts.
    verdict: list[tuple[str, str] | None] = []
    reasons: dict[tuple[str, str], tuple[str, str]] = {}
    survivors, left_out = [], set()
    for line, (_, row) in enumerate(read_rollouts(args.rollouts)):
        item, why = Candidate(row, tasks, verdicts), None
        for stage, flag, check, value in filters:
            reason = check(item, value) if check else None
            if reason is not None:
                why = reasons.setdefault((stage, reason), (stage, reason))
                if flag == "--where":
                    left_out.add(why)
                break
        verdict.append(why)
        if why is None:
            survivors.append((line, item.reward, item.task, item.repeat or 0))
    for stage, flag, _, value in filters:
        if flag == "--best":
            for line in best(survivors, value, args.seed):
                verdict[line] = reasons.setdefault((stage, "better rollouts"), (stage, f"not among the best {value}"))

    # Third pass: write. A kind of task of which nothing is left would be missed: it is told, unless --where left it out.
    kept_tasks, kept_kinds, lost_kinds = set(), set(), defaultdict(Counter)
    kept = sum(why is None for why in verdict)
    with writing(args.rejects) if args.rejects else _nowhere() as rejects:
        with writing(args.output) if kept else _nowhere() as out:
            for why, (_, row) in zip(verdict, read_rollouts(args.rollouts)):
                if why is None:
                    kept_tasks.add(row["_ng_task_index"])
                    kept_kinds.add(row.get("task_source"))
                    out.write(dump(row))
                    continue
                if why not in left_out:
                    lost_kinds[row.get("task_source")][why[0]] += 1
                if rejects:
                    rejects.write(dump({"rejected_by": why[0], "rejected_because": why[1], **row}))

    said = told(args.rollouts, total)
    report = {"run": said, "rollouts": total, "stages": []}
    print(said)
    left, width = total, max(map(len, (*stages, "stage")))
    print(f"{'stage':<{width}}{'in':>9}{'removed':>9}{'out':>9}  reasons")
    for stage in stages:
        counts = Counter(why[1] for why in verdict if why and why[0] == stage)
        said = ", ".join(f"{reason}: {count}" for reason, count in counts.most_common(4))
        said += f", and {len(counts) - 4} more" if len(counts) > 4 else ""
        print(f"{stage:<{width}}{left:>9}{counts.total():>9}{left - counts.total():>9}  {said}".rstrip())
        report["stages"].append({"stage": stage, "in": left, "out": left - counts.total(), "reasons": dict(counts.most_common())})
        left -= counts.total()
    for kind in sorted(lost_kinds.keys() - kept_kinds, key=str):
        last = max(lost_kinds[kind], key=stages.index)
        print(f"nothing of task_source {kind} is left: {lost_kinds[kind].total()} rollouts, the last ones went in {last}")
    if args.report:
        with writing(args.report) as out:
            out.write(json.dumps(report, ensure_ascii=False) + "\n")
    if args.rejects:
        print(f"{args.rejects}: {total - kept} rollouts")
    if not kept:
        print("filter_rollouts.py: no rollout is left, nothing written. The table says which stage removed them", file=sys.stderr)
        return 1
    print(f"{args.output}: {kept} of {total} rollouts, {len(kept_tasks)} of {len({task for task, _ in seen})} tasks")
    return 0


class _nowhere:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


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


# The function of each filter, and what argparse needs to know of its value.
FILTERS = {
    "--where": (where, dict(type=condition, metavar="FIELD=VALUE")),
    "--whole": (whole, dict(nargs=0)),
    "--finished": (finished, dict(nargs=0)),
    "--min-reward": (min_reward, dict(type=number(float), metavar="R")),
    "--max-reward": (max_reward, dict(type=number(float), metavar="R")),
    "--min-tokens": (min_tokens, dict(type=number(int, 0), metavar="N")),
    "--max-tokens": (max_tokens, dict(type=number(int, 0), metavar="N")),
    "--min-calls": (min_calls, dict(type=number(int, 0), metavar="N")),
    "--max-calls": (max_calls, dict(type=number(int, 0), metavar="N")),
    "--valid-calls": (valid_calls, dict(nargs=0)),
    "--drop-matching": (drop_matching, dict(type=pattern, metavar="REGEX")),
    "--healthy": (healthy, dict(type=Path, metavar="VERDICTS.jsonl")),
    "--varied": (varied, dict(nargs=0)),
    "--pass-rate": (pass_rate, dict(nargs=2, type=number(float, 0), metavar=("LOW", "HIGH"))),
    "--min-rollouts": (min_rollouts, dict(type=number(int, 1), metavar="N")),
    "--distinct": (Distinct, dict(nargs=0)),
    "--best": (None, dict(type=number(int, 1), metavar="N")),
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
        if flag == "--healthy":
            namespace.healthy_file = values


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
    for flag, (_, how) in FILTERS.items():
        group.add_argument(flag, action=Add, dest="filters", **how)
    parser.set_defaults(filters=None, stage=None, healthy_file=None)
    args = parser.parse_args(argv)
    args.filters = args.filters or []
    flags = [flag for _, flag, _ in args.filters]
    if "--best" in flags[:-1]:
        parser.error("--best must be the last filter: it compares what the others left")
    if flags.count("--healthy") > 1:
        parser.error("--healthy can be given once")
    outputs = [path.resolve() for path in (args.output, args.rejects, args.report) if path]
    if args.rollouts.resolve() in outputs or len(set(outputs)) < len(outputs):
        parser.error("-o, --rejects, --report and the input must be different files")
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
