"""Runs the scripts that read rollouts and tasks on the example files of the installed package, and says what they did wrong.

Runs in the environment that has Gym, all scripts in this one process. Imports nothing of this repository but the scripts.
``python corpus_worker.py SCRIPTS_ROOT SCRATCH [FILE...]`` prints one JSON object: files, rollouts, runs, seconds and faults, each as
[invariant, file, command, what was seen].
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import site
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

ROOT, SCRATCH = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
PACKAGES = Path(site.getsitepackages()[0])
SHARED = ROOT / "index"
THOUGHT = re.compile(r"</?think>|</?thinking>")
faults: list[list[str]] = []
ran = Counter()


class Script:
    """A script's ``main``, imported once; its neighbors are its own, also where two folders hold one of the same name."""

    def __init__(self, path: str) -> None:
        self.path = ROOT / path
        self.folder, self.modules = str(self.path.parent), {}
        with self.neighbors():
            spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
            self.module = importlib.util.module_from_spec(spec)
            sys.modules[self.path.stem] = self.module  # dataclasses look there
            spec.loader.exec_module(self.module)

    @contextlib.contextmanager
    def neighbors(self):
        before = set(sys.modules)
        sys.modules.update(self.modules)
        sys.path[:0] = [self.folder, str(SHARED)]
        try:
            yield
        finally:
            del sys.path[:2]
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(ROOT)):
                    self.modules[name] = sys.modules.pop(name)

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, stdout and stderr; -1 for an exception that the script did not catch."""
        ran[self.path.name] += 1
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
        argv, sys.argv = sys.argv, [self.path.name, *map(str, arguments)]
        try:
            with self.neighbors(), contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
                try:
                    status = self.module.main() or 0
                except SystemExit as end:
                    status = end.code if isinstance(end.code, int) else 1 if end.code else 0
                    if isinstance(end.code, str):
                        print(end.code, file=sys.stderr)
                except BaseException:
                    status = -1
                    traceback.print_exc()
        finally:
            sys.argv = argv
        out, err = (stream.buffer.getvalue().decode() for stream in streams)
        return status, out, err


def fault(invariant: str, file: Path, command: str, seen: object) -> None:
    faults.append([invariant, str(file).removeprefix(f"{PACKAGES}/"), command, str(seen)[:300]])


def run(script: Script, file: Path, *arguments: object, codes: tuple[int, ...] = (0, 1, 2)) -> tuple[int, str, str]:
    """Run a script on a file. Whatever the file holds: no traceback, and bad input gets its reason in a line or two."""
    status, out, err = script(*arguments)
    command = " ".join([script.path.name, *(str(a).removeprefix(f"{PACKAGES}/").removeprefix(f"{SCRATCH}/") for a in arguments)])
    if status not in codes or "Traceback" in err:
        fault("no traceback", file, command, (err.strip().splitlines() or [status])[-1])
    elif status == 2 and not 0 < len(err.strip().splitlines()) <= 3:
        fault("one line for bad input", file, command, err or "nothing on stderr")
    return status, out, err


def rows(path: Path) -> list[dict]:
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [row for row in found if isinstance(row, dict)]


def text(message: dict) -> str:
    return message["content"] if isinstance(message.get("content"), str) else json.dumps(message.get("content"))


def check_chat(file: Path, command: str, made: list[dict], dropped: bool) -> None:
    """The rows of a training set: prompts that are there, turns that are apart, calls with results, no reasoning after a drop."""
    for row in made:
        for answer in (["messages"] if "messages" in row else ["chosen", "rejected"] if "chosen" in row else ["completion"]):
            messages = [*(row.get("prompt") or []), *row[answer]] if answer != "messages" else row["messages"]
            if not isinstance(row.get("prompt", []), list) or not isinstance(row[answer], list):
                continue  # text, as the row had it
            roles = [message["role"] for message in messages]
            if not roles or roles[0] == "assistant" or row.get("prompt") == []:
                fault("a prompt in each row", file, command, roles)
            if any(pair == ("assistant", "assistant") for pair in zip(roles, roles[1:])):
                fault("turns apart", file, command, roles)
            waiting = []
            for number, message in enumerate(messages):
                if message["role"] == "tool":
                    if not waiting:
                        fault("no result without a call", file, command, roles)
                    waiting = waiting[1:]
                elif waiting and number < len(messages) and message["role"] == "assistant":
                    fault("no turn after a call without a result", file, command, roles)
                if message["role"] == "assistant":
                    waiting = list(message.get("tool_calls") or [])
            if dropped:
                for message in messages:
                    if message["role"] == "assistant" and (THOUGHT.search(text(message)) or message.get("reasoning_content")):
                        fault("no reasoning after a drop", file, command, text(message))


def said(rollout: dict) -> list[str]:
    """The texts of the model, to find a rollout again in a training set."""
    output, texts = rollout["response"].get("output"), []
    for item in output if isinstance(output, list) else []:
        content = item.get("content") if isinstance(item, dict) and item.get("role") == "assistant" else None
        texts += [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]


def masked(rollout: dict) -> bool:
    inside = rollout.get("instance_config")
    return bool(rollout.get("mask_sample") or isinstance(inside, dict) and inside.get("mask_sample"))


def check_source(file: Path, command: str, made: list[dict], given: list[dict], least: float | None) -> None:
    """No row of a masked rollout, and none of one with a lower reward than asked for."""
    wrong = [r for r in given if masked(r) or least is not None and not (isinstance(r.get("reward"), (int, float)) and r["reward"] >= least)]
    right = {said(r)[-1] for r in given if r not in wrong and said(r)}
    for rollout in wrong:
        texts = said(rollout)
        if texts and len(texts[-1]) > 20 and texts[-1] not in right and any(texts[-1] in text(answer[-1]) for m in made if (answer := m.get("messages") or m.get("completion"))):
            fault("no masked row trained on" if masked(rollout) else "no low reward trained on", file, command, texts[-1])


def check_count(file: Path, command: str, out: str, rollouts: int, written: int) -> None:
    """Rows in = rows out + counted, where every row left out stands in a line of its reason."""
    left = sum(int(number) for number in re.findall(r"^ *(?:\S+: )?(\d+)(?: rows)? left out: ", out, re.MULTILINE))
    if rollouts != written + left:
        fault("rows in = rows out + counted", file, command, f"{rollouts} in, {written} written, {left} counted: {out}")


def without_source(row: dict) -> str:
    return json.dumps({name: value for name, value in row.items() if name != "source"}, sort_keys=True)


def on_rollouts(file: Path, out: Path) -> None:
    """Every script that reads rollouts, on one file, and the way from rollouts to a trainer's file by both routes."""
    everything = rows(file)
    given = [row for row in everything if isinstance(row.get("response"), dict)]
    kept, rejects, good, sft, dpo = (out / f"{name}.jsonl" for name in ("kept", "rejects", "good", "sft", "dpo"))
    status, said_, _ = run(filtering, file, file, "-o", kept, "--rejects", rejects)
    if status == 0:
        lines = file.read_bytes().splitlines()
        if not set(kept.read_bytes().splitlines()) <= set(lines):
            fault("kept byte for byte", file, "filter_rollouts.py", "a kept line is none of the file")
        if len(rows(kept)) + len(rows(rejects)) != len(given):
            fault("rows in = rows out + counted", file, "filter_rollouts.py", f"{len(given)} in, {len(rows(kept))} kept, {len(rows(rejects))} rejected")
        if any(map(masked, rows(kept))):
            fault("no masked row kept", file, "filter_rollouts.py", said_)
    for options in (["--finished"], ["--valid-calls", "--whole"], ["--distinct"]):
        run(filtering, file, file, "-o", out / "other.jsonl", *options)
    run(describe, file, file, "-o", out / "described.json")
    for reasoning in ("drop", "field", "think"):
        sft.unlink(missing_ok=True)
        status, said_, _ = run(training_sets, file, "sft", file, "-o", sft, "--reasoning", reasoning)
        if status == 0:
            command = f"make_training_sets.py sft --reasoning {reasoning}"
            check_chat(file, command, rows(sft), dropped=reasoning == "drop")
            check_source(file, command, rows(sft), given, None)
            check_count(file, command, said_, len(given), len(rows(sft)))
            run(training_sets, file, "check", sft)
            run(converting, file, "sft", sft, "--for", "trl", "-o", out / "converted_sft.jsonl")
    status, _, _ = run(training_sets, file, "dpo", file, "-o", dpo, "--reasoning", "drop")
    if status == 0:
        check_chat(file, "make_training_sets.py dpo", rows(dpo), dropped=True)
    for command, *options in (("balance", "-o", out / "balanced.jsonl"), ("sample", "-o", out / "review.csv"), ("curriculum", "-o", out / "stages")):
        run(training_sets, file, command, file, *options)
    both_routes(file, given, out, good, sft)
    for kind in ("dpo", "rl"):
        made = out / f"direct_{kind}.jsonl"
        made.unlink(missing_ok=True)
        status, _, _ = run(converting, file, kind, file, "--for", "trl", "-o", made)
        if status == 0:
            check_chat(file, f"convert_for_trainers.py {kind}", [row for row in rows(made) if kind == "dpo"], dropped=False)
            if kind == "rl" and not all(row.get("prompt") for row in rows(made)):
                fault("no empty prompt", file, "convert_for_trainers.py rl", "prompt: []")
    run(bundles, file, file, "-o", out / "bundles.jsonl")
    run(quality, file, file, "--json", out / "quality.json")
    run(table, file, file, "-o", out / "table.csv")
    run(gate, file, file, "--suggest", out / "limits.toml")
    run(watching, file, file, "--once")
    run(comparing, file, file, file, "--draws", "10")
    for script in (showing, landed, inspecting, agents):
        run(script, file, file)
    run(same, file, file, file)
    run(unsolved, file, file, "-o", out / "unsolved.jsonl")


def both_routes(file: Path, given: list[dict], out: Path, good: Path, sft: Path) -> None:
    """From rollouts straight to the trainer's file, or by way of a filter and a training set: the same rows."""
    direct, made = out / "direct.jsonl", out / "by_way.jsonl"
    for path in (direct, made, good, sft):
        path.unlink(missing_ok=True)
    status, said_, _ = run(converting, file, "sft", file, "--for", "trl", "-o", direct)
    if status == 0:
        command = "convert_for_trainers.py sft"
        check_chat(file, command, rows(direct), dropped=False)
        check_source(file, command, rows(direct), given, 1.0)
    if run(filtering, file, file, "-o", good, "--min-reward", "1")[0] == 0 and run(training_sets, file, "sft", good, "-o", sft)[0] == 0:
        run(converting, file, "sft", sft, "--for", "trl", "-o", made)
    # Where a prompt holds answers, the rows come as prompt and completion; a training set of messages does not tell them apart.
    one, other = (Counter(without_source(row if "messages" in row else {"messages": row.pop("prompt") + row.pop("completion"), **row}) for row in rows(path)) for path in (direct, made))
    if one != other:
        seen = f"{one.total()} rows direct, {other.total()} by way of make_training_sets.py; only there: {[*(one - other), *(other - one)][:1]}"
        fault("both routes give the same rows", file, "convert_for_trainers.py sft", seen)


def on_tasks(file: Path, out: Path) -> None:
    """Every script that reads task rows."""
    run(checking, file, file)
    run(datasets, file, "stats", file)
    given, folder = [line for line in file.read_bytes().splitlines() if line.strip()], out / "split"
    status, said_, _ = run(datasets, file, "split", file, "--out-dir", folder)
    if status == 0 and sorted(line for name in ("train", "validation") for line in (folder / f"{name}.jsonl").read_bytes().splitlines()) != sorted(given):
        fault("rows in = rows out + counted", file, "dataset_tool.py split", said_)
    if status == 0 and "0 tasks are in both" not in run(datasets, file, "stats", folder / "train.jsonl", folder / "validation.jsonl")[1]:
        fault("no task on both sides", file, "dataset_tool.py split", said_)
    run(datasets, file, "fields", file, "-o", out / "fields.jsonl", "--set", "a=b")
    run(datasets, file, "from-chat", file, "-o", out / "tasks.jsonl")
    made = out / "prompts.jsonl"
    for trainer in ("trl", "openrlhf"):
        made.unlink(missing_ok=True)
        run(converting, file, "rl", file, "--for", trainer, "-o", made)
        if not all(row.get("prompt") or row.get("input") for row in rows(made)):
            fault("no empty prompt", file, f"convert_for_trainers.py rl --for {trainer}", "an empty prompt")
    run(splitting, file, file, "-o", out / f"shards-{file.parent.parent.name}-{file.stem}", "--shards", "2")


os.chdir(SCRATCH)
started = time.process_time()
describe, filtering, training_sets = (Script(f"how-to/filter-and-curate-data/{name}.py") for name in ("describe_rollouts", "filter_rollouts", "make_training_sets"))
converting, bundles = (Script(f"how-to/integrate-with-rl-frameworks/{name}.py") for name in ("convert_for_trainers", "token_bundles"))
quality, table, gate, watching, comparing = (
    Script(f"how-to/monitor-data-quality/{name}.py") for name in ("run_quality", "rollout_table", "quality_gate", "watch_run", "compare_runs"))
showing, landed = (Script(f"how-to/configure-verification-strategies/{name}.py") for name in ("show_rollouts", "what_landed"))
inspecting = Script("how-to/optimize-rollout-collection/inspect_run.py")
same, splitting = (Script(f"how-to/scale-parallel-generation/{name}.py") for name in ("same_rollouts", "split_tasks"))
agents, unsolved = (Script(f"how-to/configure-multi-model-setups/{name}.py") for name in ("compare_agents", "unsolved_tasks"))
datasets, checking = (Script(f"how-to/manage-training-datasets/{name}.py") for name in ("dataset_tool", "check_rows"))

files = [Path(name) for name in sys.argv[3:]] or sorted(PACKAGES.rglob("*.jsonl"))
counts = Counter()
for number, path in enumerate(files):
    folder = SCRATCH / str(number)
    folder.mkdir()
    rollouts = "rollouts" in path.name or any("response" in row for row in rows(path))
    counts["rollout files" if rollouts else "task files"] += 1
    counts["rows"] += len(rows(path))
    if rollouts:
        on_rollouts(path, folder)
        run(datasets, path, "stats", path)
        run(datasets, path, "split", path, "--out-dir", folder / "split")
    else:
        on_tasks(path, folder)
print(json.dumps({**counts, "runs": ran, "seconds": round(time.process_time() - started, 1), "faults": faults}))
