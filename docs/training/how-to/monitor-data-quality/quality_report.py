# /// script
# requires-python = ">=3.11"
# dependencies = ["altair>=6,<7", "vl-convert-python>=1.8"]
# ///
"""Write one HTML file about one or more runs: the metrics as a table, interactive charts, single rollouts on click.

    uv run quality_report.py results/baseline/rollouts.jsonl results/candidate/rollouts.jsonl -o report.html

The file holds its data and its chart library (Vega-Lite, drawn with Altair), about 1 MB, and asks no other host for anything.
It quotes the beginning of questions and answers; --no-text leaves them out.
Exit code: 0 done, 2 bad input.
"""

from __future__ import annotations

import argparse
import html
import random
import sys
from pathlib import Path

from measuring import METRICS, BadInput, Rollouts, health_of, measure
from rollout_table import flat
from run_quality import cell, headline, write

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}small{color:#555}"""


def label_of(path: Path, taken: set[str]) -> str:
    """The folder of a run; its path if two folders have the same name."""
    return path.parent.name if path.parent.name and path.parent.name not in taken else path.as_posix()


def rollouts_of(path: Path, run: str, most: int, text: bool, chance: random.Random) -> tuple[list[dict], int]:
    """At most ``most`` rollouts of a run, chosen at random, with short texts; and how many there are."""
    verdicts, _ = health_of(path)
    kept, seen = [], 0
    for seen, (_, _, _, row) in enumerate(Rollouts(path), 1):
        place = len(kept) if seen <= most else chance.randrange(seen)
        if place >= most:
            continue
        entry = flat(row, verdicts)
        short = {key: str(entry[key])[:200] if text else "" for key in ("question", "answer", "tool_calls", "expected")}
        kept[place : place + 1] = [{**entry, **short, "run": run, "cut": "cut off" if entry["cut"] else "whole"}]
    return kept, seen


def tasks_of(rollouts: list[dict]) -> list[dict]:
    """Mean reward of each task in each run."""
    tasks: dict[tuple, list[dict]] = {}
    for row in rollouts:
        if isinstance(row["reward"], (int, float)):
            tasks.setdefault((row["run"], row["task"]), []).append(row)
    return [
        {"run": run, "task": task, "environment": rows[0]["environment"], "question": rows[0]["question"], "repeats": len(rows),
         "mean_reward": round(sum(row["reward"] for row in rows) / len(rows), 4)}
        for (run, task), rows in tasks.items()
    ]


def charts(rollouts: list[dict]):
    """Tasks above, their rollouts below: a click on a task leaves its own."""
    import altair as alt

    alt.data_transformers.disable_max_rows()
    click = alt.selection_point(fields=["task"])
    data = alt.Data(values=rollouts)
    color = alt.Color("run:N", title="run")
    shown = alt.condition(click, alt.value(0.9), alt.value(0.15))
    tasks = alt.Chart(alt.Data(values=tasks_of(rollouts)), title="Mean reward of each task (click one; Shift adds; a click beside clears)")
    tasks = tasks.mark_point(filled=True, size=70).encode(
        x=alt.X("task:O", title="task"), xOffset="run:N", y=alt.Y("mean_reward:Q", title="mean reward"), color=color,
        shape=alt.Shape("run:N"), opacity=shown,
        tooltip=["run:N", "task:O", "environment:N", "mean_reward:Q", "repeats:Q", "question:N"],
    ).properties(width=820, height=220).add_params(click)
    single = alt.Chart(data, title="Rollouts of the chosen tasks (point at one to read it)").mark_circle(size=60, opacity=0.6).encode(
        x=alt.X("output_tokens:Q", title="output tokens"), y=alt.Y("jittered:Q", title="reward (spread a little)"), color=color,
        tooltip=["run:N", "task:O", "repeat:O", "reward:Q", "verdict:N", "findings:N", "doubt:N", "cut:N", "calls:Q", "question:N", "answer:N", "tool_calls:N", "expected:N"],
    ).transform_calculate(jittered="datum.reward + (random() - 0.5) * 0.08").transform_filter(click).properties(width=820, height=220)
    small = {"width": 380, "height": 180}
    rewards = alt.Chart(data, title="Rewards").mark_bar().encode(
        x=alt.X("reward:O", bin=alt.Bin(maxbins=20), title="reward"), y=alt.Y("count()", title="rollouts"),
        xOffset="run:N", color=color, tooltip=["run:N", "count()"],
    ).transform_filter(click).properties(**small)
    lengths = alt.Chart(data, title="Output tokens").mark_bar(opacity=0.6).encode(
        x=alt.X("output_tokens:Q", bin=alt.Bin(maxbins=30), title="output tokens"),
        y=alt.Y("count()", title="rollouts", stack=False), color=color, tooltip=["run:N", "count()"],
    ).transform_filter(click).properties(**small)
    return alt.vconcat(tasks, single, alt.hconcat(rewards, lengths)).resolve_scale(color="shared")


def table(qualities: dict[str, dict]) -> str:
    """The metrics of all runs as an HTML table."""
    head = "".join(f"<th scope=col>{html.escape(run)}</th>" for run in qualities)
    body = "".join(
        f"<tr><th scope=row title=\"{html.escape(text)}\">{name}</th>"
        + "".join(f"<td>{cell(quality['metrics'].get(name)).replace('+-', '&plusmn;')}</td>" for quality in qualities.values())
        + f"<td><small>{html.escape(text)}</small></td></tr>"
        for name, text in METRICS.items() if any(name in quality["metrics"] for quality in qualities.values())
    )
    return f"<div class=scroll><table><tr><th scope=col>metric</th>{head}<th scope=col>meaning</th></tr>{body}</table></div>"


def page(qualities: dict[str, dict], rollouts: list[dict], note: str, title: str) -> str:
    chart = charts(rollouts).to_html(inline=True, embed_options={"actions": False})
    lines = "".join(
        f"<li><b>{html.escape(run)}</b>: {html.escape(headline(quality))}, {html.escape(quality['model'])}, finished {quality['finished']}"
        + "".join(f"<br>Doubt: {html.escape(doubt)}" for doubt in quality["doubts"]) + "</li>" for run, quality in qualities.items()
    )
    head = f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title><style>{STYLE}</style></head>'
    body = (
        f"<body><h1>{html.escape(title)}</h1><ul>{lines}</ul>{table(qualities)}"
        f"<p><small>&plusmn; is one standard error of running the same tasks again. {note}</small></p>"
    )
    # Altair writes a whole page with the chart library in it. What a model has written must not end the script.
    library, marker, spec = chart.rpartition("const spec = ")
    spec, end, rest = spec.rpartition("</script>")
    library, _, start = library.rpartition("</head>")  # the library itself holds such tags as text
    library = library.replace("<html>", '<html lang="en">', 1) + head + start.replace("<body>", body, 1)
    return library + marker + spec.replace("</", "<\\/").replace("<!--", "<\\!--") + end + rest


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, nargs="+", metavar="ROLLOUTS.jsonl", help="what gym eval run wrote with -o")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.html")
    parser.add_argument("--title", default="Rollout quality", help="heading (default: %(default)s)")
    parser.add_argument("--max-rollouts", type=int, default=2000, metavar="N", help="draw at most N rollouts of each run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="for the choice of these (default: %(default)s)")
    parser.add_argument("--no-text", action="store_true", help="leave out questions and answers")
    parser.add_argument("--success", type=float, default=1.0, help="reward from which a rollout is a success (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.max_rollouts < 1:
        parser.error("--max-rollouts must be 1 or more")
    qualities, drawn, note, chance = {}, [], "", random.Random(args.seed)
    try:
        for path in args.rollouts:
            run = label_of(path, set(qualities))
            qualities[run] = measure(path, success=args.success)
            rows, seen = rollouts_of(path, run, args.max_rollouts, not args.no_text, chance)
            drawn += rows
            if seen > len(rows):
                note += f"The charts show {len(rows)} of {seen} rollouts of {html.escape(run)}. "
        try:
            text = page(qualities, drawn, note, args.title)
        except ImportError as error:
            raise BadInput(f"{error.name} is not installed here. Start this file with: uv run quality_report.py ...") from None
        write(args.output, text, *args.rollouts)
    except BadInput as error:
        print(f"quality_report.py: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {len(qualities)} runs, {len(drawn)} rollouts, {len(text) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
