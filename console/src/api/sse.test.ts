import assert from "node:assert/strict";
import { test } from "node:test";
import { appendText } from "./session";
import { messages } from "./sse";

test("messages are read however the bytes are cut", () => {
  const text = 'id: 7\ndata: {"a":\ndata: 1}\n\n: alive\n\ndata:x\r\n\r\n';
  const whole = messages()(text);
  assert.deepEqual(whole, [
    { id: "7", data: '{"a":\n1}' },
    { id: undefined, data: "x" },
  ]);
  for (let cut = 1; cut < text.length; cut += 1) {
    const take = messages();
    assert.deepEqual([...take(text.slice(0, cut)), ...take(text.slice(cut))], whole);
  }
});

test("log text goes on where the last line was left open", () => {
  const lines = appendText(appendText([""], "one\ntw"), "o\nthree\n");
  assert.deepEqual(lines, ["one", "two", "three", ""]);
});

test("what is meant for terminals is left out of logs", () => {
  assert.deepEqual(appendText([""], "\u001b[32mINFO\u001b[0m ok\r\n"), ["INFO ok", ""]);
});
