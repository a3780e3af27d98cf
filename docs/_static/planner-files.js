// The files of a plan: shown on the page, and as a zip. Each value has the reason for it beside it. The scripts of the zip are in
// planner-scripts.js, which comes with the first download.
(() => {
  const { data, part, element, number, time } = planner;
  const { hardware, sampling } = data;

  // One `vllm serve` for each node that has GPUs of this model, as memory_worksheet.py writes it.
  function serve(asked, found, role, name, first, count, port) {
    const nodes = {}, its = (key) => found[`${role}_${key}`], per = hardware.gpus_per_node;
    for (let gpu = first; gpu < first + count; gpu += 1) (nodes[Math.floor(gpu / per)] ??= []).push(gpu % per);
    const qwen = name.startsWith("Qwen/");
    return Object.entries(nodes).map(([node, local]) => {
      const copies = Math.floor(local.length / its("tensor_parallel"));
      if (!copies) return [node, `  # ${role}: one copy spans nodes; see vLLM's guide to several nodes`];
      const words = [`--port ${port}`, `--gpu-memory-utilization ${its("share").toFixed(2)}`, `--max-model-len ${found.context_tokens}`, `--max-num-seqs ${its("sequences")}`];
      if (its("tensor_parallel") > 1) words.push(`--tensor-parallel-size ${its("tensor_parallel")}`);
      if (copies > 1) words.push(`--data-parallel-size ${copies}`);
      if (asked.precision === "fp8") words.push("--quantization fp8");
      if (role === "model" && asked.calls > 1) words.push("--enable-auto-tool-choice", `--tool-call-parser ${qwen ? "hermes" : "llama3_json"}`);
      if (name.startsWith("Qwen/") && !name.includes("2507")) words.push("--reasoning-parser qwen3");
      return [node, `  CUDA_VISIBLE_DEVICES=${local.slice(0, copies * its("tensor_parallel")).join(",")} vllm serve ${name} ${words.join(" ")} > ${role}.log 2>&1 &\n  ports="$ports ${port}"`];
    });
  }
  function startModels(asked, found) {
    const own = asked.gpus - asked.judge_gpus, tp = found.model_tensor_parallel;
    const lines = serve(asked, found, "model", asked.model, 0, Math.floor(own / tp) * tp, 8000);
    if (asked.judge_gpus) lines.push(...serve(asked, found, "judge", asked.judge_model, own, asked.judge_gpus, 8001));
    const nodes = [...new Set(lines.map(([node]) => node))];
    const cases = nodes.map((node) => `${node})\n${lines.filter(([its]) => its === node).map(([, line]) => line).join("\n")} ;;`).join("\n");
    const bits = asked.precision === "int4" ? "# 4 bits: put a quantized checkpoint of the model here (AWQ or GPTQ).\n" : "";
    return `#!/bin/bash
# The model servers${nodes.length > 1 ? ": bash start_models.sh NODE on each node, NODE from 0" : ""}. Keep it running; the logs are beside it.
# ${found.model_sequences} sequences of ${found.context_tokens} tokens fit beside the weights: ${number(found.model_weights_gib, 1)} + ${number(found.model_cache_gib, 1)} GiB a GPU.
${bits}trap 'kill $(jobs -p)' EXIT
case "\${1:-0}" in
${cases}
*) echo "There is no node $1." >&2; exit 2 ;;
esac
for port in $ports; do
  until curl -sf "http://127.0.0.1:$port/health" > /dev/null; do sleep 2; jobs %% > /dev/null 2>&1 || exit 1; done
done
echo "The models are ready."
wait
`;
  }
  function environment(asked) {
    const own = { gpus: ["http://127.0.0.1:8000/v1", "none", asked.model], practice: ["http://127.0.0.1:8000/v1", "none", "smollm2-135m-instruct"] }[asked.where];
    const [url, key, model] = own || ["https://your-endpoint.example/v1", "${oc.env:POLICY_API_KEY}", "your-model"];
    const policy = `# Where the model is${own ? "" : ": write your address and model; the key stays in your environment"}.
policy_base_url: ${url}
policy_api_key: ${key}
policy_model_name: ${model}
`;
    if (!asked.judge_calls) return policy;
    const [at, secret, judge] = asked.where === "practice" ? own : asked.where === "gpus" && asked.judge_gpus
      ? ["http://127.0.0.1:8001/v1", "none", asked.judge_model] : ["https://your-judge.example/v1", "${oc.env:JUDGE_API_KEY}", "your-judge"];
    return `${policy}judge_base_url: ${at}
judge_api_key: ${secret}
judge_model_name: ${judge}
`;
  }
  function servers(asked, found) {
    const judged = asked.judge_calls > 0, environment = judged ? "equivalence_llm_judge" : "string_match";
    const nodes = Math.ceil((asked.gpus - asked.judge_gpus) / hardware.gpus_per_node), rl = asked.goal === "rl" && asked.where === "gpus";
    const policy = [];
    if (rl) policy.push("      return_token_id_information: true   # RL trains on the sampled tokens");
    else if (asked.goal === "rl") policy.push("      return_token_id_information: false  # RL on policy needs true, and a vLLM");
    if (asked.where === "gpus" && nodes > 1) {
      policy.push("      base_url:                # a session stays on one of them", ...Array.from({ length: nodes }, (_, node) => `      - http://gpu-${node}:8000/v1`));
    }
    let text = `# What runs behind the rollouts: environment, agent and model server.
config_paths:
# The practice environment, to try the plan. Put yours here, and its agent's name for
# ${environment}_simple_agent in all files.
- resources_servers/${environment}/configs/${environment}.yaml
- responses_api_models/vllm_model/configs/vllm_model.yaml

${environment}_simple_agent:
  responses_api_agents:
    simple_agent:
      max_steps: ${Math.ceil(asked.calls)}      # model calls per rollout; without a limit, one rollout may go on forever
${judged ? "      datasets: []\n" : ""}`;
    if (policy.length) text += `\npolicy_model:\n  responses_api_models:\n    vllm_model:\n${policy.join("\n")}\n`;
    if (judged) {
      text += `
judge_model:                # an endpoint of its own: the judge never waits for the policy
  _copy: policy_model
  responses_api_models:
    vllm_model:
      base_url: \${judge_base_url}
      api_key: \${judge_api_key}
      model: \${judge_model_name}
${rl ? "      return_token_id_information: false\n" : ""}
equivalence_llm_judge:
  resources_servers:
    equivalence_llm_judge:
      judge_model_server:
        name: judge_model
      # At most ${number((60 * asked.judge_limit) / (asked.judge_calls * asked.judge_seconds))} rollouts a minute pass it at ${asked.judge_seconds} s per call.
      judge_endpoint_max_concurrency: ${asked.judge_limit}
      judge_responses_create_params:
        temperature: 0.0
        max_output_tokens: ${Math.min(512, asked.tokens)}
`;
    }
    if (found.concurrency > 512) text += `\n# Twice the rollouts in flight: a call without a free connection waits unseen.\nglobal_aiohttp_connector_limit_per_host: ${2 * found.concurrency}\n`;
    return text;
  }
  const agentOf = (asked) => `${asked.judge_calls ? "equivalence_llm_judge" : "string_match"}_simple_agent`;
  function run(asked, found) {
    const { temperature, top_p } = sampling[asked.goal], lines = [];
    const add = (line, why) => lines.push(why ? `${line.padEnd(35)} # ${why}` : line);
    add(`num_repeats: ${asked.repeats}`, `${number(found.rollouts)} rollouts in all`);
    if (asked.repeats > 1) add("num_repeats_add_seed: true", "each repeat samples with a seed of its own");
    if (asked.goal === "dpo") add("interleave_repeats: true", "a run that is stopped has pairs of all tasks");
    add(`num_samples_in_parallel: ${found.concurrency}`, found.rate_per_min ? `bound by: ${found.bound}` : "a careful start: find_knee.py tells more");
    add("resume_from_cache: true", "the same command again continues");
    add("route_failures_to_sidecar: true", "one failure does not end the run");
    if (found.bounded || found.jobs > 1 || asked.goal === "evaluation") {
      add(`max_resident_rollout_tasks: ${Math.max(512, 4 * found.concurrency)}`, `4 x concurrency; the driver takes ${number(found.driver_mb)} MB`);
      add("retain_results_in_memory: false");
    }
    if (found.bounded || found.jobs > 1) add("disable_aggregation: true", "would load all rows; gym eval aggregate does it");
    else if (asked.goal === "evaluation") {
      add("count_missing_rollouts_as_zero: true", "nothing is lost silently");
      add("require_complete: true", "exit code 1 if a rollout is missing");
    }
    lines.push("responses_create_params:");
    add(`  temperature: ${temperature}`, `for ${data.goals[asked.goal]}`);
    add(`  top_p: ${top_p}`);
    add(`  max_output_tokens: ${asked.tokens}`, "the plan's seconds count on it");
    const told = found.rate_per_min ? `${number(found.rollouts)} rollouts, ${time(found.hours)} at ${number(found.planned_per_min)} a minute` : `${number(found.rollouts)} rollouts`;
    return `# ${data.goals[asked.goal]}: ${told}.\n${lines.join("\n")}\n`;
  }
  function runScript(asked, found) {
    const jobs = found.jobs || 1, agent = agentOf(asked), minutes = Math.max(1, Math.round(60 * asked.walltime_hours));
    const clock = `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}:00`;
    const split = `# Gym continues with the tasks and repeats of the first start: others need folders of their own.
now=$(cat tasks.jsonl <(grep '^num_repeats:' collect.yaml) | cksum)
if [ ! -d shards ]; then
  python split_tasks.py ${agent}=tasks.jsonl -o shards --shards ${jobs}
  echo "$now" > shards.cksum
elif [ "$now" != "$(cat shards.cksum)" ]; then
  echo "run.sh: tasks.jsonl or num_repeats is not what shards was made of. Move shards and results away." >&2
  exit 2
fi`;
    const here = `for ((shard = 0; shard < ${jobs}; shard++)); do bash run_shard.sh $shard; done\npython watch_shards.py shards results`;
    const intro = "Starts the servers, collects tasks.jsonl into results, stops them; called again, it continues";
    if (!asked.walltime_hours || !found.jobs) return `#!/bin/bash\n# ${intro}.\nset -e\n${split}\n${here}\n`;
    return `#!/bin/bash
# ${intro}. ${jobs} jobs of ${clock}, one after the other, because they share the model.
set -e
${split}
if sinfo > /dev/null 2>&1; then   # a cluster answers
  sbatch --array=0-${jobs - 1}%1 --time=${clock} --cpus-per-task=${asked.cores} shards.sbatch
  exit
fi
# No Slurm here: the same shards, in this terminal.
${here}
`;
  }
  function readme(asked, found) {
    const n = found.concurrency, levels = [...new Set([n / 4, n / 2, n, 2 * n].map((level) => Math.max(1, Math.round(level))))].join(" ");
    const rate = found.rate_per_min && `Expect ${number(found.planned_per_min)} to ${number(found.rate_per_min)} rollouts a minute at ${n}; its short rounds may show a little less.`;
    const next = { rl: "hand them to your trainer: the guide Integrate with RL frameworks", evaluation: "compare and watch them: the guide Monitor data quality" }[asked.goal]
      || `make ${data.goals[asked.goal]} data of them: the guide Filter and curate data`;
    const { temperature } = sampling[asked.goal];
    const start = { gpus: "bash start_models.sh", practice: "uv run practice_endpoint.py" }[asked.where], agent = agentOf(asked);
    return `# The plan

${part("summary").textContent}

In this folder, with NeMo Gym ${data.release} active (uv venv --python 3.13.14, uv pip install nemo-gym==${data.release}):

1. The model. ${start ? `Terminal 1: \`${start}\`${asked.where === "gpus" ? ` (with vLLM, for example from uv pip install 'nemo-gym[vllm]==${data.release}')` : ""}` : "Write your endpoint's address and model into env.yaml, and export POLICY_API_KEY"}${asked.judge_calls && asked.where !== "practice" && !asked.judge_gpus ? "; the judge's address and model into env.yaml, too, and export JUDGE_API_KEY" : ""}.
${asked.where === "practice" ? "" : `   To try all of this first on any machine: \`uv run practice_endpoint.py\`, and in env.yaml its address, http://127.0.0.1:8000/v1, the model
   smollm2-135m-instruct and the key none${asked.judge_calls ? ", for the judge as well" : ""}${asked.goal === "rl" && asked.where === "gpus" ? "; in servers.yaml return_token_id_information: false, because it reports none" : ""}.
`}2. The servers. Terminal 2: \`gym env start --config servers.yaml\`, until it says servers ready
3. A trial of 20 tasks. Terminal 3, here and below:
   \`gym eval run --no-serve --config collect.yaml --agent ${agent} -i tasks.jsonl -o trial/rollouts.jsonl --limit 20 --num-repeats 1\`
   Look at \`"mean/reward"\`: 0 or 1 means that${asked.goal === "dpo" || asked.goal === "rl" ? " no two rollouts of a task differ, and" : ""} your verifier or your tasks need a look first. \`unobserved\` is as it should be: these files record no model calls.
4. What the plan cannot know, the knee; write it into collect.yaml as num_samples_in_parallel:
   \`python find_knee.py --agent ${agent} -i tasks.jsonl -o knee.json --levels ${levels} --temperature ${temperature} --max-output-tokens ${asked.tokens}\`
${rate ? `   ${rate}\n` : ""}5. Put your tasks into tasks.jsonl and your environment into servers.yaml, and try again from step 2. Then stop Terminal 2 (Ctrl+C), and run: \`bash run.sh\`
   It starts servers of its own, about ${number(data.measured.start.gym_s)} s on the machine of the measurement, before the first rollout.

The rollouts are then in results/shard-*/rollouts.jsonl. Next, ${next}.
`;
  }
  function files(asked, found) {
    const made = { "README.md": readme(asked, found), "run.sh": runScript(asked, found), "servers.yaml": servers(asked, found) };
    made["collect.yaml"] = run(asked, found);
    made["env.yaml"] = environment(asked);
    if (asked.where === "gpus") made["start_models.sh"] = startModels(asked, found);
    return made;
  }

  // --- the zip: stored, not compressed ------------------------------------------------------------------------------
  const CRC = Uint32Array.from({ length: 256 }, (_, n) => { for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1; return n; });
  function zip(texts) {
    const parts = [], central = [], encoder = new TextEncoder();
    let at = 0;
    for (const [name, text] of Object.entries(texts)) {
      const title = encoder.encode(`plan/${name}`), body = encoder.encode(text);
      const sum = ~body.reduce((crc, byte) => CRC[(crc ^ byte) & 255] ^ (crc >>> 8), -1);
      const head = new DataView(new ArrayBuffer(26));
      [[0, 20], [8, 0x21]].forEach(([place, value]) => head.setUint16(place, value, true)); // version, 1980-01-01
      head.setUint16(2, 0x800, true); // names are UTF-8
      [[10, sum], [14, body.length], [18, body.length]].forEach(([place, value]) => head.setUint32(place, value, true));
      head.setUint16(22, title.length, true);
      const entry = new DataView(new ArrayBuffer(14));
      entry.setUint32(6, 0o100644 << 16, true);
      entry.setUint32(10, at, true);
      central.push("PK\x01\x02\x14\x03", head.buffer, entry.buffer, title);
      parts.push("PK\x03\x04", head.buffer, title, body);
      at += 30 + title.length + body.length;
    }
    const count = Object.keys(texts).length, directory = new Blob(central), end = new DataView(new ArrayBuffer(18));
    [[4, count], [6, count]].forEach(([place, value]) => end.setUint16(place, value, true));
    [[8, directory.size], [12, at]].forEach(([place, value]) => end.setUint32(place, value, true));
    return new Blob([...parts, directory, "PK\x05\x06", end.buffer], { type: "application/zip" });
  }
  async function bundle(asked, found) {
    await planner.load("planner-scripts.js");
    const more = PLANNER_SCRIPTS, made = files(asked, found);
    made["tasks.jsonl"] = more[asked.judge_calls ? "judge_tasks.jsonl" : "practice_tasks.jsonl"];
    const wanted = ["practice_endpoint.py", "find_knee.py", ...data.sharding];
    for (const name of wanted) made[name] = more[name];
    return made;
  }

  planner.files = files;
  planner.bundle = bundle;
  planner.showFiles = () => {
    const place = part("files"), open = new Set([...place.querySelectorAll("details[open]")].map((its) => its.dataset.file));
    const first = !place.childElementCount;
    place.replaceChildren(...Object.entries(files(...planner.last)).map(([name, text]) => {
      const fold = document.createElement("details"), pre = element("pre", text), button = element("button", "Copy");
      fold.dataset.file = name;
      fold.open = first ? name === "README.md" : open.has(name);
      Object.assign(pre, { tabIndex: 0, role: "region", ariaLabel: name });
      Object.assign(button, { type: "button", ariaLabel: `Copy ${name}`, onclick: () => planner.copy(text, name) });
      fold.append(element("summary", name), button, pre);
      return fold;
    }));
    planner.shown = planner.showFiles; // from now on with each change
    if (first) planner.say("The files follow. README.md has the five steps.");
  };
  planner.download = async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(zip(await bundle(...planner.last)));
    link.download = "plan.zip";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    planner.say("plan.zip unpacks to the folder plan. Its README.md has the five steps.");
  };
})();
