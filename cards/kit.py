"""What the cards share: rows as `gym eval run` writes them, and what a checker needs. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "training"
SHARED = PAGES / "index"  # in every page's zip
GYM = ROOT / ".venv-gym" / "bin"


class Wrong(Exception):
    """Why the job is not done, in one line."""


def need(holds: object, why: str) -> None:
    if not holds:
        raise Wrong(why)


def read(folder: Path, name: str) -> bytes:
    path = folder / name
    need(path.is_file(), f"{name} is not there")
    return path.read_bytes()


def rows(folder: Path, name: str) -> list[dict]:
    """The rows of a JSONL file."""
    try:
        found = [json.loads(line) for line in read(folder, name).decode().splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{name} is no JSONL: {error}") from None
    need(found and all(isinstance(row, dict) for row in found), f"{name} holds no rows, or rows that are no objects")
    return found


def table(folder: Path, name: str, columns: list[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with these columns."""
    import csv

    found = list(csv.DictReader(read(folder, name).decode().splitlines()))
    need(found and all(column in found[0] for column in columns), f"{name} needs the columns {', '.join(columns)} and a row")
    return [{key.strip(): (value or "").strip() for key, value in row.items() if key} for row in found]


def values(folder: Path, name: str, keys: list[str]) -> dict:
    """A JSON object with these keys."""
    try:
        found = json.loads(read(folder, name))
    except ValueError as error:
        raise Wrong(f"{name} is no JSON: {error}") from None
    need(isinstance(found, dict) and all(key in found for key in keys), f"{name} needs the keys {', '.join(keys)}")
    return found


def near(given: object, right: float, by: float, what: str) -> None:
    try:
        off = abs(float(given) - right)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Wrong(f"{what} is no number: {given!r}") from None
    need(off <= by, f"{what} is {given}, more than {by:g} away from what the files say")


def jsonl(found: Iterable[dict]) -> str:
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in found)


def number(*parts: object) -> str:
    """24 hex digits, the same in every run."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def message(text: str, role: str = "assistant") -> dict:
    if role != "assistant":
        return {"content": text, "role": role, "type": "message"}
    content = [{"annotations": [], "text": text, "type": "output_text", "logprobs": None}]
    return {"id": f"msg_{number(text)}", "content": content, "role": role, "status": "completed", "type": "message"}


def thought(text: str) -> dict:
    return {"id": f"rs_{number(text)}", "summary": [{"text": text, "type": "summary_text"}], "type": "reasoning", "status": None}


def call(name: str, arguments: dict, result: object = None) -> list[dict]:
    """A call and, unless it is None, its result."""
    key = f"call_{number(name, arguments)}"
    found = [{"arguments": json.dumps(arguments), "call_id": key, "name": name, "type": "function_call", "id": key, "status": "completed"}]
    return found if result is None else [*found, {"call_id": key, "output": json.dumps(result), "type": "function_call_output", "status": "completed"}]


def tool(name: str, **arguments: str) -> dict:
    properties = {key: {"type": kind} for key, kind in arguments.items()}
    return {
        "type": "function", "name": name, "description": name.replace("_", " "), "strict": False,
        "parameters": {"type": "object", "properties": properties, "required": list(properties)},
    }


def rollout(
    task: int, repeat: int, asked: str, output: list[dict] | str, reward: float | None, source: str, *, cut: bool = False, mask: str = "", tools: Iterable[dict] = (),
    id: str = "", tokens: int | None = None, **fields: object,
) -> dict:
    """A line of rollouts.jsonl. ``mask`` is "", "row" or "config"."""
    output = [message(output)] if isinstance(output, str) else output
    said = json.dumps([item.get("content") or item.get("summary") or item.get("arguments") for item in output])
    given = {"input": [message(asked, "user")], "max_output_tokens": 64, "temperature": 1.0, "tools": list(tools)}
    return {
        "responses_create_params": given,
        "response": {
            "id": f"resp_{id or number(source, task, repeat)}", "created_at": 1790000000.0 + task, "error": None, "model": "policy-9", "object": "response",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None, "status": "incomplete" if cut else "completed", "metadata": None,
            "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": list(tools),
            "usage": {
                "input_tokens": len(asked) // 4, "output_tokens": tokens or 1 + len(said) // 4, "total_tokens": (len(asked) + len(said)) // 4 + 1,
                "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
            },
        },
        "reward": reward, "mask_sample": mask == "row", **({"instance_config": {"mask_sample": True}} if mask == "config" else {}), **fields,
        "_ng_task_index": task, "_ng_rollout_index": repeat, "agent_ref": {"name": f"{source}_simple_agent"}, "task_source": source,
        "_ng_environment_server": f"{source}_environment_server", "_ng_result_type": "legacy_agent",
    }


def said(row: dict) -> str:
    """The text of a rollout's messages."""
    return "".join(part["text"] for item in row["response"]["output"] if item.get("type") == "message" for part in item["content"])


def last(messages: object) -> dict:
    return messages[-1] if isinstance(messages, list) and messages and isinstance(messages[-1], dict) else {}


def asked(messages: object) -> str:
    """The last user message of a chat."""
    own = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"] if isinstance(messages, list) else []
    return str(own[-1].get("content")) if own else ""


def page(folder: Path, command: str, may_say_no: bool = False) -> str:
    """Run a script of a page in a folder, as a reader who unpacked the page's zip there: `filter-and-curate-data/filter_rollouts.py ...`."""
    name, *words = command.split()
    script = next(PAGES.glob(f"*/{name}"))
    done = subprocess.run(
        [sys.executable, str(script), *words], cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(SHARED)}, timeout=600
    )
    if done.returncode not in ((0, 1) if may_say_no else (0,)):
        raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
