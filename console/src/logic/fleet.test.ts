import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rollout } from "../api/objects";
import { applicationRows } from "./applications";
import { attention, headline } from "./attention";
import { changeOf } from "./changes";
import { deployment, failed, freeze, host, instance, rollout, tables } from "./examples";
import { arrange } from "./fleet";
import { freezeState } from "./freeze";
import { rolloutOf } from "./rollout";

const NOW = Date.parse("2026-11-23T12:00:00Z");
const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();
const crash = { code: "exit", message: "exited with 1" };

test("groups that have not changed stay the very same arrays", () => {
  const [a, b] = [instance("shop.prod.0", "h1"), instance("stock.prod.0", "h2")];
  const before = arrange(tables(a, b));
  const after = arrange(tables(a, b, instance("stock.prod.1", "h2")), before);
  assert.equal(after.byDeployment.get("shop.prod"), before.byDeployment.get("shop.prod"));
  assert.notEqual(after.byDeployment.get("stock.prod"), before.byDeployment.get("stock.prod"));
});

test("what is stopped takes nothing of its host", () => {
  const fleet = arrange(
    tables(
      instance("shop.prod.0", "h1"),
      instance("shop.prod.1", "h1", { status: { phase: "unknown" } }),
      instance("shop.prod.2", "h1", { status: { phase: "stopped" } }),
    ),
  );
  assert.deepEqual(fleet.use.get("h1"), { cpu: 1000, memory: 2 ** 29, instances: 2 });
});

test("a settled fleet asks for nothing", () => {
  const fleet = arrange(tables(deployment("shop.prod"), host("h1"), instance("shop.prod.0", "h1")));
  const concerns = attention(fleet, NOW);
  assert.deepEqual(concerns, []);
  assert.equal(headline(concerns), "Everything is settled");
});

test("the broken comes before the waiting, the moving and the held", () => {
  const fleet = arrange(
    tables(
      deployment("a.prod", { status: { phase: "rolling", ready: 2 } }),
      deployment("b.prod", { status: { phase: "failed" } }),
      deployment("c.prod", { status: { phase: "waiting" } }),
      deployment("d.prod", { status: { phase: "paused" } }),
    ),
  );
  const concerns = attention(fleet, NOW);
  assert.deepEqual(
    concerns.map((c) => [c.name, c.rank]),
    [
      ["b.prod", "broken"],
      ["c.prod", "waiting"],
      ["a.prod", "moving"],
      ["d.prod", "held"],
    ],
  );
  assert.equal(headline(concerns), "1 broken, 1 waiting, 1 moving");
});

test("a deployment and its unwell instances are one concern, as bad as the worst", () => {
  const fleet = arrange(
    tables(
      deployment("shop.prod", { status: { phase: "rolling", ready: 1 } }),
      instance("shop.prod.0", "h1", { status: { phase: "crashLoop", reasons: [crash] } }),
      instance("shop.prod.1", "h1", { status: { phase: "crashLoop", reasons: [crash] } }),
      instance("shop.prod.2", "h1", { status: { phase: "unready" } }),
    ),
  );
  const [concern, ...others] = attention(fleet, NOW);
  assert.equal(others.length, 0);
  assert.equal(concern?.rank, "broken");
  assert.equal(concern?.state, "rolling, 1 of 3 ready, 2 crash looping, 1 unready");
  assert.deepEqual(concern?.reasons, [crash]);
});

test("instances on a host that is away are told once, by the host", () => {
  const fleet = arrange(
    tables(
      deployment("shop.prod"),
      host("h1", { status: { phase: "unknown", lastSeen: at(-60) } }),
      instance("shop.prod.0", "h1", { status: { phase: "unknown" } }),
    ),
  );
  const concerns = attention(fleet, NOW);
  assert.deepEqual(
    concerns.map((c) => [c.name, c.state, c.since]),
    [["h1", "not heard from, 1 instance on it", NOW - 60_000]],
  );
});

test("settled on what was not wanted is no peace", () => {
  const given = failed({ release: "shop-2", at: at(-5), reason: crash });
  const taken = deployment("shop.prod", { status: { failed: given } });
  const [concern] = attention(arrange(tables(taken)), NOW);
  assert.equal(concern?.rank, "broken");
  assert.match(concern?.state ?? "", /back on shop-1; shop-2 failed/);
});

test("a freeze holds from its beginning up to its end", () => {
  const window = freeze("sale", { from: at(-10), until: at(10) });
  assert.equal(freezeState(window, NOW), "active");
  assert.equal(freezeState(window, NOW + 10_000), "over");
  assert.equal(freezeState(window, NOW - 11_000), "ahead");
  assert.equal(freezeState(freeze("open", {}), NOW), "active");
  const [concern] = attention(arrange(tables(window)), NOW);
  assert.match(concern?.state ?? "", /for another 10s/);
});

const CANARY = {
  strategy: "canary",
  steps: [
    { instances: "1", soak: "2m" },
    { instances: "25%", soak: "1m" },
  ],
  deadline: "10m",
} as unknown as Rollout;

test("a canary shows every step, and what the steps leave over comes last", () => {
  const given = rollout({
    step: 1,
    soakingSince: at(-20),
    since: at(-200),
    progressAt: at(-20),
    proven: 3,
  });
  const soaking = deployment("shop.prod", {
    spec: { instances: 10 },
    status: { phase: "soaking", rollout: given, updated: 3 },
  });
  const view = rolloutOf(soaking, CANARY);
  assert.deepEqual(
    view?.steps.map((s) => [s.instances, s.state]),
    [
      [1, "done"],
      [3, "now"],
      [10, "ahead"],
    ],
  );
  assert.equal(view?.steps[1]?.soakEnds, NOW + 40_000);
  assert.equal(view?.givesUpAt, undefined, "a soak is no lack of progress");
});

test("the way back has no steps, and gives up for want of progress", () => {
  const given = rollout({ to: "shop-1", back: true, since: at(-9), progressAt: at(-9) });
  const back = deployment("shop.prod", { status: { phase: "rollingBack", rollout: given } });
  const view = rolloutOf(back, CANARY);
  assert.deepEqual(view?.steps, []);
  assert.equal(view?.givesUpAt, NOW - 9_000 + 600_000);
});

test("changes are told in words, and heartbeats are none", () => {
  const old = instance("shop.prod.0", "h1");
  const crashed = instance("shop.prod.0", "h1", {
    revision: 2,
    status: { phase: "crashLoop", reasons: [crash] },
  });
  assert.equal(changeOf(old, crashed, 2, NOW)?.text, "ready → crash looping: exited with 1");
  assert.equal(changeOf(old, crashed, 2, NOW)?.minor, false);
  const beat = instance("shop.prod.0", "h1", { revision: 2, status: { pid: 7 } });
  assert.equal(changeOf(old, beat, 2, NOW), null);
  const edited = deployment("shop.prod", { generation: 2, spec: { instances: 5 } });
  assert.equal(changeOf(deployment("shop.prod"), edited, 3, NOW)?.text, "target: instances 3 → 5");
});

test("a search keeps the applications and deployments it finds", () => {
  const fleet = arrange(
    tables(
      deployment("shop.dev"),
      deployment("shop.prod", { status: { phase: "rolling" } }),
      deployment("stock.prod"),
    ),
  );
  const find = (query: string, open = false) => {
    const matches = (...texts: (string | null | undefined)[]) => texts.join(" ").includes(query);
    const rows = applicationRows(fleet, matches, open);
    return rows.flatMap((r) => r.deployments.map((d) => d.metadata.name));
  };
  assert.deepEqual(find("shop"), ["shop.dev", "shop.prod"]);
  assert.deepEqual(find("prod"), ["shop.prod", "stock.prod"]);
  assert.deepEqual(find("", true), ["shop.prod"]);
});
