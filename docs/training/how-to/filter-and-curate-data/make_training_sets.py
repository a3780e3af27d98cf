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
import csv
import hashlib
import io
import json
import math
import sys
from collections import Counter, defaultdict
from pathlib import Path

from rollout_to_chat import (
    REASONING, BadInput, NoChat, answer_of, checked, convert, cut_off, dpo_row, dump, field_of, read_rollouts,
    read_rows, scan, sft_row, task_fields, text_of, tokens_of, writing,
)

VERDICTS = ("good", "bad", "unsure")
COLUMNS = ("verdict", "note", "task_index", "rollout_index", "group", "reward", "question", "answer", "expected")


def digest(*parts) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def key_of(row: dict) -> tuple[int, int | None]:
    return row["_ng_task_index"], row.get("_ng_rollout_index")


def listed(reasons: Counter) -> str:
    return "".join(f"  {count} left out: {reason}\n" for reason, count in reasons.most_common())


def sft(args) -> int:
    reasons, rows, tasks, total = Counter(), 0, set(), 0
    with writing(args.output) as out:
        for _, rollout in read_rollouts(args.rollouts):
            total += 1
            try:
                if rollout.get("mask_sample"):
                    raise NoChat("masked")
                row = sft_row(rollout, args.reasoning)
                if args.split:
                    prompt, completion, _ = convert(rollout, args.reasoning)
                    row = {"prompt": prompt, "completion": completion, **{key: row[key] for key in row if key != "messages"}}
                out.write(dump(row))
            except NoChat as reason:
                reasons[str(reason)] += 1
                continue
            rows += 1
            tasks.add(rollout["_ng_task_index"])
        print(f"{args.rollouts}: {total} rollouts\n{listed(reasons)}", end="")
        if not rows:
            raise SystemExit(fail("no rollout can become an SFT row, nothing written"))
    print(f"{args.output}: {rows} rows of {len(tasks)} tasks")
    return 0


def dpo(args) -> int:
    # First pass: reward, length, answer and place of each rollout. Second pass: read the chosen ones again.
    tasks, reasons, total = defaultdict(list), Counter(), 0
    for number, offset, row in scan(args.rollouts):
        total += 1
        checked(args.rollouts, number, row)
        try:
            if row.get("mask_sample"):
                raise NoChat("masked")
            answer = answer_of(convert(row, args.reasoning)[1])
        except NoChat as reason:
            reasons[str(reason)] += 1
            continue
        length = tokens_of(row)
        tasks[row["_ng_task_index"]].append((row["reward"], len(answer) if length is None else length, digest(answer), key_of(row), offset, cut_off(row)))
    wanted, lost = [], Counter()
    for task, rollouts in sorted(tasks.items()):
        low, high = min(t[0] for t in rollouts), max(t[0] for t in rollouts)
        if len(rollouts) < 2:
            lost["only one rollout"] += 1
        elif low == high:
            lost["every rollout has the same reward"] += 1
        elif high - low < args.margin - 1e-9:
            lost[f"margin below {args.margin:g}"] += 1
        else:
            best = [t for t in rollouts if high - t[0] <= args.tie and t[5] is None]
            worst = [t for t in rollouts if t[0] - low <= args.tie]
            pairs = [(b, w) for b in best for w in worst if b[2] != w[2] and b[0] - w[0] >= args.margin - 1e-9]
            if args.max_length_ratio:
                ratio = args.max_length_ratio
                pairs = [(b, w) for b, w in pairs if max(b[1], w[1], 1) <= ratio * max(min(b[1], w[1]), 1)]
            if not best:
                lost["the best rollouts are cut off"] += 1
            elif not pairs:
                lost["no pair differs in the answer and is of similar length"] += 1
            # Among ties, the pair of the most similar length; the seed decides what is left.
            pairs.sort(key=lambda p: (abs(p[0][1] - p[1][1]) if args.ties == "length" else 0, digest(args.seed, p[0][3], p[1][3])))
            used = set()
            for b, w in pairs:
                if len(used) < 2 * args.per_task and not used & {b[2], w[2]}:
                    used |= {b[2], w[2]}
                    wanted.append((b, w))
    found, wanted = len(wanted), evened(wanted, args.max_bias) if args.max_bias else wanted
    print(f"{args.rollouts}: {total} rollouts of {len(tasks)} tasks\n{listed(reasons)}", end="")
    for reason, count in lost.most_common():
        print(f"  {count} tasks without a pair: {reason}")
    if found > len(wanted):
        print(f"  {found - len(wanted)} pairs left out: --max-bias {args.max_bias:g}")
    if found and not wanted:
        return fail("--max-bias leaves no pair, nothing written: one side is always the longer one. Collect more rollouts")
    if not wanted:
        return fail("no pair, nothing written. Did a filter remove the failures? Pairs need good and bad rollouts of one task")
    with writing(args.output) as out, open(args.rollouts, "rb") as lines:
        for places in wanted:
            pair = []
            for one in places:
                lines.seek(one[4])
                pair.append(json.loads(lines.readline()))
            try:
                out.write(dump(dpo_row(*pair, args.reasoning)))
            except NoChat as reason:
                raise BadInput(f"{args.rollouts}: task {pair[0]['_ng_task_index']}: {reason}. Two runs in one file?") from None
    print(f"{args.output}: {len(wanted)} pairs")
    longer = Counter("chosen" if b[1] > w[1] else "rejected" if b[1] < w[1] else "neither" for b, w in wanted)
    lengths = [sum(pair[side][1] for pair in wanted) / len(wanted) for side in (0, 1)]
    print(
        f"  longer answer: chosen {longer['chosen']}, rejected {longer['rejected']}, neither {longer['neither']}; "
        f"mean tokens: chosen {lengths[0]:.1f}, rejected {lengths[1]:.1f}"
    )
    return 0


def evened(pairs: list[tuple], bias: float) -> list[tuple]:
    """The pairs without as many of the most uneven ones as make one side the longer one at most ``bias`` times as often."""
    few, many = sorted(([p for p in pairs if p[0][1] > p[1][1]], [p for p in pairs if p[0][1] < p[1][1]]), key=len)
    many.sort(key=lambda pair: abs(pair[0][1] - pair[1][1]))
    dropped = {id(pair) for pair in many[int(bias * len(few)):]}
    return [pair for pair in pairs if id(pair) not in dropped]


def bands(args) -> list[tuple[str, float]]:
    """Names and lower bounds of the stages, easiest first."""
    return [(f"{number}-{name}", bound) for number, (name, bound) in enumerate(zip(("easy", "medium", "hard"), (*args.bands, 0.0)), 1)]


def curriculum(args) -> int:
    stages, counts, rates = bands(args), Counter(), defaultdict(list)
    kept = []  # (stage, place in the stage, offset): tasks are read again when their turn comes
    for number, offset, row in scan(args.profile):
        rate, sample = row.get("mean/reward"), row.get("sample")
        if not isinstance(rate, (int, float)) or not isinstance(sample, dict):
            raise BadInput(f"{args.profile}:{number}: no mean/reward or no sample. Give the *_reward_profiling.jsonl of gym eval profile")
        if row.get("num_rollouts", args.min_rollouts) < args.min_rollouts:
            name = "few rollouts"
        elif row.get("std/reward") == 0 or row.get("min/reward") == row.get("max/reward"):
            name = "never" if rate <= args.never else "always"
        else:
            name = next(name for name, bound in stages if rate >= bound)
        counts[name] += 1
        rates[name].append(rate)
        replay = name == "always" and digest(args.seed, "replay", row.get("_ng_task_index")) < args.replay * 2**64
        if name not in ("few rollouts", "never", "always") or replay:
            target = stages[-1][0] if replay else name
            kept.append((target, digest(args.seed, row.get("_ng_task_index")), offset))
            counts["replayed"] += replay
    total = counts.total() - counts["replayed"]
    print(f"{args.profile}: {total} tasks")
    for name, meaning in (("few rollouts", f"fewer than {args.min_rollouts} rollouts"), ("never", "every rollout got nothing: left out"),
                          ("always", f"every rollout got the same reward: left out, but {counts['replayed']} replayed in the last stage")):
        if counts[name]:
            print(f"  {name}: {counts[name]} tasks, {meaning}")
    if not kept:
        return fail("no task is solved sometimes, nothing written. Profile easier tasks or a stronger model")
    with open(args.profile, "rb") as lines:
        for name, _ in stages:
            chosen = sorted(entry for entry in kept if entry[0] == name)
            path = args.output / f"{name}.jsonl"
            if not chosen:
                path.unlink(missing_ok=True)
                continue
            with writing(path) as out:
                for _, _, offset in chosen:
                    lines.seek(offset)
                    row = json.loads(lines.readline())["sample"]
                    if row.get("task_source"):  # Gym finds the agent from it, as in a collated file
                        row.pop("agent_ref", None)
                    out.write(dump(row))
            span = f"pass rate {min(rates[name]):.2f} to {max(rates[name]):.2f}" if rates[name] else "replayed tasks only"
            print(f"{path}: {len(chosen)} tasks, {span}")
    return 0


def group_reader(args):
    """A function that names the group of a rollout: the values of --by; `difficulty` comes from --profile."""
    sources = {}
    for field in args.by:
        if field == "difficulty":
            if not args.profile:
                raise BadInput("--by difficulty needs --profile *_reward_profiling.jsonl")
            sources[field] = {}
            for number, row in read_rows(args.profile):
                if not isinstance(row.get("mean/reward"), (int, float)):
                    raise BadInput(f"{args.profile}:{number}: no mean/reward. Give the *_reward_profiling.jsonl of gym eval profile")
                sources[field][row.get("_ng_task_index")] = next(name for name, bound in (("easy", 0.7), ("medium", 0.3), ("hard", -math.inf)) if row["mean/reward"] >= bound)
        elif args.profile:
            sources[field] = task_fields(args.profile, field)

    def group(row: dict) -> str:
        values = [sources[f].get(row["_ng_task_index"]) if f in sources else field_of(row, f) for f in args.by]
        return "/".join(map(str, values))

    return group


def balance(args) -> int:
    group = group_reader(args)
    # First pass: the groups. The hash of a rollout decides its place in the group, whatever the order of the file.
    places, total = defaultdict(list), 0
    for number, row in read_rollouts(args.rollouts):
        total += 1
        places[group(row)].append((digest(args.seed, *key_of(row)), number))
    size = args.per_group or min(map(len, places.values()))
    keep = {number for entries in places.values() for _, number in sorted(entries)[:size]}
    with writing(args.output) as out:
        for number, row in read_rollouts(args.rollouts):
            if number in keep:
                out.write(dump(row))
    width = max(map(len, (*places, "group")))
    print(f"{'group':<{width}}{'in':>7}{'out':>7}")
    for name, entries in sorted(places.items()):
        print(f"{name:<{width}}{len(entries):>7}{min(size, len(entries)):>7}" + ("  fewer than asked for" if len(entries) < size else ""))
    print(f"{args.output}: {len(keep)} of {total} rollouts")
    return 0


def asked(row: dict) -> str:
    given = row["responses_create_params"].get("input")
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            try:
                return text_of(message.get("content"))
            except NoChat as reason:
                return f"({reason})"
    return ""


def shown(row: dict) -> str:
    """All that the model said and called, and what came back, for a person to read."""
    try:
        _, completion, _ = convert(row)
    except NoChat as reason:
        return f"({reason})"
    parts = []
    for message in completion:
        if message["content"]:
            parts.append(("" if message["role"] == "assistant" else f"{message['role']}: ") + message["content"])
        parts += [f"{call['function']['name']}({json.dumps(call['function']['arguments'], ensure_ascii=False)})" for call in message.get("tool_calls", ())]
    return "\n".join(parts)


def sample(args) -> int:
    # Per group and outcome, the rollouts with the smallest hashes: a random sample that a longer file only adds to.
    group, strata, total = group_reader(args), defaultdict(list), 0
    for number, row in read_rollouts(args.rollouts):
        total += 1
        outcome = "masked" if row.get("mask_sample") else "cut off" if cut_off(row) else "passed" if row["reward"] >= args.success else "failed"
        name = f"{group(row)}, {outcome}"
        strata[name] = sorted([*strata[name], (digest(args.seed, *key_of(row)), number)])[: args.per_group]
    wanted = {number: name for name, entries in strata.items() for _, number in entries}
    lines = []
    for number, row in read_rollouts(args.rollouts):
        if number not in wanted:
            continue
        task, repeat = key_of(row)
        expected = row.get("expected_answer", row.get("expected_answers", ""))
        lines.append({
            "verdict": "", "note": "", "task_index": task, "rollout_index": repeat, "group": wanted[number],
            "reward": "" if args.blind else row["reward"], "question": asked(row), "answer": shown(row),
            "expected": "" if args.blind else expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False),
        })
        if args.blind:
            lines[-1]["group"] = lines[-1]["group"].rpartition(", ")[0]
    lines.sort(key=lambda line: (line["task_index"], line["rollout_index"] or 0))  # a run writes rollouts as they complete
    with writing(args.output) as out:
        if args.output.suffix == ".csv":
            table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(lines)
        else:
            out.writelines(map(dump, lines))
    for name, entries in sorted(strata.items()):
        print(f"  {name}: {len(entries)}")
    print(f"{args.output}: {len(wanted)} of {total} rollouts. Fill in verdict ({', '.join(VERDICTS)}) and, if you like, note")
    return 0


def read_review(path: Path) -> dict:
    """Verdict and note by task and repeat, from the CSV or JSONL that `sample` wrote and people filled in."""
    if path.suffix == ".csv":
        try:
            with open(path, encoding="utf-8-sig", newline="") as lines:
                given = list(enumerate(csv.DictReader(io.StringIO(lines.read(), newline="")), 2))
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror or error}. Check the path") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{path}: not a CSV file in UTF-8 ({error}). Save it as CSV UTF-8, with commas") from None
    else:
        given = list(read_rows(path))
    found = {}
    for number, row in given:
        try:
            key = int(row["task_index"]), int(row["rollout_index"])
            verdict = (row["verdict"] or "").strip().lower()
        except (KeyError, TypeError, ValueError):
            raise BadInput(f"{path}, row {number}: needs the columns verdict, task_index and rollout_index, separated by commas") from None
        if verdict and verdict not in VERDICTS:
            raise BadInput(f"{path}, row {number}: the verdict {verdict!r} is none of {', '.join(VERDICTS)}")
        if verdict:
            found[key] = verdict, (row.get("note") or "").strip()
    if not given:
        raise BadInput(f"{path}: no rows")
    return found


def merge(args) -> int:
    review = read_review(args.review)
    if not review:
        return fail(f"{args.review}: no verdict is filled in, nothing written")
    table, total, kept, met = Counter(), 0, 0, set()
    with writing(args.output) as out:
        for _, row in read_rollouts(args.rollouts):
            total += 1
            verdict, note = review.get(key_of(row), (None, None))
            if verdict:
                met.add(key_of(row))
                if not row.get("mask_sample"):  # no verdict of the verifier
                    table[row["reward"] >= args.success, verdict] += 1
                row["annotation"] = {"verdict": verdict, "note": note}
            if verdict not in args.drop and (verdict or not args.only_reviewed):
                kept += 1
                out.write(dump(row))
    said = f"{args.review}: {len(review)} verdicts, {len(review) - len(met)} of them for rollouts that are not in {args.rollouts}"
    print(f"{said}\n{'':<10}" + "".join(f"{verdict:>8}" for verdict in VERDICTS))
    for passed, name in ((True, "passed"), (False, "failed")):
        print(f"{name:<10}" + "".join(f"{table[passed, verdict]:>8}" for verdict in VERDICTS))
    decided = sum(table[passed, verdict] for passed in (True, False) for verdict in ("good", "bad"))
    if decided:
        print(f"the verifier agrees with people on {table[True, 'good'] + table[False, 'bad']} of {decided}")
    print(f"{args.output}: {kept} of {total} rollouts")
    return 0


def faults(messages, where: str) -> list[str]:
    """What is wrong with a list of chat messages."""
    if not isinstance(messages, list) or not messages:
        return [f"{where} is empty"]
    found = []
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            kind = message.get("type") if isinstance(message, dict) else type(message).__name__
            found.append(f"{where} holds a {kind}: these are items of the Responses API, templates skip them")
        elif not isinstance(message.get("content"), str):
            found.append(f"{where} has content that is no string, templates render it as text or skip it")
        for call in message.get("tool_calls") or () if isinstance(message, dict) else ():
            if not isinstance((call.get("function") or {}).get("arguments"), dict):
                found.append(f"{where} has tool-call arguments that are no object")
    return list(dict.fromkeys(found))


def spoken(messages) -> str:
    """The text and the calls of the model, as a chat template would see them."""
    own = [m for m in messages or () if isinstance(m, dict) and m.get("role") == "assistant"]
    return "".join((m["content"] if isinstance(m.get("content"), str) else "") + "".join(map(json.dumps, m.get("tool_calls") or ())) for m in own)


def check(args) -> int:
    problems, examples, rows = Counter(), {}, 0
    for number, row in read_rows(args.file):
        rows += 1
        if "messages" in row:
            found = faults(row["messages"], "messages")
            own = row["messages"] if isinstance(row["messages"], list) else []
            if not any(isinstance(m, dict) and m.get("role") == "user" for m in own):
                found.append("messages have no user turn: the prompt is missing")
            if not spoken(own).strip():
                found.append("messages have no assistant text or call: nothing to learn from")
            elif own[-1].get("role") != "assistant":
                found.append("messages do not end with the assistant")
        elif "chosen" in row and "rejected" in row:
            found = [fault for part in ("prompt", "chosen", "rejected") for fault in faults(row.get(part), part)]
            chosen, rejected = (spoken(row[part] if isinstance(row[part], list) else ()) for part in ("chosen", "rejected"))
            found += [f"{part} has no assistant text or call" for part, text in (("chosen", chosen), ("rejected", rejected)) if not text.strip()]
            if chosen == rejected:
                found.append("chosen and rejected are the same to a template: the loss stays at ln 2 = 0.6931")
        elif "prompt" in row and "completion" in row:
            found = [fault for part in ("prompt", "completion") for fault in faults(row[part], part)]
            if not spoken(row["completion"] if isinstance(row["completion"], list) else ()).strip():
                found.append("completion has no assistant text or call: nothing to learn from")
        else:
            raise BadInput(f"{args.file}:{number}: neither messages, nor prompt and completion, nor chosen and rejected")
        for fault in found:
            problems[fault] += 1
            examples.setdefault(fault, number)
    for fault, count in problems.most_common():
        print(f"{args.file}:{examples[fault]}: {fault} ({count} rows)")
    print(f"{args.file}: {rows} rows, {'no problem' if not problems else f'{len(problems)} problems'}")
    return 1 if problems else 0


def fail(message: str) -> int:
    print(f"make_training_sets.py: {message}", file=sys.stderr)
    return 1


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
    sub.add_argument("--replay", type=number(0, 1), default=0.0, metavar="SHARE", help="share of the always solved tasks that the last stage repeats (default: %(default)s)")
    shared(sub, "seed")

    sub = command(balance, "as many rollouts of each group")
    sub.add_argument("--per-group", type=number(1, kind=int), metavar="N", help="rollouts of each group at most (default: as many as the smallest has)")
    shared(sub, "by", "seed")

    sub = command(sample, "some rollouts of each group and outcome, for people to judge")
    sub.add_argument("--per-group", type=number(1, kind=int), default=5, metavar="N", help="rollouts of each group and outcome (default: %(default)s)")
    sub.add_argument("--blind", action="store_true", help="hide reward, outcome and expected answer from who judges")
    shared(sub, "by", "seed", "success")

    sub = command(merge, "take verdicts back into the rollouts")
    sub.add_argument("review", type=Path, metavar="REVIEW", help="what `sample` wrote, with the verdicts filled in (.csv or .jsonl)")
    sub.add_argument("--drop", nargs="*", choices=VERDICTS, default=["bad"], help="rollouts with these verdicts are left out (default: bad)")
    sub.add_argument("--only-reviewed", action="store_true", help="leave out what nobody judged")
    shared(sub, "success")

    command(check, "rows of an SFT or DPO file that a trainer learns nothing from", "file")

    args = parser.parse_args(argv)
    if args.command == "curriculum" and args.bands[0] <= args.bands[1]:
        parser.error("--bands: the first number must be the larger one")
    if "output" in args and any(args.output.resolve() == path.resolve() for path in (vars(args).get("rollouts"), vars(args).get("review")) if path):
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
