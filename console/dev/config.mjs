// Pretended configurations: one in a gray release, one of switches, one with a draft.
import { instancesOf, world } from "./fleet.mjs";

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

const LIMITS = {
  type: "object",
  required: ["pool", "timeout"],
  additionalProperties: false,
  properties: {
    pool: {
      type: "object",
      title: "Connections",
      properties: {
        size: { type: "integer", minimum: 1, maximum: 100, description: "connections kept open" },
        wait: {
          type: "string",
          pattern: "^[0-9]+(ms|s)$",
          description: "how long one is waited for",
        },
      },
    },
    timeout: { type: "string", description: "of a request, as 250ms or 2s" },
    level: { type: "string", enum: ["debug", "info", "warn"], description: "what is logged" },
    hosts: { type: "array", items: { type: "string" }, description: "who may call" },
    strict: { type: "boolean", description: "refuse what is not known" },
  },
};

const values = {
  pool: { size: 20, wait: "250ms" },
  timeout: "2s",
  level: "info",
  hosts: ["gateway", "mail"],
  strict: true,
};
const overlays = [
  { environments: ["prod"], values: { level: "warn" } },
  { where: "zone=a", values: { pool: { size: 40 } } },
];

const SWITCHES = {
  "new-checkout": {
    default: false,
    owner: "team/trade",
    description: "the basket and the payment on one page",
  },
  recommendations: { default: true, owner: "team/find", description: "what others bought" },
  "express-delivery": {
    default: true,
    owner: "team/trade",
    description: "deliveries on the same day",
  },
  theme: {
    type: "string",
    default: "plain",
    owner: "team/web",
    options: ["plain", "festive"],
    description: "how the shop is dressed",
  },
  "items-per-page": { type: "integer", default: 24, owner: "team/web", description: "" },
};

export function startConfig() {
  const on = instancesOf("shop.prod").map((i) => i.metadata.name);
  world.put("Config", "shop-limits", {
    actor: "user/anna",
    intent: "edit",
    spec: {
      owner: "team/trade",
      description: "how much the shop asks of others",
      schema: LIMITS,
      values: { ...values, pool: { size: 60, wait: "250ms" } },
      overlays,
      file: { format: "yaml" },
      // biome-ignore lint/suspicious/noThenProperty: the field is called so
      then: { signal: "HUP" },
      gray: {
        steps: [
          { instances: 1, soak: "2m" },
          { instances: "10%", soak: "5m" },
          { instances: "50%", soak: "5m" },
        ],
        guard: "enforce",
      },
    },
    status: {
      observedGeneration: 1,
      phase: "gray",
      version: 4,
      since: ago(90_000),
      live: { values, overlays },
      gray: {
        version: 7,
        content: { values: { ...values, pool: { size: 60, wait: "250ms" } }, overlays },
        step: 1,
        instances: Object.fromEntries(
          on.slice(0, Math.ceil(on.length / 10)).map((n) => [n, ago(100)]),
        ),
        affected: on.length,
        since: ago(420),
        soakingSince: ago(95),
        guard: {
          "shop.prod": {
            verdict: "pass",
            step: 1,
            at: ago(40),
            message: "9 signals of the changed instances are as those of the others",
          },
        },
      },
      instances: on.length,
      acknowledged: on.length - 2,
      laggards: [
        {
          instance: on.at(-1) ?? "shop.prod.80",
          host: "h7",
          wanted: 4,
          has: 3,
          why: "its host was last heard of 4m ago",
        },
        {
          instance: on.at(-2) ?? "shop.prod.79",
          host: "h9",
          wanted: 4,
          has: 3,
          why: "its program waits at the agent and has not fetched it",
        },
      ],
      reasons: [{ code: "soaking", message: "step 2 of 3 is being watched for another 3m 25s" }],
    },
  });
  world.put("Config", "shop-switches", {
    actor: "user/anna",
    intent: "edit",
    spec: {
      owner: "team/trade",
      description: "what customers see",
      switches: SWITCHES,
      values: { theme: "festive" },
      overlays: [{ environments: ["staging"], values: { "new-checkout": true } }],
    },
    status: {
      observedGeneration: 1,
      phase: "settled",
      version: 12,
      since: ago(7_300),
      live: {
        values: {
          "new-checkout": false,
          recommendations: true,
          "express-delivery": true,
          theme: "festive",
          "items-per-page": 24,
        },
        overlays: [{ environments: ["staging"], values: { "new-checkout": true } }],
      },
      instances: on.length + 14,
      acknowledged: on.length + 14,
      reasons: [],
    },
  });
  world.put("Config", "ranking", {
    actor: "user/dara",
    intent: "edit",
    spec: {
      owner: "team/find",
      description: "weights of what is found",
      values: { freshness: 0.4, popularity: 0.6 },
      draft: {
        values: { freshness: 0.55, popularity: 0.45 },
        note: "newer things first, before the sale",
      },
    },
    status: {
      observedGeneration: 1,
      phase: "settled",
      version: 2,
      since: ago(400_000),
      live: { values: { freshness: 0.4, popularity: 0.6 } },
      instances: 67,
      acknowledged: 67,
      failed: {
        version: 5,
        content: { values: { freshness: 0.9, popularity: 0.1 } },
        at: ago(200_000),
        reason: {
          code: "guard",
          message: "latency of 7 changed instances rose from 40 ms to 71 ms",
        },
      },
      reasons: [],
    },
  });
}
