import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "../api/objects";
import { adviceOf, askWords, machineParts, machineRows, providerWords, scaleEnds } from "./pools";

const pool = (status: object, spec: object = {}): Pool =>
  ({
    metadata: { name: "web" },
    spec: { count: 3, provider: { static: { hosts: ["h1", "h2"] } }, ...spec },
    status,
  }) as unknown as Pool;

test("machines are told from the ready ones on, those that are not well listed first", () => {
  const counts = {
    creating: 1,
    joining: 0,
    ready: 2,
    lost: 1,
    draining: 0,
    deleting: 0,
    failed: 0,
  };
  const told = machineParts(pool({ counts, wanted: 6 })).filter((part) => part.count > 0);
  assert.deepEqual(
    told.map((part) => [part.word, part.count]),
    [
      ["ready", 2],
      ["being made", 1],
      ["not heard", 1],
      ["not asked for yet", 2],
    ],
  );
  const machines = { b: { phase: "ready" }, a: { phase: "ready" }, c: { phase: "lost" } };
  assert.deepEqual(
    machineRows(pool({ machines })).map((row) => row.key),
    ["c", "a", "b"],
  );
});

test("what a provider was asked is told while it is open, or went wrong", () => {
  const at = "2026-01-01T00:00:00Z";
  assert.equal(askWords({}), undefined);
  assert.equal(askWords({ ask: { at, deed: "create", times: 1, ended: at } }), undefined);
  assert.equal(
    askWords({ ask: { at, deed: "create", times: 1 } }),
    "asked to make it, no answer yet",
  );
  assert.equal(
    askWords({ ask: { at, deed: "delete", times: 3, ended: at, error: "quota" } }),
    "asked to delete it, 3 times: quota",
  );
});

test("advice is set beside the number of hosts there are to be", () => {
  const of = (advice: object) => adviceOf(pool({ wanted: 3, advice: { because: "", ...advice } }));
  assert.equal(of({ count: 4 }), "more");
  assert.equal(of({ count: 3 }), "same");
  assert.equal(of({ count: 3, fewer: 1 }), "fewer");
  assert.equal(adviceOf(pool({ wanted: 3 })), undefined);
});

test("whoever makes the machines is named", () => {
  assert.equal(providerWords(pool({})), "hosts that are there: h1, h2");
  const exec = { provider: { exec: { create: ["/p/make", "-x"], list: [], delete: [] } } };
  assert.equal(providerWords(pool({}, exec)), "a program: /p/make -x");
});

test("the least and the most stand where they are on the line, and do not run into each other", () => {
  const told = (min: number, max: number) =>
    scaleEnds(min, max).map(({ word, at }) => `${word} @${Math.round(at * 100)}`);
  assert.deepEqual(told(1, 3), ["0 @0", "from 1 @33", "to 3 @100"]);
  assert.deepEqual(told(0, 10), ["from 0 @0", "to 10 @100"]);
  assert.deepEqual(told(1, 100), ["from 1 @1", "to 100 @100"]);
  assert.deepEqual(told(9, 10), ["0 @0", "9 to 10 @100"]);
  assert.deepEqual(told(2, 2), ["0 @0", "only 2 @100"]);
});
