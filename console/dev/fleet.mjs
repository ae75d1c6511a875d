// A pretended fleet with something of everything going on: a canary that soaks, a rollout that was
// taken back, crash loops, a host that is away. Its planner is a toy; the real one is elsewhere.
import { World } from "./world.mjs";

const HOSTS = Number(process.env.HOSTS ?? 20);
const SIZE = Number(process.env.INSTANCES ?? 500);
const CPU = 32_000 * Math.max(1, Math.ceil(SIZE / HOSTS / 80));

const APPS = [
  // name, owner, share of the fleet in prod, strategy, cpu, memory
  ["shop", "team/trade", 18, "canary", "500m", "512Mi"],
  ["checkout", "team/trade", 12, "rolling", "250m", "256Mi"],
  ["stock", "team/trade", 8, "rolling", "250m", "512Mi"],
  ["search", "team/find", 16, "canary", "1", "2Gi"],
  ["suggest", "team/find", 6, "rolling", "500m", "1Gi"],
  ["pricing", "team/trade", 4, "blue-green", "250m", "256Mi"],
  ["mail", "team/reach", 3, "rolling", "100m", "128Mi"],
  ["images", "team/media", 10, "rolling", "500m", "1Gi"],
  ["gateway", "team/platform", 9, "canary", "250m", "128Mi"],
  ["ledger", "team/money", 3, "recreate", "1", "4Gi"],
  ["reports", "team/money", 2, "rolling", "250m", "512Mi"],
  ["sessions", "team/platform", 7, "rolling", "100m", "256Mi"],
];
const ENVS = [
  ["dev", undefined, 0.03],
  ["test", "dev", 0.05],
  ["staging", "test", 0.12],
  ["prod", "staging", 0.8],
];

export const world = new World();
const now = () => new Date().toISOString();
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const span = (text) => Number(text.match(/\d+/)[0]) * (text.endsWith("m") ? 60_000 : 1000);

let nextPort = 20_000;

function application(name, owner, strategy, cpu, memory) {
  const canary = strategy === "canary";
  world.put("Application", name, {
    actor: "user/anna",
    intent: "edit",
    labels: { tier: name === "shop" ? "core" : "edge" },
    spec: {
      owner,
      package: `${name}:1.4`,
      run: {
        command: [`./${name}`, "--listen", "0.0.0.0:{{ports.http}}"],
        env: { LOG: "info" },
        ports: { http: 0 },
        resources: { cpu, memory },
        health: { http: "/healthz", every: "1s", timeout: "1s" },
      },
      rollout: {
        strategy,
        steps: canary
          ? [
              { instances: "1", soak: "2m" },
              { instances: "25%", soak: "3m" },
              { instances: "100%", soak: "0s" },
            ]
          : [],
        maxUnavailable: "0",
        maxSurge: "25%",
        healthyFor: "5s",
        deadline: "10m",
        failureRatio: "5%",
        onFailure: "rollback",
      },
      spread: ["zone", "host"],
    },
    status: { observedGeneration: 1, release: `${name}-42` },
  });
  for (const number of [40, 41, 42]) {
    const made = world.put("Release", `${name}-${number}`, {
      actor: "controller/delivery",
      spec: {
        application: name,
        number,
        package: { name, version: `1.${number - 38}`, digest: "ab".repeat(32) },
        run: { command: [`./${name}`], resources: { cpu, memory } },
        notes: pick([
          "faster start",
          "retries with a budget",
          "fewer allocations",
          "new header",
          "",
        ]),
      },
    });
    made.metadata.createdAt = ago((43 - number) * 86_000 + Math.random() * 40_000);
  }
}

function emptiest() {
  const load = new Map(
    world
      .all("hosts")
      .filter((h) => h.status.phase === "ready")
      .map((h) => [h.metadata.name, 0]),
  );
  for (const i of world.all("instances")) {
    if (load.has(i.spec.host)) load.set(i.spec.host, load.get(i.spec.host) + 1);
  }
  return [...load].sort((a, b) => a[1] - b[1] || (Math.random() > 0.5 ? 1 : -1))[0]?.[0] ?? "h1";
}

const of = new Map();
export const instancesOf = (deployment) =>
  [...(of.get(deployment) ?? [])].map((n) => world.get("instances", n));

function create(deployment, release, phase = "pending") {
  const name = deployment.metadata.name;
  const mine = of.get(name) ?? new Set();
  of.set(name, mine);
  let ordinal = 0;
  while (mine.has(`${name}.${ordinal}`)) ordinal += 1;
  const app = world.get("applications", deployment.spec.application);
  const host = emptiest();
  const id = `${name}.${ordinal}`;
  mine.add(id);
  nextPort = nextPort > 29_000 ? 20_000 : nextPort + 1;
  const ready = phase === "ready";
  world.put("Instance", id, {
    spec: {
      deployment: name,
      ordinal,
      release,
      host,
      ports: { http: nextPort },
      resources: app.spec.run.resources,
    },
    status: {
      observedGeneration: 1,
      phase,
      since: ready ? ago(600 + Math.random() * 90_000) : now(),
      host,
      address: `10.0.0.${host.slice(1)}`,
      ports: { http: nextPort },
      pid: ready ? 1000 + Math.floor(Math.random() * 30_000) : null,
      release: ready ? release : null,
      restarts: 0,
      startedAt: ready ? ago(600 + Math.random() * 90_000) : null,
    },
  });
}

const phase = (instance, to, more = {}) =>
  world.status("Instance", instance.metadata.name, {
    phase: to,
    since: now(),
    reasons: [],
    ...more,
  });

function remove(instance) {
  phase(instance, "stopping");
}

const CRASH = {
  code: "exit",
  message: "exited with 1 after 2s: cannot reach the database at 10.0.4.7:5432",
  hint: "see its log; `atoll logs instance/NAME --tail 50`",
};

/** Lets every instance take its next step in life. */
function live() {
  for (const i of world.all("instances")) {
    const { phase: at, since } = i.status;
    if (world.get("hosts", i.spec.host)?.status.phase === "unknown") continue;
    const old = Date.now() - Date.parse(since);
    if (at === "pending" && old > 400) phase(i, "fetching");
    else if (at === "fetching" && old > 900) phase(i, "starting", { pid: 4000, startedAt: now() });
    else if (at === "starting" && old > 1500) {
      if (world.get("releases", i.spec.release)?.bad)
        phase(i, "crashLoop", { reasons: [CRASH], restarts: 3 });
      else phase(i, "ready", { release: i.spec.release });
    } else if (at === "stopping" && old > 1200) {
      of.get(i.spec.deployment)?.delete(i.metadata.name);
      world.remove("Instance", i.metadata.name);
    } else if (at === "unready" && old > 9000 && !i.stays) phase(i, "ready");
  }
}

function planOf(d) {
  const app = world.get("applications", d.spec.application);
  return app.spec.rollout;
}

/** Brings one deployment a step nearer to its target, and says how it is. */
function plan(d) {
  const name = d.metadata.name;
  const s = d.status;
  const app = world.get("applications", d.spec.application);
  const mine = instancesOf(name).filter((i) => i.status.phase !== "stopping");
  const wish = d.spec.release ?? app.status.release;
  const failed = s.failed?.release === wish && s.failed.generation === d.metadata.generation;
  const aborted = d.spec.aborted === wish;
  const goal = failed || aborted ? (s.lastGood ?? wish) : wish;
  const outdated = mine.filter((i) => i.spec.release !== goal);
  const updated = mine.filter((i) => i.spec.release === goal);
  const ready = mine.filter((i) => i.status.phase === "ready");
  const proven = updated.filter((i) => i.status.phase === "ready").length;
  const n = d.spec.instances;
  let rollout = s.rollout;
  if (outdated.length > 0 && (!rollout || rollout.to !== goal)) {
    rollout = {
      to: goal,
      back: failed || aborted,
      step: 0,
      since: now(),
      progressAt: now(),
      proven: 0,
    };
  }
  if (rollout && proven > rollout.proven) rollout = { ...rollout, proven, progressAt: now() };
  const steps = planOf(d).steps;
  let soaking = false;
  let limit = n;
  if (rollout && steps.length > 0 && !rollout.back) {
    const step = steps[rollout.step];
    const portion = step.instances;
    limit = portion.endsWith("%")
      ? Math.ceil((n * Number.parseInt(portion, 10)) / 100)
      : Number(portion);
    if (proven >= limit && rollout.step < steps.length - 1) {
      rollout = { soakingSince: now(), ...rollout };
      soaking = true;
      const over = Date.now() - Date.parse(rollout.soakingSince) > span(step.soak);
      if ((over || d.spec.promoted === goal) && !d.spec.paused) {
        const { soakingSince: _, ...rest } = rollout;
        rollout = { ...rest, step: rollout.step + 1, progressAt: now() };
      }
    }
  }
  const broken = updated.filter((i) => i.status.phase === "crashLoop").length;
  if (rollout && !rollout.back && broken > Math.max(0, n * 0.05)) {
    const reason = {
      code: "instances-failed",
      message: `${broken} of ${updated.length} instances on ${goal} crash`,
    };
    s.failed = { release: goal, at: now(), reason, generation: d.metadata.generation };
    rollout = { to: s.lastGood, back: true, step: 0, since: now(), progressAt: now(), proven: 0 };
  }
  if (!d.spec.paused) {
    const surge = Math.max(1, Math.ceil(n / 8));
    for (let k = 0; mine.length + k < n && k < 12; k += 1)
      create(d, rollout && updated.length >= limit ? (s.release ?? goal) : goal);
    const room = Math.min(limit - updated.length, surge - (mine.length - n), 4);
    if (rollout && outdated.length > 0 && updated.length < limit) {
      for (let k = 0; k < room; k += 1) create(d, goal);
    }
    const spare = mine.length - n;
    const victims = [...outdated, ...updated.slice().reverse()];
    for (
      let k = 0;
      k < Math.min(spare, ready.length - n > 0 ? ready.length - n : spare > surge ? 1 : 0, 4);
      k += 1
    )
      remove(victims[k]);
  }
  const moving = mine.length !== n || ready.length < Math.min(n, mine.length);
  const unwell = mine.filter((i) =>
    ["crashLoop", "unready", "unknown"].includes(i.status.phase),
  ).length;
  const done = outdated.length === 0 && proven >= Math.max(0, n - unwell) && mine.length === n;
  if (rollout && done) rollout = undefined;
  const word =
    d.held ??
    (d.spec.paused
      ? "paused"
      : rollout?.back
        ? "rollingBack"
        : soaking && rollout
          ? "soaking"
          : rollout || (moving && mine.length !== n)
            ? "rolling"
            : "settled");
  const release = rollout ? s.release : goal;
  const reasons = reasonsOf(d, word, rollout, s);
  world.status("Deployment", name, {
    observedGeneration: d.metadata.generation,
    phase: word,
    instances: mine.length,
    ready: ready.length,
    updated: updated.length,
    unavailable: Math.max(0, n - ready.length),
    release,
    lastGood: rollout ? s.lastGood : release,
    failed: s.failed,
    rollout,
    reasons,
  });
}

function reasonsOf(d, word, rollout, s) {
  if (d.why) return d.why;
  if (word === "paused")
    return [
      { code: "paused", message: "it was paused by hand", hint: "`atoll resume` lets it go on" },
    ];
  if (word === "rollingBack")
    return [
      { code: "going-back", message: `${s.failed?.release} failed: ${s.failed?.reason.message}` },
    ];
  if (word === "soaking")
    return [{ code: "soaking", message: `step ${rollout.step + 1} is being watched` }];
  if (word === "settled" && s.failed && s.failed.release !== s.release) {
    return [
      {
        code: s.failed.reason.code,
        message: `${s.failed.release} was taken back to ${s.release}: ${s.failed.reason.message}`,
        hint: "it is tried again once the target is edited",
      },
    ];
  }
  return [];
}

function hosts() {
  const zones = ["a", "b", "c"];
  for (const z of zones)
    world.put("Zone", z, {
      actor: "user/ben",
      spec: { description: `hall ${z}`, maxDisturbed: "25%" },
    });
  for (let k = 1; k <= HOSTS; k += 1) {
    const name = `h${k}`;
    world.put("Host", name, {
      actor: "host/agent",
      labels: { zone: zones[k % 3], rack: `r${1 + (k % 5)}` },
      spec: k === 12 ? { cordon: true } : {},
      status: {
        phase: "ready",
        since: ago(80_000 + k * 900),
        lastSeen: now(),
        capacity: { cpu: `${CPU / 1000}`, memory: `${CPU / 250}Gi`, instances: 0 },
        allocated: { cpu: "0", memory: "0", instances: 0 },
        address: `10.0.0.${k}`,
        agent: {
          version: "0.1.0",
          system: "Debian 12, Linux 6.1",
          isolation: ["cgroup-v2", "user-per-instance"],
        },
      },
    });
  }
}

function start() {
  hosts();
  for (const [name, after] of ENVS)
    world.put("Environment", name, {
      actor: "user/ben",
      spec: { after, runtime: "process", engine: "fleet" },
    });
  const shares = APPS.reduce((sum, app) => sum + app[2], 0);
  for (const [name, owner, share, strategy, cpu, memory] of APPS) {
    application(name, owner, strategy, cpu, memory);
    for (const [env, , part] of ENVS) {
      const instances = Math.max(1, Math.round((SIZE * share * part) / shares));
      const d = world.put("Deployment", `${name}.${env}`, {
        actor: "user/anna",
        intent: "edit",
        spec: { application: name, environment: env, instances },
        status: {
          observedGeneration: 1,
          phase: "settled",
          instances,
          ready: instances,
          updated: instances,
          unavailable: 0,
          release: `${name}-42`,
          lastGood: `${name}-42`,
          reasons: [],
        },
      });
      for (let k = 0; k < instances; k += 1) create(d, `${name}-42`, "ready");
    }
  }
  trouble();
  setInterval(tick, 400);
}

/** New releases and troubles, so that there is something to see from the first moment. */
function trouble() {
  const release = (app, number, bad) => {
    const old = world.get("releases", `${app}-42`);
    world.put("Release", `${app}-${number}`, {
      actor: "controller/delivery",
      spec: { ...old.spec, number, notes: bad ? "new pool of connections" : "dark mode" },
    });
    if (bad) world.get("releases", `${app}-${number}`).bad = true;
  };
  const pin = (name, change) => {
    const d = world.get("deployments", name);
    world.put("Deployment", name, {
      actor: "user/anna",
      intent: "edit",
      spec: { ...d.spec, ...change },
    });
  };
  release("shop", 43, false);
  release("checkout", 43, true);
  release("images", 43, false);
  pin("shop.prod", { release: "shop-43" });
  pin("checkout.prod", { release: "checkout-43" });
  pin("images.prod", { release: "images-43", paused: false });
  const ledger = world.get("deployments", "ledger.staging");
  ledger.held = "waiting";
  ledger.why = [
    {
      code: "unplaceable",
      message:
        "1 more instance finds no host: of 20 hosts, 13 have too little memory free, 7 are in other zones",
      hint: "join a host to zone b, or ask for less memory",
    },
  ];
  for (const i of instancesOf("search.prod").slice(3, 6)) {
    phase(i, "crashLoop", { reasons: [CRASH], restarts: 14 });
  }
  for (const i of instancesOf("suggest.prod").slice(0, 1)) {
    phase(i, "unready", {
      reasons: [{ code: "probe", message: "GET /healthz answered 503, three times in a row" }],
    });
    world.get("instances", i.metadata.name).stays = true;
  }
  world.status("Host", "h12", {
    phase: "cordoned",
    reasons: [{ code: "cordoned", message: "a disk is being replaced" }],
  });
  world.status("Host", "h7", {
    phase: "unknown",
    lastSeen: ago(260),
    since: ago(230),
    reasons: [
      {
        code: "not-heard",
        message: "its agent was last heard of 4m ago",
        hint: "see whether the machine is up, and the agent runs: `systemctl status atoll-agent`",
      },
    ],
  });
  for (const i of world.all("instances").filter((x) => x.spec.host === "h7")) phase(i, "unknown");
  world.put("Freeze", "ledger-close", {
    actor: "user/mia",
    intent: "edit",
    spec: {
      until: new Date(Date.now() + 5 * 3600_000).toISOString(),
      environments: ["prod"],
      applications: "tier in (money)",
      reason: "the books of the month are closed",
    },
  });
  world.put("Freeze", "sale", {
    actor: "user/mia",
    intent: "edit",
    spec: {
      from: new Date(Date.now() + 4 * 86_400_000).toISOString(),
      until: new Date(Date.now() + 7 * 86_400_000).toISOString(),
      environments: ["prod"],
      applications: "",
      reason: "nothing changes while the sale is on",
    },
  });
  world.put("Freeze", "move", {
    actor: "user/ben",
    intent: "edit",
    spec: {
      from: ago(900_000),
      until: ago(500_000),
      environments: [],
      applications: "",
      reason: "hall b was moved",
    },
  });
}

function tick() {
  live();
  for (const d of world.all("deployments")) plan(d);
  if (Math.random() < 0.06) {
    const i = pick(world.all("instances").filter((x) => x.status.phase === "ready"));
    if (i)
      phase(i, "unready", {
        restarts: i.status.restarts + 1,
        reasons: [{ code: "probe", message: "GET /healthz: no answer within 1s" }],
      });
  }
}

start();
