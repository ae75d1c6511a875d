import assert from "node:assert/strict";
import { test } from "node:test";
import type { Application } from "../api/objects";
import { deployment } from "./examples";
import { countRemarks } from "./target";

const shop = {
  metadata: { name: "shop" },
  spec: { scaling: { min: 2, max: 10 } },
} as unknown as Application;
const codes = (count: number, application?: Application) =>
  countRemarks(count, deployment("shop.prod"), application).map(({ code }) => code);

test("none at all, and what autoscaling would never reach, is remarked before it is done", () => {
  assert.deepEqual(codes(0, shop), ["stops-all"]);
  assert.deepEqual(codes(0), ["stops-all"]);
  assert.deepEqual(codes(1, shop), ["below-min"]);
  assert.deepEqual(codes(2, shop), []);
  assert.deepEqual(codes(10, shop), []);
  assert.deepEqual(codes(11, shop), ["beyond-max"]);
});

test("where nothing is declared, only none at all is remarked", () => {
  assert.deepEqual(codes(5000), []);
  const bare = { metadata: { name: "shop" }, spec: {} } as unknown as Application;
  assert.deepEqual(codes(5000, bare), []);
});
