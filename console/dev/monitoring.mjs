// Pretended alerts, objectives, verdicts and logs over the pretended fleet.
import { world } from "./fleet.mjs";

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const by = (actor, intent = "observe") => ({ actor, intent });

const OBJECTIVES = [
  // deployment, promise, good, budget left, burn rate, phase
  [
    "shop.prod",
    {
      name: "availability",
      good: 'http_requests_total{code!~"5.."}',
      total: "http_requests_total",
      target: "99.9%",
      window: "30d",
      critical: true,
    },
    0.99962,
    0.62,
    2.4,
    "burning",
  ],
  [
    "shop.prod",
    {
      name: "latency",
      query:
        "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[{{window}}])))",
      below: "300ms",
      target: "99%",
      window: "30d",
    },
    0.9968,
    0.68,
    0.7,
    "kept",
  ],
  [
    "checkout.prod",
    {
      name: "availability",
      good: 'http_requests_total{code!~"5.."}',
      total: "http_requests_total",
      target: "99.95%",
      window: "30d",
      critical: true,
    },
    0.99938,
    -0.24,
    5.1,
    "spent",
  ],
  [
    "search.prod",
    {
      name: "availability",
      good: 'http_requests_total{code!~"5.."}',
      total: "http_requests_total",
      target: "99.5%",
      window: "7d",
    },
    0.9991,
    0.82,
    0.2,
    "kept",
  ],
  [
    "gateway.prod",
    {
      name: "availability",
      good: 'http_requests_total{code!~"5.."}',
      total: "http_requests_total",
      target: "99.99%",
      window: "30d",
      critical: true,
    },
    0.99993,
    0.31,
    0.9,
    "kept",
  ],
  [
    "reports.prod",
    {
      name: "freshness",
      query: "time() - report_last_success_seconds",
      below: "2h",
      target: "95%",
      window: "30d",
    },
    null,
    null,
    null,
    "noData",
  ],
];

function objectives() {
  for (const [deployment, promise, good, budgetLeft, burnRate, phase] of OBJECTIVES) {
    const reasons =
      {
        burning: [
          {
            code: "burning",
            message: "it is spent 2.4 times as fast as it lasts; at this pace it is gone in 7d 18h",
          },
        ],
        spent: [
          {
            code: "budget-spent",
            message: "24 % more than the budget was spent; releases to checkout.prod are held",
            hint: "annotate the deployment with `atoll/override-budget=REASON` to let one release through",
          },
        ],
        noData: [
          {
            code: "no-data",
            message: "report_last_success_seconds has had no sample for 3h 12m",
            hint: "see whether the instances of reports.prod expose it",
          },
        ],
      }[phase] ?? [];
    world.put("Objective", `${deployment}.${promise.name}`, {
      ...by("controller/monitoring"),
      spec: {
        deployment,
        owner: world.get("applications", deployment.split(".")[0]).spec.owner,
        promise,
      },
      status: {
        phase,
        since: ago(phase === "spent" ? 42_000 : 5400),
        good,
        budgetLeft,
        burnRate,
        reasons,
      },
    });
  }
}

function rules() {
  world.put("Rule", "fleet", {
    ...by("user/ben", "edit"),
    spec: {
      owner: "team/platform",
      groups: [
        {
          name: "hosts",
          interval: "15s",
          rules: [
            {
              alert: "HostDown",
              expr: 'up{job="node"} == 0',
              for: "1m",
              labels: { severity: "page" },
            },
            {
              alert: "DiskFillsUp",
              expr: "predict_linear(node_filesystem_avail_bytes[6h], 86400) < 0",
              for: "30m",
              labels: { severity: "ticket" },
            },
            {
              record: "host:cpu:busy",
              expr: '1 - avg by (host) (rate(node_cpu_seconds_total{mode="idle"}[2m]))',
            },
          ],
        },
        {
          name: "instances",
          interval: "15s",
          rules: [
            {
              alert: "CrashLooping",
              expr: "increase(atoll_instance_restarts_total[15m]) > 3",
              for: "2m",
              labels: { severity: "page" },
            },
            {
              alert: "ErrorLines",
              expr: 'sum by (deployment) (rate(atoll_instance_log_lines_total{level="error"}[5m])) > 5',
              for: "5m",
              labels: { severity: "ticket" },
            },
          ],
        },
      ],
    },
    status: { firing: 5, pending: 1, reasons: [] },
  });
  world.put("Rule", "objectives", {
    ...by("controller/monitoring"),
    spec: {
      groups: [
        {
          name: "checkout.prod.availability",
          interval: "30s",
          rules: [
            {
              alert: "BudgetBurns",
              expr: "objective:bad:ratio_rate1h > 14.4 * 0.0005",
              labels: { severity: "page" },
            },
          ],
        },
      ],
    },
    status: { firing: 1, pending: 0, reasons: [] },
  });
  world.put("Rule", "imported", {
    ...by("user/mia", "edit"),
    spec: {
      groups: [
        {
          name: "nginx",
          rules: [
            {
              alert: "NginxQueue",
              expr: "nginx_connections_waiting > bool 100 by (host)",
              labels: {},
            },
          ],
        },
      ],
    },
    status: {
      firing: 0,
      pending: 0,
      reasons: [
        {
          code: "bad-expression",
          message: "nginx/NginxQueue: 1:40: unexpected by after 100",
          hint: "mend the expression; the other rules go on",
        },
      ],
    },
  });
}

let serial = 0;
function alert(
  rule,
  name,
  labels,
  {
    phase = "firing",
    since,
    value,
    subject,
    owner,
    suspect,
    summary,
    blind,
    severity = "page",
    quiet,
  },
) {
  serial += 1;
  const id = `${rule}.${(0xa3f1 * (serial + 3)).toString(16)}`;
  world.put("Alert", id, {
    ...by("controller/alerting"),
    spec: {
      rule,
      group: "instances",
      labels: { alertname: name, severity, ...labels },
      annotations: summary ? { summary } : {},
      subject,
      owner,
      suspect,
    },
    status: {
      phase,
      activeAt: ago(since + 120),
      firedAt: phase === "pending" ? undefined : ago(since),
      value,
      blindSince: blind ? ago(blind) : undefined,
      quietSince: quiet ? ago(quiet) : undefined,
      resolvedAt: phase === "resolved" ? ago(240) : undefined,
      reasons: blind
        ? [
            {
              code: "no-data",
              message: "no sample since 6m: it counts as firing until data says otherwise",
            },
          ]
        : [],
    },
  });
  return id;
}

function alerts() {
  const suspect = {
    object: "deployment/checkout.prod",
    change: "user/anna set release checkout-43",
    at: ago(1500),
    why: "it changed 4m before the alert began, and is what the alert is about",
  };
  const fired = [
    alert(
      "objectives",
      "BudgetBurns",
      { deployment: "checkout.prod", objective: "availability" },
      {
        since: 1260,
        value: "18.7",
        subject: "deployment/checkout.prod",
        owner: "team/trade",
        suspect,
        summary: "checkout.prod spends its availability budget 18.7 times too fast",
      },
    ),
    ...[3, 4, 5].map((k) =>
      alert(
        "fleet",
        "CrashLooping",
        { deployment: "search.prod", instance: `search.prod.${k}` },
        {
          since: 4300 + k * 40,
          value: `${9 + k}`,
          subject: `instance/search.prod.${k}`,
          owner: "team/find",
          summary: `search.prod.${k} was started again ${9 + k} times in 15m`,
        },
      ),
    ),
    alert(
      "fleet",
      "HostDown",
      { host: "h7" },
      {
        since: 170,
        value: "0",
        subject: "host/h7",
        owner: "team/platform",
        summary: "h7 does not answer",
        blind: 160,
      },
    ),
    alert(
      "fleet",
      "ErrorLines",
      { deployment: "shop.prod" },
      {
        since: 95,
        value: "9.4",
        severity: "ticket",
        subject: "deployment/shop.prod",
        owner: "team/trade",
        suspect: {
          object: "deployment/shop.prod",
          change: "controller/deployment rolls out shop-43, step 2",
          at: ago(200),
          why: "it changed 2m before the alert began, and is what the alert is about",
        },
        summary: "shop.prod writes 9.4 lines of errors a second",
      },
    ),
    alert(
      "fleet",
      "DiskFillsUp",
      { host: "h12", mountpoint: "/" },
      {
        since: 8000,
        value: "-2.1e+09",
        severity: "ticket",
        subject: "host/h12",
        owner: "team/platform",
        summary: "/ of h12 is full within a day",
      },
    ),
  ];
  alert(
    "fleet",
    "ErrorLines",
    { deployment: "images.prod" },
    {
      phase: "pending",
      since: 60,
      value: "5.3",
      severity: "ticket",
      subject: "deployment/images.prod",
      owner: "team/media",
      summary: "images.prod writes 5.3 lines of errors a second",
    },
  );
  alert(
    "fleet",
    "CrashLooping",
    { deployment: "mail.prod", instance: "mail.prod.2" },
    {
      phase: "resolved",
      since: 3000,
      value: "4",
      subject: "instance/mail.prod.2",
      owner: "team/reach",
      summary: "mail.prod.2 was started again 4 times in 15m",
    },
  );
  world.put("Silence", "disk-of-h12", {
    ...by("user/ben", "edit"),
    spec: {
      matchers: ['alertname="DiskFillsUp"', 'host="h12"'],
      from: ago(3600),
      until: new Date(Date.now() + 2 * 3600_000).toISOString(),
      reason: "the disk is being replaced",
    },
  });
  world.put("Silence", "host-down-covers", {
    ...by("user/ben", "edit"),
    spec: {
      matchers: ['severity="ticket"'],
      whileFiring: ['alertname="HostDown"'],
      equal: ["host"],
      reason: "a host that is away explains its other alerts",
    },
  });
  const receiver = (name, channel, routes, status) =>
    world.put("Receiver", name, {
      ...by("user/ben", "edit"),
      spec: { channel, routes, sendResolved: true },
      status: { waiting: 0, reasons: [], ...status },
    });
  receiver(
    "on-call",
    { slack: { urlFile: "/etc/atoll/slack" } },
    [{ matchers: ['severity="page"'], groupBy: ["alertname", "deployment"] }],
    { lastSent: ago(70) },
  );
  receiver(
    "tickets",
    { webhook: { url: "https://tickets.example/hook" } },
    [{ matchers: ['severity="ticket"'], groupBy: ["alertname"] }],
    {
      lastSent: ago(9000),
      waiting: 2,
      reasons: [
        {
          code: "receiver-failed",
          message: "POST https://tickets.example/hook answered 503, tried 4 times; again in 40s",
        },
      ],
    },
  );
  receiver(
    "watchdog",
    { email: { to: ["night@example.org"], from: "atoll@example.org", server: "mail:587" } },
    [],
    { lastSent: ago(30) },
  );
  const told = (number, to, names, phase, at) =>
    world.put("Notification", `${to}.${number}`, {
      ...by("controller/alerting"),
      spec: {
        receiver: to,
        key: `k${number}`,
        number,
        cause: "new",
        at: ago(at),
        alerts: names.map((name) => ({ name, firing: true })),
      },
      status: { phase, attempts: phase === "sent" ? 1 : 4, at: ago(at - 2), reasons: [] },
    });
  told(1, "on-call", [fired[0]], "sent", 1250);
  told(2, "on-call", fired.slice(1, 4), "sent", 4290);
  told(3, "on-call", [fired[4]], "sent", 70);
  told(4, "tickets", [fired[5]], "pending", 85);
  world.put("Monitor", "shop-page", {
    ...by("user/anna", "edit"),
    spec: { probe: { http: { url: "https://shop.example/" } }, every: "15s", owner: "team/trade" },
    status: { phase: "up", since: ago(80_000), up: 1, down: 0, reasons: [] },
  });
}

const summary = (middle, spread, instances, samples = instances * 60) => ({
  median: middle,
  low: middle - spread,
  high: middle + spread,
  samples,
  instances,
});

export function verdict() {
  return {
    verdict: "stop",
    step: 1,
    at: ago(100),
    message:
      "stays at 25 %: errors rose from 0.2 % to 2.3 % on the 18 changed instances and not on the 66 unchanged",
    evidence: [
      {
        signal: "errors",
        verdict: "stop",
        critical: false,
        message: "0.2 % before, 2.3 % after; unchanged instances stay at 0.2 %",
        before: summary(0.002, 0.001, 18),
        after: summary(0.023, 0.002, 18),
        unchanged: summary(0.002, 0.001, 66),
        effect: 10.5,
        chance: 0.000002,
        points: 8,
        band: [0, 0.0052],
      },
      {
        signal: "error-lines",
        verdict: "stop",
        message: "1 line a minute before, 16 after; unchanged instances stay at 1",
        before: summary(0.6, 0.4, 18),
        after: summary(9.6, 2.1, 18),
        unchanged: summary(0.6, 0.4, 66),
        effect: 15,
        chance: 0.00001,
        points: 6,
        band: [0, 2.4],
      },
      {
        signal: "latency",
        verdict: "warn",
        message: "42 ms before, 55 ms after (+30 %); 20 % would be usual",
        before: summary(0.042, 0.004, 18),
        after: summary(0.055, 0.006, 18),
        unchanged: summary(0.042, 0.004, 66),
        effect: 0.3,
        chance: 0.004,
        points: 3,
        band: [0.034, 0.0504],
      },
      {
        signal: "cpu",
        verdict: "pass",
        message: "0.18 cores before, 0.24 after; up to 0.27 is usual",
        before: summary(0.18, 0.03, 18),
        after: summary(0.24, 0.04, 18),
        unchanged: summary(0.18, 0.03, 66),
        effect: 0.33,
        chance: 0.2,
        points: 0,
        band: [0.09, 0.27],
      },
      {
        signal: "memory",
        verdict: "pass",
        message: "as before",
        before: summary(226e6, 2e7, 18),
        after: summary(229e6, 2e7, 18),
        unchanged: summary(226e6, 2e7, 66),
        effect: 0.01,
        chance: 0.7,
        points: 0,
        band: [1.6e8, 3e8],
      },
      {
        signal: "requests",
        verdict: "pass",
        message: "traffic rose everywhere alike by 12 %: not put down to the release",
        before: summary(380, 22, 18),
        after: summary(424, 25, 18),
        unchanged: summary(423, 22, 66),
        effect: 0.002,
        chance: 0.8,
        points: 0,
        band: [280, 520],
      },
      {
        signal: "freshness",
        verdict: "insufficient-data",
        message: "no sample of report_last_success_seconds; left out, as the rule asks",
        effect: 0,
        chance: 1,
        points: 0,
      },
    ],
  };
}

function analyses() {
  const guard = verdict();
  world.put("Analysis", "shop.prod.shop-43", {
    ...by("controller/deployment"),
    spec: { deployment: "shop.prod", release: "shop-43", from: "shop-42" },
    status: {
      verdict: "stop",
      trial: false,
      since: ago(0),
      at: guard.at,
      steps: [
        {
          verdict: "pass",
          step: 0,
          at: ago(300),
          message: "nothing got worse on the one changed instance",
          evidence: guard.evidence.slice(3, 6),
        },
        guard,
      ],
      reasons: [],
    },
  });
  world.put("Analysis", "gateway.prod.gateway-42", {
    ...by("controller/deployment"),
    spec: {
      deployment: "gateway.prod",
      release: "gateway-42",
      from: "gateway-41",
      feedback: { right: true, comment: "the pool was too small indeed" },
    },
    status: {
      verdict: "roll-back",
      trial: false,
      since: ago(90_000),
      at: ago(89_000),
      steps: [
        {
          ...guard,
          verdict: "roll-back",
          step: 0,
          at: ago(89_000),
          message:
            "availability fell from 99.99 % to 98.1 % on the changed instance, which is critical",
        },
      ],
      reasons: [],
    },
  });
}

export function start() {
  objectives();
  rules();
  alerts();
  analyses();
  setInterval(() => {
    const d = world.get("deployments", "shop.prod");
    if (
      d?.status.rollout &&
      !d.status.rollout.guard &&
      d.status.rollout.step === 1 &&
      d.status.phase === "soaking"
    )
      world.status("Deployment", "shop.prod", {
        rollout: { ...d.status.rollout, guard: verdict() },
      });
  }, 1000);
}

const TEXTS = [
  [
    "info",
    () =>
      `request method=GET path=/items/${1000 + Math.floor(Math.random() * 9000)} status=200 took=${3 + Math.floor(Math.random() * 90)}ms`,
  ],
  [
    "info",
    () =>
      `cart ${Math.random().toString(16).slice(2, 10)} loaded items=${Math.floor(Math.random() * 9)}`,
  ],
  ["warn", () => `retry 2 of 3 for upstream pricing after 250ms`],
  ["error", () => `cannot reach the database at 10.0.4.7:5432: connection refused`],
  [
    "error",
    () => `payment ${Math.random().toString(16).slice(2, 10)} refused: upstream answered 502`,
  ],
  ["error", () => `timeout after 2s while reading cart ${Math.random().toString(16).slice(2, 10)}`],
];

/** Answers a search of logs. */
export function logs(fields) {
  const subject = fields.get("subject") ?? "";
  const [kind, name] = subject.split("/");
  const on =
    {
      deployment: (i) => i.spec.deployment === name,
      instance: (i) => i.metadata.name === name,
      host: (i) => i.spec.host === name,
      application: (i) => i.spec.deployment.startsWith(`${name}.`),
    }[kind] ?? (() => true);
  const from = world.all("instances").filter(on).slice(0, 40);
  const [contains, level] = [fields.get("contains") ?? "", fields.get("level") ?? ""];
  const limit = Number(fields.get("limit") ?? 500);
  const lines = [];
  for (let k = 0; k < 2400 && from.length > 0 && lines.length < limit; k += 1) {
    const [l, text] = TEXTS[[0, 0, 0, 1, 1, 2, 3, 4, 5][Math.floor(Math.random() * 9)]];
    const line = text();
    if ((level && l !== level) || !line.toLowerCase().includes(contains.toLowerCase())) continue;
    lines.push({
      at: ago(k * 0.7),
      instance: from[Math.floor(Math.random() * from.length)].metadata.name,
      level: l,
      line,
    });
  }
  return { lines: lines.reverse(), truncated: lines.length >= limit, problems: [] };
}
