// A pretended server to look at the console with: the API over a pretended fleet, and the built
// console itself with the policy the real server sends.
//   node dev/mock.mjs [PORT]      INSTANCES=3000 HOSTS=60 SIGNIN=1 EMPTY=1 node dev/mock.mjs
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pipelineTests, runTests, startPipelines, taskLog } from "./ci.mjs";
import { startConfig } from "./config.mjs";
import { packageOf, startDelivery } from "./delivery.mjs";
import { world as fleet, instancesOf } from "./fleet.mjs";
import { answer } from "./metrics.mjs";
import { logs, start } from "./monitoring.mjs";
import { startPeaks } from "./peak.mjs";
import { diff, KINDS, World } from "./world.mjs";

const port = Number(process.argv[2] ?? 7412);
const dist = fileURLToPath(new URL("../dist", import.meta.url));
const world = process.env.EMPTY ? new World() : fleet;
if (!process.env.EMPTY) {
  start();
  startPipelines();
  startDelivery();
  startConfig();
  startPeaks();
}
const asksForToken = Boolean(process.env.SIGNIN);
const POLICY =
  "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

const send = (response, status, body, type = "application/json") => {
  response.writeHead(status, {
    "content-type": type,
    "content-security-policy": POLICY,
    "cache-control": "no-store",
  });
  response.end(typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body));
};

const problem = (response, status, code, title, reasons = []) =>
  send(
    response,
    status,
    { type: "about:blank", title, status, code, reasons },
    "application/problem+json",
  );

function asset(response, path) {
  const name = TYPES[extname(path)] ? path : "/index.html";
  try {
    send(
      response,
      200,
      readFileSync(join(dist, name)),
      TYPES[extname(name)] ?? "application/octet-stream",
    );
  } catch {
    send(response, 404, "not found", "text/plain");
  }
}

function watch(request, response, url) {
  const kinds = new Set((url.searchParams.get("kinds") ?? "").split(","));
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const write = (event, id) =>
    response.write(`${id ? `id: ${event.revision}\n` : ""}data: ${JSON.stringify(event)}\n\n`);
  for (const plural of kinds) {
    for (const object of world.all(plural))
      write({ event: "put", revision: object.metadata.revision, object }, false);
  }
  write({ event: "sync", revision: world.revision }, true);
  const watcher = (event) => kinds.has(KINDS[event.object.kind]) && write(event, true);
  world.watchers.add(watcher);
  const beat = setInterval(() => response.write(":\n\n"), 15_000);
  request.on("close", () => {
    clearInterval(beat);
    world.watchers.delete(watcher);
  });
}

const body = (request) =>
  new Promise((resolve) => {
    let text = "";
    request.on("data", (piece) => {
      text += piece;
    });
    request.on("end", () => resolve(text ? JSON.parse(text) : undefined));
  });

function merged(value, patch) {
  const next = { ...value };
  for (const [key, field] of Object.entries(patch)) {
    if (field === null) delete next[key];
    else next[key] = field;
  }
  return next;
}

function following(old, next) {
  const more = next.spec.instances - old.spec.instances;
  if (old.kind !== "Deployment" || !more) return [];
  const { name } = old.metadata;
  const by = "controller/deployment";
  if (more < 0) {
    return instancesOf(name)
      .slice(more)
      .map((i) => ({ op: "delete", kind: "Instance", name: i.metadata.name, diff: [], by }));
  }
  const first = instancesOf(name).length;
  return Array.from({ length: more }, (_, k) => ({
    op: "create",
    kind: "Instance",
    name: `${name}.${first + k}`,
    diff: [
      { path: "spec.host", to: `h${1 + ((first + k) % 20)}` },
      { path: "spec.release", to: next.spec.release ?? old.status.release },
    ],
    by,
  }));
}

function change(response, old, spec, dryRun, intent) {
  const next = { ...old, spec };
  const changes = diff(old, next);
  const op = changes.length > 0 ? "update" : "unchanged";
  const mine = { op, kind: old.kind, name: old.metadata.name, diff: changes, by: "you" };
  if (spec.instances > 5000) {
    const reasons = [
      {
        code: "no-room",
        message: `room for ${spec.instances} instances is not there: 20 hosts have 112 cores free`,
        hint: "join hosts, or ask for fewer",
      },
    ];
    if (dryRun) return send(response, 200, { verdict: "deny", writes: [mine], reasons });
    return problem(response, 403, "denied", reasons[0].message, reasons);
  }
  if (old.spec.application === "ledger" && old.spec.environment === "prod") {
    const reasons = [
      {
        code: "frozen",
        message: "freeze/ledger-close holds changes in prod: the books of the month are closed",
        hint: "wait for 5h, or override it with the annotation atoll/override-freeze",
      },
    ];
    if (dryRun) return send(response, 200, { verdict: "hold", writes: [mine], reasons });
    return problem(response, 403, "held", reasons[0].message, reasons);
  }
  if (dryRun)
    return send(response, 200, {
      verdict: "commit",
      writes: [mine, ...following(old, next)],
      reasons: [],
    });
  const kept = world.put(old.kind, old.metadata.name, { spec, actor: "user/local", intent });
  if (old.kind === "Host")
    world.status("Host", old.metadata.name, {
      phase: spec.drain ? "draining" : spec.cordon ? "cordoned" : "ready",
      since: new Date().toISOString(),
      reasons: [],
    });
  send(response, 200, {
    verdict: "commit",
    writes: [mine],
    reasons: [],
    revision: world.revision,
    objects: [kept],
  });
}

function why(object) {
  const { status, spec, kind, metadata } = object;
  const state =
    {
      Deployment: `${metadata.name} is ${status.phase}: ${status.ready} of ${spec.instances} instances are ready on ${status.release}`,
      Host: `${metadata.name} is ${status.phase}`,
    }[kind] ?? `${metadata.name} is as it was written`;
  const soaking = status.rollout?.soakingSince;
  return {
    subject: `${kind.toLowerCase()}/${metadata.name}`,
    state,
    reasons: status.reasons ?? [],
    waitingFor: soaking
      ? [`the soak of step ${status.rollout.step + 1}, since ${soaking.slice(11, 19)}`]
      : [],
    next: soaking
      ? ["the next step, as soon as the soak is over and nothing has failed meanwhile"]
      : [],
    lately: [],
    see:
      kind === "Deployment"
        ? [
            `application/${spec.application}`,
            ...(status.rollout ? [`release/${status.rollout.to}`] : []),
          ]
        : [],
  };
}

async function objects(request, response, url, plural, name) {
  const dry = url.searchParams.get("dryRun") === "true";
  const object = world.get(plural, name);
  if (request.method === "PUT" && !object) {
    const { kind, spec } = await body(request);
    const write = { op: "create", kind, name, diff: diff(undefined, { spec }), by: "you" };
    if (dry) return send(response, 200, { verdict: "commit", writes: [write], reasons: [] });
    const made = world.put(kind, name, { spec, actor: "user/local", intent: "edit" });
    return send(response, 200, {
      verdict: "commit",
      writes: [write],
      reasons: [],
      objects: [made],
    });
  }
  if (!object)
    return problem(response, 404, "not-found", `there is no ${plural.slice(0, -1)}/${name}`);
  if (request.method === "GET") return send(response, 200, object);
  if (request.method === "DELETE") {
    const write = { op: "delete", kind: object.kind, name, diff: [], by: "you" };
    if (!dry) world.remove(object.kind, name);
    return send(response, 200, { verdict: "commit", writes: [write], reasons: [] });
  }
  const patch = await body(request);
  const match = request.headers["if-match"];
  if (match && Number(match) !== object.metadata.revision) {
    return problem(
      response,
      409,
      "conflict",
      `${name} is at revision ${object.metadata.revision}, not ${match}`,
    );
  }
  change(
    response,
    object,
    merged(object.spec, patch.spec),
    url.searchParams.get("dryRun") === "true",
    "edit",
  );
}

async function api(request, response, url) {
  const [, , verb, plural, name] = url.pathname.split("/").map(decodeURIComponent);
  if (verb === "session") {
    if (request.method === "DELETE")
      response.setHeader("set-cookie", "atoll_session=; Path=/; Max-Age=0");
    else if ((await body(request)).token !== "secret")
      return problem(
        response,
        401,
        "unauthorized",
        "this token is not valid for people, or has ended",
      );
    else response.setHeader("set-cookie", "atoll_session=1; Path=/; HttpOnly; SameSite=Strict");
    response.writeHead(204).end();
    return;
  }
  if (verb === "login") return send(response, 200, { password: true, provider: "id.example" });
  if (asksForToken && !request.headers.cookie?.includes("atoll_session=1"))
    return problem(response, 401, "unauthorized", "no valid token");
  if (verb === "logs") return send(response, 200, logs(url.searchParams));
  if (verb === "whoami")
    return send(response, 200, {
      name: asksForToken ? "user/anna" : "user/local",
      role: "admin",
      roles: ["admin"],
      teams: [],
      verbs: ["read", "write", "delete", "logs", "exec", "run", "approve", "override"],
      session: asksForToken,
      serverVersion: "0.1.0",
    });
  if (verb === "packages" && plural) return send(response, 200, packageOf(plural));
  if (name === "tests")
    return send(response, 200, (verb === "runs" ? runTests : pipelineTests)(plural));
  if (name === "log") return send(response, 200, taskLog(plural), "text/plain; charset=utf-8");
  if (name === "runs" && request.method === "POST") {
    return send(response, 200, { run: `${plural}.60`, existed: false });
  }
  if (verb === "watch") return watch(request, response, url);
  if (verb === "history") {
    const limit = Number(url.searchParams.get("limit") ?? 50);
    const before = Number(url.searchParams.get("before") ?? Number.POSITIVE_INFINITY);
    const all = world.history.get(`${plural}/${name}`) ?? [];
    const entries = all.filter((entry) => entry.revision < before).slice(0, limit);
    return send(response, 200, { entries: entries.map(({ object: _, ...entry }) => entry) });
  }
  if (verb === "audit") {
    const all = [...world.history.values()].flat().sort((a, b) => b.revision - a.revision);
    if (plural === "verify")
      return send(response, 200, { holds: true, records: all.length, revision: 1, head: "0" });
    return send(response, 200, {
      entries: all.slice(0, 300).map(({ object: _, diff: __, ...entry }) => ({
        ...entry,
        hash: "0".repeat(64),
      })),
    });
  }
  if (verb === "why") {
    const object = world.get(plural, name);
    return object
      ? send(response, 200, why(object))
      : problem(response, 404, "not-found", "there is none");
  }
  if (verb === "rollback") {
    const past = (world.history.get(`${plural}/${name}`) ?? []).find(
      (e) => e.revision === Number(url.searchParams.get("to")),
    );
    if (!past) return problem(response, 404, "not-found", "there is no such revision");
    return change(
      response,
      world.get(plural, name),
      past.object.spec,
      url.searchParams.get("dryRun") === "true",
      "revert",
    );
  }
  if (world.tables[verb] && plural) return objects(request, response, url, verb, plural);
  problem(response, 404, "not-found", `there is no route ${url.pathname}`);
}

async function metrics(request, response, url) {
  let text = "";
  if (request.method === "POST") for await (const piece of request) text += piece;
  const fields = text ? new URLSearchParams(text) : url.searchParams;
  const told = answer(url.pathname, fields);
  if (!told) return problem(response, 404, "not-found", `there is no route ${url.pathname}`);
  send(response, told.status === "error" ? 400 : 200, told);
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://here");
  if (url.pathname.startsWith("/api/v1/")) void metrics(request, response, url);
  else if (url.pathname.startsWith("/v1/")) void api(request, response, url);
  else asset(response, url.pathname);
});

/** A frame of a WebSocket; the pretended log needs no more of the protocol than this. */
function frame(bytes) {
  const head =
    bytes.length < 126 ? [0x82, bytes.length] : [0x82, 126, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from(head), bytes]);
}

server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  let count = 0;
  const line = () => {
    count += 1;
    const took = Math.floor(Math.random() * 90);
    const text = `${new Date().toISOString()} \u001b[32mINFO\u001b[0m request method=GET path=/items/${count} status=200 took=${took}ms\n`;
    socket.write(frame(Buffer.concat([Buffer.from([1]), Buffer.from(text)])));
  };
  for (let k = 0; k < 60; k += 1) line();
  const beat = setInterval(line, 350);
  const end = () => clearInterval(beat);
  socket
    .on("close", end)
    .on("error", end)
    .on("data", () => {});
});

server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
