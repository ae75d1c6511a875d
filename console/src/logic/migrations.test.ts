import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Migration } from "../api/objects";
import {
  type Asking,
  backable,
  gone,
  hostsWord,
  orderedMigrations,
  specOf,
  stateOf,
  wavesOf,
  wrongWith,
} from "./migrations";

const migration = (status: object, spec: object = {}, name = "m"): Migration =>
  ({ metadata: { name }, spec: { off: "zone = a", ...spec }, status }) as unknown as Migration;

const at = "2026-01-01T00:00:00Z";
const wave = (number: number, moved: object, back = false) => ({
  number,
  began: at,
  ended: at,
  moved,
  back,
});

test("waves are those that are over, the one under way, and what is left", () => {
  const moving = {
    "web.prod.3": { deployment: "web.prod", from: "h1" },
    "pay.prod.1": { deployment: "pay.prod", from: "h1" },
  };
  const waves = [wave(1, { "web.prod": 2, "pay.prod": 1 }), wave(2, { "web.prod": 2 }, true)];
  const told = wavesOf(migration({ phase: "moving", waves, moving, wave: 3, left: 6 }));
  assert.deepEqual(
    told.map((w) => [w.state, w.number, w.instances]),
    [
      ["done", 1, 3],
      ["back", 2, 2],
      ["going", 3, 2],
      ["ahead", undefined, 4],
    ],
  );
  assert.deepEqual(told[2]?.moved, [
    ["pay.prod", 1],
    ["web.prod", 1],
  ]);
});

test("nothing is to come once it is over", () => {
  const told = wavesOf(migration({ phase: "cancelled", waves: [wave(1, { a: 1 })], left: 5 }));
  assert.deepEqual(
    told.map((w) => w.state),
    ["done"],
  );
});

test("a wave that was given up is told with what it did not move, in its place", () => {
  // As the planner words it, in the case that proves that.
  const told = readFileSync("../crates/plan/tests/cases/migration/port-taken.txt", "utf8");
  const message = /given-up: (.*)/.exec(told)?.[1];
  const reasons = [{ code: "given-up", message }];
  const of = (waves: object[]) =>
    wavesOf(migration({ phase: "cancelled", waves, reasons, left: 1 })).map((w) => [
      w.state,
      w.number,
      w.instances,
    ]);
  assert.deepEqual(of([]), [["givenUp", 1, 1]]);
  assert.deepEqual(of([wave(1, { a: 3 }), wave(2, { a: 2 }, true)]), [
    ["done", 1, 3],
    ["givenUp", 1, 1],
    ["back", 2, 2],
  ]);
});

test("hosts are told to be emptied only where nothing was left there", () => {
  const word = (status: object, spec: object = {}) => hostsWord(migration(status, spec));
  assert.equal(word({ phase: "moving", left: 2 }), "being emptied");
  assert.equal(word({ phase: "done", left: 0 }), "emptied");
  assert.equal(word({ phase: "cancelled", left: 1 }), "moved off");
  assert.equal(word({ phase: "cancelled", left: 0 }), "moved off");
  assert.equal(word({ phase: "done", left: 0, back: 1 }), "moved off");
  assert.equal(word({ phase: "done", left: 0 }, { balance: true }), "moved off");
  assert.equal(word({ phase: "moving" }, { applications: "app=web" }), "being moved off");
});

test("waves that were taken back, or are about to be, are not taken back again", () => {
  const waves = [wave(1, { a: 1 }), wave(2, { a: 1 }), wave(3, { a: 1 })];
  assert.equal(backable(migration({ waves })), 3);
  assert.equal(backable(migration({ waves, back: 1 }, { back: 2 })), 1);
  assert.equal(
    backable(migration({ waves: [wave(1, { a: 1 }), wave(1, { a: 1 }, true)], back: 1 })),
    0,
  );
});

test("what a migration found and did not move is counted, when waves are taken back too", () => {
  assert.equal(gone(migration({ found: 8, moved: 5 })), 3);
  assert.equal(gone(migration({ found: 8, moved: 5, left: 3 })), 0);
  assert.equal(gone(migration({ moved: 5 })), 0);
  assert.equal(gone(migration({ found: 8, left: 6, back: 1 })), 2);
});

test("what goes on comes first", () => {
  const all = [migration({ phase: "done" }, {}, "old"), migration({ phase: "stuck" }, {}, "new")];
  assert.deepEqual(
    orderedMigrations(all).map((m) => m.metadata.name),
    ["new", "old"],
  );
});

test("a target is made of what is chosen, with names as text", () => {
  const how = { wave: "10%", pause: "0s", retire: true };
  const rest = { wave: "10%", pause: "0s" };
  assert.deepEqual(specOf({ what: "zone", of: "a" }, how), {
    off: 'zone = "a"',
    retire: true,
    ...rest,
  });
  assert.deepEqual(specOf({ what: "host", of: 'h"1' }, how)?.off, 'name = "h\\"1"');
  assert.deepEqual(specOf({ what: "balance" }, how), { balance: true, ...rest });
});

test("what is wrong with a migration is said before it is asked for", () => {
  const how = { wave: "10%", pause: "0s", retire: false };
  const hosts = new Set(["h1"]);
  const wrong = (asking: Asking, other: object = {}) =>
    wrongWith(asking, { ...how, ...other }, hosts);
  assert.equal(wrong({ what: "host", of: "h1" }), undefined);
  assert.equal(wrong({ what: "host", of: "zzz" }), "There is no host zzz.");
  assert.match(wrong({ what: "zone", of: " " }) ?? "", /which zone/);
  assert.match(wrong({ what: "filter", of: "" }) ?? "", /which hosts/);
  for (const wave of ["0%", "0", "abc", "-1", "1000%", "101%", ""]) {
    assert.match(wrong({ what: "balance" }, { wave }) ?? "", /at a time/i, wave);
  }
  assert.equal(wrong({ what: "balance" }, { wave: "100%" }), undefined);
  assert.match(wrong({ what: "balance" }, { pause: "soon" }) ?? "", /between two waves/i);
});

test("one that was cancelled is told to end until it has", () => {
  const word = (phase: string) => stateOf(migration({ phase }, { cancelled: true })).word;
  assert.equal(word("moving"), "ends with this wave");
  assert.equal(word("cancelled"), "cancelled");
  assert.equal(stateOf(migration({ phase: "moving" })).word, "moving");
});
