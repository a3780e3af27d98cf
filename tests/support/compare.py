"""Does the output that a page shows fit what came out?

Lines are equal, or `docs/varies/NAME.txt` says how they vary. A line of that file is a template, which describes the shown and
the printed line alike:

    Finished 80 / 80 rollouts (100%) in # (# rollouts/min)
    Knee: --concurrency #[3..6]

`#` stands for a number, a percentage, a time of day, a date, a duration or a size with its unit, or an id in hexadecimal digits.
Shown and printed are of one kind; count of digits and sign may differ. `#[LOW..HIGH]` is a plain number or percentage within the
range, because the page draws a conclusion from it. `#, ..#` is a list of whole numbers of any length. `/tmp/#` is a path below a
temporary folder. `...` stands for any text. Runs of white space count as one, runs of the characters of table rules and bars (three
and more in the template) may have any length; all else is exact.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

LENGTHS = "ns|us|µs|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d"
# In the order in which they are tried: the longest first.
KINDS = {
    "date": r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    "time": r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?",
    "id": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}(?![0-9A-Za-z])",
    "percent": r"[+\-−]?\d+(?:\.\d+)?[ ]?%",
    "duration": rf"\d+(?:\.\d+)?[ ]?(?:{LENGTHS})(?![A-Za-z])(?:[ ]?\d+(?:\.\d+)?[ ]?(?:{LENGTHS})(?![A-Za-z]))*",
    "size": r"\d+(?:\.\d+)?[ ]?(?:[kKMGT]i?B|B|bytes?)(?![A-Za-z])",
    "decimal": r"[+\-−]?(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)",
    "integer": r"[+\-−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)",
}
# Not a number: the 3 of `qwen3`, a part of 0.7.0 or 127.0.0.1, the digits before an ellipsis.
FREE = r"(?<![A-Za-z.\d])(?<![\w)+−\-](?=[+−\-]))(?!\d+(?:\.\d+){2})"
WHOLE = r"(?!\d|\.\d|\.\.\.)"
NUMBER = re.compile(FREE + "(?:" + "|".join(KINDS.values()) + ")" + WHOLE)
PATH = re.compile(r"(?:/private)?(?:/tmp|/var/tmp|/var/folders)/(?!#)[\w./+\-]*[\w/]")
TOKEN = re.compile(f"{PATH.pattern}|{NUMBER.pattern}")
# Widths follow from what a table holds: a rule, and a bar, as they stand in a template.
RULE, BAR = re.compile(r"([-=_~#─━═])\1{2,}"), re.compile("[\u2580-\u259f]+")
LIST = re.compile(r"\d+(?:, \d+)*(?!,? \d|\.\d)")
PART = re.compile(
    r"(?P<list>\#, \.\.\#)|(?P<rule>(?P<dash>[-=_~#─━═])(?P=dash){2,})"
    r"|(?P<range>\#\[(?P<low>-?[\d.]+?)\.\.(?P<high>-?[\d.]+)\])|(?P<path>/tmp/\#)|(?P<number>\#)|(?P<any>\.\.\.)"
    r"|(?P<bar>[\u2580-\u259f]+)|(?P<space>\s+)"
)  # fmt: skip


def kind(number: str) -> str:
    return next((name for name, pattern in KINDS.items() if re.fullmatch(pattern, number)), "#")


def same_kind(shown: str, printed: str) -> bool:
    # An id may happen to have digits only.
    kinds = {kind(shown), kind(printed)}
    return len(kinds) == 1 or kinds == {"id", "integer"} and min(len(shown), len(printed)) >= 8


def value(number: str) -> float:
    return float(number.rstrip("% ").replace(",", "").replace("−", "-"))


@dataclass(frozen=True)
class Template:
    """One line of `docs/varies/NAME.txt`."""

    text: str

    @functools.cached_property
    def ranges(self) -> list[tuple[float, float] | None]:
        """Of each `#` its range, if it has one."""
        parts = [part for part in PART.finditer(self.text) if part["range"] or part["number"]]
        return [(float(part["low"]), float(part["high"])) if part["range"] else None for part in parts]

    @functools.cached_property
    def pattern(self) -> re.Pattern:
        """Has a group `nN` for each `#`, and `gN` for each `...`."""
        pattern, end = r"\s*", 0
        for count, part in enumerate(PART.finditer(self.text)):
            pattern += re.escape(self.text[end:part.start()])
            end = part.end()
            if part["list"]:
                pattern += LIST.pattern
            elif part["range"] or part["number"]:
                # Padding may be all there is between a number and its neighbor. The `#` of a comment is one, too.
                pattern += rf"\s*(?P<n{count}>{NUMBER.pattern}|\#)\s*"
            elif part["any"]:
                pattern += f"(?P<g{count}>.*?)"
            elif part["bar"]:
                pattern += rf"\s*(?:{BAR.pattern})?\s*"
            else:
                pattern += PATH.pattern if part["path"] else f"{re.escape(part['dash'])}+" if part["rule"] else r"\s+"
        pattern += re.escape(self.text[end:]) + r"\s*"
        return re.compile(pattern.replace(r"\s+\s*", r"\s*").replace(r"\s*\s+", r"\s*"))

    def match(self, line: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
        """Where in the line the numbers and the gaps stand; None if the template is not for this line."""
        if (match := self.pattern.fullmatch(line)) is None:
            return None
        numbers = [match.span(name) for name in match.re.groupindex if name[0] == "n"]
        return numbers, [match.span(name) for name in match.re.groupindex if name[0] == "g"]

    def numbers(self, line: str) -> list[str] | None:
        found = self.match(line)
        return None if found is None else [line[start:end] for start, end in found[0]]

    def describes(self, shown: str) -> bool:
        """Is it for this line of the page, and are the line's own numbers within the ranges?"""
        return self.wrong(shown, shown) == ""

    def wrong(self, shown: str, printed: str) -> str | None:
        """Which number is not one that the template allows, and why; "" if all are, None if it is not for these lines."""
        before, now = self.numbers(shown), self.numbers(printed)
        if before is None or now is None:
            return None
        for was, its, allowed in zip(before, now, self.ranges):
            if allowed and (kind(its) not in ("integer", "decimal", "percent") or not allowed[0] <= value(its) <= allowed[1]):
                return f"{its} is not within {allowed[0]:g}..{allowed[1]:g}"
            if not allowed and not same_kind(was, its):
                return f"{its} is of the kind {kind(its)}, not {kind(was)} as {was}"
        return ""


def read(text: str) -> list[Template]:
    return [Template(line) for line in text.splitlines() if line.strip()]


def of_line(line: str, fixed: frozenset[tuple[int, int]] = frozenset()) -> str:
    """The template of a line: `#` for each number but the ``fixed`` ones, which are given by their place."""

    def sign(found: re.Match) -> str:
        return "/tmp/#" if PATH.fullmatch(found[0]) else found[0] if found.span() in fixed else "#"

    return " ".join(BAR.sub("█", RULE.sub(r"\1\1\1", TOKEN.sub(sign, line))).split())


@functools.cache
def _with_ellipsis(shown: str) -> re.Pattern:
    return re.compile(re.escape(shown).replace(r"\.\.\.", ".*?"))


class Comparison:
    """Output that a page shows, held against what was printed. ``reasons`` says which numbers were not as they may be."""

    def __init__(self, shown: str, printed: str, templates: list[Template]) -> None:
        # A line break of another kind than \n may be part of a line.
        self.shown, self.printed = (text.split("\n") if text else [] for text in (shown, printed))
        self.templates, self.reasons = templates, []

    def line_matches(self, shown: str, printed: str) -> bool:
        if shown == printed or ("..." in shown and _with_ellipsis(shown).fullmatch(printed)):
            return True
        for template in self.templates:
            if template.describes(shown) and (wrong := template.wrong(shown, printed)) is not None:
                if wrong == "":
                    return True
                self.reasons.append(f"`{printed}`: {wrong} (template: `{template.text}`)")
        return False

    def pairs(self) -> list[tuple[str, str]] | None:
        """The lines of the page, each with the printed one; None if the outputs do not fit.

        A line `...` stands for any lines, `...` in a line for any text.
        """
        pairs: list[tuple[str, str]] = []
        row = at = 0
        retry = None  # where to go on if the last line `...` stands for one printed line more
        while row < len(self.shown) or at < len(self.printed):
            if row < len(self.shown) and self.shown[row].strip() == "...":
                row += 1
                retry = row, at + 1, len(pairs)
                if row == len(self.shown):
                    break
            elif row < len(self.shown) and at < len(self.printed) and self.line_matches(self.shown[row], self.printed[at]):
                pairs.append((self.shown[row], self.printed[at]))
                row, at = row + 1, at + 1
            elif retry and retry[1] <= len(self.printed):
                row, at, count = retry
                retry = row, at + 1, count
                del pairs[count:]
            else:
                return None
        return pairs

    def explanation(self) -> str:
        """What to know about a comparison that failed, beyond the two texts."""
        self.reasons.clear()
        if self.pairs() is not None:
            return ""
        pairs = Loose("\n".join(self.shown), "\n".join(self.printed), self.templates).pairs() or []
        return "".join(f"{reason}\n" for reason in dict.fromkeys(self.reasons)) + "".join(
            f"`{shown}`: other numbers were printed, and docs/varies has no template for this line\n"
            for shown, printed in pairs if not self.line_matches(shown, printed)
        )


class Loose(Comparison):
    """Any number is as good as another one of its kind, unless a template has a range for it."""

    def line_matches(self, shown: str, printed: str) -> bool:
        before = len(self.reasons)
        return super().line_matches(shown, printed) or len(self.reasons) == before and Template(of_line(shown)).wrong(shown, printed) == ""


def learn(shown: str, printed: str, templates: list[Template]) -> list[str] | None:
    """The templates without which the shown output does not fit this run; None if more differs than numbers may."""
    pairs = Loose(shown, printed, templates).pairs()
    strict = Comparison("", "", templates)
    return None if pairs is None else [_of_both(*pair, templates) for pair in pairs if not strict.line_matches(*pair)]


def _of_both(shown: str, printed: str, templates: list[Template]) -> str:
    """A number that is the same in both stays, unless a template lets it vary already."""
    every = Template(of_line(shown))
    same = {
        span for span, was, now in zip(every.match(shown)[0], every.numbers(shown), every.numbers(printed)) if was == now
    }
    for template in templates:
        if template.describes(shown):
            same -= set(template.match(shown)[0])
    return of_line(shown, frozenset(same))


def fill(shown: str, printed: str) -> tuple[str, str] | None:
    """The line with numbers where it shows `...`, and its template; None if that is not all that differs.

    An ellipsis stays where words were printed.
    """
    template = Template(of_line(shown))
    if shown.strip() == "..." or "..." not in shown or template.wrong(shown, printed) != "":
        return None
    spans, gaps = template.match(printed)
    tokens = [token.span() for token in TOKEN.finditer(printed)]

    def has_words(gap: tuple[int, int]) -> bool:
        return any(printed[at].isalpha() and not any(start <= at < end for start, end in tokens) for at in range(*gap))

    kept = [gap for gap in gaps if has_words(gap)]
    if kept == gaps:
        return None
    same = {span for span, was, now in zip(spans, template.numbers(shown), template.numbers(printed)) if was == now}
    filled = [gap for gap in gaps if gap not in kept]
    fixed = {span for span in tokens if span in same or not any(start < span[1] and span[0] < end for start, end in filled + spans)}
    page = printed
    for start, end in reversed(kept):
        page = page[:start] + "..." + page[end:]
        shift = 3 - (end - start)
        fixed = {(a + shift, b + shift) if a >= end else (a, b) for a, b in fixed}
    return page, of_line(page, frozenset(fixed))


class Varies:
    """The templates of the outputs of one file: of `docs/training/how-to/NAME.md` in `docs/varies/NAME.txt`."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.path = folder / f"{source.stem}.txt"
        self.templates = read(self.path.read_text(encoding="utf-8")) if self.path.exists() else []

    def add(self, text: str) -> None:
        """Take a template in, in the place of those that it is the wider form of."""
        new = Template(text)
        kept = [known for known in self.templates if any(known.ranges) or new.wrong(known.text, known.text) != ""]
        self.templates = sorted({*kept, new}, key=lambda template: template.text)

    def stale(self, shown: list[str]) -> list[str]:
        """The templates that are for none of the lines that the file shows."""
        return [template.text for template in self.templates if not any(template.describes(line) for line in shown)]

    def write(self, shown: list[str]) -> None:
        """Without those that are stale."""
        stale = self.stale(shown)
        lines = [template.text for template in self.templates if template.text not in stale]
        if lines:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        else:
            self.path.unlink(missing_ok=True)


def shown_matches(shown: str, printed: str, templates: list[Template] | None = None) -> bool:
    return Comparison(shown, printed, templates or []).pairs() is not None


def problem(shown: str, printed: str, varies: Varies, end: str = "") -> str | None:
    """None if the shown output fits, else what is known of the reason, one line each. ``end`` are lines put below the shown ones."""
    fits = Comparison(f"{shown}\n{end}" if end else shown, printed, varies.templates)
    return None if fits.pairs() is not None else fits.explanation()


def record(shown: str, printed: str, varies: Varies, end: str = "", numbers: bool = False, peek: bool = False) -> tuple[str, str | None]:
    """What the page is to show from now on, and a problem or None.

    Where only numbers differ the shown ones stay, and ``varies`` learns the templates (unless this is to ``peek``). With
    ``numbers`` an ellipsis that hides nothing else gets them. Where more differs, what was printed takes the place of what is shown.
    """
    whole = f"{shown}\n{end}" if end else shown
    new = learn(whole, printed, varies.templates)
    if new is None:
        out_of_range = any("is not within" in reason for reason in Comparison(whole, printed, varies.templates).explanation().split("\n"))
        if end or out_of_range:
            return shown, problem(shown, printed, varies, end)
        return printed, None
    if peek:
        return shown, None
    for template in new:
        varies.add(template)
    if not numbers:
        return shown, None
    printed_by_line = iter(Loose(whole, printed, varies.templates).pairs())
    lines = []
    for line in shown.split("\n") if shown else []:
        full = None if line.strip() == "..." else fill(line, next(printed_by_line)[1])
        lines.append(full[0] if full else line)
        if full:
            varies.add(full[1])
    return "\n".join(lines), None
