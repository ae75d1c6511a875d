import assert from "node:assert/strict";
import { test } from "node:test";
import { metricsOf, narrow, parse, placeOf, tokens, wishAt } from "./promql";

const faultOf = (text: string) => parse(text).fault;

test("what is well written has no fault", () => {
  const good = [
    "up",
    '{__name__="up", job!~"a|b",}',
    'sum by (host, mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))',
    "sum(rate(x[5m])) by (host) / on (host) group_left (zone) count(y) by (host)",
    "a and on () b or vector(0) unless ignoring(x) c",
    "histogram_quantile(0.99, sum by (le) (rate(b_bucket[1m] offset 1h)))",
    "max_over_time(rate(x[1m])[1h:30s]) @ end()",
    "-1 ^ 2 > bool 1e3 # a remark",
    "topk(5, objective:bad:ratio_rate1h)",
    'label_replace(x, "a", "$1", "b", "(.*)")',
    "1 - avg_over_time(up[1d:])",
    "time() - 1h30m",
    "Inf + NaN",
  ];
  for (const text of good) assert.equal(faultOf(text), undefined, text);
});

test("a fault is told where it is", () => {
  const faults: [string, number, RegExp][] = [
    ["sum(rate(x[5m])", 14, /"\)" was expected.*ends/],
    ["x{a=b}", 4, /a value in quotes/],
    ["x{a}", 3, /after a/],
    ["rate(x[5])) ", 10, /an operator was expected/],
    ["nothing(x)", 0, /there is no function nothing/],
    ["x[", 1, /a span of time/],
    ["x + ", 2, /something to measure/],
    ["x y", 2, /an operator was expected before "y"/],
    ['x{a="b', 4, /not closed/],
    ["x $ y", 2, /an operator was expected|means nothing/],
    ["sum by host (x)", 7, /after by/],
  ];
  for (const [text, from, message] of faults) {
    const fault = faultOf(text);
    assert.ok(fault, text);
    assert.equal(fault.from, from, `${text}: ${fault.message}`);
    assert.match(fault.message, message);
    assert.ok(fault.to > fault.from && fault.to <= text.length, text);
  }
});

test("any text is read to its end, however broken", () => {
  const letters = "ab{}()[]\"'=~!,:5m+-* \n#@é";
  let seed = 7;
  for (let round = 0; round < 400; round += 1) {
    let text = "";
    for (let k = 0; k < 18; k += 1) {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      text += letters[seed % letters.length];
    }
    parse(text);
    for (let pos = 0; pos <= text.length; pos += 1) wishAt(text, pos);
    assert.equal(
      tokens(text)
        .map((t) => t.text)
        .join("")
        .replaceAll(/\s/g, ""),
      text.replaceAll(/\s/g, ""),
    );
  }
});

const wish = (marked: string) => {
  const pos = marked.indexOf("|");
  return wishAt(marked.slice(0, pos) + marked.slice(pos + 1), pos);
};

test("what could stand at the cursor is known", () => {
  assert.deepEqual(wish("no|"), { kind: "expression", from: 0 });
  assert.deepEqual(wish("sum(ra|"), { kind: "expression", from: 4 });
  assert.deepEqual(wish("up{|}"), { kind: "label", from: 3, metrics: ["up"] });
  assert.deepEqual(wish('up{a="b", ho|'), { kind: "label", from: 10, metrics: ["up"] });
  assert.deepEqual(wish('up{host="|'), { kind: "value", from: 9, label: "host", metric: "up" });
  assert.deepEqual(wish('up{host=~"h1|'), { kind: "value", from: 10, label: "host", metric: "up" });
  assert.deepEqual(wish("sum by (|) (rate(x[5m]))"), { kind: "label", from: 8, metrics: ["x"] });
  assert.deepEqual(wish("sum(a) by (ho|)"), { kind: "label", from: 11, metrics: ["a"] });
  assert.deepEqual(wish("rate(x[|"), { kind: "span", from: 7 });
  assert.deepEqual(wish("rate(x[5|"), { kind: "span", from: 7 });
  assert.equal(wish('label_replace(x, "a|').kind, "nothing");
  assert.equal(wish("x # rem|").kind, "nothing");
});

test("metrics are told from labels, functions and words", () => {
  assert.deepEqual(
    metricsOf('sum by (host) (rate(a{b="c"}[5m])) / on (host) group_left d and e offset 5m'),
    ["a", "d", "e"],
  );
});

test("selectors are narrowed unless they say themselves", () => {
  const narrowed = (q: string) => narrow(q, "deployment", "shop.prod");
  assert.equal(narrowed("up"), 'up{deployment="shop.prod"}');
  assert.equal(narrowed("up{}"), 'up{deployment="shop.prod"}');
  assert.equal(
    narrowed('rate(a{b="c"}[5m]) / d'),
    'rate(a{deployment="shop.prod", b="c"}[5m]) / d{deployment="shop.prod"}',
  );
  assert.equal(narrowed('up{deployment="x"}'), 'up{deployment="x"}');
});

test("the server's own place of a fault is understood", () => {
  assert.equal(placeOf("1:5: parse error: unexpected x", "abc def"), 4);
  assert.equal(placeOf("2:1: no", "ab\ncd"), 3);
  assert.equal(placeOf("parse error at char 3: no", "abcdef"), 2);
  assert.equal(placeOf("no such place", "abc"), undefined);
});
