// Pretended promotions: where each release has got to and why it waits, and a quarter of a year of
// deliveries for the figures.
import { world } from "./fleet.mjs";

const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const DAY = 86_400;
const ENVS = ["dev", "test", "staging", "prod"];

const RULES = {
  test: { require: { signed: true, tests: ["unit"] } },
  staging: { require: { signed: true, tests: ["unit", "integration"], soak: "30m" } },
  prod: {
    require: {
      signed: true,
      tests: ["unit", "integration", "system"],
      soak: "2h",
      objectives: true,
      windows: [{ days: ["mon", "tue", "wed", "thu"], from: "08:00", to: "16:00" }],
    },
    approval: { roles: ["release-manager"], count: 1 },
    promotion: "manual",
  },
};

const passed = (name, message) => ({ name, state: "passed", message });
const waiting = (name, message, until) => ({ name, state: "waiting", message, until });

const CHECKS = {
  good: [
    passed("signed", "its package is signed by key 4f1c…a2"),
    passed("tests", "412 unit, 58 integration and 11 system tests passed"),
    passed("soak", "it ran in staging for 3h without a failure"),
    passed("objectives", "no error budget is spent in staging"),
  ],
  waiting: [
    passed("signed", "its package is signed by key 4f1c…a2"),
    passed("tests", "412 unit, 58 integration and 11 system tests passed"),
    waiting("soak", "it is to run in staging for 2h; 1h 12m are over", ago(-2_880)),
    waiting("approval", "a release-manager is to approve it; nobody has yet"),
    waiting("window", "prod is open from Monday to Thursday, 08:00 to 16:00", ago(-40_000)),
  ],
  refused: [
    passed("signed", "its package is signed by key 4f1c…a2"),
    { name: "tests", state: "refused", message: "2 of 58 integration tests failed in search.53" },
  ],
};

function promote(app, number, environment, phase, at, more = {}) {
  const release = `${app}-${number}`;
  const good = phase === "good";
  const gone = good || phase === "failed" || phase === "rolling";
  const took = 500 + ((number * 53) % 900);
  const made = world.put("Promotion", `${release}.${environment}`, {
    actor: "controller/promotion",
    spec: { application: app, release, environment, ...more.spec },
    status: {
      observedGeneration: 1,
      phase,
      checks: CHECKS[phase] ?? CHECKS.good,
      digest: "ab".repeat(32),
      commit: {
        id: `${(number * 7919).toString(16)}c0ffee1234`,
        subject: "Prices are rounded as the law asks",
        author: "anna",
        at: ago(at + (environment === "prod" ? 5_200 + ((number * 911) % 9_000) : 900)),
      },
      byHand: more.byHand ?? false,
      admittedAt: gone ? ago(at + 60) : undefined,
      beganAt: gone ? ago(at) : undefined,
      goodAt: good ? ago(at - took) : undefined,
      failedAt: phase === "failed" ? ago(at - took / 2) : undefined,
      restoredAt: phase === "failed" ? ago(at - took / 2 - 140 - ((number * 17) % 300)) : undefined,
      reasons: more.reasons ?? [],
    },
  });
  made.metadata.createdAt = ago(at + 120);
}

const APPS = ["shop", "checkout", "stock", "search", "images", "pricing", "ledger"];

export function startDelivery() {
  for (const [name, rules] of Object.entries(RULES)) {
    const old = world.get("environments", name);
    world.put("Environment", name, {
      actor: "user/ben",
      intent: "edit",
      spec: { ...old.spec, ...rules },
    });
  }
  for (const [k, app] of APPS.entries()) {
    for (let n = 4; n < 42; n += 1 + (k % 3)) {
      const at = (42 - n) * 2.1 * DAY + k * 5_000;
      const bad = (n * 7 + k * 3) % (n < 20 ? 6 : 11) === 0;
      const byHand = (n + k) % (n < 20 ? 2 : 5) === 0;
      promote(app, n, "prod", bad ? "failed" : "good", at, { byHand });
    }
    const newest = world.get("releases", `${app}-43`) ? 43 : 42;
    for (const [e, environment] of ENVS.entries()) {
      promote(app, 42, environment, "good", (4 - e) * 9_000 + 80_000);
      if (newest === 43 && environment !== "prod")
        promote(app, 43, environment, "good", (4 - e) * 3_000 + 4_000);
    }
  }
  promote("shop", 43, "prod", "rolling", 120);
  promote("checkout", 43, "prod", "failed", 300);
  for (const app of ["suggest", "gateway"]) {
    const { spec } = world.get("releases", `${app}-42`);
    world.put("Release", `${app}-43`, {
      actor: "controller/delivery",
      spec: { ...spec, number: 43, notes: "fewer allocations" },
    });
    for (const [e, environment] of ENVS.slice(0, 3).entries()) {
      promote(app, 43, environment, "good", (4 - e) * 3_000 + 4_000);
    }
  }
  promote("gateway", 43, "prod", "waiting", 90, { spec: { asked: true } });
  promote("suggest", 43, "prod", "waiting", 60, {
    reasons: [{ code: "approval", message: "a release-manager is to approve it; nobody has yet" }],
  });
  const release = world.get("releases", "search-42");
  world.put("Release", "search-43", {
    actor: "controller/delivery",
    spec: { ...release.spec, number: 43 },
  });
  promote("search", 43, "dev", "good", 7_000);
  promote("search", 43, "test", "good", 6_000);
  promote("search", 43, "staging", "refused", 5_000);
  for (const app of ["shop", "checkout", "images", "suggest", "gateway"]) {
    for (const environment of ["dev", "test", "staging"]) {
      const d = world.get("deployments", `${app}.${environment}`);
      world.put("Deployment", d.metadata.name, { spec: { ...d.spec, release: `${app}-43` } });
    }
  }
  const stock = world.get("deployments", "stock.prod");
  world.put("Deployment", "stock.prod", {
    actor: "user/mia",
    intent: "edit",
    spec: { ...stock.spec, release: "stock-42", pin: "the stock-taking ends on Friday" },
  });
  const vetoed = world.get("releases", "pricing-41");
  world.put("Release", "pricing-41", {
    actor: "user/mia",
    intent: "edit",
    spec: { ...vetoed.spec, veto: { reason: "it rounds down", rollback: true } },
  });
}

/** What a package is made of, as the store tells it. */
export function packageOf(name) {
  return {
    apiVersion: "atoll/v1",
    kind: "Package",
    metadata: { name, revision: 1, generation: 1 },
    spec: {
      name: "shop",
      version: "1.5",
      digest: "ab".repeat(32),
      size: 18_400_000,
      built: {
        run: "shop.59",
        pipeline: "shop",
        cause: "push",
        commit: {
          id: "51b5dc0ffee1234a8c8e6c2c5d7c0c6d4c1b2a39",
          subject: "Prices are rounded as the law asks",
          author: "anna",
          at: ago(9_400),
        },
        tests: {
          unit: { passed: 412, failed: 0, skipped: 3 },
          integration: { passed: 58, failed: 0, skipped: 0 },
          system: { passed: 11, failed: 0, skipped: 1 },
        },
        sbom: "cd".repeat(32),
      },
    },
    status: { provenance: { signatures: [{ keyid: "4f1c77a2" }] } },
  };
}
