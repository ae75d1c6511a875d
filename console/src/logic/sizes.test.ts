import assert from "node:assert/strict";
import { test } from "node:test";
import type { SizeReport, SizeRow } from "../api/objects";
import { sizeLead } from "./sizes";

const report = (...verdicts: SizeRow["verdict"][]): SizeReport => ({
  over: "7d",
  rows: verdicts.map((verdict) => ({
    deployment: "shop.prod",
    release: "shop-1",
    instances: 2,
    verdict,
    asked: { cpu: "500m", memory: "512Mi" },
  })),
});

test("what instances ask for is said in one line", () => {
  assert.equal(sizeLead(report("unknown")), "too little is measured of the last 7d yet");
  assert.equal(sizeLead(report("fits", "unknown")), "1 deployment, as much as is used");
  const wrong = { ...report("tooMuch", "fits", "tooLittle"), currency: "EUR", saves: "0.5" };
  const lead = "2 of 3 deployments to change, in run.resources";
  assert.equal(sizeLead(wrong), `${lead}; 365.00 EUR a month too much`);
  assert.equal(sizeLead({ ...wrong, saves: "-1" }), lead);
});
