"""Read from the installed NeMo Gym what the reference states about it, as one JSON file.

    python docs/_ext/facts_extract.py docs/_ext/facts.json

Runs under the interpreter that has nemo-gym and imports nothing of this repository. All classes are read from their
source and not by importing them: a server's ``app.py`` may need packages that only the server's own environment has, and
the source keeps what pydantic drops (comments, the order of fields, the name of a type). ``tests/test_facts.py`` holds the
result against pydantic wherever a module can be imported. Only the command line is asked at run time, because its flags
are functions.

What is in scope stands in ``SETTINGS`` (groups of configuration classes) and ``FIELDS`` (groups of row and result models).
A configuration class of the package that no group names is listed under ``unplaced``, so that the next release's new
classes show up as a difference.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import inspect
import itertools
import json
import operator
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator
from importlib import metadata, util
from io import StringIO
from pathlib import Path
from typing import NamedTuple

# Group of settings -> its classes. The id of a setting is GROUP.KEY; a key that several classes of a group have is one
# setting. A group name is the path a reader would write where there is one, else the name of the command or server.
SETTINGS = {
    "rollout": [
        "nemo_gym.rollout_collection:SharedRolloutCollectionConfig",
        "nemo_gym.rollout_collection:RolloutCollectionConfig",
        "nemo_gym.rollout_collection:E2ERolloutCollectionConfig",
        "nemo_gym.config_types:UploadRolloutsConfigMixin",
    ],
    "skills": ["nemo_gym.skills:SkillsConfig"],
    "prompt": ["nemo_gym.prompt:PromptConfig"],
    "aggregate": ["nemo_gym.rollout_collection:RolloutAggregationConfig"],
    "reverify": ["nemo_gym.rollout_reverification:RolloutReverificationConfig"],
    "profile": ["nemo_gym.reward_profile:RewardProfileConfig"],
    "compare": ["nemo_gym.comparison.schema:ComparisonConfig"],
    "export": ["nemo_gym.atif_export:ExportAtifConfig"],
    "prepare": ["nemo_gym.cli.eval:PrepareBenchmarkConfig"],
    "collate": ["nemo_gym.train_data_utils:TrainDataProcessorConfig"],
    "render": ["nemo_gym.prompt:MaterializePromptsConfig"],
    "upload": [
        "nemo_gym.config_types:BaseUploadJsonlDatasetHuggingFaceConfig",
        "nemo_gym.config_types:UploadJsonlDatasetHuggingFaceMaybeDeleteConfig",
        "nemo_gym.config_types:UploadJsonlDatasetHuggingFaceConfig",
        "nemo_gym.config_types:UploadJsonlDatasetGitlabConfig",
    ],
    "download": [
        "nemo_gym.config_types:JsonlDatasetHuggingFaceIdentifer",
        "nemo_gym.config_types:JsonlDatasetGitlabIdentifer",
        "nemo_gym.config_types:DownloadJsonlDatasetHuggingFaceConfig",
        "nemo_gym.config_types:DownloadJsonlDatasetGitlabConfig",
    ],
    "rm": ["nemo_gym.config_types:DeleteJsonlDatasetGitlabConfig"],
    "dataset": ["nemo_gym.config_types:DatasetConfig", "nemo_gym.config_types:BenchmarkDatasetConfig"],
    "dataset.source": [
        "nemo_gym.config_types:HuggingFaceDatasetSource",
        "nemo_gym.config_types:GitlabDatasetSource",
    ],
    "server": [
        "nemo_gym.config_types:BaseRunServerTypeConfig",
        "nemo_gym.config_types:BaseServerConfig",
        "nemo_gym.config_types:BaseRunServerConfig",
        "nemo_gym.config_types:BaseRunServerInstanceConfig",
        "nemo_gym.server_metadata:ServerMetadata",
    ],
    "server_ref": [
        "nemo_gym.config_types:ModelServerRef",
        "nemo_gym.config_types:ResourcesServerRef",
        "nemo_gym.config_types:AgentServerRef",
        "nemo_gym.config_types:EnvironmentServerRef",
    ],
    "agent": ["nemo_gym.base_responses_api_agent:BaseResponsesAPIAgentConfig"],
    "agent.tool_access": [
        "nemo_gym.tool_access:DirectHTTPToolAccess",
        "nemo_gym.tool_access:MCPToolAccess",
    ],
    "agent.tool_access.connection": ["nemo_gym.tool_access:MCPStreamableHTTPConnection"],
    "simple_agent": ["responses_api_agents.simple_agent.app:SimpleAgentConfig"],
    "environment": ["nemo_gym.base_environment_server:BaseEnvironmentServerConfig"],
    "legacy_agent": ["environment_servers.legacy_agent.app:LegacyAgentEnvironmentServerConfig"],
    "single_agent_turn": ["environment_servers.single_agent_turn.app:SingleAgentTurnEnvironmentServerConfig"],
    "nemo_user_sim": ["environment_servers.nemo_user_sim.app:UserSimEnvironmentServerConfig"],
    "model": ["nemo_gym.base_responses_api_model:BaseResponsesAPIModelConfig"],
    "model.non_generating_request": ["nemo_gym.token_id_capture.config:NonGeneratingRequest"],
    "openai_model": ["responses_api_models.openai_model.app:SimpleModelServerConfig"],
    "vllm_model": ["responses_api_models.vllm_model.app:VLLMModelConfig"],
    "local_vllm_model": ["responses_api_models.local_vllm_model.app:LocalVLLMModelConfig"],
    "local_vllm_model_proxy": ["responses_api_models.local_vllm_model_proxy.app:LocalVLLMModelProxyServerConfig"],
    "genrm_model": ["responses_api_models.genrm_model.app:GenRMModelConfig"],
    "inference_provider": ["responses_api_models.inference_provider.app:InferenceProviderConfig"],
    "azure_openai_model": ["responses_api_models.azure_openai_model.app:AzureOpenAIModelServerConfig"],
    "litellm_model": ["responses_api_models.litellm_model.app:LiteLLMModelServerConfig"],
    "switchyard_model": ["responses_api_models.switchyard_model.app:SwitchyardModelConfig"],
    "resources": ["nemo_gym.base_resources_server:BaseResourcesServerConfig", "keys:resources"],
    "equivalence_llm_judge": ["resources_servers.equivalence_llm_judge.app:LLMJudgeResourcesServerConfig"],
    "token_id_capture": ["nemo_gym.token_id_capture.config:TokenIdCaptureSettings"],
    "telemetry": ["nemo_gym.telemetry.config:TelemetryConfig"],
    "telemetry.memory_profiling": ["nemo_gym.telemetry.config:MemoryProfilingConfig"],
    "submit": ["nemo_gym.orchestration.api:SubmitConfig"],
    "submit.driver": ["nemo_gym.orchestration.api:DriverConfig"],
    "submit.driver.gym_install": ["nemo_gym.orchestration.api:GymInstallConfig"],
    "submit.benchmark": ["nemo_gym.orchestration.api:BenchmarkRunConfig"],
    "submit.benchmark.resumable": ["nemo_gym.orchestration.api:ResumeConfig"],
    "submit.job": ["nemo_gym.orchestration.api:JobConfig"],
    "submit.service": [
        "nemo_gym.orchestration.api:BaseServiceConfig",
        "nemo_gym.orchestration.api:BaseModelServiceConfig",
    ],
    "submit.service.health_check": ["nemo_gym.orchestration.api:HealthCheckConfig"],
    "submit.service.vllm": ["nemo_gym.orchestration.api:VllmServiceConfig"],
    "submit.service.vllm_pd": ["nemo_gym.orchestration.api:VllmPDServiceConfig"],
    "submit.service.ray": ["nemo_gym.orchestration.api:RayServiceConfig"],
    "submit.compute": ["nemo_gym.orchestration.api:SlurmComputeConfig"],
    "submit.compute.node_pool": ["nemo_gym.orchestration.api:NodePool"],
    "submit.otel": ["nemo_gym.orchestration.api:OtelConfig"],
    "global": [
        "nemo_gym.base_responses_api_model:ModelCallCaptureConfig",
        "nemo_gym.server_utils:GlobalAIOHTTPAsyncClientConfig",
        "nemo_gym.server_utils:ProfilingMiddlewareConfig",
        "nemo_gym.server_utils:ProfilingMiddlewareInputConfig",
        "nemo_gym.server_utils:UvicornLoggingConfig",
        "nemo_gym.server_utils:UvicornProxyHeadersConfig",
        "nemo_gym.config_types:WANDBConfig",
        "nemo_gym.config_types:MLFlowConfig",
        "nemo_gym.token_id_capture.config:TokenIdCaptureConfig",
        "keys:global",
    ],
    "workload": [
        "nemo_gym.cli.env:RunConfig",
        "nemo_gym.cli.env:TestConfig",
        "nemo_gym.cli.env:TestAllConfig",
        "nemo_gym.cli.env:InitEnvironmentConfig",
        "nemo_gym.cli.env:ManifestCommandConfig",
        "nemo_gym.cli.env:PipListConfig",
        "nemo_gym.cli.env:SchemaConfig",
    ],
}

# The same for what stands in files: task rows, rollouts and their parts, and the files beside them. ``built:`` names a
# function that puts a dictionary together without a class.
FIELDS = {
    "row": [
        "nemo_gym.base_resources_server:BaseRunRequest",
        "nemo_gym.base_resources_server:BaseVerifyRequest",
        "nemo_gym.base_resources_server:BaseVerifyResponse",
        "nemo_gym.base_resources_server:BaseMultiRewardVerifyResponse",
        "keys:row",
    ],
    "row.ng_perf": ["built:nemo_gym.rollout_collection:_build_ng_perf"],
    "row.skills_ref": ["nemo_gym.skills:SkillsRef"],
    "row.skills_ref.skills": ["nemo_gym.skills:SkillMetadata"],
    "responses_create_params": ["nemo_gym.openai_utils:NeMoGymResponseCreateParamsNonStreaming"],
    "response": ["nemo_gym.openai_utils:NeMoGymResponse", "openai.types.responses.response:Response"],
    "response.incomplete_details": ["openai.types.responses.response:IncompleteDetails"],
    "response.usage": [
        "nemo_gym.openai_utils:NeMoGymResponseUsage",
        "openai.types.responses.response_usage:ResponseUsage",
    ],
    "response.usage.input_tokens_details": [
        "nemo_gym.openai_utils:NeMoGymResponseInputTokensDetails",
        "openai.types.responses.response_usage:InputTokensDetails",
    ],
    "response.usage.output_tokens_details": [
        "nemo_gym.openai_utils:NeMoGymResponseOutputTokensDetails",
        "openai.types.responses.response_usage:OutputTokensDetails",
    ],
    "tokens": ["nemo_gym.openai_utils:TokenIDLogProbMixin"],
    "message": [
        "nemo_gym.openai_utils:NeMoGymResponseOutputMessage",
        "nemo_gym.openai_utils:NeMoGymEasyInputMessage",
        "nemo_gym.openai_utils:NeMoGymMessage",
    ],
    "message.content": [
        "nemo_gym.openai_utils:NeMoGymResponseOutputText",
        "nemo_gym.openai_utils:NeMoGymResponseOutputRefusal",
    ],
    "function_call": ["nemo_gym.openai_utils:NeMoGymResponseFunctionToolCall"],
    "function_call_output": ["nemo_gym.openai_utils:NeMoGymFunctionCallOutput"],
    "reasoning": ["nemo_gym.openai_utils:NeMoGymResponseReasoningItem"],
    "materialized_task": ["nemo_gym.episode_types:MaterializedTask"],
    "materialized_task.task_id": ["nemo_gym.episode_types:TaskId"],
    "materialized_task.task_input": ["nemo_gym.single_agent_turn_types:SingleAgentTurnTaskInput"],
    "episode_failure": ["nemo_gym.episode_types:EpisodeFailure"],
    "trajectory": ["nemo_gym.rollout_observability:TrajectoryRecord"],
    "trajectory.invocation": ["nemo_gym.rollout_observability:AgentInvocation"],
    "trajectory.turn": ["nemo_gym.rollout_observability:TrajectoryTurn"],
    "trajectory.model_call": ["nemo_gym.rollout_observability:TrajectoryModelCall"],
    "trajectory.model_call.response_metadata": ["nemo_gym.rollout_observability:TrajectoryResponseMetadata"],
    "trajectory.model_call.token_stats": ["nemo_gym.rollout_observability:TrajectoryTokenStats"],
    "trajectory.model_call_ref": ["nemo_gym.rollout_observability:ModelCallRef"],
    "trajectory.tool_call": [
        "nemo_gym.rollout_observability:ToolCallObservation",
        "nemo_gym.rollout_observability:TrajectoryToolCall",
    ],
    "trajectory.gap": ["nemo_gym.rollout_observability:ObservationGap"],
    "observations": ["nemo_gym.rollout_observability:AgentObservationBundle"],
    "observations.sandbox": ["nemo_gym.rollout_observability:SandboxObservation"],
    "observations.context_compaction": ["nemo_gym.rollout_observability:ContextCompactionObservation"],
    "model_call_record": ["nemo_gym.base_responses_api_model:ModelCallRecord"],
    "aggregate_metrics": [
        "nemo_gym.config_types:AggregateMetrics",
        "built:nemo_gym.rollout_collection:_fetch_agent_metrics",
    ],
    "aggregate_metrics.group_level_metrics": ["keys:group_level_metrics"],
    "quality_summary": ["built:nemo_gym.rollout_health:_reduce"],
    "verdict": ["built:nemo_gym.rollout_health:_write_reports"],
    "verdict.finding": ["nemo_gym.health.types:Finding"],
    "comparison": ["nemo_gym.comparison.schema:ComparisonResult"],
    "atif_manifest": ["nemo_gym.atif_reverification:AtifReverifyManifestEntry"],
}

# Keys that the package reads from a configuration, or writes into a row, without a class for them: the constants of a
# module whose names match. ``keys:global`` and ``keys:row`` also hold what ``global_reads`` and ``row_keys`` find.
KEYS = {
    "keys:global": (
        "nemo_gym.global_config",
        r"POLICY_(BASE_URL|API_KEY|MODEL_NAME)_KEY_NAME|POLICY_API_KEY_KEY_NAME|DELETE_KEY_KEY_NAME",
    ),
    "keys:resources": ("nemo_gym.global_config", r"ALLOWED_(AGENTS|MODEL_TYPES)_KEY_NAME"),
    "keys:group_level_metrics": ("nemo_gym.global_config", r"(ROLLOUT_INFOS|\w*NUM_ROLLOUTS)_KEY_NAME"),
    "keys:row": ("nemo_gym.global_config", r"(AGENT_REF|TASK_SOURCE|SKILLS_REF)_KEY_NAME"),
}

# Configuration classes that no reader writes or that are out of scope, as a regular expression on MODULE:CLASS.
NOT_SETTINGS = (
    r"nemo_gym\.sandbox\b|:_|:BaseNeMoGymCLIConfig$|:BaseComputeConfig$|ServerTypeConfig$|ServerInstanceConfig$|:ExporterConfig$"
    r"|:GlobalConfigDictParserConfig$|:ServerInstanceDisplayConfig$|:VersionConfig$|:BenchmarkConfig$|:VllmPDTierConfig$"
    r"|:ConnectionPoolConfig$"
)
SCOPE = [key for members_ in [*SETTINGS.values(), *FIELDS.values()] for key in members_]
COMPONENTS = ["responses_api_agents", "responses_api_models", "resources_servers", "environment_servers"]
# More trees whose environment variables are not the core's.
MORE_COMPONENTS = ["benchmarks", "environments", "nemo_gym/sandbox/providers"]


# --- source: modules, names and constants -----------------------------------------------------------------------------


class Name(NamedTuple):
    """Where a name leads: to a node of a module, or out of the source at hand (no node)."""

    module: str
    name: str
    node: ast.AST | None


ROOT = Path(util.find_spec("nemo_gym").submodule_search_locations[0]).parent
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
OPAQUE = object()  # a value that only running the code would tell
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}


@functools.cache
def path_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache
def source(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@functools.cache
def tree(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in somebody's docstring
        return ast.parse(source(path))


@functools.cache
def parents(path: Path) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree(path)) for child in ast.iter_child_nodes(node)}


def above(path: Path, node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around a node, from the inside out."""
    while node in parents(path):
        yield (node := parents(path)[node])


@functools.cache
def comments(path: Path) -> dict[int, tuple[str, bool]]:
    """The comment of each line, and whether it has the line to itself."""
    return {
        token.start[0]: (token.string.lstrip("#:").strip(), not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(StringIO(source(path)).readline)
        if token.type == tokenize.COMMENT
    }


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def python_files(*folders: str) -> list[Path]:
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    return [
        file
        for file in files
        if not {"tests", "test"} & set(file.relative_to(ROOT).parts) and not file.name.startswith("test_")
    ]


def core_files(word: str) -> list[Path]:
    """The files of the library itself that mention a word."""
    return [
        path
        for path in python_files("nemo_gym")
        if word in source(path) and "sandbox" not in path.relative_to(ROOT).parts
    ]


@functools.cache
def names(module: str) -> dict[str, ast.AST]:
    """What each top-level name of a module stands for, also below ``if`` and ``try``."""
    found: dict[str, ast.AST] = {}

    def read(body: list[ast.stmt]) -> None:
        for node in body:
            match node:
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    found[node.name] = node
                case ast.Assign():
                    found.update({target.id: node.value for target in node.targets if isinstance(target, ast.Name)})
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                    found[name] = node.value
                case ast.Import() | ast.ImportFrom():
                    found.update({alias.asname or alias.name: node for alias in node.names})
                case ast.If() | ast.Try():
                    read(node.body)
                    read(node.orelse)

    read(tree(path_of(module)).body)
    return found


@functools.cache
def resolve(module: str, name: str) -> Name:
    """Follow the imports of a name to its definition."""
    node = names(module).get(name)
    if isinstance(node, ast.ImportFrom):
        origin = node.module or ""
        if node.level:
            package = module if path_of(module).name == "__init__.py" else module.rpartition(".")[0]
            package = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            origin = f"{package}.{origin}".rstrip(".")
        original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
        return resolve(origin, original) if path_of(origin) and origin != module else Name(origin, original, None)
    return Name(module, name, None if isinstance(node, ast.Import) else node)


def evaluate(module: str, node: ast.AST | None, local: dict[str, object] | None = None) -> object:
    """The value of an expression of constants; OPAQUE for anything else."""
    read = functools.partial(evaluate, module, local=local)
    match node:
        case ast.Constant():
            return node.value
        case ast.Name(id=name):
            if local and name in local:
                return local[name]
            found = resolve(module, name)
            return evaluate(found.module, found.node) if isinstance(found.node, ast.expr) else OPAQUE
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            values = [read(item) for item in items]
            return OPAQUE if OPAQUE in values else values
        case ast.Dict():
            keys, values = [read(key) for key in node.keys], [read(value) for value in node.values]
            return OPAQUE if OPAQUE in keys + values else dict(zip(keys, values, strict=True))
        case ast.UnaryOp(op=ast.USub()) if isinstance(value := read(node.operand), int | float):
            return -value
        case ast.BinOp() if type(node.op) in OPERATORS:
            left, right = read(node.left), read(node.right)
            with contextlib.suppress(TypeError):
                return OPAQUE if OPAQUE in (left, right) else OPERATORS[type(node.op)](left, right)
        case ast.JoinedStr():
            values = [read(value) for value in node.values]
            return OPAQUE if OPAQUE in values else "".join(map(str, values))
        case ast.FormattedValue():
            return read(node.value)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            found = resolve(module, name)
            return members(found).get(attribute, OPAQUE) if isinstance(found.node, ast.ClassDef) else OPAQUE
        case ast.Subscript(value=value, slice=key) if isinstance(table := read(value), dict):
            return table.get(read(key), OPAQUE)
        case ast.Call(
            func=ast.Name(id="frozenset" | "set" | "list" | "tuple" | "Path" | "str"), args=[only], keywords=[]
        ):
            value = read(only)
            return list(value) if isinstance(value, dict) else value
    return OPAQUE


def possible(path: Path, node: ast.AST | None, depth: int = 5) -> list:
    """The values that an expression may have, as far as the file tells: loops, assignments, arguments, results."""
    value = evaluate(module_of(path), node)
    if value is not OPAQUE or depth == 0:
        return [] if value is OPAQUE else value if isinstance(value, list) else [value]
    origins: list[ast.expr] = []
    match node:
        case ast.IfExp():
            origins = [node.body, node.orelse]
        case ast.BoolOp():
            origins = node.values
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            functions = [
                function
                for function in ast.walk(tree(path))
                if isinstance(function, FUNCTION) and function.name == name
            ]
            origins = [
                child.value for function in functions for child in ast.walk(function) if isinstance(child, ast.Return)
            ]
        case ast.JoinedStr(values=parts):
            options = [
                possible(path, part.value if isinstance(part, ast.FormattedValue) else part, depth - 1)
                for part in parts
            ]
            return ["".join(map(str, words)) for words in itertools.product(*options)]
        case ast.Attribute(attr=attribute):
            found = [
                entry for key in SCOPE if (cls := find(key)) for entry in own_fields(cls) if entry["name"] == attribute
            ]
            return [entry["default"] for entry in found if isinstance(entry.get("default"), str)]
        case ast.Name(id=name):
            scope = next((outer for outer in above(path, node) if isinstance(outer, FUNCTION)), tree(path))
            for child in ast.walk(scope):
                match child:
                    case (
                        ast.Assign(targets=[ast.Name(id=target)])
                        | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr())
                    ) if target == name:
                        origins.append(child.value)
            for outer in above(path, node):
                loops = [outer] if isinstance(outer, ast.For) else getattr(outer, "generators", [])
                for loop in loops:
                    if (items := looped(module_of(path), loop, name)) is not None:
                        return items
                    if isinstance(loop.target, ast.Name) and loop.target.id == name:
                        origins.append(loop.iter)
            if isinstance(scope, FUNCTION):
                origins += arguments_of(path, scope, name)
    return list(
        dict.fromkeys(value for origin in origins for value in possible(path, origin, depth - 1) if value.__hash__)
    )


def looped(module: str, loop: ast.For | ast.comprehension, name: str) -> list | None:
    """What a loop over constants binds to a name; None if it does not bind the name."""
    targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    index = next(
        (index for index, target in enumerate(targets) if isinstance(target, ast.Name) and target.id == name), None
    )
    match loop.iter:
        case ast.Call(func=ast.Attribute(value=table, attr="items"), args=[]):
            items = evaluate(module, table)
            items = [list(pair) for pair in items.items()] if isinstance(items, dict) else OPAQUE
        case table:
            items = evaluate(module, table)
            if items is OPAQUE and isinstance(table, ast.Tuple | ast.List) and isinstance(targets[0], ast.Name):
                rows = [row.elts if isinstance(row, ast.Tuple) else [row] for row in table.elts]
                items = [[evaluate(module, cell) for cell in row] for row in rows]
    if index is None or not isinstance(items, list | dict):
        return None
    cells = [item[index] if isinstance(item, list) else item for item in items]
    return [cell for cell in cells if isinstance(cell, str)]


def arguments_of(path: Path, function: ast.FunctionDef, name: str) -> list[ast.expr]:
    """What the calls of a function in its own file give to one of its parameters, and the parameter's default."""
    parameters = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    given = [
        value
        for argument, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if argument.arg == name and value
    ]
    for call in ast.walk(tree(path)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == function.name:
            given += [keyword.value for keyword in call.keywords if keyword.arg == name]
            position = parameters.index(name) - (parameters[0] == "self") if name in parameters else None
            if position is not None and position < len(call.args):
                given.append(call.args[position])
    return given


# --- classes ----------------------------------------------------------------------------------------------------------


@functools.cache
def lineage(name: Name) -> tuple[Name, ...]:
    """The class and its bases in Python's order (C3), as far as their source is at hand."""
    bases = [
        resolve(name.module, base.id) for base in map(unsubscripted, name.node.bases) if isinstance(base, ast.Name)
    ]
    bases = [base for base in bases if isinstance(base.node, ast.ClassDef)]
    queues = [list(lineage(base)) for base in bases] + [bases]
    order = [name]
    while queues := [queue for queue in queues if queue]:
        head = next(queue[0] for queue in queues if not any(queue[0] in other[1:] for other in queues))
        order.append(head)
        queues = [queue[1:] if queue[0] == head else queue for queue in queues]
    return tuple(order)


def unsubscripted(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def key_of(name: Name) -> str:
    return f"{name.module}:{name.name}"


def find(key: str) -> Name | None:
    """The class or function MODULE:NAME; None if the release does not have it."""
    module, _, name = key.partition(":")
    if not path_of(module):
        return None
    found = resolve(module, name)
    if found.node is None:
        inner = (node for node in ast.walk(tree(path_of(module))) if isinstance(node, FUNCTION) and node.name == name)
        found = Name(module, name, next(inner, None))
    return found if found.node is not None else None


def members(name: Name) -> dict[str, object]:
    """The constants of a class body: an enumeration's members."""
    assigned = [
        node for node in name.node.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    return {node.targets[0].id: evaluate(name.module, node.value) for node in assigned}


def base_names(name: Name) -> set[str]:
    return {ast.unparse(unsubscripted(base)).rpartition(".")[2] for cls in lineage(name) for base in cls.node.bases}


class Type:
    """A type in a reader's words, and what a value must be beyond that."""

    SCALARS = {
        "str": ("string", "strings"), "int": ("int", "ints"), "float": ("float", "floats"), "bool": ("bool", "bools"),
        "Path": ("path", "paths"), "Any": ("any value", "any values"), "object": ("any value", "any values"),
        "dict": ("mapping", "mappings"), "list": ("list", "lists"), "bytes": ("bytes", "bytes"),
        "DictConfig": ("mapping", "mappings"), "AnyHttpUrl": ("URL", "URLs"), "JsonValue": ("any value", "any values"),
    }  # fmt: skip
    BOUNDED = {
        "PositiveInt": ("int", "> 0"), "NonNegativeInt": ("int", "≥ 0"),
        "PositiveFloat": ("float", "> 0"), "NonNegativeFloat": ("float", "≥ 0"),
    }  # fmt: skip
    LISTS = {"List", "list", "Iterable", "Sequence", "Tuple", "tuple", "Set", "set", "FrozenSet", "frozenset"}
    MAPPINGS = {"Dict", "dict", "Mapping"}
    LONG = 4  # a union of more classes than this goes by its own name

    def __init__(
        self, one: str, many: str = "", *, choices: tuple = (), blocks: tuple = (), limits: tuple = ()
    ) -> None:
        self.one, self.many = one, many or one
        self.choices, self.blocks, self.limits = choices, blocks, limits

    @classmethod
    def read(cls, module: str, node: ast.expr, name: str = "") -> Type:
        match node:
            case ast.Constant(value=None):
                return cls("null")
            case ast.Constant(value=str(text)):
                return cls.read(module, ast.parse(text, mode="eval").body)
            case ast.Name(id=name):
                return cls.named(module, name)
            case ast.Attribute():
                return cls.scalar(node.attr)
            case ast.BinOp(op=ast.BitOr()):
                return cls.union([cls.read(module, part) for part in flattened(node)], name)
            case ast.Subscript(value=value, slice=inner):
                kind = ast.unparse(value).rpartition(".")[2]
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                if kind == "Literal":
                    return cls.of_choices([choice for part in parts for choice in literal(module, part)])
                if kind == "Annotated":
                    found = cls.read(module, parts[0], name)
                    for call in (part for part in parts[1:] if isinstance(part, ast.Call)):
                        found.limits += tuple(limits(module, call))
                    return found
                types = [cls.read(module, part) for part in parts if ast.unparse(part) != "..."]
                if kind in ("Optional", "Union"):
                    return cls.union(types + ([cls("null")] if kind == "Optional" else []), name)
                if kind in cls.LISTS:
                    many = types[0].many if len(types) == 1 else " and ".join(part.one for part in types)
                    return cls.joined(f"list of {many}", f"lists of {many}", types)
                if kind in cls.MAPPINGS and len(types) == 2:
                    many = f"of {types[0].many} to {types[1].many}"
                    return cls.joined(f"mapping {many}", f"mappings {many}", types)
                if kind in ("Required", "NotRequired", "ClassVar"):
                    return types[0]
                return cls.read(module, value)
        return cls(ast.unparse(node))

    @classmethod
    def scalar(cls, name: str) -> Type:
        return cls(*cls.SCALARS.get(name, (name,)))

    @classmethod
    def named(cls, module: str, name: str) -> Type:
        found = resolve(module, name)
        if found.name in cls.BOUNDED:
            one, limit = cls.BOUNDED[found.name]
            return cls(one, one + "s", limits=(limit,))
        if isinstance(found.node, ast.ClassDef):
            if base_names(found) & {"Enum", "StrEnum", "IntEnum"}:
                return cls.of_choices(list(members(found).values()))
            return cls(f"{name} block", f"{name} blocks", blocks=(key_of(found),))
        if isinstance(found.node, ast.expr) and not isinstance(found.node, ast.Call):
            return cls.read(found.module, found.node, name)
        return cls.scalar(found.name)

    @classmethod
    def of_choices(cls, choices: list) -> Type:
        kinds = list(dict.fromkeys(type(choice).__name__ for choice in choices))
        found = cls.union([cls.scalar("null" if kind == "NoneType" else kind) for kind in kinds])
        found.choices = tuple(choices)
        return found

    @classmethod
    def union(cls, types: list[Type], name: str = "") -> Type:
        words = list(dict.fromkeys(part.one for part in types))
        if name and sum(len(part.blocks) for part in types) > cls.LONG:
            return cls(f"{name} block", f"{name} blocks")
        if "null" in words:
            words.append(words.pop(words.index("null")))
        many = list(dict.fromkeys(part.many for part in types if part.one != "null"))
        free = {part.one for part in types if not part.choices}
        # ``str | Literal[...]``: any string fits, the named ones are no more than suggestions.
        types = [part if part.one not in free else cls(part.one, part.many, blocks=part.blocks, limits=part.limits) for part in types]
        return cls.joined(" or ".join(words), " or ".join(many), types)

    @classmethod
    def joined(cls, one: str, many: str, types: list[Type]) -> Type:
        def merged(attribute: str) -> tuple:
            return tuple(dict.fromkeys(value for part in types for value in getattr(part, attribute)))

        return cls(one, many, choices=merged("choices"), blocks=merged("blocks"), limits=merged("limits"))


def flattened(node: ast.expr) -> list[ast.expr]:
    return [*flattened(node.left), *flattened(node.right)] if isinstance(node, ast.BinOp) else [node]


def literal(module: str, node: ast.expr) -> list:
    value = evaluate(module, node)
    return [ast.unparse(node)] if value is OPAQUE else [value]


def limits(module: str, call: ast.Call) -> list[str]:
    """What the arguments of ``Field(...)`` ask of a value."""
    words = {
        "gt": "> {}",
        "ge": "≥ {}",
        "lt": "< {}",
        "le": "≤ {}",
        "max_length": "length ≤ {}",
        "pattern": "matches {}",
    }
    found = []
    for keyword in call.keywords:
        value = evaluate(module, keyword.value)
        if keyword.arg == "min_length":
            found.append("not empty" if value == 1 else f"length ≥ {value}")
        elif keyword.arg == "allow_inf_nan" and value is False:
            found.append("finite")
        elif keyword.arg in words and value is not None:
            found.append(words[keyword.arg].format(f"{value:g}" if isinstance(value, int | float) else value))
    return found


def default(module: str, node: ast.expr) -> dict:
    """The default: its value; the block whose own defaults apply; or the code that computes it."""
    if isinstance(node, ast.Call) and not node.args and not node.keywords and isinstance(node.func, ast.Name):
        found = resolve(module, node.func.id)
        if isinstance(found.node, ast.ClassDef):
            return {"default_block": key_of(found)}
    value = evaluate(module, node)
    return {"default_code": ast.unparse(node)} if value is OPAQUE else {"default": value}


def field(name: Name, node: ast.AnnAssign, following: ast.stmt | None) -> dict:
    """One field of a class, from its line, the comment above or beside it and the string below it."""
    module, value = name.module, node.value
    kind = Type.read(module, node.annotation)
    found = {"name": node.target.id, "type": kind.one}
    asked, description = list(kind.limits), ""
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in ("Field", "field"):
        arguments = {keyword.arg: keyword.value for keyword in value.keywords}
        asked += limits(module, value)
        if isinstance(alias := evaluate(module, arguments.get("alias")), str):
            found["name"] = alias
        description = evaluate(module, arguments.get("description"))
        factory = arguments.get("default_factory")
        value = value.args[0] if value.args else arguments.get("default")
        if factory is not None:
            empty = {"list": ast.List([]), "dict": ast.Dict([], []), "set": ast.List([])}
            made = factory.body if isinstance(factory, ast.Lambda) else ast.Call(factory, [], [])
            value = empty.get(ast.unparse(factory), made)
    if kind.choices:
        found["choices"] = list(kind.choices)
    if kind.blocks:
        found["blocks"] = list(kind.blocks)
    if asked:
        found["limits"] = list(dict.fromkeys(asked))
    if value is None or ast.unparse(value) == "...":
        found["required"] = True
    else:
        found |= default(module, value)
    if not isinstance(description, str) or not description:
        description = said_about(path_of(module), node, following)
    if description:
        found["description"] = description
    return found | {"line": node.lineno}


def said_about(path: Path, node: ast.stmt, following: ast.stmt | None) -> str:
    """The string below a statement, or the comment on its line, or the comments right above it."""
    match following:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    known = comments(path)
    if node.end_lineno in known:
        return known[node.end_lineno][0]
    lines, line = [], node.lineno - 1
    while line in known and known[line][1]:
        lines.insert(0, known[line][0] if known[line][0].strip("=-# ") else "")
        line -= 1
    return " ".join(filter(None, lines))


@functools.cache
def own_fields(name: Name) -> list[dict]:
    """The fields that a class declares itself, in the order of its source."""
    body = name.node.body
    return [
        field(name, node, following)
        for node, following in zip(body, [*body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not node.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(node.annotation)
    ]


def extra(name: Name) -> str:
    """What the class does with a key that it does not know."""
    for cls in lineage(name):
        keywords = list(cls.node.keywords)
        for node in cls.node.body:
            match node:
                case ast.Assign(value=ast.Call(func=ast.Name(id="ConfigDict"), keywords=given)):
                    keywords += given
        for keyword in keywords:
            if keyword.arg == "extra":
                return evaluate(cls.module, keyword.value)
    return "ignore"


def first_paragraph(name: Name) -> str:
    return " ".join((ast.get_docstring(name.node) or "").partition("\n\n")[0].split())


def describe(name: Name) -> dict:
    """A class as the facts hold it."""
    bases = [cls for cls in lineage(name)[1:] if own_fields(cls)]
    return {
        "line": name.node.lineno,
        "doc": first_paragraph(name),
        "bases": [key_of(cls) for cls in bases],
        "extra": extra(name),
        "fields": own_fields(name),
    }


# --- what has no class ------------------------------------------------------------------------------------------------


def constant_keys(group: str) -> list[dict]:
    """The keys that constants of a module name."""
    module, pattern = KEYS[group]
    path = path_of(module)
    found = []
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=key)) if re.fullmatch(pattern, name):
                place = {"line": node.lineno, "module": module}
                found.append({"name": key, "description": said_about(path, node, None)} | place)
    return found


def global_reads() -> list[dict]:
    """The keys at the top of the configuration: the reserved ones, and those the core reads with a default of its own."""
    module = "nemo_gym.global_config"
    reserved = possible(path_of(module), names(module)["NEMO_GYM_RESERVED_TOP_LEVEL_KEYS"])
    found = {key: {"name": key, "module": module} for key in reserved}
    stored, read = set(), set()
    for path in core_files("global_config"):
        for node in ast.walk(tree(path)):
            match node:
                case ast.Call(func=ast.Attribute(receiver, "get" | "setdefault" as method), args=[key, *rest]):
                    outer = parents(path).get(node)
                    if not rest and isinstance(outer, ast.BoolOp) and isinstance(outer.op, ast.Or):
                        rest = outer.values[1:]
                case ast.Subscript(value=receiver, slice=key, ctx=ast.Store()):
                    method, rest = "", []
                case _:
                    continue
            text = ast.unparse(receiver)
            is_top = re.search(r"(^|\.)global_config(_dict)?$|get_global_config_dict\(\)$", text)
            values = possible(path, key) if is_top or text in found else [evaluate(module_of(path), key)]
            read |= {value for value in values if method and isinstance(value, str)}
            place = {"module": module_of(path), "line": node.lineno}
            fallback = default(place["module"], rest[0]) if rest else {}
            if text in found and rest and method == "setdefault":  # a block whose keys are filled in one by one
                found |= {f"{text}.{inner}": {"name": f"{text}.{inner}"} | fallback | place for inner in values}
            for value in values if is_top else ():
                if not method:
                    stored.add(value)
                # A key that is read without a default is some command's, or the name of a server.
                elif value in found or rest:
                    entry = found.setdefault(value, {"name": value})
                    known = {"default", "default_code"} & set(entry)
                    if fallback and fallback != {"default": {}} and (method == "setdefault" or not known):
                        entry |= fallback | place
    for key, entry in found.items():
        if key in stored - read:
            entry["set_by_gym"] = True
        if isinstance(entry.get("default"), bool | int | float | str):
            entry["type"] = Type.scalar(type(entry["default"]).__name__).one
    # What commands of their own describe needs no second entry.
    classes = filter(None, map(find, SETTINGS["rollout"] + SETTINGS["workload"]))
    elsewhere = {entry["name"] for cls in classes for entry in own_fields(cls)}
    return [entry for key, entry in found.items() if key not in elsewhere]


def row_keys() -> list[dict]:
    """The keys that the core writes into rows for itself: ``_ng_...`` and ``ng_...``."""
    found: dict[str, dict] = {}
    pattern = re.compile(r"_ng_[a-z_]+|ng_[a-z]+_[a-z_]+|ng_perf|ng_trajectory")
    for path in core_files("ng_"):
        for node in ast.walk(tree(path)):
            match node:
                case ast.Dict(keys=keys):
                    pass
                case ast.Subscript(slice=key) | ast.keyword(arg="alias", value=key):
                    keys = [key]
                case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[key, *_]):
                    keys = [key]
                case ast.Assign(targets=[ast.Name(id=name)], value=key) if re.search(r"_KEY(_NAME)?$", name):
                    keys = [key]
                case _:
                    continue
            for key in keys:
                if isinstance(key, ast.Constant) and pattern.fullmatch(str(key.value)):
                    found.setdefault(key.value, {"name": key.value, "module": module_of(path), "line": key.lineno})
    return sorted(found.values(), key=lambda entry: entry["name"])


def built(key: str) -> dict | None:
    """The keys of the largest dictionary that a function puts together, nested ones with dots."""
    name = find(key.removeprefix("built:"))
    if name is None:
        return None
    path = path_of(name.module)

    def read(node: ast.Dict, prefix: str = "") -> dict[str, int]:
        keys: dict[str, int] = {}
        for child, value in zip(node.keys, node.values, strict=True):
            if isinstance(word := evaluate(name.module, child), str):
                keys[prefix + word] = child.lineno
                keys |= read(value, f"{prefix}{word}.") if isinstance(value, ast.Dict) else {}
        return keys

    found: dict[str, int] = {}
    variable = ""
    for node in ast.walk(name.node):
        match node:
            case ast.Return(value=ast.Dict() as value):
                target = ""
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Dict() as value):
                pass
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.Dict() as value):
                pass
            case _:
                continue
        if len(keys := read(value)) > len(found):
            found, variable = keys, target
    for node in ast.walk(name.node):
        match node:
            case ast.Subscript(value=ast.Name(id=target), slice=word, ctx=ast.Store()) if target == variable:
                found |= {value: node.lineno for value in possible(path, word) if isinstance(value, str)}
    fields = [{"name": word, "line": line} for word, line in found.items()]
    return {"line": name.node.lineno, "doc": first_paragraph(name), "bases": [], "extra": "allow", "fields": fields}


# --- groups of settings and fields ------------------------------------------------------------------------------------


def groups(scope: dict[str, list[str]], classes: dict[str, dict]) -> tuple[dict, dict]:
    """The groups of a scope with their entries, and each entry with the classes that have it, the main one first.

    A field that a class repeats from a base in scope is no entry of its own: it is the base's, with another default.
    """
    for members_ in scope.values():
        for key in members_:
            if key.startswith("keys:"):
                fields = constant_keys(key)
                fields += global_reads() if key == "keys:global" else row_keys() if key == "keys:row" else []
                found = {"line": 0, "doc": "", "bases": [], "extra": "allow", "fields": fields}
            elif key.startswith("built:"):
                found = built(key)
            else:
                found = describe(name) if (name := find(key)) else None
            if found:
                classes[key] = found
    home = {key: group for group, members_ in scope.items() for key in members_ if key in classes}
    listed = {group: {"classes": [key for key in home if home[key] == group], "entries": []} for group in scope}
    has = {key: [entry["name"] for entry in classes[key]["fields"]] for key in home}
    entries: dict[str, dict] = {}
    for key in home:
        for word in has[key]:
            # Bases are listed nearest first: the farthest one that has the field is where it comes from.
            owners = [base for base in classes[key]["bases"] if word in has.get(base, [])]
            group = home[owners[-1] if owners else key]
            identifier = f"{group}.{word}"
            if identifier not in entries:
                entries[identifier] = {"key": word, "group": group, "in": []}
                listed[group]["entries"].append(identifier)
            entries[identifier]["in"].append(key)
    return {group: found for group, found in listed.items() if found["classes"]}, entries


def unplaced() -> list[str]:
    """Configuration classes of the core that no group has and that nobody declared out of scope."""
    found = []
    for path in python_files("nemo_gym"):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and re.search(r"(Config|Settings)(Mixin)?$", node.name):
                name = Name(module_of(path), node.name, node)
                if "BaseModel" in base_names(name) and not re.search(NOT_SETTINGS, key_of(name)):
                    found.append(key_of(name))
    return [key for key in found if key not in SCOPE]


# --- components -------------------------------------------------------------------------------------------------------


def components(classes: dict[str, dict]) -> dict[str, dict]:
    """Each server that ships: the classes of its configuration and its configuration files."""
    found: dict[str, dict] = {}
    for folder in (folder for kind in COMPONENTS for folder in sorted((ROOT / kind).glob("*"))):
        if not any((folder / name).exists() for name in ("app.py", "__init__.py")):
            continue
        names_ = [
            configuration
            for path in python_files(folder.relative_to(ROOT).as_posix())
            if "config" in source(path)
            for node in tree(path).body
            if isinstance(node, ast.ClassDef)
            for configuration in configurations(Name(module_of(path), node.name, node))
        ]
        for name in (base for own in names_ for base in lineage(own)):
            if name in names_ or own_fields(name):
                classes.setdefault(key_of(name), describe(name))
        configs = sorted(path.relative_to(folder).as_posix() for path in folder.glob("configs/**/*.yaml"))
        found[folder.relative_to(ROOT).as_posix()] = {
            "classes": list(dict.fromkeys(map(key_of, names_))),
            "configs": configs,
        }
    return found


def configurations(name: Name) -> list[Name]:
    """The class itself if it is a server's configuration; the class of ``config:`` if it is a server."""
    keys = [key_of(cls) for cls in lineage(name)]
    if "nemo_gym.config_types:BaseRunServerInstanceConfig" in keys:
        return [name]
    for cls in lineage(name) if "nemo_gym.server_utils:BaseServer" in keys else ():
        for node in cls.node.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id="config"), annotation=ast.Name(id=annotation)):
                    found = resolve(cls.module, annotation)
                    return [found] if isinstance(found.node, ast.ClassDef) else []
    return []


# --- the command line -------------------------------------------------------------------------------------------------


def commands(classes: dict[str, dict], settings: dict[str, dict]) -> dict[str, dict]:
    """Each command with its flags, and for each flag the keys of the configuration that it sets."""
    from nemo_gym.cli import main as cli

    cli._asset_config_path = lambda flag, value: value  # any name will do: only the key counts here

    def top(parser: argparse.ArgumentParser) -> None:
        for action in cli.build_parser()._actions:
            if action.dest in ("version", "json", "verbose"):
                parser._add_action(action)

    found = {}
    for command_name, command in {"": cli.Command(target="", flags=(cli.Flag(register=top),)), **cli.COMMANDS}.items():
        reads = read_by(command.target)
        flags = []
        for flag in command.flags:
            parser = argparse.ArgumentParser(add_help=False)
            flag.register(parser)
            for action in parser._actions:
                told = {"names": action.option_strings or [action.metavar or action.dest], "takes": takes(action)}
                if action.choices:
                    told["choices"] = list(action.choices)
                if isinstance(action.default, str) and action.default != argparse.SUPPRESS:
                    told["default"] = action.default
                told["keys"] = {key: setting_of(key, reads, classes, settings) for key in keys_of(flag, parser, action)}
                flags.append(told | {"help": action.help or ""})
        found[command_name] = {"summary": command.summary or "", "reads": reads, "flags": flags}
    return found


def keys_of(flag, parser: argparse.ArgumentParser, action: argparse.Action) -> list[str]:
    """Give one argument a value and see which overrides come out."""
    unset = {other.dest: False if other.nargs == 0 and other.const is True else None for other in parser._actions}
    arguments = argparse.Namespace(**unset)
    value: object = action.const if action.const is not None and action.nargs == 0 else "x"
    if action.choices:
        value = next(iter(action.choices))
    elif isinstance(action.nargs, int) and action.nargs > 1:
        value = [0.0] * action.nargs
    elif isinstance(action, argparse._AppendAction):
        value = ["x"]
    elif action.type:
        value = action.type("1")
    setattr(arguments, action.dest, value)
    tokens = flag.translate_to_hydra(arguments)
    return [match[1] for token in tokens if (match := re.match(r"\+*([\w.]+)=", token))]


def takes(action: argparse.Action) -> str:
    """What follows the flag on the command line; nothing for a switch."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    return action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "VALUE")


def read_by(target: object) -> list[str]:
    """The configuration classes that a command validates: those its function, or a function it names, calls."""
    first = find(target if isinstance(target, str) else f"{target.__module__}:{target.__name__}")
    texts = [child.value for child in ast.walk(first.node) if isinstance(child, ast.Constant)] if first else []
    named = [find(text) for text in texts if re.fullmatch(r"nemo_gym[\w.]+:\w+", str(text))]
    found = []
    for function in filter(None, [first, *named]):
        imports = [child for child in ast.walk(function.node) if isinstance(child, ast.ImportFrom)]
        local = {alias.name: child.module for child in imports for alias in child.names}
        for child in ast.walk(function.node):
            match child:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="model_validate")):
                    found.append(key_of(resolve(local.get(name, function.module), name)))
                case ast.Name(id="TrainDataProcessor"):  # validates its configuration itself
                    found.append("nemo_gym.train_data_utils:TrainDataProcessorConfig")
    return [key for key in dict.fromkeys(found) if not key.endswith(":BaseNeMoGymCLIConfig")]


def setting_of(key: str, reads: list[str], classes: dict[str, dict], settings: dict[str, dict]) -> str | None:
    """The setting that a command means by a key: of a class it validates, else of the top of the configuration."""
    first = key.partition(".")[0]
    order = [cls for read in reads for cls in [read, *classes.get(read, {}).get("bases", [])]] + SETTINGS["global"]
    for cls in order:
        for identifier, setting in settings.items():
            if setting["key"] == first and cls in setting["in"]:
                return identifier
    return None


def legacy() -> dict[str, str]:
    """The commands of earlier releases that are still installed, and what each stands for."""
    from nemo_gym.cli.legacy import LEGACY

    scripts = {entry.name for entry in metadata.distribution("nemo-gym").entry_points}
    stands = {name: "gym " + " ".join(words) for name, words in LEGACY.items()} | {"reinstall": "uv sync --extra dev"}
    pairs = ((prefix + name, words) for name, words in sorted(stands.items()) for prefix in ("ng_", "nemo_gym_"))
    return {name: words for name, words in pairs if name in scripts}


# --- environment variables --------------------------------------------------------------------------------------------

VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def environment(path: Path) -> Iterator[tuple[str, dict]]:
    """The environment variables that a Python file reads or sets, with the places."""
    if not re.search(r"environ\b|getenv|NEMO_GYM_", source(path)):
        return
    try:
        nodes = list(ast.walk(tree(path)))
    except SyntaxError:  # somebody's Python 2
        return
    module = module_of(path)
    for node in nodes:
        fallback = None
        match node:
            case ast.Call(func=ast.Attribute(receiver, "get" | "setdefault" as method), args=[key, *rest]) if (
                is_environ(receiver)
            ):
                access, keys, fallback = ("read" if method == "get" else "set"), [key], next(iter(rest), None)
            case ast.Call(func=ast.Name(id="getenv") | ast.Attribute(attr="getenv"), args=[key, *rest]):
                access, keys, fallback = "read", [key], next(iter(rest), None)
            case ast.Subscript(receiver, key, ast.Load()) if is_environ(receiver):
                access, keys = "read", [key]
            case ast.Subscript(receiver, key, ast.Store()) if ast.unparse(receiver).endswith(("environ", "env")):
                access, keys = "set", [key]
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[receiver]) if is_environ(receiver):
                access, keys = "read", [key]
            case ast.Dict():  # handed to a process
                access, keys = "set", [key for key in node.keys if str(evaluate(module, key)).startswith("NEMO_GYM_")]
            case _:
                continue
        for outer in above(path, node):  # os.environ.get(NAME, "").strip() or FALLBACK
            if (
                isinstance(outer, ast.BoolOp)
                and isinstance(outer.op, ast.Or)
                and evaluate(module, fallback) in (OPAQUE, "")
            ):
                fallback = outer.values[-1]
            elif not isinstance(outer, ast.Attribute | ast.Call):
                break
        place = {"access": access, "file": path.relative_to(ROOT).as_posix(), "line": node.lineno}
        value = evaluate(module, fallback) if access == "read" else None
        if isinstance(value, str | int | float) and value != "":
            place["default"] = value
        for name in (name for key in keys for name in possible(path, key)):
            if isinstance(name, str) and VARIABLE.fullmatch(name):
                yield name, place


def is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node).rpartition(".")[2] == "environ"


def interpolated(path: Path) -> Iterator[tuple[str, dict]]:
    """The environment variables that a configuration file names: ``${oc.env:NAME,default}``."""
    for number, line in enumerate(source(path).splitlines(), 1):
        if not line.lstrip().startswith("#"):
            for match in re.finditer(r"\$\{oc\.env:\s*(\w+)\s*(?:,\s*([^${}]*))?", line):
                place = {"access": "read", "file": path.relative_to(ROOT).as_posix(), "line": number}
                value = (match[2] or "").strip("'\" ")
                yield match[1], place | ({"default": value} if value else {})


def variables(folder: str) -> dict[str, list[dict]]:
    """The variables of a tree, each with its places, reading ones first."""
    found: dict[str, list[dict]] = {}
    apart = [other for other in MORE_COMPONENTS if other.startswith(f"{folder}/")]
    files = [*python_files(folder), *sorted((ROOT / folder).rglob("*.yaml"))]
    for path in files:
        if not any(path.is_relative_to(ROOT / other) for other in apart):
            for name, place in (environment if path.suffix == ".py" else interpolated)(path):
                if place not in found.setdefault(name, []):
                    found[name].append(place)
    return {name: sorted(places, key=lambda place: place["access"]) for name, places in sorted(found.items())}


# --- vocabularies -----------------------------------------------------------------------------------------------------


def failure_kinds() -> list[dict]:
    """The names of failures in the order of the source, each with the layer that observes it."""
    module = "nemo_gym.failure_kinds"
    if not path_of(module):
        return []
    kinds = evaluate(module, names(module)["FAILURE_KINDS"])
    said = comments(path_of(module)).items()
    layers = {line: match[1] for line, (text, _) in said if (match := re.match(r"-+ (.+?) -+", text))}
    found = []
    for node in tree(path_of(module)).body:
        match node:
            case ast.Assign(value=ast.Constant(value=name)) if name in kinds:
                before = [line for line in layers if line < node.lineno]
                found.append({"name": name, "layer": layers[max(before)] if before else "", "line": node.lineno})
    return found


def failure_classes() -> dict[str, list[str]]:
    """The values that code writes under ``_ng_failure_class``, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in [*python_files("nemo_gym", *COMPONENTS)]:
        if not re.search(r"_ng_failure_class|FAILURE_CLASS_KEY", source(path)):
            continue
        for node in ast.walk(tree(path)):
            match node:
                case ast.Dict():
                    pairs = list(zip(node.keys, node.values, strict=True))
                case ast.Assign(targets=[ast.Subscript(slice=key)], value=value):
                    pairs = [(key, value)]
                case ast.keyword(arg="_ng_failure_class", value=value):
                    pairs = [(ast.Constant("_ng_failure_class"), value)]
                case _:
                    continue
            for key, value in pairs:
                if evaluate(module_of(path), key) == "_ng_failure_class":
                    for name in possible(path, value):
                        if isinstance(name, str) and re.fullmatch(r"[a-z][a-z_]+", name):
                            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return {name: sorted(files) for name, files in sorted(found.items())}


def checks() -> list[dict]:
    """The health checks: what each looks at and what it needs."""
    registry = find("nemo_gym.health.checks:CHECK_REGISTRY") or find("nemo_gym.rollout_health:CHECK_REGISTRY")
    found = []
    for call in registry.node.elts if registry else ():
        facts = {keyword.arg: evaluate(registry.module, keyword.value) for keyword in call.keywords}
        words = {
            key: facts[word].replace("_", " ") for key, word in (("scope", "evaluation_scope"), ("subject", "subject"))
        }
        found.append({"id": facts["id"], **words, "reads": sorted(word.replace("_", " ") for word in facts["reads"])})
    return found


def telemetry() -> list[dict]:
    """The instruments that the telemetry modules create, and the names they forward to nemo-lens."""
    found: dict[str, dict] = {}
    for path in python_files("nemo_gym/telemetry"):
        for node in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            words = [word for value in values if isinstance(word := evaluate(module_of(path), value), str)]
            instruments = [word for word in words if re.fullmatch(r"gym(\.[a-z_0-9]+)+", word)]
            kind = re.search("observable_counter|up_down_counter|counter|histogram|gauge", ast.unparse(node.func))
            if instruments and kind:
                texts = [word for word in words if word not in instruments]
                unit = next((text for text in texts if " " not in text), "")
                description = next((text for text in texts if " " in text), "")
                told = {"kind": kind[0].replace("_", " "), "unit": unit, "description": description}
                found.setdefault(instruments[0], {"name": instruments[0]} | told)
        # Five instruments are nemo-lens's own; their names stand in the docstring of the module that feeds them.
        for match in re.finditer(r"^``(gym\.[a-z_.]+)`` \((\w+)\)$", ast.get_docstring(tree(path)) or "", re.MULTILINE):
            found.setdefault(match[1], {"name": match[1], "kind": match[2], "unit": "", "description": ""})
    return sorted(found.values(), key=lambda entry: entry["name"])


def vocabulary(key: str) -> list:
    """The members of an enumeration or the values of a type."""
    name = find(key)
    if name is None:
        return []
    if isinstance(name.node, ast.ClassDef):
        return [value for value in members(name).values() if isinstance(value, str)]
    return list(Type.read(name.module, name.node).choices)


# --- all of it --------------------------------------------------------------------------------------------------------


def extract() -> dict:
    distribution = metadata.distribution("nemo-gym")
    classes: dict[str, dict] = {}
    setting_groups, settings = groups(SETTINGS, classes)
    field_groups, fields = groups(FIELDS, classes)
    shipped = components(classes)
    told = commands(classes, settings)
    for command, facts in told.items():
        for flag in facts["flags"]:
            for key, setting in flag["keys"].items():
                if setting:
                    told_ = {"command": command, "names": flag["names"], "key": key}
                    settings[setting].setdefault("flags", []).append(told_)
    folders = [
        path.relative_to(ROOT).as_posix()
        for kind in COMPONENTS + MORE_COMPONENTS
        for path in sorted((ROOT / kind).glob("*/"))
    ]
    others = {folder: variables(folder) for folder in folders}
    return {
        "release": distribution.version,
        "requires_python": distribution.metadata["Requires-Python"],
        "setting_groups": setting_groups,
        "settings": settings,
        "field_groups": field_groups,
        "fields": fields,
        "classes": dict(sorted(classes.items())),
        "unplaced": unplaced(),
        "components": shipped,
        "commands": told,
        "legacy_commands": legacy(),
        "variables": variables("nemo_gym"),
        "component_variables": {folder: found for folder, found in others.items() if found},
        "failure_kinds": failure_kinds(),
        "failure_stages": vocabulary("nemo_gym.failure_kinds:FailureStage"),
        "failure_classes": failure_classes(),
        "checks": checks(),
        "telemetry_metrics": telemetry(),
        "span_groups": vocabulary("nemo_gym.telemetry.span_groups:GymSpanGroup"),
        "domains": vocabulary("nemo_gym.config_types:Domain"),
        "dataset_types": vocabulary("nemo_gym.config_types:DatasetType"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", nargs="?", help="the file to write (default: standard output)")
    output = parser.parse_args().output
    text = json.dumps(extract(), indent=1, ensure_ascii=False) + "\n"
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
