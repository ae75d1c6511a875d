// A pretended peak: one that is there, with what it takes, what was ready, and what was seen so far.
import { world } from "./fleet.mjs";

const at = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
const HOUR = 3_600;

const times = {
  plan: at(-169 * HOUR),
  hosts: at(-49 * HOUR),
  prefetch: at(-25 * HOUR),
  rehearse: at(-13 * HOUR),
  scale: at(-7 * HOUR),
  freeze: at(-3 * HOUR),
  starts: at(-HOUR),
  ends: at(5 * HOUR),
  back: at(6 * HOUR),
};

const check = (name, due, state, message, hint = "") => ({ name, due, state, message, hint });

export function startPeaks() {
  world.put("Peak", "double-eleven", {
    spec: {
      starts: times.starts,
      ends: times.ends,
      environment: "prod",
      applications: { shop: 5 },
    },
    status: {
      phase: "live",
      times,
      hosts: { have: 12, pools: 8, unplaced: 0, beyond: 0, fetched: 12 },
      cost: [{ currency: "EUR", rate: "5.40", total: "64.80", unpriced: [] }],
      applications: [
        {
          deployment: "shop.prod",
          usual: 240,
          expected: 1200,
          course: [{ at: times.starts, expected: 1200 }],
          each: 50,
          known: "proven",
          needed: 27,
          have: 27,
          missing: 0,
          keep: 27,
          room: 27,
          load: 1088,
          reasons: [],
        },
        {
          deployment: "pay.prod",
          called: true,
          usual: 90,
          expected: 570,
          each: 100,
          known: "declared",
          needed: 7,
          have: 5,
          missing: 2,
          keep: 7,
          room: 7,
          load: 512,
          reasons: [
            { code: "declared", message: "that an instance carries 100 is declared, not proven" },
          ],
        },
      ],
      checks: [
        check("plan", times.plan, "done", "34 instances of 2 applications take it"),
        check("budgets", times.hosts, "done", "trade leave room for it"),
        check("pools", times.hosts, "done", "pools may make 8 more hosts"),
        check(
          "proven",
          times.rehearse,
          "late",
          "what an instance carries is only declared of pay.prod",
          "let one carry it under its objectives once, or set it: spec.each of its Capacity",
        ),
        check("rehearsed", times.rehearse, "done", "it held: 2 checks held"),
        check("freeze", times.freeze, "done", "freeze/double-eleven.peak holds releases"),
        check("instances", times.starts, "open", "2 instances are lacking", "see autoscalers"),
      ],
      report: {
        closed: false,
        until: at(0),
        applications: {
          "pay.prod": { expected: 570, highest: 548, at: at(-900), least: 5, most: 5 },
          "shop.prod": { expected: 1200, highest: 1130, at: at(-900), least: 27, most: 27 },
        },
        broken: { "pay.prod.success": 120_000 },
        spent: { EUR: "9.20" },
        decisions: [],
        alerts: ["burn"],
        hosts: 12,
      },
      reasons: [],
    },
  });
}
