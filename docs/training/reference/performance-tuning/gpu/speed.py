"""Rate, latency and CPU on one GPU; what raises Gym's ceiling; token ids; engine settings; a killed engine; two GPUs."""

import json
import os
import shlex
import signal
import time

from lab import AGENT, COPIES, HERE, MATCH, MODEL, PLAIN, Lab, answers, counters, stop


def speed_config(lab: Lab) -> str:
    base, fixed = f"{lab.base}/v1", f"http://127.0.0.1:{lab.args.port + 9}/v1"
    name = lab.args.model_name
    parts = [f"head_server: {{host: 127.0.0.1, port: {lab.args.head}}}\n", MATCH.format(name="match")]
    copies, workers = (COPIES[:1], 2) if lab.args.quick else (COPIES, 4)
    for server, more in (("real", PLAIN), ("ids", "return_token_id_information: true, request_prompt_and_generation_token_ids: false"),
                         ("ids_inline", "return_token_id_information: true, request_prompt_and_generation_token_ids: true")):
        parts += [MODEL.format(name=f"{server}_model", base=base, model=name, more=more), AGENT.format(name=server, steps=1, resources="match", model=f"{server}_model")]
    for copy in copies:  # whole copies, against an endpoint that answers at once, and against the real one
        parts += [MATCH.format(name=f"match_{copy}"), MODEL.format(name=f"fixed_{copy}_model", base=fixed, model="fixed", more=PLAIN),
                  AGENT.format(name=f"fixed_{copy}", steps=1, resources=f"match_{copy}", model=f"fixed_{copy}_model"),
                  AGENT.format(name=f"real_{copy}", steps=1, resources=f"match_{copy}", model="workers_model")]
    parts += [MODEL.format(name="workers_model", base=base, model=name, more=PLAIN + f", num_workers: {workers}"),
              MODEL.format(name="fixed_workers_model", base=fixed, model="fixed", more=PLAIN + f", num_workers: {workers}"),
              AGENT.format(name="workers", steps=1, resources="match_a", model="fixed_workers_model"),
              AGENT.format(name="second", steps=1, resources="match_a", model="fixed_a_model")]
    return "".join(parts)


def small_rates(lab: Lab) -> None:
    quick = lab.args.quick
    levels, few = ("2 4", "--least 4") if quick else ("8 32 128 512 1024", "--least 1200")
    lab.load("speed", f"--name small --ways gym --agents real_agent --levels {levels} --tokens 16 {few}")
    lab.load("speed", f"--name small --ways engine --drivers {1 if quick else 4} --levels {levels} --tokens 16 {few}")
    lab.load("speed", f"--name small --ways gym --agents real_agent --levels {levels} --tokens {32 if quick else 512} --least {4 if quick else 64}", 200)
    lab.load("speed", f"--name small --ways engine --drivers {1 if quick else 4} --levels {levels} --tokens {32 if quick else 512} --least {4 if quick else 64}", 200)


def ceiling(lab: Lab) -> None:
    """What one set of servers can do, and what raises it: at an endpoint that answers at once, then at the real one."""
    quick = lab.args.quick
    all_four = " ".join(f"fixed_{copy}_agent" for copy in COPIES)
    plan = [
        ("one set, as shipped", "fixed_a_agent", 1, "8 64"), ("four sets, four drivers", all_four, 4, "256"), ("four sets, one driver", all_four, 1, "256"),
        ("model server with 4 workers", "workers_agent", 1, "64"), ("two drivers, one set", "fixed_a_agent", 2, "64"),
        ("two agents that share the rest", "fixed_a_agent second_agent", 1, "64"), ("two sets, two drivers", "fixed_a_agent fixed_b_agent", 2, "128"),
        ("one set, as shipped", "fixed_a_agent", 1, "64"),
    ]
    for note, agents, drivers, levels in [plan[0], *plan[3:6]] if quick else plan:
        levels, least = ("4", 8) if quick else (levels, 1200 * (4 if "four" in note else 2 if "two sets" in note else 1))
        lab.load("ceiling", f"--name fixed --base http://127.0.0.1:{lab.args.port + 9}/v1 --ways gym --agents {agents} --drivers {drivers} "
                            f"--levels {levels} --tokens 16 --least {least} --note {shlex.quote(note)}", 60)
    real = " ".join(f"real_{copy}_agent" for copy in COPIES)
    for note, agents, drivers in (("one set, as shipped", "real_agent", 1), ("four sets, one driver", real, 1), ("four sets, four drivers", real, 4))[:1 if quick else 3]:
        lab.load("ceiling", f"--name small --ways gym --agents {agents} --drivers {drivers} --levels {'4' if quick else '256'} --tokens 16 --least {8 if quick else 3000} "
                            f"--note {shlex.quote(note)}", 60)


def big_rates(lab: Lab) -> None:
    lab.load("speed", "--name 8b --ways gym --agents real_agent --levels 8 32 128 512 1024 --tokens 512 --least 8", 200)
    lab.load("speed", "--name 8b --ways engine --drivers 2 --levels 8 32 128 512 1024 --tokens 512 --least 8", 200)
    lab.load("speed", "--name 8b --ways gym engine --agents real_agent --levels 8 64 512 --tokens 16 --least 512", 90)


def token_ids(lab: Lab) -> None:
    quick = lab.args.quick
    for words in (20,) if quick else (80, 950, 7600):
        for agent in ("real", "ids", "ids_inline", "real", "ids", "ids_inline")[:3 if quick else 6]:
            lab.load("ids", f"--name {'small' if quick else '8b'} --ways gym --agents {agent}_agent --levels {4 if quick else 64} --tokens {8 if quick else 128} "
                            f"--prompt {words} --least {4 if quick else 128} --note {agent}", 60)


LOADS = {
    "many": "--levels 512 --tokens 256 --prompt 100 --least 1024",  # many answers at once
    "long": "--levels 64 --tokens 64 --prompt 3900 --least 256",  # long prompts, all different
    "repeats": "--levels 64 --tokens 64 --prompt 3900 --least 256 --repeats 8",  # the same prompt eight times in a row
    "turns": "--levels 64 --tokens 64 --prompt 950 --least 128 --turns 4",  # conversations: each call sends all that came before
}
SETTINGS = [
    ("as shipped", "", ("many", "long", "repeats", "turns")), ("--max-num-seqs 128", "--max-num-seqs 128", ("many",)),
    ("--gpu-memory-utilization 0.2", "--gpu-memory-utilization 0.2", ("many", "long")), ("--no-enable-prefix-caching", "--no-enable-prefix-caching", ("repeats", "turns")),
    ("--no-enable-chunked-prefill", "--no-enable-chunked-prefill --max-model-len 8192 --max-num-batched-tokens 8192", ("long",)), ("--enforce-eager", "--enforce-eager", ("many",)),
]


def loads(lab: Lab, note: str, names: tuple[str, ...]) -> None:
    for name in [name for name in names for _ in range(lab.args.times)]:
        before = counters(lab.base)
        lab.load("settings", f"--name {name} --ways engine --drivers 2 {LOADS[name]} --note={shlex.quote(note)}", 90)
        after = counters(lab.base)
        path = lab.out / "settings.json"
        data = json.loads(path.read_text())
        data["runs"][-1]["counters"] = {key.removeprefix("vllm:"): after[key] - before.get(key, 0) for key in after}
        path.write_text(json.dumps(data, indent=1) + "\n")


def faults(lab: Lab, agent: str) -> None:
    """A run whose engine is killed, stays away, and comes back; and a prompt that is too long."""
    (lab.folder / "fault_tasks.jsonl").write_text("".join(json.dumps({
        "responses_create_params": {"input": f"{number}: tell me of the sea.", "max_output_tokens": 400, "metadata": {"extra_body": '{"ignore_eos": true}'}},
        "expected_answer": "none", "extraction_mode": "full_response", "agent_ref": {"name": agent}}) + "\n" for number in range(400)))
    (lab.folder / "long_tasks.jsonl").write_text("".join(json.dumps({
        "responses_create_params": {"input": "word " * words, "max_output_tokens": 16}, "expected_answer": "none", "extraction_mode": "full_response",
        "agent_ref": {"name": agent}}) + "\n" for words in (10, 200_000)))
    head, flags = f"+head_server.host=127.0.0.1 +head_server.port={lab.args.head}", f"--enforce-eager --gpu-memory-utilization {lab.args.share}"
    engine = lab.serve("engine", lab.engine_command(lab.args.small, flags), f"engine-{lab.args.track}.log")
    lab.wait(f"{lab.base}/health", engine, 200)
    lab.wait(f"http://127.0.0.1:{lab.args.head}/readyz", engine, 200)
    lab.run("gym", f"{lab.args.gym} eval run --no-serve {head} -i long_tasks.jsonl -o long/rollouts.jsonl --concurrency 2 ++route_failures_to_sidecar=true", 60)
    found = {"long": {path.name: path.read_text()[:3000] for path in (lab.folder / "long").glob("*failures.jsonl")}, "timeline": []}
    output = lab.folder / "killed" / "rollouts.jsonl"
    done = lambda: len(output.read_text().splitlines()) if output.exists() else 0  # noqa: E731
    run = lab.serve("gym", f"{lab.args.gym} eval run --no-serve {head} -i fault_tasks.jsonl -o killed/rollouts.jsonl --num-repeats 2 --concurrency 16 ++route_failures_to_sidecar=true", "killed-run.log")
    started, killed, back, gym_log = time.monotonic(), None, None, lab.out / f"gym-{lab.args.track}.log"
    while run.poll() is None and time.monotonic() - started < 240:
        now = round(time.monotonic() - started, 1)
        found["timeline"].append({"s": now, "rows": done(), "server_log_lines": gym_log.read_bytes().count(b"\n")})
        if killed is None and done() >= 100:
            os.killpg(engine.pid, signal.SIGKILL)
            engine.wait()
            killed = found["killed_s"] = now
            lab.say("  engine killed")
        if killed is not None and back is None and now > killed + 25:
            engine = lab.serve("engine", lab.engine_command(lab.args.small, flags), f"engine-{lab.args.track}.log")
            back = found["started_again_s"] = now
        if back is not None and "ready_again_s" not in found and answers(f"{lab.base}/health"):
            found["ready_again_s"] = now
            lab.say("  engine back")
        time.sleep(1)
    found |= {"ended_s": round(time.monotonic() - started, 1), "ended": run.poll(), "rows": done(),
              "failures": [json.loads(line).get("_ng_failure_class") for path in (lab.folder / "killed").glob("*failures.jsonl") for line in path.read_text().splitlines()]}
    lab.keep("faults", found)
    stop(run)
    stop(engine)


def speed(lab: Lab) -> None:
    args = lab.args
    began = time.monotonic()
    # Gym starts no server before every endpoint answers.
    fixed = lab.serve("gym", f"python3 {HERE.parent / 'fixed_endpoint.py'} --port {args.port + 9} --delay 0", f"fixed-{args.track}.log")
    servers = lab.gym(speed_config(lab)) if any(map(lab.wanted, ("ceiling", "small", "8b", "ids"))) else None  # engine settings are measured without Gym
    try:
        if any(map(lab.wanted, ("ceiling", "small", *(["ids"] if args.quick else [])))):
            with lab.engine(args.small) as seconds:
                ready = lab.wait(f"http://127.0.0.1:{args.head}/readyz", servers, 400)
                lab.keep("start", {"engine_small_s": round(seconds, 1), "gym_s": round(time.monotonic() - began, 1), "gym_after_engine_s": round(ready, 1)})
                lab.step("ceiling", ceiling)
                lab.step("small", small_rates)
                if args.quick:
                    lab.step("ids", token_ids)
        if args.big:
            flags = "--load-format dummy "
            for number, (note, more, names) in enumerate(SETTINGS):
                if not any(word in note for word in lab.args.settings):
                    continue
                if time.monotonic() > lab.deadline - 90:
                    break
                try:
                    with lab.engine(args.big, flags + more) as seconds:
                        lab.keep("start", {f"engine_8b_{number}_s": round(seconds, 1)})
                        if number == 0:
                            lab.step("8b", big_rates)
                            lab.step("ids", token_ids)
                        lab.step("settings", loads, note, names)
                except RuntimeError as error:
                    lab.say(f"   {note}: {error}")
        elif not args.quick:
            lab.step("faults", faults, "real_agent")
    finally:
        if servers:
            stop(servers)
        stop(fixed)


def two_gpus(lab: Lab) -> None:
    """The 8B over both GPUs, or one replica on each: through one model server of Gym."""
    second = f"http://127.0.0.1:{lab.args.port + 1}"
    config = "".join([
        f"head_server: {{host: 127.0.0.1, port: {lab.args.head}}}\n", MATCH.format(name="match"),
        MODEL.format(name="one_model", base=f"{lab.base}/v1", model="policy", more=PLAIN), AGENT.format(name="one", steps=1, resources="match", model="one_model"),
        MODEL.format(name="both_model", base=f"[{lab.base}/v1, {second}/v1]", model="policy", more=PLAIN), AGENT.format(name="both", steps=1, resources="match", model="both_model"),
        AGENT.format(name="second_both", steps=1, resources="match", model="both_model"),
    ])
    dummy, levels = "--load-format dummy", "--levels 128 512 1024 --tokens 512 --least 8"
    first, lab.args.gpu = lab.args.gpu, 1
    replica = lab.serve("engine", lab.engine_command(lab.args.big, dummy).replace(f"--port {lab.args.port}", f"--port {lab.args.port + 1}"), "engine-replica.log")
    lab.args.gpu = first
    servers = lab.gym(config)
    try:
        with lab.engine(lab.args.big, dummy):
            lab.wait(f"{second}/health", replica, 200)
            lab.wait(f"http://127.0.0.1:{lab.args.head}/readyz", servers, 300)
            lab.load("two", f"--name 8b --ways gym --agents both_agent {levels} --note 'two replicas'", 150)
            lab.load("two", f"--name 8b --ways gym --agents both_agent second_both_agent {levels} --note 'two replicas, two agents'", 150)
            lab.load("two", f"--name 8b --ways gym --agents one_agent {levels} --note 'one replica'", 150)
        stop(replica)
        lab.args.gpu = "0,1"
        with lab.engine(lab.args.big, f"{dummy} --tensor-parallel-size 2"):
            lab.load("two", f"--name 8b --ways gym --agents one_agent {levels} --note 'tensor parallel over 2'", 150)
    finally:
        stop(replica)
        stop(servers)
