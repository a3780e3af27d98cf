"""Run the test cases of the patterns through their servers' own /verify routes, in this process and without a network.

    python check_cases.py [--cases cases.jsonl] [PATTERN.py ...]

A case names the fields of the task row, the answer (text, or items of `response.output`), and the reward it must get. For a
judge it also says what the judge replies, call by call; `null` is a judge that cannot be reached. Exit code 0: all as
expected, 1: not, 2: bad input.
"""

import argparse
import importlib
import json
import sys
import warnings
from pathlib import Path

FOLDER = Path(__file__).parent / "resources_servers" / "verification_patterns"
PATTERNS = ["binary", "continuous", "partial_credit", "composite", "judge", "hybrid", "state_match", "format_check"]


def server_of(pattern: str, says: list | None = None, **settings: object):
    """The pattern's server without a network. A judge replies with ``says``, call by call."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    from nemo_gym import ServerClient
    from nemo_gym.judge import JudgeError

    module = importlib.import_module(pattern)
    server_class = getattr(module, "".join(word.title() for word in pattern.split("_")) + "Server")
    config_class = server_class.model_fields["config"].annotation
    base = {"name": pattern, "host": "127.0.0.1", "port": 0, "entrypoint": f"{pattern}.py"}
    if "judge_model_server" in config_class.model_fields:
        base["judge_model_server"] = {"type": "responses_api_models", "name": "judge_model"}
    replies = iter(says or [])

    class Offline(server_class):
        async def ask(self, prompt: str) -> str:
            reply = next(replies, None)
            if reply is None:
                raise JudgeError("the judge cannot be reached")
            return reply

    chosen = Offline if says is not None else server_class
    return chosen(config=config_class(**base, **settings), server_client=ServerClient.model_construct())


def request_of(case: dict) -> dict:
    """What an agent sends to /verify: the task row and the response."""
    answer = case["answer"]
    if isinstance(answer, str):
        content = [{"type": "output_text", "text": answer, "annotations": []}]
        answer = [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}]
    response = {"id": "r", "created_at": 0, "model": "case", "object": "response", "output": answer}
    response |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {"responses_create_params": {"input": "case"}, "response": response, **case["task"]}


def outcome_of(case: dict) -> tuple[float | None, str]:
    """The reward that /verify gives, and where the rollout would land."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    app = server_of(case["pattern"], case.get("says"), **case.get("settings", {})).setup_webserver()
    reply = TestClient(app, raise_server_exceptions=False).post("/verify", json=request_of(case))
    if reply.status_code != 200:
        return None, f"HTTP {reply.status_code}"
    row = reply.json()
    return row["reward"], row.get("_ng_failure_class") or ("masked" if row["mask_sample"] else "scored")


def read(path: Path) -> list[dict]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SystemExit(f"check_cases.py: cannot read {path}: {error.strerror}") from None
    cases = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
            missing = [key for key in ("pattern", "case", "task", "answer", "reward") if key not in case]
        except (ValueError, TypeError) as error:
            raise SystemExit(f"check_cases.py: {path}, line {number} is no JSON object: {error}") from None
        if missing or case["pattern"] not in PATTERNS:
            raise SystemExit(f"check_cases.py: {path}, line {number}: " + (f"no {missing[0]}" if missing else f"no pattern {case['pattern']}"))
        cases.append(case)
    return cases


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patterns", nargs="*", metavar="PATTERN.py", help="only these (default: all)")
    parser.add_argument("--cases", type=Path, default=Path(__file__).parent / "cases.jsonl", help="the cases (default: cases.jsonl)")
    args = parser.parse_args()
    wanted = [name.removesuffix(".py") for name in args.patterns] or PATTERNS
    if unknown := [name for name in wanted if name not in PATTERNS]:
        parser.error(f"no such pattern: {unknown[0]} (there are {', '.join(PATTERNS)})")
    cases = [case for case in read(args.cases) if case["pattern"] in wanted]
    if not cases:
        raise SystemExit(f"check_cases.py: {args.cases} holds no case of {', '.join(wanted)}")
    wrong = 0
    for case in cases:
        reward, lands = outcome_of(case)
        expected = (case["reward"], case.get("lands", "scored"))
        same = lands == expected[1] and (reward == expected[0] or None not in (reward, expected[0]) and abs(reward - expected[0]) < 1e-3)
        wrong += not same
        shown = "-" if reward is None or lands != "scored" else f"{reward:.2f}"
        print(f"{case['pattern']}.py", f"{shown:>5}", case["case"], *([f"({lands})"] if lands != "scored" else []),
              *([] if same else [f"EXPECTED {expected[0]} ({expected[1]})"]))
    print(f"{len(cases) - wrong} of {len(cases)} cases as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            end.code = 2
        raise
    sys.exit(code)
