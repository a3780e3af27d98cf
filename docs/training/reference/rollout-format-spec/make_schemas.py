"""Write the JSON Schemas of the files that a run leaves, from the classes of the installed nemo-gym.

    python make_schemas.py [--out-dir schemas]

Run it with the Python that has nemo-gym. The same release gives the same bytes.

Types, required fields, choices and defaults come from the package's pydantic classes. Files and keys that the package
writes without a class are described here by hand, after the code that writes them; ``$comment`` in each schema and in
each such part says which. Classes of the OpenAI client that a rollout rarely holds (hosted tools and their results) are
reduced to "an object with this ``type``": the package checks them in full, these schemas do not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import metadata
from pathlib import Path

try:
    from nemo_gym import (
        AggregateMetrics,
        BaseMultiRewardVerifyResponse,
        BaseRunRequest,
    )
    from nemo_gym.base_responses_api_model import ModelCallRecord
    from nemo_gym.episode_types import TaskId
    from nemo_gym.global_config import (
        AGENT_REF_KEY_NAME,
        ATTEMPT_INDEX_KEY_NAME,
        ENVIRONMENT_SERVER_STAMP_KEY_NAME,
        ROLLOUT_ID_KEY_NAME,
        ROLLOUT_INDEX_KEY_NAME,
        SKILLS_REF_KEY_NAME,
        TASK_INDEX_KEY_NAME,
        TASK_SOURCE_KEY_NAME,
    )
    from nemo_gym.health.types import Finding, Verdict
    from nemo_gym.openai_utils import (
        REQUIRED_TOKEN_METADATA_FIELDS,
        TokenIDLogProbMixin,
    )
    from nemo_gym.rollout_collection import (
        AGENT_REQUEST_FAILED_FAILURE_CLASS,
        AGENT_RUN_ERROR_FAILURE_CLASS,
        ENVIRONMENT_SERVER_FAILURE_CLASS,
        NG_FAILURE_CLASS_KEY,
        NG_PERF_KEY,
        NG_RESULT_TYPE_KEY,
        NG_TASK_ID_KEY,
        NG_TERMINAL_KEY,
        NG_TRAJECTORY_KEY,
    )
    from nemo_gym.rollout_observability import (
        AgentObservationBundle,
        TrajectoryRecord,
    )
    from nemo_gym.skills import SkillsRef
    from nemo_gym.token_id_capture.delivery import TOKEN_CAPTURE_KEY
    from pydantic import TypeAdapter
except ImportError as error:
    if {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        sys.exit(0)
    sys.exit(print(f"{error}. Run this with the Python that has nemo-gym installed", file=sys.stderr) or 2)

RELEASE = metadata.version("nemo-gym")

# The classes that stay whole, and what their definition is called in the schemas.
KEPT = {
    "NeMoGymResponse": "response",
    "NeMoGymResponseCreateParamsNonStreaming": "responses_create_params",
    "NeMoGymEasyInputMessage": "input_message",
    "NeMoGymResponseOutputMessage": "output_message",
    "NeMoGymResponseOutputText": "output_text",
    "NeMoGymResponseOutputRefusal": "refusal",
    "NeMoGymResponseFunctionToolCall": "function_call",
    "NeMoGymFunctionCallOutput": "function_call_output",
    "NeMoGymResponseReasoningItem": "reasoning",
    "NeMoGymResponseMcpCall": "mcp_call",
    "NeMoGymResponseUsage": "usage",
    "NeMoGymResponseInputTokensDetails": "input_tokens_details",
    "NeMoGymResponseOutputTokensDetails": "output_tokens_details",
    "IncompleteDetails": "incomplete_details",
    "ResponseError": "response_error",
    "FunctionToolParam": "function_tool_param",
    "FunctionTool": "function_tool",
    "ResponseInputTextParam": "input_text",
    "TaskId": "task_id",
    "SkillsRef": "skills_ref",
    "SkillMetadata": "skill",
    "TrajectoryRecord": "trajectory",
    "AgentObservationBundle": "agent_observations",
    "AgentInvocation": "agent_invocation",
    "ModelCallRef": "model_call_ref",
    "ModelServerRef": "model_server_ref",
    "TrajectoryTurn": "turn",
    "TrajectoryModelCall": "trajectory_model_call",
    "TrajectoryResponseMetadata": "response_metadata",
    "TrajectoryTokenStats": "token_stats",
    "TrajectoryToolCall": "trajectory_tool_call",
    "ToolCallObservation": "tool_call_observation",
    "SandboxObservation": "sandbox_observation",
    "ContextCompactionObservation": "context_compaction",
    "ObservationGap": "gap",
    "ModelCallRecord": "model_call_record",
}
# Token ids and log probabilities sit on items of these classes (the package has a second class of each for that).
WITH_TOKENS = ["NeMoGymEasyInputMessage", "NeMoGymResponseOutputMessage", "NeMoGymResponseFunctionToolCall",
               "NeMoGymResponseReasoningItem"]
TEXT, NUMBER, INTEGER, OBJECT = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "object"}
INDEX = {"type": "integer", "minimum": 0}
# An index of another kind fits the classes that read it (a task may be numbered by text), so health check rows allow it.
IDENTITY = {"type": ["integer", "string"]}


def ref(name: str) -> dict:
    return {"$ref": f"#/$defs/{name}"}


def or_null(schema: dict) -> dict:
    if "type" in schema and set(schema) <= {"type", "minimum", "items", "additionalProperties", "pattern"}:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*kinds, "null"]}
    if "enum" in schema:
        return {**schema, "type": [schema["type"], "null"], "enum": [*schema["enum"], None]}
    return {"anyOf": [*(schema["anyOf"] if set(schema) == {"anyOf"} else [schema]), {"type": "null"}]}


def of_type(*cases: tuple[str, dict | None], also: tuple[str, ...] = ()) -> dict:
    """One of several objects, told apart by ``type``; those without a schema of their own are only named."""
    names = sorted({name for name, _ in cases} | set(also))
    return {"type": "object", "required": ["type"], "properties": {"type": {"enum": names}}, "allOf": [
        {"if": {"properties": {"type": {"const": name}}}, "then": schema} for name, schema in cases if schema
    ]}


class Classes:
    """The package's own schema, made readable: short names, no titles, unions told apart by ``type``."""

    def __init__(self, *models: type) -> None:
        self.definitions: dict[str, dict] = {}
        for model in models:
            schema = model.model_json_schema()
            self.definitions |= schema.pop("$defs", {})
            self.definitions[model.__name__] = schema

    def of(self, cls: str) -> dict:
        """One class as an object schema."""
        own = self.definitions[cls]
        out = {"type": "object", "properties": {}, "required": own.get("required", [])}
        if own.get("additionalProperties") is False:
            out["additionalProperties"] = False
        for key, value in own["properties"].items():
            out["properties"][key] = self.simple(value, f"{cls}.{key}")
        if cls in WITH_TOKENS:
            out["allOf"] = [ref("token_ids")]
        if not out["required"]:
            del out["required"]
        return out

    def simple(self, node: dict, where: str) -> dict:
        special = SPECIAL.get(where)
        if special:
            return special
        node = {key: value for key, value in node.items() if key != "title" and not (key == "default" and value is None)}
        if "$ref" in node:
            name = node.pop("$ref").rpartition("/")[2]
            return ref(KEPT[name]) if name in KEPT else OBJECT
        for union in ("anyOf", "oneOf"):
            if union in node:
                members = [self.simple(member, where) for member in node.pop(union)]
                node.pop("discriminator", None)
                return {**self.joined(members), **{k: v for k, v in node.items() if k in ("default", "description")}}
        if "items" in node:
            node["items"] = self.simple(node["items"], where)
        if isinstance(node.get("additionalProperties"), dict):
            node["additionalProperties"] = self.simple(node["additionalProperties"], where)
        elif node.get("additionalProperties") is True:
            del node["additionalProperties"]
        return node

    @staticmethod
    def joined(members: list[dict]) -> dict:
        null = {"type": "null"} in members
        rest: list[dict] = []
        for member in members:
            if member != {"type": "null"} and member not in rest:
                rest.append(member)
        if {"type": "string"} in rest:  # a list of known names beside any name says nothing
            rest = [m for m in rest if "enum" not in m]
        if all(m == {"type": m.get("type")} for m in rest):
            kinds = [m["type"] for m in rest]
            return {"type": kinds + ["null"] if null else kinds if len(kinds) > 1 else kinds[0]}
        if not rest:
            return {"type": "null"}
        joined = rest[0] if len(rest) == 1 else {"anyOf": rest}
        return or_null(joined) if null else joined

    def token_ids(self) -> dict:
        """The fields that make an item trainable: all of the required ones, or none."""
        return {
            "properties": {name: self.simple(self.definitions["TokenIDLogProbMixin"]["properties"][name], name)
                           for name in TokenIDLogProbMixin.model_fields},
            "dependentRequired": {name: sorted(REQUIRED_TOKEN_METADATA_FIELDS - {name}) for name in TokenIDLogProbMixin.model_fields},
        }

    def types_in(self, cls: str, field: str) -> tuple[str, ...]:
        """The ``type`` of every class that a union field may hold."""
        found = set()

        def walk(node: object) -> None:
            if isinstance(node, dict):
                name = str(node.get("$ref", "")).rpartition("/")[2]
                kind = self.definitions.get(name, {}).get("properties", {}).get("type", {})
                found.update([kind["const"]] if "const" in kind else kind.get("enum", []))
                for value in node.values():
                    walk(value)
            elif isinstance(node, list):
                for value in node:
                    walk(value)

        walk(self.definitions[cls]["properties"][field])
        return tuple(sorted(found))


# Unions whose members are told apart by `type` (messages also by `role`), and parts that are only named.
SPECIAL = {
    "NeMoGymResponse.output": {"type": "array", "items": ref("output_item")},
    "NeMoGymResponse.tools": {"type": "array", "items": ref("response_tool")},
    "NeMoGymResponse.instructions": {"type": ["string", "array", "null"]},
    "NeMoGymResponse.tool_choice": ref("tool_choice"),
    "NeMoGymResponseCreateParamsNonStreaming.input": {
        "anyOf": [TEXT, {"type": "array", "items": ref("input_item")}]},
    "NeMoGymResponseCreateParamsNonStreaming.tools": {"type": "array", "items": ref("tool"), "default": []},
    "NeMoGymResponseCreateParamsNonStreaming.tool_choice": {**ref("tool_choice"), "default": "auto"},
    "NeMoGymEasyInputMessage.content": {"anyOf": [TEXT, {"type": "array", "items": ref("input_content")}]},
    "NeMoGymResponseOutputMessage.content": {"type": "array", "items": ref("output_content")},
    "NeMoGymFunctionCallOutput.output": {"type": ["string", "array"]},
    "AgentInvocation.conversation": {"type": "array", "items": ref("input_item"), "default": []},
    "AgentObservationBundle.records": {"type": "array", "items": ref("observation"), "default": []},
    "routed_experts": {"type": ["string", "array", "null"]},
    "SkillsRef.skills": {"type": "array", "items": ref("skill"), "default": []},
}


def unions(classes: Classes) -> dict[str, dict]:
    """The definitions behind SPECIAL. The package chooses among them in `_discriminate_response_input_item` and
    `_discriminate_response_output_item`; the choice is repeated here."""
    items = [("message", ref("message")), *((n, ref(n)) for n in ("function_call", "function_call_output", "reasoning", "mcp_call"))]
    output_part = {"properties": {"type": {"enum": ["output_text", "refusal"]}}}
    params = "NeMoGymResponseCreateParamsNonStreaming"
    return {
        "token_ids": classes.token_ids(),
        "output_item": of_type(*items, also=classes.types_in("NeMoGymResponse", "output")),
        # A task may leave `type` out: a message is then known by its role, a call and its result by their fields.
        "input_item": {
            "if": {"required": ["type"]},
            "then": of_type(*items, also=classes.types_in(params, "input")),
            "else": {
                "if": {"required": ["role"]}, "then": ref("message"),
                "else": {
                    "if": {"required": ["call_id", "output"]}, "then": ref("function_call_output"),
                    "else": {
                        "if": {"required": ["call_id", "name"]}, "then": ref("function_call"),
                        "else": {"type": "object", "required": ["type"]},
                    },
                },
            },
        },
        "message": {
            "if": {"properties": {"role": {"const": "assistant"}, "content": {"type": "array", "prefixItems": [output_part]}}},
            "then": ref("output_message"),
            "else": ref("input_message"),
        },
        "input_content": of_type(("input_text", ref("input_text")),
                                 also=("input_image", "input_file", "input_video")),
        "output_content": of_type(("output_text", ref("output_text")), ("refusal", ref("refusal"))),
        "tool": of_type(("function", ref("function_tool_param")), also=classes.types_in(params, "tools")),
        "response_tool": of_type(("function", ref("function_tool")), also=classes.types_in("NeMoGymResponse", "tools")),
        "tool_choice": {"anyOf": [{"enum": ["none", "auto", "required"]}, {"type": "object", "required": ["type"]}]},
        "observation": {
            "type": "object", "required": ["kind"],
            "allOf": [{"if": {"properties": {"kind": {"const": kind}}}, "then": ref(name)} for kind, name in (
                ("agent_invocation", "agent_invocation"), ("tool_call", "tool_call_observation"),
                ("sandbox", "sandbox_observation"), ("context_compaction", "context_compaction"))],
        },
        "agent_ref": {"type": "object", "required": ["name"], "properties": {"name": TEXT, "type": TEXT}},
        "usage_summary": {"type": "object", "additionalProperties": {"type": ["integer", "number", "null"]}},
        "model_call_capture": {
            "$comment": "by hand, after merge_model_call_capture_into_record in nemo_gym/base_responses_api_model.py",
            "type": "object", "required": ["rollout_id", "metrics", "calls"], "properties": {
                "rollout_id": TEXT, "metrics": ref("usage_summary"),
                "calls": {"type": "array", "items": ref("model_call_record")},
                "gaps": {"type": "array", "items": ref("gap")},
            },
        },
        "perf": {
            "$comment": "by hand, after _build_ng_perf in nemo_gym/rollout_collection.py",
            "type": "object", "required": ["num_turns", "num_tool_calls", "token_observability_coverage"],
            "properties": {
                "num_turns": INDEX, "num_tool_calls": INDEX,
                "token_observability_coverage": {"type": "number", "minimum": 0, "maximum": 1},
                "prompt_tokens": INDEX, "cached_prompt_tokens": INDEX, "completion_tokens": INDEX,
                "reasoning_tokens": INDEX, "total_latency_ms": {"type": "number", "minimum": 0},
            },
        },
        "metrics": {"type": "object", "additionalProperties": True},
        "rollout_info": {
            "type": "object", "required": ["rollout_id", TASK_INDEX_KEY_NAME, ROLLOUT_INDEX_KEY_NAME], "properties": {
                "rollout_id": {"type": "string", "pattern": "^[0-9]+:[0-9]+$"},
                TASK_INDEX_KEY_NAME: INDEX, ROLLOUT_INDEX_KEY_NAME: INDEX, "reward": NUMBER,
            },
        },
        "task_metrics": {
            "type": "object",
            "required": [TASK_INDEX_KEY_NAME, "sample", "num_rollouts", "expected_num_rollouts", "missing_num_rollouts",
                         "reward_profile_completion_pct", "rollout_infos"],
            "properties": {
                TASK_INDEX_KEY_NAME: INDEX, "sample": OBJECT, AGENT_REF_KEY_NAME: ref("agent_ref"),
                "num_rollouts": {"type": "integer", "minimum": 1}, "expected_num_rollouts": {"type": "integer", "minimum": 1},
                "missing_num_rollouts": INDEX,
                "reward_profile_completion_pct": {"type": "number", "minimum": 0, "maximum": 100},
                "rollout_infos": {"type": "array", "items": ref("rollout_info"), "minItems": 1},
            },
            "patternProperties": {"^(mean|max|min|median|std)/": NUMBER},
        },
    }


def collector_keys() -> dict[str, dict]:
    """What `RolloutCollectionHelper` writes onto a row, by hand: the package has names for the keys, but no class."""
    return {
        TASK_INDEX_KEY_NAME: INDEX, ROLLOUT_INDEX_KEY_NAME: INDEX, ATTEMPT_INDEX_KEY_NAME: {"type": "integer", "minimum": 1},
        ROLLOUT_ID_KEY_NAME: {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        AGENT_REF_KEY_NAME: ref("agent_ref"), TASK_SOURCE_KEY_NAME: TEXT, SKILLS_REF_KEY_NAME: ref("skills_ref"),
        ENVIRONMENT_SERVER_STAMP_KEY_NAME: TEXT, NG_RESULT_TYPE_KEY: TEXT, NG_TASK_ID_KEY: ref("task_id"),
        TOKEN_CAPTURE_KEY: OBJECT,
    }


def observed_keys() -> dict[str, dict]:
    return {
        NG_TRAJECTORY_KEY: ref("trajectory"), "ng_agent_observations": or_null(ref("agent_observations")),
        "ng_model_call_capture": ref("model_call_capture"), NG_PERF_KEY: ref("perf"),
    }


def with_definitions(name: str, title: str, origin: str, schema: dict, pool: dict[str, dict]) -> dict:
    """One self-contained schema: the definitions it reaches, in the order of their names."""
    used: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            target = node.get("$ref", "").removeprefix("#/$defs/") if isinstance(node.get("$ref"), str) else ""
            if target and target not in used:
                used.add(target)
                walk(pool[target])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema)
    out = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title,
           "$comment": f"nemo-gym {RELEASE}; {origin}", **schema}
    return out | ({"$defs": {name: pool[name] for name in sorted(used)}} if used else {})


def schemas() -> dict[str, dict]:
    classes = Classes(BaseMultiRewardVerifyResponse, BaseRunRequest, TaskId, SkillsRef, TrajectoryRecord,
                      AgentObservationBundle, ModelCallRecord, AggregateMetrics, Finding, TokenIDLogProbMixin)
    missing = [cls for cls in KEPT if cls not in classes.definitions]
    if missing:
        sys.exit(f"nemo-gym {RELEASE} has no {', '.join(missing)}: correct KEPT in {Path(__file__).name}")
    pool = {name: classes.of(cls) for cls, name in KEPT.items()} | unions(classes)

    verify = classes.of("BaseMultiRewardVerifyResponse")["properties"]
    verify["response"], verify["responses_create_params"] = ref("response"), ref("responses_create_params")
    indices = [TASK_INDEX_KEY_NAME, ROLLOUT_INDEX_KEY_NAME]
    keys = collector_keys()
    params = {"responses_create_params": ref("responses_create_params")}
    task_input = {"type": "object", "properties": {**params, "task_data": OBJECT}}  # its shape belongs to the environment server
    task = {
        "type": "object",
        "if": {"properties": {"task_id": OBJECT}, "required": ["task_id", "task_input"]},
        "then": {"properties": {"task_id": ref("task_id"), "task_input": task_input}},
        "else": {"required": ["responses_create_params"], "properties": params},
        "properties": {key: keys[key] for key in (TASK_INDEX_KEY_NAME, ROLLOUT_INDEX_KEY_NAME, ROLLOUT_ID_KEY_NAME,
                                                  AGENT_REF_KEY_NAME, TASK_SOURCE_KEY_NAME, SKILLS_REF_KEY_NAME,
                                                  ENVIRONMENT_SERVER_STAMP_KEY_NAME)},
    }
    result = ["responses_create_params", "response", "reward"]
    failure = {
        "type": "object", "required": [NG_FAILURE_CLASS_KEY, *indices],
        "properties": {
            **verify, **keys, **observed_keys(),
            NG_FAILURE_CLASS_KEY: TEXT, NG_TERMINAL_KEY: {"type": "boolean"}, "_ng_failure_type": TEXT,
            "_ng_failure_message": TEXT, "_ng_failure_http_status": {"type": ["integer", "null"]},
            "_ng_failure_response_body": {"type": ["string", "null"]}, "_ng_failure_stage": TEXT,
            "_ng_failure_partial_response": or_null(ref("response")), "_ng_failure_judge_error": TEXT,
            "instance_config": OBJECT,
        },
        "allOf": [
            {"if": {"properties": {NG_FAILURE_CLASS_KEY: {"enum": [AGENT_RUN_ERROR_FAILURE_CLASS, AGENT_REQUEST_FAILED_FAILURE_CLASS]}}},
             "then": {"required": ["_ng_failure_type", "_ng_failure_message", "_ng_failure_http_status", "_ng_failure_response_body"]}},
            {"if": {"properties": {NG_FAILURE_CLASS_KEY: {"const": ENVIRONMENT_SERVER_FAILURE_CLASS}}},
             "then": {"required": [NG_TASK_ID_KEY, NG_TERMINAL_KEY, "_ng_failure_message"]}},
            {"if": {"properties": {NG_FAILURE_CLASS_KEY: {"const": "judge_failed"}}},
             "then": {"required": [*result, "mask_sample", "failure_kind", "_ng_failure_judge_error"]}},
        ],
    }
    rollout = {
        "type": "object", "required": indices,
        "properties": {**verify, **keys, **observed_keys(), NG_FAILURE_CLASS_KEY: False},
        # An environment server other than the relays returns a result of its own shape, scored or not.
        "if": {"required": [NG_TASK_ID_KEY]}, "else": {"required": result},
    }
    aggregate = {"type": "array", "items": {
        "type": "object", "required": [AGENT_REF_KEY_NAME, "agent_metrics", "key_metrics", "group_level_metrics", "repeat_level_metrics"],
        "properties": {
            AGENT_REF_KEY_NAME: ref("agent_ref"), ENVIRONMENT_SERVER_STAMP_KEY_NAME: TEXT,
            **{key: value for key, value in classes.of("AggregateMetrics")["properties"].items()},
            "group_level_metrics": {"type": "array", "items": ref("task_metrics")},
        },
    }}
    finding = classes.of("Finding")
    del finding["properties"]["subject"]  # left out when the row is written
    finding["required"].remove("subject")
    verdict = {
        "type": "object", "required": [*indices, "rollout_id", "verdict", "findings", "unobserved"],
        "properties": {
            TASK_INDEX_KEY_NAME: IDENTITY, ROLLOUT_INDEX_KEY_NAME: IDENTITY, "stage_index": IDENTITY, "rollout_id": TEXT,
            "verdict": {key: value for key, value in TypeAdapter(Verdict).json_schema().items() if key != "title"},
            "findings": {"type": "array", "items": finding}, "unobserved": {"type": "array", "items": TEXT},
        },
        "additionalProperties": False,
    }
    count = lambda *names: {"type": "object", "required": list(names), "properties": {n: INDEX for n in names}}  # noqa: E731
    quality = {
        "type": "object", "required": ["run", "tasks"], "additionalProperties": False, "properties": {
            "run": {
                "type": "object", "required": ["ignored_checks", "artifacts", "verdicts", "issues", "stats"],
                "properties": {
                    "ignored_checks": {"type": "array", "items": TEXT},
                    "artifacts": {"type": "object", "required": ["records", "captures", "coverage"], "properties": {
                        "records": INDEX, "captures": INDEX,
                        "coverage": {"type": "object", "additionalProperties": count("evaluated", "unobserved", "ignored")},
                    }},
                    "verdicts": count("healthy", "unhealthy", "unobserved"),
                    "issues": {"type": "object", "additionalProperties": INDEX},
                    "stats": {"type": "object", "required": ["model_call_errors", "duplicated_calls", "tokens"], "properties": {
                        "model_call_errors": {
                            "type": "object", "required": ["total", "by_status", "rollouts_affected", "ended_on_error"],
                            "properties": {"total": INDEX, "rollouts_affected": INDEX, "ended_on_error": INDEX,
                                           "by_status": {"type": "object", "additionalProperties": INDEX}},
                        },
                        "duplicated_calls": count("replayed", "rollouts"),
                        "tokens": count("prompt", "completion", "capture_prompt", "capture_completion"),
                    }},
                },
            },
            "tasks": {"type": "object", "additionalProperties": {
                "type": "object", "required": ["repeats", "healthy", "unhealthy", "unobserved", "flags"],
                "properties": {"repeats": INDEX, "healthy": INDEX, "unhealthy": INDEX, "unobserved": INDEX,
                               "flags": {"type": "array", "items": TEXT}},
            }},
        },
    }
    summary = {"type": "array", "items": {
        "type": "object", "required": [AGENT_REF_KEY_NAME],
        "properties": {AGENT_REF_KEY_NAME: ref("agent_ref"), ROLLOUT_INDEX_KEY_NAME: INDEX, "sample_count": INDEX, "missing_count": INDEX},
        "patternProperties": {"/": {"type": ["number", "null"]}},
    }}
    capture = {
        "type": "object", "required": ["model_call_id", "dialect", "model_ref", "started_at", "completed_at", "latency_ms",
                                       "status_code", "error_category", "request", "response"],
        "properties": {
            "model_call_id": TEXT, "dialect": TEXT, "model_ref": ref("model_server_ref"), "started_at": NUMBER,
            "completed_at": NUMBER, "latency_ms": {"type": "number", "minimum": 0},
            "latency_ttft_ms": {"type": ["number", "null"], "minimum": 0}, "status_code": {"type": ["integer", "null"]},
            "error_category": {"type": ["string", "null"]}, "request": {}, "response": {},
        },
    }
    by_hand = "by hand, after the code that writes it"
    made = {
        "task-row": ("A row of an input file", "made from BaseRunRequest and TaskId; collector keys by hand", task),
        "materialized-input-row": ("A row of *_materialized_inputs.jsonl", "made from BaseRunRequest and TaskId; collector keys by hand",
                                   {**task, "required": indices}),
        "rollout-row": ("A row of rollouts.jsonl", "made from BaseVerifyResponse, BaseMultiRewardVerifyResponse, TrajectoryRecord, "
                        "AgentObservationBundle and ModelCallRecord; collector keys by hand", rollout),
        "failure-row": ("A row of *_failures.jsonl", "made from BaseVerifyResponse; _ng_failure_* keys by hand, after "
                        "nemo_gym/rollout_collection.py and nemo_gym/judge.py", failure),
        "aggregate-metrics": ("The file *_aggregate_metrics.json", "made from AggregateMetrics; the list around it and the "
                              "per-task rows by hand, after _call_aggregate_metrics and RewardProfiler", aggregate),
        "verdict-row": ("A row of rollout_verdicts.jsonl", "made from Finding and Verdict; the row itself by hand, after "
                        "_write_reports in nemo_gym/rollout_health.py", verdict),
        "quality-summary": ("The file quality_summary.json", f"{by_hand}: _reduce in nemo_gym/rollout_health.py", quality),
        "reward-profile-row": ("A row of *_reward_profiling.jsonl", f"{by_hand}: RewardProfiler.profile_from_data", pool["task_metrics"]),
        "profile-metrics": ("The files *_agent_metrics.json and *_repeat_level_metrics.json",
                            f"{by_hand}: RewardProfiler.profile_from_data", summary),
        "model-call-capture-row": ("A row of *.capture.jsonl", f"{by_hand}: the capture middleware in "
                                   "nemo_gym/base_responses_api_model.py", capture),
    }
    return {name: with_definitions(name, title, origin, schema, pool) for name, (title, origin, schema) in made.items()}


def layout(value: object, indent: int = 0, before: int = 0) -> str:
    """JSON that fits a screen: whatever fits on one line stands on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if indent + before + len(flat) <= 118 or not isinstance(value, (dict, list)) or not value:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{pad}{json.dumps(k)}: {layout(v, indent + 2, len(k) + 4)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + layout(v, indent + 2) for v in value) + "\n" + " " * indent + "]"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out-dir", type=Path, default=Path(__file__).parent / "schemas", help="default: schemas, beside this file")
    args = parser.parse_args()
    if not args.out_dir.is_dir():
        print(f"No such folder: {args.out_dir}. Make it first: mkdir -p {args.out_dir}", file=sys.stderr)
        return 2
    for name, schema in schemas().items():
        path = args.out_dir / f"{name}.schema.json"
        path.with_suffix(".part").write_text(layout(schema) + "\n", encoding="utf-8")
        os.replace(path.with_suffix(".part"), path)
    print(f"{len(schemas())} schemas of nemo-gym {RELEASE} in {args.out_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
