"""What is in scope: the groups of settings and of fields, each with the classes of the package that hold its keys."""

from __future__ import annotations

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
