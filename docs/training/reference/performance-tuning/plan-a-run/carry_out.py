"""Carry a plan out and hold it against what came: python carry_out.py PLAN_FOLDER --what WORDS --predicted N [-o executed.json]

PLAN_FOLDER is an unpacked plan.zip whose endpoint is running; N is the predicted rollouts per minute of the page. It runs `bash run.sh`,
reads the rate that Gym prints at the end of each shard, and adds both numbers to the record. Exit code: 0 done, 1 the run failed or
has no rate, 2 bad input.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

FINISHED = re.compile(r"Finished (\d+) / \d+ rollouts \(100%\) in \S+ \(([\d.]+) rollouts/min\)")


def took(folder: Path) -> tuple[int, float]:
    """Rollouts and seconds of all shards, from the last line of progress in their logs."""
    rollouts, seconds = 0, 0.0
    for log in sorted(folder.glob("results/*/run.log")):
        found = FINISHED.findall(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            rollouts += int(found[-1][0])
            seconds += 60 * int(found[-1][0]) / float(found[-1][1])
    return rollouts, seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="PLAN_FOLDER", help="an unpacked plan.zip")
    parser.add_argument("--what", required=True, help="the plan in words")
    parser.add_argument("--predicted", type=float, required=True, metavar="N", help="rollouts per minute that the page predicts")
    parser.add_argument("--hardware", metavar="WORDS", help="what it ran on (default: the processor)")
    parser.add_argument("-o", "--output", type=Path, default=Path("executed.json"), metavar="FILE", help="the record (default: %(default)s)")
    args = parser.parse_args()
    if not (args.folder / "run.sh").is_file() or args.predicted <= 0:
        parser.error("PLAN_FOLDER must hold run.sh, and --predicted be above 0")
    done = subprocess.run(["bash", "run.sh"], cwd=args.folder, check=False)
    rollouts, seconds = took(args.folder)
    if done.returncode or not rollouts or not seconds:
        print("carry_out.py: the run did not finish. Read results/*/run.log and servers.log.", file=sys.stderr)
        return 1
    data = json.loads(args.output.read_text(encoding="utf-8")) if args.output.exists() else {"plans": []}
    data["release"] = f"nemo-gym {metadata.version('nemo-gym')}"
    hardware = args.hardware or next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    measured = 60 * rollouts / seconds
    data["plans"] = [its for its in data["plans"] if its["what"] != args.what]
    data["plans"].append({"what": args.what, "rollouts": rollouts, "planned_s": round(rollouts / args.predicted * 60 / 0.8, 1), "took_s": round(seconds, 1),
                          "predicted_per_min": round(args.predicted, 1), "measured_per_min": round(measured, 1),
                          "on": f"{hardware}, {os.cpu_count()} cores, Python {platform.python_version()}, {datetime.date.today().isoformat()}"})
    args.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"{rollouts} rollouts in {seconds:.1f} s: {measured:,.0f} a minute, {measured / args.predicted:.0%} of the prediction")
    return 0


if __name__ == "__main__":
    sys.exit(main())
