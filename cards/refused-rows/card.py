"""Task rows with fields that the Responses API does not have."""

import json
import random
from pathlib import Path

from kit import jsonl, need, rows

GUIDES = ("troubleshoot-common-issues", "optimize-rollout-collection")
ONLY_VLLM = {"top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1}


def data() -> list[dict]:
    draw, found = random.Random(2512), []
    for number in range(36):
        params = {"input": [{"role": "user", "content": f"Translate sentence {number} into Dutch."}], "temperature": round(draw.uniform(0.2, 1.0), 2)}
        if number % 3 == 0:
            for key in draw.sample(list(ONLY_VLLM), draw.randint(1, 3)):
                params[key] = round(ONLY_VLLM[key] * draw.randint(1, 4), 3)
            if draw.random() < 0.5:
                params["max_tokens"] = draw.randint(20, 200)
            if draw.random() < 0.5:
                params["metadata"] = {"corpus": f"news-{number}"}
        else:
            params["max_output_tokens"] = draw.randint(20, 200)
        found.append({"responses_create_params": params, "expected_answer": f"zin {number}", "metadata": {"level": number % 4}})
    return found


def mended(row: dict) -> dict:
    params = dict(row["responses_create_params"])
    own = {key: params.pop(key) for key in list(params) if key in ONLY_VLLM}
    if "max_tokens" in params:
        params["max_output_tokens"] = params.pop("max_tokens")
    if own:
        params["metadata"] = {**params.get("metadata", {}), "extra_body": json.dumps(own)}
    return row | {"responses_create_params": params}


def files() -> dict[str, str]:
    failures = []
    for number, row in enumerate(data()):
        strange = [key for key in row["responses_create_params"] if key in (*ONLY_VLLM, "max_tokens")]
        if strange:
            detail = [{"type": "extra_forbidden", "loc": ["body", "responses_create_params", key], "msg": "Extra inputs are not permitted", "input": row["responses_create_params"][key]} for key in strange]
            failures.append(row | {"_ng_task_index": number, "_ng_rollout_index": 0, "_ng_failure_class": "agent_run_error", "_ng_failure_response_status": 422, "_ng_failure_response_body": json.dumps({"detail": detail})})
    return {"tasks.jsonl": jsonl(data()), "rollouts_failures.jsonl": jsonl(failures)}


def opened(row: dict) -> dict:
    """A row with its extra_body as an object, so that two spellings of the same JSON are equal."""
    params = row.get("responses_create_params")
    if isinstance(params, dict) and isinstance(params.get("metadata"), dict) and "extra_body" in params["metadata"]:
        body = params["metadata"]["extra_body"]
        need(isinstance(body, str), "extra_body is no JSON string: metadata holds strings only")
        try:
            return row | {"responses_create_params": params | {"metadata": params["metadata"] | {"extra_body": json.loads(body)}}}
        except ValueError:
            need(False, "extra_body is no JSON")
    return row


def check(folder: Path) -> None:
    given, found = data(), rows(folder, "tasks_mended.jsonl")
    need(len(found) == len(given), f"{len(found)} rows of {len(given)}")
    for number, (row, old) in enumerate(zip(found, given), 1):
        right = mended(old)
        strange = sorted(set(row.get("responses_create_params") or {}) - set(right["responses_create_params"]))
        need(not strange, f"row {number}: Gym refuses {', '.join(strange)}")
        need(opened(row) == opened(right), f"row {number} lost or changed something")


def right(folder: Path) -> None:
    (folder / "tasks_mended.jsonl").write_text(jsonl(map(mended, rows(folder, "tasks.jsonl"))))


def the_fields_are_gone(folder: Path) -> None:
    found = [row | {"responses_create_params": {k: v for k, v in row["responses_create_params"].items() if k not in (*ONLY_VLLM, "max_tokens")}} for row in rows(folder, "tasks.jsonl")]
    (folder / "tasks_mended.jsonl").write_text(jsonl(found))


def the_rows_are_gone(folder: Path) -> None:
    (folder / "tasks_mended.jsonl").write_text(jsonl(row for row in rows(folder, "tasks.jsonl") if mended(row) == row))


def metadata_is_replaced(folder: Path) -> None:
    found = list(map(mended, rows(folder, "tasks.jsonl")))
    for row in found:
        metadata = row["responses_create_params"].get("metadata")
        if metadata and "extra_body" in metadata:
            row["responses_create_params"]["metadata"] = {"extra_body": metadata["extra_body"]}
    (folder / "tasks_mended.jsonl").write_text(jsonl(found))


WRONG = (the_fields_are_gone, the_rows_are_gone, metadata_is_replaced)
