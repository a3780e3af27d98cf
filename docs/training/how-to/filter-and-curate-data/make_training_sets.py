"""Make training sets of rollouts: SFT rows, preference pairs, a curriculum, a sample for review. Standard library only.

    python make_training_sets.py sft ROLLOUTS -o sft.jsonl          chat messages to fine-tune on
    python make_training_sets.py dpo ROLLOUTS -o dpo.jsonl          best against worst rollout of each task
    python make_training_sets.py curriculum PROFILE -o FOLDER       tasks for RL, by what `gym eval profile` measured
    python make_training_sets.py balance ROLLOUTS -o out.jsonl      as many rollouts of each group
    python make_training_sets.py sample ROLLOUTS -o review.csv      some rollouts for people to judge
    python make_training_sets.py merge ROLLOUTS review.csv -o out.jsonl     take the judgments back
    python make_training_sets.py check FILE                         rows of an SFT or DPO file that teach nothing

The same input and the same --seed give the same bytes. Exit code: 0 done, 1 the data says no, 2 bad input.
"""

from __future__ import annotations

import argparse
import math
import sys
from array import array
from collections import Counter, defaultdict
from pathlib import Path

from check_training_set import check
from preference_pairs import dpo
from review_sheets import VERDICTS, merge, sample
from rollout_filters import by_task
from rollout_to_chat import REASONING, convert, numbers_in, source_of
from rollouts import REPEAT, TASK, BadInput, Hashes, NoChat, Rollouts, Seen, digest, dumps, key_of, lines, loads, raw_lines, unmeasured, whole_row, writing
from set_helpers import fail, group_reader, is_number, listed


def sft(args) -> int:
    reasons, rows, tasks, run = Counter(), 0, set(), Rollouts(args.rollouts)
    seen, written = Seen(args.rollouts), Hashes()
    with writing(args.output) as out:
        for number, _, _, rollout in run:
            task = seen.add(number, rollout)
            try:
                if why := unmeasured(rollout):
                    raise NoChat(why)
                prompt, completion, tools = convert(rollout, args.reasoning)
                row = {"prompt": prompt, "completion": completion} if args.split else {"messages": prompt + completion}
                if tools:
                    row["tools"] = tools
                row["source"] = source_of(rollout, args.rollouts, number)
                line = dumps(row, numbers_in(row))
                if not written.add(hash(line.rpartition(b',"source":')[0])):  # as of answers that differed in their thoughts alone
                    raise NoChat("the same row as that of another rollout")
            except NoChat as reason:
                reasons[str(reason)] += 1
                continue
            out.write(line)
            rows += 1
            tasks.add(task)
        print(f"{args.rollouts}: {run.count} rollouts\n{listed(run, reasons)}", end="")
        if not rows:
            raise SystemExit(fail("no rollout can become an SFT row, nothing written"))
    print(f"{args.output}: {rows} rows of {len(tasks)} tasks")
    return 0


def bands(args) -> list[tuple[str, float]]:
    """Names and lower bounds of the stages, easiest first."""
    return [(f"{number}-{name}", bound) for number, (name, bound) in enumerate(zip(("easy", "medium", "hard"), (*args.bands, 0.0)), 1)]


def curriculum(args) -> int:
    stages, counts, rates = bands(args), Counter(), defaultdict(list)
    kept = []  # (stage, place in the stage, offset): tasks are read again when their turn comes
    for number, offset, _, row in lines(args.profile):
        rate, task = row.get("mean/reward"), row.get("sample") or row.get("task_input")
        if not isinstance(task, dict) and "mean/reward" not in row:
            raise BadInput(f"{args.profile}:{number}: no mean/reward or no sample. Give the *_reward_profiling.jsonl of gym eval profile")
        rollouts = row.get("num_rollouts")
        if not isinstance(task, dict) or not is_number(rate):
            name = "no reward"
        elif is_number(rollouts) and rollouts < args.min_rollouts:
            name = "few rollouts"
        elif row.get("std/reward") == 0 or row.get("min/reward", 0) == row.get("max/reward", 1):
            name = "never" if rate <= args.never else "always"
        else:
            name = next((name for name, bound in stages if rate >= bound - 1e-9), stages[-1][0])
        counts[name] += 1
        rates[name].append(rate)
        replay = name == "always" and digest(args.seed, "replay", row.get(TASK, number)) < args.replay * 2**64
        if name not in ("no reward", "few rollouts", "never", "always") or replay:
            target = stages[-1][0] if replay else name
            kept.append((target, digest(args.seed, row.get(TASK, number)), offset))
            counts["replayed"] += replay
    total = counts.total() - counts["replayed"]
    print(f"{args.profile}: {total} tasks")
    for name, meaning in (("no reward", "without a mean reward: left out"), ("few rollouts", f"fewer than {args.min_rollouts} rollouts: left out"),
                          ("never", "every rollout got nothing: left out"),
                          ("always", f"all rewards the same: left out, but {counts['replayed']} replayed in the last stage")):
        if counts[name]:
            print(f"  {name}: {counts[name]} tasks, {meaning}")
    if not kept and counts["few rollouts"] == total:
        return fail(f"every task has fewer than {args.min_rollouts} rollouts, nothing written. Collect more repeats, or lower --min-rollouts")
    if not kept:
        return fail("no task is solved sometimes, nothing written. Profile easier tasks or a stronger model")
    filled = {target for target, *_ in kept}
    if older := [path for name, _ in stages if name not in filled and (path := args.output / f"{name}.jsonl").exists()]:
        raise BadInput(f"{older[0]} is of an older curriculum, and this one has no task for that stage. Move it away, or take another -o; nothing written")
    with open(args.profile, "rb") as file:
        for name in (name for name, _ in stages if name in filled):
            chosen = sorted(entry for entry in kept if entry[0] == name)
            path = args.output / f"{name}.jsonl"
            with writing(path, inputs=[args.profile]) as out:
                for _, _, offset in chosen:
                    file.seek(offset)
                    raw = file.readline()
                    row = whole_row(raw, loads(raw))
                    row = row.get("sample") or row["task_input"]
                    if row.get("task_source"):  # Gym finds the agent from it, as in a collated file
                        row.pop("agent_ref", None)
                    out.write(dumps(row))
            span = f"pass rate {min(rates[name]):.2f} to {max(rates[name]):.2f}" if rates[name] else "replayed tasks only"
            print(f"{path}: {len(chosen)} tasks, {span}")
    return 0


def balance(args) -> int:
    group, run, seen = group_reader(args), Rollouts(args.rollouts), Seen(args.rollouts)
    # First pass: the groups. The hash of a rollout decides its place in the group, whatever the order of the file.
    names, groups, hashes = {}, array("I"), array("Q")
    for number, _, _, row in run:
        seen.add(number, row)
        groups.append(names.setdefault(group(row), len(names)))
        task, repeat = key_of(row)
        hashes.append(digest(args.seed, task, number if repeat is None else repeat))
    sizes = Counter(groups)
    size = args.per_group or min(sizes.values())
    keep = bytearray(len(groups))
    for _, places in by_task(groups, len(names)):
        for place in sorted(places, key=hashes.__getitem__)[:size]:
            keep[place] = 1
    marks = iter(keep)
    with writing(args.output) as out:
        for number, _, raw in raw_lines(args.rollouts):
            if number not in run.others and next(marks, 0):
                out.write(raw if raw.endswith(b"\n") else raw + b"\n")
    print(listed(run, Counter()), end="")
    width = max(map(len, (*names, "group")))
    print(f"{'group':<{width}}{'in':>7}{'out':>7}")
    for name, place in sorted(names.items()):
        print(f"{name:<{width}}{sizes[place]:>7}{min(size, sizes[place]):>7}" + ("  fewer than asked for" if sizes[place] < size else ""))
    print(f"{args.output}: {sum(keep)} of {run.count} rollouts")
    return 0


def number(low: float, high: float = math.inf, kind=float):
    def parse(text: str):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {'at least' if high == math.inf else 'between'} {low:g}" + (f" and {high:g}" if high < math.inf else ""))
        return value

    parse.__name__ = "number"
    return parse


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(function, text: str, source: str = "rollouts") -> argparse.ArgumentParser:
        sub = commands.add_parser(function.__name__, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(function=function)
        sub.add_argument(source, type=Path, metavar={"rollouts": "ROLLOUTS.jsonl", "profile": "PROFILE.jsonl", "file": "FILE.jsonl"}[source])
        if function is not check:
            sub.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER" if function is curriculum else "FILE")
        return sub

    def shared(sub, *names: str) -> None:
        if "reasoning" in names:
            sub.add_argument("--reasoning", choices=REASONING, default="think", help="<think> in the content, the field reasoning_content, or none (default: %(default)s)")
        if "seed" in names:
            sub.add_argument("--seed", type=int, default=0, help="for every random choice (default: %(default)s)")
        if "success" in names:
            sub.add_argument("--success", type=float, default=1.0, metavar="R", help="a rollout with this reward passed (default: %(default)s)")
        if "by" in names:
            sub.add_argument("--by", nargs="+", default=["task_source"], metavar="FIELD", help="fields such as task_source or metadata.family; `difficulty` (default: task_source)")
            sub.add_argument("--profile", type=Path, metavar="PROFILE.jsonl", help="take fields and difficulty from *_reward_profiling.jsonl")

    sub = command(sft, "SFT rows: messages, tools, source")
    sub.add_argument("--split", action="store_true", help="prompt and completion instead of messages: answers inside the prompt are not trained")
    shared(sub, "reasoning")

    sub = command(dpo, "preference pairs: prompt, chosen, rejected, tools, source")
    sub.add_argument("--margin", type=number(0), default=0.5, metavar="R", help="smallest difference of the rewards (default: %(default)s)")
    sub.add_argument("--tie", type=number(0), default=0.0, metavar="R", help="rewards this close to the best or the worst count as equal to it (default: %(default)s)")
    sub.add_argument("--ties", choices=("length", "random"), default="length", help="among equals: the pair of the most similar length, or any (default: %(default)s)")
    sub.add_argument("--per-task", type=number(1, kind=int), default=1, metavar="N", help="pairs of one task at most (default: %(default)s)")
    sub.add_argument("--max-length-ratio", type=number(1), metavar="X", help="no pair in which one answer is more than X times as long as the other")
    sub.add_argument("--max-bias", type=number(1), metavar="X", help="leave out the most uneven pairs until neither side is the longer one more than X times as often")
    shared(sub, "reasoning", "seed")

    sub = command(curriculum, "tasks in stages from easy to hard", "profile")
    sub.add_argument("--bands", nargs=2, type=number(0), default=[0.7, 0.3], metavar=("EASY", "MEDIUM"), help="lowest mean rewards of the first and the second stage (default: 0.7 0.3)")
    sub.add_argument("--min-rollouts", type=number(1, kind=int), default=4, metavar="N", help="leave out tasks with fewer rollouts (default: %(default)s)")
    sub.add_argument("--never", type=float, default=0.0, metavar="R", help="equal rewards up to here mean never solved (default: %(default)s)")
    sub.add_argument("--replay", type=number(0, 1), default=0.0, metavar="SHARE", help="share of the `always` tasks that the last stage repeats (default: %(default)s)")
    shared(sub, "seed")

    sub = command(balance, "as many rollouts of each group")
    sub.add_argument("--per-group", type=number(1, kind=int), metavar="N", help="rollouts of each group at most (default: as many as the smallest has)")
    shared(sub, "by", "seed")

    sub = command(sample, "some rollouts of each group and outcome, for people to judge")
    size = sub.add_mutually_exclusive_group()
    size.add_argument("--per-group", type=number(1, kind=int), default=5, metavar="N", help="rollouts of each group and outcome (default: %(default)s)")
    size.add_argument("--rows", type=number(1, kind=int), metavar="N", help="N rollouts in all, as evenly over groups and outcomes as they allow")
    sub.add_argument("--blind", action="store_true", help="hide reward, outcome and expected answer from who judges")
    shared(sub, "by", "seed", "success")

    sub = command(merge, "take verdicts back into the rollouts")
    sub.add_argument("review", type=Path, metavar="REVIEW", help="what `sample` wrote, with the verdicts filled in (.csv or .jsonl)")
    sub.add_argument("--drop", nargs="*", choices=VERDICTS, default=["bad"], help="rollouts with these verdicts are left out (default: bad)")
    sub.add_argument("--only-reviewed", action="store_true", help="leave out what nobody judged")
    shared(sub, "success")

    sub = command(check, "rows of an SFT or DPO file that a trainer learns nothing from", "file")
    sub.add_argument("--each", action="store_true", help="name every row, not the first of each fault")

    args = parser.parse_args(argv)
    if args.command == "curriculum" and args.bands[0] <= args.bands[1]:
        parser.error("--bands: the first number must be the larger one")
    if "output" in args and any(args.output.resolve() == path.resolve() for path in (vars(args).get(name) for name in ("rollouts", "review", "profile")) if path):
        parser.error("-o would overwrite an input")
    if args.command == "sample" and args.output.suffix not in (".csv", ".jsonl"):
        parser.error("-o must end in .csv or .jsonl")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        return args.function(args)
    except BadInput as error:
        print(f"make_training_sets.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
