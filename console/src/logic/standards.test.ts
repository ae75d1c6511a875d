import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding, Scorecard } from "../api/objects";
import { allFindings, moved, scores, scoreTone } from "./standards";

const now = Date.parse("2026-11-26T12:00:00Z");

function card(name: string, owner: string | undefined, score: number, trend: [string, number][]) {
  return {
    apiVersion: "atoll/v1",
    kind: "Scorecard",
    metadata: { name: `application.${name}` },
    spec: { subject: `application/${name}` },
    status: {
      owner,
      score,
      checks: 4,
      broken: 1,
      trend: trend.map(([day, s]) => ({ day: `${day}T00:00:00Z`, score: s })),
      findings: [],
    },
  } as unknown as Scorecard;
}

const cards = [
  card("shop", "team/trade", 80, [
    ["2026-11-01", 60],
    ["2026-11-25", 80],
  ]),
  card("cart", "team/trade", 50, [["2026-11-26", 50]]),
];

test("scores are the middle of their cards, day by day", () => {
  const [team] = scores(cards, "team", now);
  assert.equal(team?.score, 65);
  assert.equal(team?.checks, 8);
  assert.deepEqual(team?.trend.slice(-3), [60, 80, 65]);
  assert.equal(team?.trend[0], null);
  assert.equal(moved(team as NonNullable<typeof team>), "+5");
  assert.deepEqual(
    scores(cards, "application", now).map((row) => row.name),
    ["cart", "shop"],
  );
});

test("what is enforced comes before what is on trial, and both before what is excused", () => {
  const finding = (standard: string, mode: string, state = "broken") =>
    ({ standard, mode, state, since: "2026-11-26T00:00:00Z" }) as unknown as Finding;
  const one = cards[0] as Scorecard;
  const findings = [
    finding("a", "trial"),
    finding("b", "enforce", "waived"),
    finding("c", "enforce"),
  ];
  const all = allFindings([{ ...one, status: { ...one.status, findings } }]);
  assert.deepEqual(
    all.map((f) => f.standard),
    ["c", "a", "b"],
  );
  assert.equal(scoreTone(undefined), "off");
});
