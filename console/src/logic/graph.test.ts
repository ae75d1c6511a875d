import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, directNeeds, layout } from "./graph";

const sizes = { width: 100, gap: 20, between: 10, height: () => 30 };
const step = (name: string, ...needs: string[]) => ({ name, needs });

test("needs that others imply, and those that are not there, have no line", () => {
  const steps = [step("a"), step("b", "a"), step("c", "a", "b", "b", "nowhere", "c")];
  assert.deepEqual(directNeeds(steps).get("c"), ["b"]);
});

test("a step stands right of all it needs", () => {
  const needs = directNeeds([step("a"), step("b", "a"), step("c"), step("d", "b", "c")]);
  assert.deepEqual([...columnsOf(needs).values()], [0, 1, 0, 2]);
});

test("steps that wait for each other are drawn all the same", () => {
  const drawn = layout([step("a", "b"), step("b", "a"), step("c", "b")], sizes);
  assert.equal(drawn.places.size, 3);
});

test("forty steps overlap nowhere", () => {
  const steps = [step("first")];
  for (let k = 0; k < 40; k += 1) {
    steps.push(step(`s${k}`, k % 7 === 0 ? "first" : `s${k - (k % 7)}`, `s${Math.floor(k / 2)}`));
  }
  const { places, edges, width, height } = layout(steps, sizes);
  const all = [...places.values()];
  for (const [i, a] of all.entries()) {
    assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= width && a.y + a.height <= height + 0.01);
    for (const b of all.slice(i + 1)) {
      const apart = a.x !== b.x || a.y + a.height <= b.y + 0.01 || b.y + b.height <= a.y + 0.01;
      assert.ok(apart, `${JSON.stringify(a)} and ${JSON.stringify(b)}`);
    }
  }
  for (const { from, to } of edges) {
    const [a, b] = [places.get(from), places.get(to)];
    assert.ok(a && b && a.x < b.x, `${from} → ${to}`);
  }
});

test("nothing is drawn of nothing", () => {
  assert.deepEqual(layout([], sizes).height, 0);
});
