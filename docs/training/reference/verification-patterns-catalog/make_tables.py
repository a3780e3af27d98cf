"""Write the page's tables from classification.yaml, costs.json and judge.json into parts/.

    python make_tables.py [--out-dir parts]

Run it after measure_costs.py and measure_judge.py, or after an entry of classification.yaml changed.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
SLUGS = {
    "binary": "binary", "continuous": "continuous", "partial credit": "partial_credit", "composite": "composite", "judge": "judge",
    "hybrid": "hybrid", "state match": "state_match", "format check": "format_check",
}


def shipped(servers: dict, pattern: str) -> str:
    """The shipped servers that this pattern decides, as a table."""
    rows = [(name, its[0][1:], its[1]) for name, its in sorted(servers.items()) if its[0][0] == pattern]
    also = sorted(name for name, its in servers.items() if pattern in its[0][1:])
    lines = [f":::{{dropdown}} The {len(rows)} servers of 0.7.0 that decide this way", "| Server | Also | What it does |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {', '.join(more)} | {what} |" for name, more, what in rows]
    if also and pattern not in ("binary", "continuous"):
        lines += ["", "As a part of another pattern: " + ", ".join(f"`{name}`" for name in also) + "."]
    return "\n".join(lines + [":::", ""])


def milliseconds(value: float) -> str:
    return f"{value:.0f}" if value >= 9.5 else f"{value:.1f}"


def cost(costs: dict, slug: str) -> str:
    its = costs["patterns"][slug]
    judged = ", plus the judge's calls" if slug in ("judge", "hybrid") else ""
    return (f"**Cost per verification** of `{slug}.py` above: {its['verify_us']:.0f} µs of CPU for `verify()`{judged}; {its['request_us'] / 1000:.1f} ms with the "
            f"request around it; {milliseconds(its['worst_ms'])} ms for the worst of five answers of 200,000 characters.\n")


def tricks(judge: dict) -> str:
    """What answers made to fool the judge achieved; it shows only for a judge that refused any wrong answer."""
    refused = judge["refused_wrong_answers"]
    if not refused:
        return "It refused no wrong answer, so neither padding nor asking for SAME could be tried."
    return (f"It refused {refused} wrong answers; padding turned {judge['accepted_once_padded']} of these into SAME, and an answer that asks for SAME "
            f"{judge['accepted_once_ordered']}.")


def speed_and_accuracy(costs: dict, judge: dict) -> str:
    answers = judge["answers"]
    lines = [
        "| Verifier | Agrees with labels | Wrong accepted | Right refused | No verdict | Cost per answer |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def row(name: str, its: dict, price: str) -> None:
        lines.append(f"| {name} | {its['agree']} of {answers} | {its['wrong_accepted']} | {its['right_refused']} | {its.get('no_verdict', 0)} | {price} |")

    row("`binary`", costs["agreement"]["binary"], f"{costs['patterns']['binary']['verify_us']:.0f} µs of CPU")
    row("`continuous`, 0.5 or more is right", costs["agreement"]["continuous, 0.5 or more"], f"{costs['patterns']['continuous']['verify_us']:.0f} µs of CPU")
    names = {"one call": "`judge`, one call", "both orders": "`judge`, both orders", "three votes": "`judge`, three votes",
             "rule, else both orders": "`hybrid`", "always SAME": "says SAME to everything"}
    for setting, name in names.items():
        its = judge["settings"][setting]
        calls = its["calls_per_answer"]
        row(name, its, f"{calls:g} call{'' if calls == 1 else 's'}, {its['seconds_per_answer']:.2g} s" if calls else "nothing")
    differ, both = judge["orders_differ"]
    lines += [
        "",
        f"{costs['release']}, {costs['hardware']}, Python {costs['python']}, {costs['date']}; judge: {judge['model']} on the CPU, {judge['date']}, "
        f"four calls at a time. Its verdict depended on the order for {differ} of {both} answers. {tricks(judge)}",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out-dir", type=Path, default=HERE / "parts")
    args = parser.parse_args()
    try:
        servers = yaml.safe_load((HERE / "classification.yaml").read_text(encoding="utf-8"))
        costs, judge = (json.loads((HERE / name).read_text(encoding="utf-8")) for name in ("costs.json", "judge.json"))
    except OSError as error:
        print(f"make_tables.py: cannot read {error.filename}: measure first (measure_costs.py, measure_judge.py)", file=sys.stderr)
        return 2
    args.out_dir.mkdir(exist_ok=True)
    for pattern, slug in SLUGS.items():
        (args.out_dir / f"{slug}.md").write_text(cost(costs, slug) + "\n" + shipped(servers, pattern), encoding="utf-8")
    (args.out_dir / "speed_and_accuracy.md").write_text(speed_and_accuracy(costs, judge), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
