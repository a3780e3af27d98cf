// The planner of "Plan a run": the arithmetic of capacity.py, memory_worksheet.py and plan.py once more (a test compares them in a browser),
// the form, the table of results, the plot, and the state in the address. The files come from planner-files.js, once somebody wants them.
const planner = (() => {
  const GIB = 2 ** 30;
  const data = JSON.parse(document.getElementById("planner-data").textContent);
  const { measured, hardware, advice, headroom } = data;
  const assumed = hardware.assumed;

  // --- capacity.py ---------------------------------------------------------------------------------------------------
  const alone = (w) => w.calls * (w.call_seconds + w.tool_seconds) + w.judge_calls * w.judge_seconds + w.gym_seconds;
  const growth = (w) => (w.busy_seconds && w.busy_at > 1 ? (w.calls * (w.busy_seconds - w.call_seconds)) / (w.busy_at - 1) : 0);
  const seconds = (w, concurrency) => alone(w) + growth(w) * (concurrency - 1);
  function capacities(w) {
    const found = {
      "Gym: all processes on these cores": w.cores / w.gym_cpu,
      "Gym: its busiest process": 1 / w.busiest_cpu,
    };
    if (growth(w) > 0) found["endpoint: seconds grow with the load"] = 1 / growth(w);
    if (w.slots) found["endpoint: slots"] = w.slots / (w.calls * w.call_seconds);
    if (w.judge_calls * w.judge_seconds && w.judge_limit) found["judge: its limit of calls"] = w.judge_limit / (w.judge_calls * w.judge_seconds);
    return found;
  }
  const rate = (w, concurrency) => Math.min(concurrency / seconds(w, concurrency), ...Object.values(capacities(w)));
  function kneeOf(w) {
    const least = Math.min(...Object.entries(capacities(w)).filter(([name]) => !name.includes("grow")).map(([, value]) => value));
    const room = 1 - growth(w) * least;
    return room > 0 ? Math.max(1, Math.ceil(((alone(w) - growth(w)) * least) / room - 1e-9)) : w.busy_at;
  }

  // --- memory_worksheet.py -------------------------------------------------------------------------------------------
  const WORKING_GIB = 2;
  function served(name, gpus, asked) {
    const shape = hardware.models[name], memory = hardware.gpus[asked.gpu].memory_gib * GIB;
    for (let parallel = 1; parallel <= Math.min(gpus, hardware.gpus_per_node); parallel *= 2) {
      const weights = (shape.parameters_billion * 1e9 * hardware.weight_bytes[asked.precision]) / parallel;
      const token = 2 * shape.layers * Math.max(1, shape.kv_heads / parallel) * shape.head_dim * 2;
      const room = (1 - headroom) * memory - weights - WORKING_GIB * GIB - 0.01 * memory;
      const sequences = Math.min(measured.gpu.many, Math.floor(room / (token * context(asked)) + 1e-9));
      if (sequences < assumed.least_sequences) continue;
      const cache = token * context(asked) * sequences;
      const share = Math.ceil((100 * (weights + cache + WORKING_GIB * GIB)) / memory - 1e-9) / 100;
      return { name, replicas: Math.floor(gpus / parallel), tensor_parallel: parallel, sequences, weights_gib: weights / GIB, cache_gib: cache / GIB, share };
    }
    return null;
  }

  // --- plan.py -------------------------------------------------------------------------------------------------------
  const context = (asked) => Math.ceil(asked.prompt_tokens + asked.calls * asked.tokens);
  function secondsOn(model, asked) {
    const gpu = measured.gpu, [small, large] = gpu.models;
    const speed = (kind) => hardware.gpus[kind].terabytes_per_s;
    const bytes = (hardware.models[model.name].parameters_billion * hardware.weight_bytes[asked.precision]) / 2 / model.tensor_parallel;
    const read = (bytes * speed(gpu.kind)) / speed(asked.gpu);
    const part = (read - small.parameters_billion) / (large.parameters_billion - small.parameters_billion);
    return [0, 1].map((at) => (asked.tokens / gpu.tokens) * (small.seconds[at] + part * (large.seconds[at] - small.seconds[at])));
  }
  function workload(asked, model) {
    const gym = measured.gym;
    const w = {
      ...asked, slots: 0, busy_seconds: 0, busy_at: 0, limit: 0, gym_seconds: gym.gym_seconds * asked.calls, gym_cpu: gym.gym_cpu * asked.calls,
      busiest_cpu: (60 / measured.set_of_servers.per_min) * asked.calls,
    };
    if (asked.where === "gpus") {
      [w.call_seconds, w.busy_seconds] = secondsOn(model, asked);
      w.busy_at = measured.gpu.many * model.replicas;
      w.limit = model.sequences * model.replicas;
    } else if (asked.where === "practice") {
      [w.call_seconds, w.busy_seconds] = measured.practice.seconds.map((its) => its - gym.gym_seconds);
      w.busy_at = w.limit = measured.practice.slots;
    } else w.slots = asked.slots;
    return w;
  }
  function rateOf(asked, model) {
    const none = { alone_s: null, knee: null, rate_per_min: null, planned_per_min: null, rollout_s: null, hours: null, bound: null, stages: null };
    if (asked.where === "unknown") return { ...none, concurrency: measured.practice.slots };
    const w = workload(asked, model), knee = kneeOf(w), stages = capacities(w);
    const concurrency = w.limit ? Math.min(knee, w.limit) : knee;
    const found = rate(w, concurrency), planned = assumed.share_of_prediction * found;
    const [name, least] = Object.entries(stages).reduce((one, other) => (other[1] < one[1] ? other : one));
    const full = !name.includes("grow") && found > 0.99 * least;
    return {
      alone_s: alone(w), knee, concurrency, rate_per_min: 60 * found, planned_per_min: 60 * planned, rollout_s: concurrency / found,
      hours: (asked.tasks * asked.repeats) / planned / 3600,
      bound: full ? name : { gpus: "endpoint: GPUs", practice: "endpoint: its own speed" }[asked.where] || "endpoint: slots",
      stages: Object.fromEntries(Object.entries(stages).map(([stage, value]) => [stage, 60 * value])),
    };
  }
  function filesOf(asked, rollouts) {
    const driver = measured.driver, answers = asked.calls * asked.tokens;
    let row = driver.row_bytes + assumed.bytes_per_token * (asked.prompt_tokens + answers);
    if (asked.goal === "rl") row += assumed.bytes_per_token_id * (answers + asked.prompt_tokens);
    const bounded = rollouts > driver.bounded_above && asked.goal !== "evaluation", memory = driver[bounded ? "bounded" : "default"];
    const grown = rollouts * memory.each * (bounded ? 1 : row / driver.row_bytes);
    return { row_bytes: row, disk_gb: (rollouts * row) / 1e9, bounded, driver_mb: memory.at_0 + grown };
  }
  function plan(asked) {
    const found = { problem: null, rollouts: asked.tasks * asked.repeats, context_tokens: context(asked) };
    let model = null, judge = null;
    if (asked.where === "gpus") {
      if (asked.judge_gpus >= asked.gpus) return { ...found, problem: "No GPU is left for the model: give the judge fewer, or have more." };
      model = served(asked.model, asked.gpus - asked.judge_gpus, asked);
      judge = asked.judge_gpus ? served(asked.judge_model, asked.judge_gpus, asked) : null;
      if (!model || (asked.judge_gpus && !judge)) {
        return { ...found, problem: `${model ? asked.judge_model : asked.model} does not fit: more GPUs or fewer bits.` };
      }
    }
    for (const [name, its] of [["model", model], ["judge", judge]]) {
      for (const key of ["replicas", "tensor_parallel", "sequences", "weights_gib", "cache_gib", "share"]) found[`${name}_${key}`] = its && its[key];
    }
    Object.assign(found, rateOf(asked, model), filesOf(asked, found.rollouts));
    found.jobs = null;
    if (asked.walltime_hours && found.planned_per_min) {
      const usable = Math.max(assumed.share_of_walltime * asked.walltime_hours - measured.start.gym_s / 3600, 0.1 * asked.walltime_hours);
      found.jobs = Math.min(asked.tasks, Math.max(1, Math.ceil(found.rollouts / (60 * found.planned_per_min * usable) - 1e-9)));
    }
    found.late = Boolean(asked.deadline_hours && found.hours && found.hours > asked.deadline_hours);
    found.needed_per_min = asked.deadline_hours ? found.rollouts / asked.deadline_hours / 60 : null;
    return found;
  }

  // --- the page ------------------------------------------------------------------------------------------------------
  const form = document.querySelector("form.planner");
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const number = (value, digits = 0) => value.toLocaleString("en-US", { maximumFractionDigits: digits });
  const time = (hours) => (hours < 1 / 60 ? "less than a minute" : hours < 1 / 40 ? "about a minute" : hours < 1.5 ? `about ${number(60 * hours)} minutes` : `about ${number(hours, 1)} hours`);
  const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

  // What the form says; null if a field holds what it does not accept.
  function read() {
    if (!form.checkValidity()) return null;
    return Object.fromEntries([...form.elements].filter((its) => its.name).map((its) => [its.name, its.type === "number" ? Number(its.value) : its.value]));
  }
  function summary(asked, found) {
    if (!found.rate_per_min) {
      const needed = found.needed_per_min ? ` Your deadline needs ${number(found.needed_per_min, 1)} a minute.` : "";
      return `${number(found.rollouts)} rollouts. How fast your endpoint is, find_knee.py tells in ten minutes; then choose “${data.where.endpoint}”.${needed}`;
    }
    const late = found.late ? ` That is ${number(found.hours / asked.deadline_hours, 1)} times your deadline.` : asked.deadline_hours ? " That meets your deadline." : "";
    return `${number(found.rollouts)} rollouts in ${time(found.hours)}, at ${number(found.planned_per_min)} a minute with --concurrency ${found.concurrency}.${late}`;
  }
  function* rows(asked, found) {
    if (found.rate_per_min) {
      yield ["Bound by", found.bound];
      yield ["Change first", advice[found.bound]];
      yield ["Predicted", `${number(found.rate_per_min)} rollouts a minute, ${number(found.rollout_s, 2)} s each; ${100 * assumed.share_of_prediction} % of it is planned with`];
    }
    yield ["Concurrency", `${found.concurrency}${found.rate_per_min ? "" : " until you know the knee"}`];
    for (const name of ["model", "judge"]) {
      if (!found[`${name}_replicas`]) continue;
      const its = (key) => found[`${name}_${key}`];
      yield [`GPUs, ${name}`, `${its("replicas")} × ${its("tensor_parallel")}; of each ${number(its("weights_gib"), 1)} GiB weights, ${number(its("cache_gib"), 1)} GiB cache for ${its("sequences")} sequences`];
    }
    yield ["Driver memory", `${number(found.driver_mb)} MB${found.bounded ? ", bounded: metrics come after the run" : ""}`];
    yield ["Disk", found.disk_gb >= 1 ? `${number(found.disk_gb, 1)} GB` : `${number(1000 * found.disk_gb)} MB`];
    if (found.jobs) yield ["Jobs", `${found.jobs} of ${number(asked.walltime_hours, 1)} hours, one after the other`];
    for (const [stage, value] of Object.entries(found.stages || {}).sort((one, other) => one[1] - other[1])) yield [stage, `at most ${number(value)} a minute`];
  }
  // Rate over concurrency up to four times the plan, the ceiling of each stage that is near, and the concurrency to set.
  function plot(asked, found) {
    const figure = part("plot");
    figure.hidden = !found.rate_per_min;
    if (figure.hidden) return;
    const model = asked.where === "gpus" ? { name: asked.model, replicas: found.model_replicas, tensor_parallel: found.model_tensor_parallel, sequences: found.model_sequences } : null;
    const w = workload(asked, model), most = Math.max(4, 2 ** Math.ceil(Math.log2(2 * found.concurrency)));
    const top = 1.25 * found.rate_per_min, x = (n) => 52 + (400 * Math.log2(n)) / Math.log2(most), y = (value) => 172 - (150 * value) / top;
    const line = Array.from({ length: 61 }, (_, at) => most ** (at / 60)).map((n) => `${x(n).toFixed(1)},${y(60 * rate(w, n)).toFixed(1)}`).join(" ");
    const ticks = [];
    for (let n = 1; n <= most; n *= most > 64 ? 4 : 2) ticks.push(`<text x="${x(n)}" y="190" text-anchor="middle">${n}</text>`);
    const caps = Object.entries(found.stages).filter(([name, value]) => !name.includes("grow") && value < top)
      .map(([name, value]) => `<path class="cap" d="M52 ${y(value)}H452"/><text x="56" y="${y(value) - 4}">${name}</text>`);
    figure.innerHTML = `<svg role="img" viewBox="0 0 470 215" aria-label="Rollouts per minute over concurrency: ${number(60 * rate(w, 1))} with 1 in flight, ${number(found.rate_per_min)} with ${found.concurrency}, the concurrency to set; ${number(60 * rate(w, most))} with ${most}."><path class="axis" d="M52 12V172H452"/>${caps.join("")}<polyline points="${line}"/><path class="knee" d="M${x(found.concurrency)} 12V172"/><text x="46" y="${y(found.rate_per_min) + 4}" text-anchor="end">${number(found.rate_per_min)}</text><text x="46" y="175" text-anchor="end">0</text>${ticks.join("")}<text x="252" y="209" text-anchor="middle">rollouts in flight; dashed: --concurrency ${found.concurrency}</text></svg>`;
  }
  function show() {
    for (const field of form.querySelectorAll("[data-only]")) field.hidden = field.dataset.only !== form.elements.where.value;
    const asked = read(), status = part("summary"), table = document.createElement("table");
    const found = asked && plan(asked), problem = asked ? found.problem : "Correct the marked field: the plan is still that of the value before.";
    form.classList.toggle("wrong", Boolean(problem));
    if (status.textContent !== (problem || summary(asked, found))) status.textContent = problem || summary(asked, found);
    part("results").hidden = Boolean(asked && problem);
    if (problem) return;
    table.append(...[...rows(asked, found)].map(([name, value]) => {
      const row = document.createElement("tr");
      row.append(Object.assign(element("th", name), { scope: "row" }), element("td", value));
      return row;
    }));
    table.ariaLabel = "The plan";
    part("table").replaceChildren(table);
    plot(asked, found);
    const changed = Object.entries(asked).filter(([name, value]) => String(value) !== String(data.defaults[name]));
    const hash = changed.length ? `#plan?${new URLSearchParams(changed)}` : "";
    if (hash || location.hash.startsWith("#plan?")) history.replaceState(null, "", hash || location.pathname + location.search);
    planner.last = [asked, found];
    planner.shown?.();
  }
  // A plan that somebody sent: only what the form accepts.
  function restore() {
    form.reset();
    if (location.hash.startsWith("#plan?")) {
      for (const [name, value] of new URLSearchParams(location.hash.slice(6))) {
        const its = form.elements.namedItem(name);
        if (!its || !its.name) continue;
        its.value = value;
        if (!its.checkValidity() || its.value !== value) its.value = data.defaults[name];
      }
    }
    show();
  }
  const say = (text) => { part("done").textContent = text; };
  const copy = (text, what) => navigator.clipboard.writeText(text).then(() => say(`Copied ${what}.`), () => say("The browser does not allow it: select and copy."));
  const loaded = {};
  // A script of the planner that not every reader needs.
  const load = (name) => (loaded[name] ??= new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src: `${document.documentElement.dataset.content_root}${name}`, onload: done, onerror: failed });
    document.head.append(script);
  }));
  async function withFiles(action) {
    try {
      await load("_static/planner-files.js");
      await action();
    } catch {
      say("A part of the planner could not be loaded. Reload the page, or take the zip of this page below.");
    }
  }
  return { plan, data, part, element, number, time, show, restore, form, say, copy, load, withFiles };
})();

document.addEventListener("DOMContentLoaded", () => {
  planner.form.addEventListener("input", planner.show);
  planner.form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => location.hash.startsWith("#plan?") && planner.restore());
  const press = (name, action) => planner.part(name).addEventListener("click", action);
  press("show-files", () => planner.withFiles(() => planner.showFiles()));
  press("zip", () => planner.withFiles(() => planner.download()));
  press("link", () => planner.copy(location.href, "the address of this plan"));
  planner.form.hidden = false;
  planner.restore();
});
