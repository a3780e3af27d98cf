"""Run the commands of the pages that need a GPU, as printed, with other models in the place of theirs, and keep what came out.

    python page_commands.py -o h200/page_commands.json --model DIR --big DIR --rows DIR [--only trl verl]

A page marks such a block with the caption `Run on an H200`. --rows is a folder with `converted/`, as convert_for_trainers.py fills it, and
the scripts of the page. What had to differ from the page is in CHANGES, and is kept with each run. Environments of trainers that conflict
are folders for PYTHONPATH: --path NAME=DIR[:DIR]. Exit code: 0 all ran, 1 one failed, 2 bad input.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

TRAINING = Path(__file__).resolve().parents[3]
PAGES = {"integrate-with-rl-frameworks": "how-to", "performance-tuning": "reference"}
BLOCK = re.compile(r"^( *)```\{code-block\} (console|bash)\n\1:caption: \"?Run on an H200[^\n]*\n(.*?)\n\1```$", re.M | re.S)
MODEL = "Qwen/Qwen3-4B-Instruct-2507"
NO_FLASH = "flash-attn has no wheel for torch 2.11"
# (a word of the block, what it is replaced by or what is added behind the command, why)
CHANGES = {
    "trl": [("trainers/bin/", "", "the trainers' environment is active")],
    "llamafactory": [],
    "ms-swift": [(f"--model {MODEL}", f"--model {MODEL} --model_type llama --template chatml --agent_template hermes", "swift knows the templates of the model by its name, not of the one in its place")],
    "axolotl": [],
    "verl": [("--nproc_per_node=8", "--nproc_per_node={gpus}", "the GPUs that are here"),
             (f"model.path={MODEL}", f"model.path={MODEL} +model.override_config.attn_implementation=sdpa model.use_remove_padding=False", NO_FLASH)],
    "openrlhf": [("--data.apply_chat_template", "--data.apply_chat_template --ds.attn_implementation sdpa", NO_FLASH)],
    "vllm": [(f"vllm serve {MODEL}", "vllm serve {big} --load-format dummy", "an 8B of random weights")],
}
WORDS = {"trl": "train_trl.py", "llamafactory": "llamafactory-cli", "ms-swift": "swift sft", "axolotl": "axolotl train", "verl": "verl.trainer", "openrlhf": "openrlhf.cli", "vllm": "vllm serve"}


def blocks() -> dict[str, tuple[str, str]]:
    """name: (page, the block's text as a reader copies it) of every block that is marked."""
    found = {}
    for page, kind in PAGES.items():
        for indent, _, body in BLOCK.findall((TRAINING / kind / f"{page}.md").read_text(encoding="utf-8")):
            text = "\n".join(line.removeprefix(indent) for line in body.splitlines()).strip("\n")
            name = next((name for name, word in WORDS.items() if word in text), None)
            if name is None:
                raise SystemExit(f"page_commands.py: nothing is known of a block in {page}.md:\n{text}")
            found[name] = (page, text)
    return found


def commands(text: str) -> str:
    """A console block as a script: what stands behind the prompts, with its continued lines."""
    if not text.startswith("$ "):
        return text
    lines, on = [], False
    for line in text.splitlines():
        if line.startswith("$ ") or on:
            lines.append(line.removeprefix("$ "))
            on = line.endswith("\\")
    return "\n".join(lines)


def serve(script: str, folder: Path, environment: dict, log, seconds: float) -> tuple[int, str]:
    """Of a command that serves: does it answer within the time?"""
    process = subprocess.Popen(["bash", "-c", f"exec {script}"], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    port = re.search(r"--port (\d+)", script)[1]
    started, told = time.monotonic(), ""
    while process.poll() is None and time.monotonic() - started < seconds and not told:
        try:
            told = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5))["data"][0]["id"]
        except OSError:
            time.sleep(1)
    status = process.poll() if not told else 0
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return (1 if status is None else status), f"serves {told}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="where the record goes; runs are added to it")
    add("--model", type=Path, required=True, metavar="DIR", help="the small model, for the trainers")
    add("--big", type=Path, metavar="DIR", help="the 8B of random weights, for vLLM")
    add("--rows", type=Path, required=True, metavar="DIR", help="converted/ and the page's scripts")
    add("--only", nargs="+", choices=sorted(CHANGES), help="of the blocks, only these (default: all)")
    add("--path", action="append", default=[], metavar="NAME=DIR", help="PYTHONPATH of one block; all others take the one that is set")
    add("--also", action="append", default=[], metavar="NAME=WORDS", help="more options behind each command of one block")
    add("--gpus", type=int, default=1, help="how many are here (default: %(default)s)")
    add("--hardware", default="one H200", help="for the record (default: %(default)s)")
    add("--seconds", type=float, default=420, help="limit of each block (default: %(default)s)")
    add("--list", action="store_true", help="print the marked blocks, and run nothing")
    args = parser.parse_args()
    args.model, args.big = args.model.resolve(), args.big and args.big.resolve()
    paths = dict(one.split("=", 1) for one in args.path)
    found = blocks()
    if args.list:
        print(*(f"{name}: {page}.md\n{text}\n" for name, (page, text) in found.items()), sep="\n")
        return 0
    if not (args.rows / "converted").is_dir():
        parser.error(f"{args.rows} holds no folder converted: make it with convert_for_trainers.py")
    failed = []
    for name in args.only or found:
        page, text = found[name]
        script, changed = commands(text), [f"{MODEL}: SmolLM2-135M-Instruct" if name != "vllm" else ""]
        for word, new, why in CHANGES[name]:
            if word not in script:
                raise SystemExit(f"page_commands.py: {name} on {page}.md has no {word} any more: mend CHANGES")
            script = script.replace(word, new)
            changed.append(f"{word} → {new}: {why}")
        for one in args.also:
            if one.startswith(f"{name}="):
                script = re.sub(r"(?<!\\)$", " " + one.split("=", 1)[1], script, flags=re.M)
        script = script.replace("{gpus}", str(args.gpus)).replace("{big}", str(args.big)).replace(MODEL, str(args.model))
        folder = args.rows
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false"}
        if name in paths:
            environment["PYTHONPATH"] = paths[name]
        log_file = args.output.with_name(f"{args.output.stem}-{name}.log")
        started = time.monotonic()
        with log_file.open("w") as log:
            print(script, file=log, flush=True)
            if name == "vllm":
                status, last = serve(script, folder, environment, log, args.seconds)
            else:
                process = subprocess.Popen(["bash", "-ec", script], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
                try:
                    status = process.wait(args.seconds)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    status = 124
                last = ""
        told = [line.strip() for line in re.split(r"[\r\n]", log_file.read_text(errors="replace")) if re.search(r"\bloss\b.*\d|train_loss", line)]
        last = last or (told[-1][-200:] if told else "")
        run = {"page": page, "block": text, "run_as": script.replace(str(args.model), "MODEL").replace(str(args.big), "BIG"), "changed": [its for its in changed if its], "exit_code": status,
               "seconds": round(time.monotonic() - started, 1), "says": last,
               "date": datetime.date.today().isoformat(), "hardware": args.hardware, "python": platform.python_version()}
        data = json.loads(args.output.read_text()) if args.output.exists() else {}
        args.output.write_text(json.dumps(data | {name: run}, indent=1) + "\n")
        print(f"{name}: exit code {status}, {run['seconds']} s, {last}", flush=True)
        failed += [name] if status else []
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
