import assert from "node:assert/strict";
import { test } from "node:test";
import { deployment, instance } from "../logic/examples";
import type { WatchEvent, Watched } from "./objects";
import { Store } from "./store";

/** A store whose frames come when the test says so. */
function stepped() {
  const frames: (() => void)[] = [];
  const store = new Store(
    (run) => frames.push(run),
    () => 1000,
  );
  const frame = () => {
    for (const run of frames.splice(0)) run();
  };
  return { store, frame, frames };
}

const put = (object: Watched): WatchEvent =>
  ({ event: "put", revision: object.metadata.revision ?? 0, object }) as WatchEvent;
const gone = (object: Watched, revision: number): WatchEvent =>
  ({ event: "delete", revision, object }) as WatchEvent;
const sync = (revision: number): WatchEvent => ({ event: "sync", revision });

function synced(...objects: Watched[]) {
  const stage = stepped();
  stage.store.begin();
  for (const object of objects) stage.store.feed(put(object));
  stage.store.feed(sync(10));
  stage.frame();
  return stage;
}

test("nothing is shown until everything has come in", () => {
  const { store, frame } = stepped();
  store.begin();
  store.feed(put(deployment("shop.prod")));
  frame();
  assert.equal(store.snapshot().synced, false);
  assert.equal(store.snapshot().tables.deployments.size, 0);
  store.feed(sync(5));
  frame();
  assert.equal(store.snapshot().synced, true);
  assert.equal(store.snapshot().tables.deployments.size, 1);
  assert.equal(store.snapshot().revision, 5);
});

test("a thousand events cost one frame and one notice", () => {
  const { store, frame, frames } = synced();
  let notices = 0;
  store.subscribe(() => {
    notices += 1;
  });
  for (let k = 0; k < 1000; k += 1) {
    store.feed(put(instance(`shop.prod.${k}`, "h1", { revision: 11 + k })));
  }
  assert.equal(frames.length, 1);
  frame();
  assert.equal(notices, 1);
  assert.equal(store.snapshot().tables.instances.size, 1000);
});

test("tables that were not written to stay the very same", () => {
  const { store, frame } = synced(deployment("shop.prod"));
  const before = store.snapshot().tables;
  store.feed(put(instance("shop.prod.0", "h1", { revision: 11 })));
  frame();
  assert.equal(store.snapshot().tables.deployments, before.deployments);
  assert.notEqual(store.snapshot().tables.instances, before.instances);
});

test("an older write does not undo a newer one", () => {
  const { store, frame } = synced(deployment("shop.prod"));
  store.learn(deployment("shop.prod", { revision: 20, spec: { instances: 9 } }));
  store.feed(put(deployment("shop.prod", { revision: 15, spec: { instances: 4 } })));
  frame();
  assert.equal(store.snapshot().tables.deployments.get("shop.prod")?.spec.instances, 9);
});

test("what an answer told does not move the place the stream goes on from", () => {
  const { store, frame } = synced(deployment("shop.prod"));
  store.learn(deployment("shop.prod", { revision: 20 }));
  frame();
  assert.equal(store.snapshot().revision, 10);
});

test("after an outage what was sent anew takes the place of all that was", () => {
  const { store, frame } = synced(deployment("shop.prod"), deployment("gone.prod"));
  store.begin();
  store.feed(put(deployment("shop.prod", { revision: 3, spec: { instances: 7 } })));
  frame();
  assert.equal(store.snapshot().tables.deployments.size, 2, "the old state is kept meanwhile");
  store.feed(sync(4));
  frame();
  const { tables, revision } = store.snapshot();
  assert.deepEqual([...tables.deployments.keys()], ["shop.prod"]);
  assert.equal(tables.deployments.get("shop.prod")?.spec.instances, 7);
  assert.equal(revision, 4, "even where the revisions begin anew");
});

test("a full sending that breaks off leaves what was", () => {
  const { store, frame } = synced(deployment("shop.prod"), deployment("stock.prod"));
  store.begin();
  store.feed(put(deployment("shop.prod")));
  store.broken();
  store.feed(put(deployment("mail.prod", { revision: 12 })));
  frame();
  assert.equal(store.snapshot().tables.deployments.size, 3);
});

test("deleting takes out, and is told", () => {
  const shop = deployment("shop.prod");
  const { store, frame } = synced(shop);
  store.feed(gone(shop, 11));
  frame();
  assert.equal(store.snapshot().tables.deployments.size, 0);
  assert.equal(store.snapshot().changes[0]?.text, "is gone");
});

test("the first sending is no news; what comes later is, newest first", () => {
  const { store, frame } = synced(deployment("shop.prod"));
  assert.deepEqual(store.snapshot().changes, []);
  store.feed(put(deployment("shop.prod", { revision: 11, status: { phase: "rolling" } })));
  store.feed(put(deployment("shop.prod", { revision: 12, status: { phase: "soaking" } })));
  frame();
  const texts = store.snapshot().changes.map((c) => c.text);
  assert.deepEqual(texts, ["rolling → soaking on shop-1", "settled → rolling on shop-1"]);
});

test("kinds that are not watched are let pass", () => {
  const { store, frame } = synced();
  const before = store.snapshot();
  store.feed({ event: "put", revision: 11, object: { kind: "Token" } } as unknown as WatchEvent);
  frame();
  assert.equal(store.snapshot(), before);
});
