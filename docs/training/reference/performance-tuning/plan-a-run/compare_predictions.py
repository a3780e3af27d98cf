"""Hold the planner against what was measured, and write the tables of its page: python compare_predictions.py [--print]

Each committed measurement is predicted as a plan would, at its own concurrency. Of whole runs that were planned and then carried out,
executed.json keeps both numbers. Run it in a copy of the repository; exit code: 0 done, 2 a file is missing.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).absolute().parent
TUNING, GUIDES = HERE.parent, HERE.parents[2] / "how-to"


def predictions() -> list[tuple[str, int, float, float]]:
    """(what, concurrency, predicted, measured) in rollouts per minute, of every measurement through Gym."""
    from plan import HARDWARE, Asked, served, workload

    def read(path: Path) -> dict:
        return json.loads(path.read_text(encoding="utf-8"))

    def predict(asked: Asked, concurrency: int) -> float:
        work, _ = workload(asked, served(asked.model, asked.gpus, asked, 8000) if asked.where == "gpus" else None)
        work.concurrency = concurrency
        return 60 * work.rate()

    found = []
    servers = read(TUNING / "servers.json")
    for its in servers["scenarios"].values():
        if not its["delay_s"]:
            continue  # Gym's own seconds were measured with it
        judge = {"judge_calls": 1, "judge_seconds": its["judge_s"], "judge_limit": its["judge_limit"]} if its["judge_s"] else {}
        what = f"answers after {its['delay_s']:g} s" + (f", {its['slots']} slots" if its["slots"] else "") + (", a judge" if judge else "")
        for level in its["levels"]:
            asked = Asked(where="endpoint", call_seconds=its["delay_s"], slots=its["slots"] or 10**6, cores=servers["cores"], **judge)
            found.append((what, level["concurrency"], predict(asked, level["concurrency"]), level["rollouts_per_min"]))
    speed = read(TUNING / "gpu/h200/speed.json")
    HARDWARE["models"]["small"] = {"parameters_billion": 0.1345, "layers": 30, "kv_heads": 3, "head_dim": 64}
    for run in speed["runs"]:
        name = {"8b": ("an 8B", "Qwen/Qwen3-8B"), "small": ("a 135M", "small")}.get(run["name"])
        # Measured with one set of servers; beyond the fastest level the planner never goes.
        if run["way"] == "gym" and name and run["concurrency"] <= 512 and len(run["agents"]) == 1 and run["drivers"] == 1:
            asked = Asked(where="gpus", gpus=1, model=name[1], tokens=run["tokens"], prompt_tokens=38, cores=speed["cores"])
            found.append((f"{name[0]} on an H200, {run['tokens']} tokens", run["concurrency"], predict(asked, run["concurrency"]), run["per_min"]))
    for level in read(GUIDES / "optimize-rollout-collection/practice_knee.json")["levels"]:
        if level["concurrency"] == 2:  # 1 and 4 are what the plan starts from
            found.append(("practice endpoint", 2, predict(Asked(where="practice", cores=2), 2), level["rollouts_per_min"]))
    return found


def missed(found: list[tuple[str, int, float, float]]) -> list[str]:
    """What those that a plan counts on too much have in common, as long as it is true."""
    far = [(what, level, measured / predicted) for what, level, predicted, measured in found if measured < 0.8 * predicted]
    if not far or not all(level >= 128 or "16 tokens" in what or "0.1 s" in what for what, level, _ in far):
        return []
    low, high = (round(100 * pick(ratio for _, _, ratio in far)) for pick in (min, max))
    return [f"All {len(far)} that did not have short answers (16 tokens, 0.1 s) or at least 128 in flight on one set of servers. They got {low} to {high} % of the prediction. "
            "The formula knows no waiting before a stage is full; what else lies behind it was not measured. Plan with 40 % there, or measure.", ""]


def checks() -> str:
    found = predictions()
    ratios = [measured / predicted for _, _, predicted, measured in found]
    near = sum(abs(ratio - 1) <= 0.2 for ratio in ratios)
    least = min(found, key=lambda its: its[3] / its[2])
    planned = sum(ratio >= 0.8 for ratio in ratios)
    lines = [
        f"{len(found)} measurements, each predicted at its own concurrency: {near} lay within 20 % of the prediction, the median at {statistics.median(ratios):.0%}; "
        f"{planned} reached the 80 % that a plan counts on. The worst: {least[0]}, {least[1]} in flight, {least[3]:,.0f} rollouts a minute instead of {least[2]:,.0f}.",
        "", *missed(found), ":::{dropdown} Every measurement", "| What | In flight | Predicted /min | Measured /min | Measured ÷ predicted |", "| --- | --- | --- | --- | --- |",
        *(f"| {what} | {level} | {predicted:,.0f} | {measured:,.0f} | {measured / predicted:.2f} |" for what, level, predicted, measured in found), ":::",
    ]
    executed = HERE / "executed.json"
    if executed.exists():
        data = json.loads(executed.read_text(encoding="utf-8"))
        lines += ["", "Whole runs, from a plan's own files:", "", "| Plan | On | Rollouts | Planned s | Took s | Predicted /min | Measured /min | Measured ÷ predicted |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
        lines += [f"| {its['what']} | {its['on']} | {its['rollouts']} | {its['planned_s']:.0f} | {its['took_s']:.0f} | {its['predicted_per_min']:,.0f} | {its['measured_per_min']:,.0f} | "
                  f"{its['measured_per_min'] / its['predicted_per_min']:.2f} |" for its in data["plans"]]
        lines += ["", f"{data['release']}. Seconds count from the first rollout to the last."]
    return "\n".join(lines) + "\n"


def sources() -> str:
    from plan import HARDWARE, MEASURED

    gpu, practice, driver, judge = MEASURED["gpu"], MEASURED["practice"], MEASURED["driver"], MEASURED["judge"]
    rows = [
        ("Gym's own time and CPU per model call", f"{1000 * MEASURED['gym']['gym_seconds']:.0f} ms alone, {1000 * MEASURED['gym']['gym_cpu']:.0f} ms of CPU", MEASURED["gym"]),
        ("one set of servers, at most", f"{MEASURED['set_of_servers']['per_min']:,} rollouts a minute of one call", MEASURED["set_of_servers"]),
        (f"a call of {gpu['tokens']} tokens, {gpu['vllm']}", "; ".join(
            f"{its['parameters_billion']:.3g}B: {its['seconds'][0]:.2f} s with {gpu['few']} in flight, {its['seconds'][1]:.2f} s with {gpu['many']}" for its in gpu["models"]), gpu),
        ("the practice endpoint, its own tasks", f"{practice['seconds'][0]:.3f} s alone, {practice['seconds'][1]:.3f} s with {practice['slots']} in flight", practice),
        ("a judge's call, unless you know yours", f"{judge['seconds']:.1f} s", judge),
        ("the driver", f"{driver['default']['at_0']:.0f} MB and {1000 * driver['default']['each']:.0f} kB per rollout, bounded {1000 * driver['bounded']['each']:.1f} kB; rows of {driver['row_bytes']:,} bytes", driver),
    ]
    lines = ["| What | Measured | On |", "| --- | --- | --- |", *(f"| {what} | {told} | {its['hardware']}, {its['date']} |" for what, told, its in rows), "",
             f"Kinds of GPU and shapes of models, {HARDWARE['date']}: {HARDWARE['source']}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the tables, and write nothing")
    show = parser.parse_args().print
    try:
        for name, table in (("sources", sources()), ("checks", checks())):
            if show:
                print(table)
            else:
                (HERE / "parts" / f"{name}.md").write_text(table, encoding="utf-8")
    except OSError as error:
        print(f"compare_predictions.py: {error}. Run it in a copy of the repository.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
