"""What this site measures on a GPU, a track at a time: starts engine and servers, runs each step within its limit.

    python campaign.py speed -o results --small DIR --big DIR            # rate, overhead, settings, faults: one GPU, 16 cores
    python campaign.py two -o results --small DIR --big DIR              # two GPUs: replicas against tensor parallel
    python campaign.py learn -o results --small DIR --gpu 1 --cores 16-31 --port 8100 --head 11100     # token ids, training, beside it

Each step adds to its JSON file under -o as it goes, so that a machine that is taken away costs little; commands.log holds every command.
vLLM, Gym and the trainers may lie in folders of their own: $VLLM_PATH, $GYM_PATH and $TRAIN_PATH become their PYTHONPATH; $TRAIN_PYTHON
is another Python for the trainers. The folder h200 holds what came out. Several engines on one GPU start one after the other: vLLM counts
what its neighbors take meanwhile as its own. --engine replaces vLLM by another server's command, for a rehearsal without a GPU.
Exit code: 0 all steps done, 1 one failed, 2 bad input.
"""

import argparse
import signal
import sys
from pathlib import Path

from lab import Lab
from learn import learn
from speed import speed, two_gpus


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("track", choices=("speed", "learn", "two"), help="rate, overhead, settings, faults; token ids and training; two GPUs")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="where results and logs go")
    add("--small", type=Path, required=True, metavar="DIR", help="SmolLM2-135M, as make_models.py wrote it")
    add("--big", type=Path, metavar="DIR", help="the 8B, as make_models.py wrote it (default: leave its steps out)")
    add("--gpu", type=int, default=0, help="which GPU (default: %(default)s)")
    add("--cores", default="", metavar="LIST", help="cores for all programs, as taskset has them (default: all)")
    add("--port", type=int, default=8000, help="of the engine; the one 9 above must be free too (default: %(default)s)")
    add("--head", type=int, default=11000, help="port of Gym's head server (default: %(default)s)")
    add("--share", type=float, default=0.5, metavar="X", help="of the GPU's memory, for each engine of `learn` (default: %(default)s)")
    add("--only", nargs="+", metavar="STEP", help="of the steps, only these")
    add("--settings", nargs="+", default=[""], metavar="WORD", help="of the engine's settings, only those with one of these words (`shipped`, `seqs`)")
    add("--times", type=int, default=1, metavar="N", help="runs per setting and load (default: %(default)s)")
    add("--minutes", type=float, default=20, help="start nothing that would go beyond (default: %(default)s)")
    add("--hardware", default="one H200", help="for the record (default: %(default)s)")
    add("--gym", default="gym", help="Gym's command (default: %(default)s)")
    add("--gym-python", default="python3", help="the Python that has Gym (default: %(default)s)")
    add("--model-name", default="policy", help="as the engine serves it (default: %(default)s)")
    add("--engine", default="", metavar="COMMAND", help="another engine, {port} for its port: to rehearse")
    add("--ids-base", default="", metavar="URL", help="with --engine: where token ids come from, with /v1")
    add("--quick", action="store_true", help="a few requests per step: to rehearse")
    args = parser.parse_args()
    for path in (args.small, args.big):
        if path and not (path / "config.json").is_file():
            parser.error(f"{path} holds no config.json: write it with make_models.py")
    args.small, args.big = args.small.resolve(), args.big and args.big.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = Lab(args)
    {"speed": speed, "learn": learn, "two": two_gpus}[args.track](lab)
    lab.say(f"done; failed: {', '.join(lab.failed) or 'none'}")
    return 1 if lab.failed else 0


if __name__ == "__main__":
    sys.exit(main())
