"""`make_training_sets.py dpo`: the best against the worst rollout of each task."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import groupby
from struct import Struct
from typing import NamedTuple

from rollout_filters import by_task
from rollout_to_chat import answer_of, convert, dpo_row, messages_key, numbers_in
from rollouts import REPEAT, NoChat, Rollouts, Seen, cut_off, digest, dumps, frozen, row_at, tokens_of, unmeasured, writing
from set_helpers import fail, listed


class Entry(NamedTuple):
    """What is kept of a rollout: packed into 49 bytes with the number of its task, and as a tuple while that is looked at."""

    reward: float
    length: int  # output tokens, or characters where the endpoint did not count
    answer: int
    prompt: int
    repeat: int  # for the choice among equals
    offset: int
    line: int
    cut: bool
    place: int
    task: int | str


PACKED = Struct("=dIqqIqI?")  # up to ``cut``
MOST = 2**32 - 1


def read(run: Rollouts, reasoning: str) -> tuple[bytearray, array, list, Counter]:
    """The usable rollouts, the number of each one's task, the names of the tasks, and why others are left out."""
    packed, tasks, seen, reasons = bytearray(), array("I"), Seen(run.path), Counter()
    asked, offered, prompt_key, tools_key = None, None, 0, 0
    for number, offset, _, row in run:
        task = seen.add(number, row)
        try:
            if why := unmeasured(row):
                raise NoChat(why)
            prompt, answer, tools = convert(row, reasoning)
        except NoChat as reason:
            reasons[str(reason)] += 1
            continue
        length, repeat = tokens_of(row), row.get(REPEAT)
        if length is None:
            length = sum(len(message["content"]) for message in answer)
        repeat = repeat if type(repeat) is int else number
        if prompt != asked:  # mostly the same as in the row before, as are the tools
            asked, prompt_key = prompt, messages_key(prompt)
        if tools != offered:
            offered, tools_key = tools, hash(frozen(tools))
        packed += PACKED.pack(
            row["reward"], min(length, MOST), answer_of(answer), prompt_key ^ tools_key, repeat & MOST, offset, number & MOST, cut_off(row) is not None
        )
        tasks.append(task)
    return packed, tasks, list(seen.tasks), reasons


def pairs_of(entries: list[Entry], args) -> list[tuple[Entry, Entry]] | str:
    """The pairs of one task, or why it has none."""
    if not entries:
        return "no usable rollout"
    if len(entries) < 2:
        return "only one rollout"
    low, high = min(entry.reward for entry in entries), max(entry.reward for entry in entries)
    if low == high:
        return "every rollout has the same reward"
    if high - low < args.margin - 1e-9:
        return f"margin below {args.margin:g}"
    best = [entry for entry in entries if high - entry.reward <= args.tie and not entry.cut]
    worst = [entry for entry in entries if entry.reward - low <= args.tie]
    if not best:
        return "the best rollouts are cut off"
    pairs = [(b, w) for b in best for w in worst if b.prompt == w.prompt]
    if not pairs:
        return "its best and worst rollouts have different prompts or tools"
    pairs = [(b, w) for b, w in pairs if b.answer != w.answer and b.reward - w.reward >= args.margin - 1e-9]
    if not pairs:
        return "the two answers are the same"
    if args.max_length_ratio:
        ratio = args.max_length_ratio
        pairs = [(b, w) for b, w in pairs if max(b.length, w.length, 1) <= ratio * max(min(b.length, w.length), 1)]
    if not pairs:
        return f"one answer is more than {args.max_length_ratio:g} times as long as the other"
    # Among ties, the pair of the most similar length; the seed decides what is left.
    gap = (lambda pair: abs(pair[0].length - pair[1].length)) if args.ties == "length" else (lambda pair: 0)
    chance = lambda pair: digest(args.seed, pair[0].task, pair[0].repeat, pair[1].repeat)  # noqa: E731
    used, wanted = set(), []
    for _, equal in groupby(sorted(pairs, key=gap), gap):
        equal = list(equal)
        for b, w in sorted(equal, key=chance) if len(equal) > 1 else equal:
            if not used & {b.answer, w.answer}:
                used |= {b.answer, w.answer}
                wanted.append((b, w))
                if len(wanted) == args.per_task:
                    return wanted
    return wanted


def evened(more: array, bias: float) -> list[int]:
    """Which pairs stay if one side may be the longer one at most ``bias`` times as often: without the most uneven ones.

    ``more``: how much longer the chosen answer of each pair is.
    """
    few, many = sorted(([n for n, by in enumerate(more) if by > 0], [n for n, by in enumerate(more) if by < 0]), key=len)
    many.sort(key=lambda number: abs(more[number]))
    dropped = set(many[int(bias * len(few)):])
    return [number for number in range(len(more)) if number not in dropped]


def dpo(args) -> int:
    # First pass: reward, length, answer and place of each rollout. Second pass: read the chosen ones again.
    run = Rollouts(args.rollouts)
    packed, tasks, names, reasons = read(run, args.reasoning)
    entry = lambda place, task: Entry(*PACKED.unpack_from(packed, place * PACKED.size), place, task)  # noqa: E731
    chosen, rejected, more, lost = array("I"), array("I"), array("q"), Counter()
    for task, places in by_task(tasks, len(names), sorted(range(len(names)), key=lambda task: (isinstance(names[task], str), names[task]))):
        found = pairs_of([entry(place, names[task]) for place in places], args)
        if isinstance(found, str):
            lost[found] += 1
            continue
        for best, worst in found:
            chosen.append(best.place)
            rejected.append(worst.place)
            more.append(best.length - worst.length)
    count, wanted = len(more), evened(more, args.max_bias) if args.max_bias else range(len(more))
    print(f"{args.rollouts}: {run.count} rollouts of {len(names)} tasks\n{listed(run, reasons)}", end="")
    for reason, number in lost.most_common():
        print(f"  {number} tasks without a pair: {reason}")
    if count > len(wanted):
        print(f"  {count - len(wanted)} pairs left out: --max-bias {args.max_bias:g}")
    if count and not wanted:
        return fail("--max-bias leaves no pair, nothing written: one side is always the longer one. Collect more rollouts")
    if not wanted:
        return fail("no pair, nothing written. Did a filter remove the failures? Pairs need good and bad rollouts of one task")
    longer, lengths = Counter(), [0, 0]
    with writing(args.output) as out, open(args.rollouts, "rb", 1 << 14) as file:
        for number in wanted:
            best, worst = entry(chosen[number], None), entry(rejected[number], None)
            row = dpo_row(row_at(file, best.offset), row_at(file, worst.offset), args.reasoning, (args.rollouts, best.line), (args.rollouts, worst.line))
            out.write(dumps(row, numbers_in(row)))
            longer["chosen" if best.length > worst.length else "rejected" if best.length < worst.length else "neither"] += 1
            lengths = [lengths[0] + best.length, lengths[1] + worst.length]
    print(f"{args.output}: {len(wanted)} pairs")
    print(
        f"  longer: chosen {longer['chosen']}, rejected {longer['rejected']}, neither {longer['neither']}; "
        f"mean tokens: chosen {lengths[0] / len(wanted):.1f}, rejected {lengths[1] / len(wanted):.1f}"
    )
    return 0
