// Filters that are put together by choosing, and what of many relations is drawn.
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import type { Relation } from "../api/inventory";
import { layout } from "./graph";
import { drawn, has, MOST_DRAWN, quoted, toggled, waysToMend } from "./inventory";

test("a chosen value becomes a condition, and goes again", () => {
  const one = toggled("", "zone", "a");
  equal(one, "zone = a");
  const two = toggled(one, "os.name", "Debian 12");
  equal(two, 'zone = a and os.name = "Debian 12"');
  equal(has(two, "os.name", "Debian 12"), true);
  equal(toggled(two, "zone", "a"), 'os.name = "Debian 12"');
  equal(quoted('say "x"'), '"say \\"x\\""');
});

test("a finding is mended where there is another value, and a host's agent can do it", () => {
  const of = (subject: string, cause: "differs" | "missing" | "twin" | "stale") =>
    waysToMend({ spec: { subject, attribute: "os.version" }, status: { cause } });
  deepEqual(of("host/h1", "differs"), ["accept", "mend"]);
  deepEqual(of("host/h1", "missing"), ["accept", "mend"]);
  deepEqual(of("item/r1", "differs"), ["accept"]);
  deepEqual(of("host/h1", "twin"), []);
  deepEqual(of("item/r1", "stale"), []);
});

const relation = (from: string, name: string, to: string): Relation => ({
  from,
  relation: name,
  to,
  source: "discovered",
});

test("instances between applications and hosts are left out", () => {
  const all = [
    relation("instance/shop.prod.0", "of", "deployment/shop.prod"),
    relation("deployment/shop.prod", "of", "application/shop"),
    relation("instance/shop.prod.0", "runs-on", "host/h1"),
    relation("host/h1", "in", "zone/a"),
    relation("application/shop", "talks-to", "application/stock"),
  ];
  deepEqual(
    drawn(all, "place", undefined).nodes.map((n) => n.name),
    ["application/shop", "host/h1", "zone/a"],
  );
  deepEqual(
    drawn(all, "talk", undefined).edges.map((e) => e.to),
    ["application/stock"],
  );
  deepEqual(
    drawn(all, "place", "zone/a").nodes.map((n) => n.name),
    ["host/h1", "zone/a"],
  );
});

test("of very many the most related are drawn, and the rest is counted", () => {
  const all = Array.from({ length: 800 }, (_, i) =>
    relation(`application/a${i}`, "needs", "application/hub"),
  );
  const part = drawn(all, "talk", undefined);
  equal(part.nodes.length, MOST_DRAWN);
  equal(part.left, 801 - MOST_DRAWN);
  equal(
    part.nodes.some((n) => n.name === "application/hub"),
    true,
  );
});

test("five hundred things that talk in circles are laid out while one waits", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const to = () => `application/a${Math.floor(random() * 500)}`;
  const all = Array.from({ length: 1_500 }, (_, i) =>
    relation(`application/a${i % 500}`, "talks-to", to()),
  );
  const began = performance.now();
  const { nodes } = drawn(all, "talk", undefined);
  const shape = layout(nodes, { width: 170, gap: 70, between: 6, height: () => 28 });
  const took = performance.now() - began;
  equal(shape.places.size, 500);
  equal(took < 3_000, true, `it took ${Math.round(took)} ms`);
});
