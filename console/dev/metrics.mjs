// Pretended series: Prometheus' HTTP API over the pretended fleet. It understands no PromQL; from
// the metric, the labels and the grouping named in a query it makes up curves that look right.
import { instancesOf, world } from "./fleet.mjs";

const ABOUT = {
  node_cpu_seconds_total: ["counter", "Seconds the processors spent in each mode."],
  node_load5: ["gauge", "5m load average."],
  node_load15: ["gauge", "15m load average."],
  node_load1: ["gauge", "1m load average."],
  node_memory_MemAvailable_bytes: ["gauge", "Memory that can be had without swapping."],
  node_memory_MemTotal_bytes: ["gauge", "Memory there is."],
  node_filesystem_avail_bytes: ["gauge", "Space left on a file system."],
  node_filesystem_size_bytes: ["gauge", "Space there is on a file system."],
  node_disk_io_time_seconds_total: ["counter", "Seconds a disk was busy."],
  node_disk_read_bytes_total: ["counter", "Bytes read of a disk."],
  node_disk_written_bytes_total: ["counter", "Bytes written to a disk."],
  node_network_receive_bytes_total: ["counter", "Bytes received."],
  node_network_transmit_bytes_total: ["counter", "Bytes sent."],
  node_pressure_cpu_waiting_seconds_total: ["counter", "Seconds something waited for a processor."],
  node_pressure_memory_waiting_seconds_total: ["counter", "Seconds something waited for memory."],
  node_pressure_io_waiting_seconds_total: ["counter", "Seconds something waited for a disk."],
  container_cpu_usage_seconds_total: ["counter", "Seconds an instance used processors."],
  container_memory_working_set_bytes: ["gauge", "Memory an instance holds."],
  container_spec_memory_limit_bytes: ["gauge", "Memory an instance may hold."],
  atoll_instance_restarts_total: ["counter", "How often an instance was started again."],
  atoll_instance_log_lines_total: ["counter", "Lines an instance wrote, by level."],
  atoll_instance_log_errors_total: ["counter", "Lines of errors, by template."],
  http_requests_total: ["counter", "Requests answered, by code."],
  http_request_duration_seconds_sum: ["counter", "Seconds spent on requests."],
  http_request_duration_seconds_count: ["counter", "Requests answered."],
  http_request_duration_seconds_bucket: ["counter", "Requests answered within so many seconds."],
  demo_wave: ["gauge", "A hundred series to look at charts with."],
  up: ["gauge", "Whether a target answers."],
};
const VALUES = {
  mode: ["user", "system", "iowait", "softirq", "steal", "idle"],
  device: ["nvme0n1", "eth0"],
  mountpoint: ["/", "/var/lib/atoll"],
  level: ["info", "warn", "error"],
  code: ["200", "304", "404", "500"],
  template: [
    "cannot reach the database at <ip>:<num>",
    "payment <id> refused: upstream answered <num>",
    "timeout after <duration> while reading cart <id>",
    "unexpected end of stream in <path>",
  ],
};

const hash = (text) => {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
  return ((h >>> 0) % 100_000) / 100_000;
};
/** Noise that is the same whenever it is asked for. */
const noise = (seed, at) => {
  const x = Math.sin(at * 12.9898 + seed * 78.233) * 43758.5453;
  return (x - Math.floor(x)) * 2 - 1;
};
const day = (at) => 1 + 0.35 * Math.sin((at / 86_400) * 2 * Math.PI - 1.2);
const GiB = 2 ** 30;

/** A value of one series at a time in seconds; undefined is a gap. */
function value(query, metric, labels, at, now) {
  const seed = hash(`${metric}${JSON.stringify(labels)}`);
  const n = noise(seed, Math.floor(at / 15));
  const slow = noise(seed, Math.floor(at / 900)) * 0.5 + noise(seed, Math.floor(at / 240)) * 0.5;
  const bump = labels.release?.endsWith("43") || changed(labels, at) ? 1 : 0;
  // An agent was away for a while.
  if (
    hash(`${labels.host ?? labels.instance ?? "x"}gap`) > 0.93 &&
    now - at > 900 &&
    now - at < 1300
  )
    return undefined;
  const shaped = (base, swing, jitter) => base * (day(at) + slow * swing + n * jitter);
  if (metric === "demo_wave")
    return 20 * seed + Math.sin(at / (200 + 900 * seed)) * 8 + n + (n > 0.97 ? 12 : 0);
  if (metric === "node_cpu_seconds_total") {
    const of = { user: 0.3, system: 0.08, iowait: 0.02, softirq: 0.01, steal: 0.004, idle: 0.5 };
    const share = labels.mode ? (of[labels.mode] ?? 0.1) : 0.38;
    return Math.max(0, shaped(share, 0.15, 0.08));
  }
  if (metric.startsWith("node_load")) return shaped(9, 0.3, 0.12);
  if (metric === "node_memory_MemAvailable_bytes")
    return /MemTotal/.test(query) ? 0.42 + slow * 0.03 : (46 + slow * 4) * GiB;
  if (metric === "node_memory_MemTotal_bytes") return 128 * GiB;
  if (metric.startsWith("node_filesystem")) return 0.35 + seed * 0.4 + (at - now) / 6e6;
  if (metric === "node_disk_io_time_seconds_total")
    return Math.max(0, 0.12 + slow * 0.08 + n * 0.03);
  if (metric.startsWith("node_disk")) return Math.max(0, shaped(24e6, 0.6, 0.4));
  if (metric.startsWith("node_network")) return shaped(38e6 * (0.5 + seed), 0.3, 0.12);
  if (metric.startsWith("node_pressure")) return Math.max(0, 0.03 + slow * 0.02 + n * 0.01);
  if (metric === "container_cpu_usage_seconds_total")
    return shaped(0.18 * (0.8 + seed * 0.4) * (1 + 0.35 * bump), 0.12, 0.05);
  if (metric === "container_memory_working_set_bytes")
    return (210 + slow * 18 + seed * 40) * 2 ** 20;
  if (metric === "container_spec_memory_limit_bytes") return 512 * 2 ** 20;
  if (metric === "atoll_instance_restarts_total") return n > 0.992 ? 1 : 0;
  if (metric === "atoll_instance_log_lines_total")
    return (
      { info: 120, warn: 4, error: 0.6 + 9 * bump }[
        labels.level ?? word(query, "level") ?? "info"
      ] *
      (1 + slow * 0.3 + n * 0.2)
    );
  if (metric === "atoll_instance_log_errors_total")
    return Math.max(0, (40 * (1 - seed) + 6) * (1 + slow + n * 0.4));
  if (metric === "http_request_duration_seconds_bucket" || /duration_seconds_sum/.test(query))
    return (0.042 + 0.01 * slow + 0.004 * n) * (1 + 0.3 * bump) * (/0\.99/.test(query) ? 4 : 1);
  if (metric === "http_requests_total" && /5\.\./.test(query))
    return Math.max(0, 0.002 + 0.001 * n + 0.021 * bump);
  if (metric === "http_requests_total" || metric.endsWith("_count"))
    return shaped({ 200: 320, 304: 60, 404: 9, 500: 0.8 }[labels.code] ?? 380, 0.15, 0.05);
  if (metric.startsWith("objective:")) return objective(metric, labels, at, now, query);
  return shaped(1, 0.1, 0.05);
}

const began = Date.now() / 1000;
const changed = (labels, at) =>
  at > began && world.get("instances", labels.instance)?.spec.release === "shop-43";

function objective(_metric, labels, at, now, query) {
  const left = world.get("objectives", `${labels.deployment}.${labels.objective}`)?.status
    .budgetLeft;
  if (left === undefined || left === null) return undefined;
  if (/ratio_rate/.test(query)) return 0.0004 * (1 + noise(hash(labels.objective), at / 300));
  const age = (now - at) / (30 * 86_400);
  const steps = Math.floor(age * 12 + hash(`${labels.deployment}${labels.objective}`)) / 12;
  return Math.min(1, left + (1 - left) * Math.min(1, (age * 0.5 + steps * 0.6) ** 1.3));
}

const word = (query, name) => new RegExp(`\\b${name}\\s*=~?\\s*"([^"]*)"`).exec(query)?.[1];

/** The label sets a query is about. */
function sets(query, metric) {
  const by = /\bby\s*\(([^)]*)\)/
    .exec(query)?.[1]
    .split(/\s*,\s*/)
    .filter(Boolean);
  const given = {};
  for (const key of ["host", "instance", "deployment", "application", "release", "objective"])
    if (word(query, key)) given[key] = word(query, key);
  if (metric === "demo_wave") return Array.from({ length: 100 }, (_, k) => ({ series: `s${k}` }));
  if (metric.startsWith("objective:"))
    return world
      .all("objectives")
      .map((o) => ({ deployment: o.spec.deployment, objective: o.spec.promise.name }))
      .filter((l) => Object.entries(given).every(([k, v]) => l[k] === v || !(k in l)));
  const keys =
    by ?? (/\b(?:sum|avg|max|min|count|histogram_quantile)\s*\(/.test(query) ? [] : undefined);
  const node = metric.startsWith("node_");
  let list;
  if (node)
    list = world.all("hosts").map((h) => ({ host: h.metadata.name, instance: h.metadata.name }));
  else
    list = (given.deployment ? instancesOf(given.deployment) : world.all("instances")).map((i) => ({
      instance: i.metadata.name,
      host: i.spec.host,
      deployment: i.spec.deployment,
      release: i.spec.release,
      application: i.spec.deployment.split(".")[0],
      environment: i.spec.deployment.split(".")[1],
    }));
  list = list.filter((l) =>
    Object.entries(given).every(([k, v]) => new RegExp(`^(?:${v})$`).test(l[k] ?? "")),
  );
  const own = (keys ?? ownLabels(metric)).filter((k) => VALUES[k]);
  const skip = /mode!="idle"/.test(query) ? ["idle"] : [];
  for (const key of own)
    list = list.flatMap((l) =>
      VALUES[key]
        .filter((v) => !skip.includes(v) && fits(query, key, v))
        .map((v) => ({ ...l, [key]: v })),
    );
  const wanted = keys ?? Object.keys(list[0] ?? {});
  const seen = new Map();
  for (const l of list) {
    const labels = Object.fromEntries(wanted.filter((k) => l[k]).map((k) => [k, l[k]]));
    seen.set(JSON.stringify(labels), { ...labels });
  }
  return [...seen.values()];
}

const fits = (query, key, v) => {
  const asked = word(query, key);
  return asked === undefined || new RegExp(`^(?:${asked})$`).test(v);
};

function ownLabels(metric) {
  if (metric === "node_cpu_seconds_total") return ["mode"];
  if (metric.startsWith("node_filesystem")) return ["mountpoint"];
  if (metric === "atoll_instance_log_lines_total") return ["level"];
  if (metric === "atoll_instance_log_errors_total") return ["template"];
  if (metric === "http_requests_total") return ["code"];
  return [];
}

function points(start, end, step) {
  return Array.from(
    { length: Math.floor((end - start) / step + 1e-6) + 1 },
    (_, k) => start + k * step,
  );
}

function metricOf(query) {
  return (
    Object.keys(ABOUT).find((name) => new RegExp(`\\b${name}\\b`).test(query)) ??
    /objective:[a-z_0-9:]+/.exec(query)?.[0]
  );
}

const quality = (count, expected) => {
  const seen = Math.round(expected * 0.984);
  return {
    series: count,
    expected,
    seen,
    completeness: expected ? seen / expected : 0,
    freshness_seconds: count ? 4.2 : null,
  };
};

function range(query, start, end, step) {
  const parts = [...query.matchAll(/label_replace\((.*?), "line", "([^"]*)", "", ""\)/g)];
  if (parts.length > 0)
    return parts.flatMap(([, part, line]) => {
      const flat = /^vector\((\d+)\)$/.exec(part);
      const all = flat
        ? [{ metric: {}, values: points(start, end, step).map((at) => [at, flat[1]]) }]
        : range(part, start, end, step);
      return all.map(({ metric, values }) => ({ metric: { ...metric, line }, values }));
    });
  const plain = [...query.matchAll(/(?<!\d)vector\((\d+)\)/g)].map(([, n]) => n);
  if (plain.length > 0 && !metricOf(query))
    return plain.map((n, k) => ({
      metric: plain.length > 1 ? { line: `l${k}` } : {},
      values: points(start, end, step).map((at) => [at, n]),
    }));
  const metric = metricOf(query);
  if (!metric || /gpu|never/.test(query)) return [];
  const now = Date.now() / 1000;
  return sets(query, metric).map((labels) => {
    const values = [];
    for (let at = start; at <= end + 1e-6; at += step) {
      const v = value(query, metric, { ...labels, ...given(query) }, at, now);
      if (v !== undefined) values.push([at, String(Number(v.toPrecision(7)))]);
    }
    const bare = !/[()]/.test(query);
    return { metric: bare ? { __name__: metric, ...labels } : labels, values };
  });
}

const given = (query) => {
  const deployment = word(query, "deployment");
  return deployment ? { deployment } : {};
};

/** Answers a request below `/api/v1`, or gives nothing where there is no such route. */
export function answer(path, fields) {
  const [, , , verb, label] = path.split("/").map(decodeURIComponent);
  const query = fields.get("query") ?? "";
  if (verb === "query_range") {
    const [start, end, step] = ["start", "end", "step"].map((k) => Number(fields.get(k)));
    if ((end - start) / step > 11_000)
      return refused("exceeded maximum resolution of 11,000 points per series");
    if (/\(\s*\)$|\{[^}]*$/.test(query))
      return refused("1:1: parse error: unexpected end of input");
    const result = range(query, start, end, step);
    const expected = result.length * Math.round((end - start) / 15);
    return {
      status: "success",
      data: { resultType: "matrix", result },
      atoll: quality(result.length, expected),
    };
  }
  if (verb === "query") {
    const at = Number(fields.get("time") ?? Date.now() / 1000);
    const result = range(query, at, at, 15).flatMap(({ metric, values }) =>
      values[0] ? [{ metric, value: values[0] }] : [],
    );
    return {
      status: "success",
      data: { resultType: "vector", result },
      atoll: quality(result.length, result.length * 20),
    };
  }
  const success = (data) => ({ status: "success", data });
  if (verb === "metadata")
    return success(
      Object.fromEntries(
        Object.entries(ABOUT).map(([n, [type, help]]) => [n, [{ type, help, unit: "" }]]),
      ),
    );
  const all = ["application", "deployment", "environment", "host", "instance", "release"];
  if (verb === "labels") {
    const metric = fields.get("match[]") ?? "";
    return success(["__name__", ...all, ...ownLabels(metric)].sort());
  }
  if (verb === "label") {
    if (label === "__name__") return success(Object.keys(ABOUT).sort());
    if (VALUES[label]) return success(VALUES[label]);
    const from = {
      host: "hosts",
      instance: "instances",
      deployment: "deployments",
      application: "applications",
      release: "releases",
      environment: "environments",
    };
    return success(
      from[label]
        ? world
            .all(from[label])
            .map((o) => o.metadata.name)
            .sort()
        : [],
    );
  }
  return undefined;
}

const refused = (error) => ({ status: "error", errorType: "bad_data", error });
