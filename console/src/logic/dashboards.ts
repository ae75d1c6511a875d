// What is measured of hosts, instances, deployments and applications, as panels: made from what the
// object is, so that nobody has to set them up. The names are those of node_exporter and cAdvisor.
import { rateWindow } from "./period";
import type { Unit } from "./units";

export interface Panel {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** PromQL for points so many milliseconds apart. */
  readonly query: (step: number) => string;
  readonly stack?: boolean;
}

export interface Section {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const quoted = (value: string) => JSON.stringify(value);

/** Several lines of one panel, told apart by the label `line`. */
function lines(all: readonly (readonly [string, string])[]): string {
  return all
    .map(([name, query]) => `label_replace(${query}, "line", ${quoted(name)}, "", "")`)
    .join(" or ");
}

type Rated = (metric: string, more?: string) => string;

/** Rates of metrics that bear a condition. */
function rates(condition: string, step: number): Rated {
  const window = rateWindow(step);
  return (metric, more = "") => `rate(${metric}{${condition}${more && `, ${more}`}}[${window}])`;
}

function panel(id: string, title: string, unit: Unit, query: Panel["query"], stack = false): Panel {
  return { id, title, unit, query, stack };
}

/** Everything of a machine. */
export function hostPanels(host: string): Section[] {
  const is = `host=${quoted(host)}`;
  const real = 'device!~"lo|veth.*|docker.*|br-.*"';
  const disks = 'fstype!~"tmpfs|overlay|squashfs|devtmpfs"';
  return [
    {
      title: "Processor and memory",
      panels: [
        panel(
          "cpu",
          "CPU by mode",
          "share",
          (s) => `avg by (mode) (${rates(is, s)("node_cpu_seconds_total", 'mode!="idle"')})`,
          true,
        ),
        panel("load", "Load", "plain", () =>
          lines([
            ["1 minute", `node_load1{${is}}`],
            ["5 minutes", `node_load5{${is}}`],
            ["15 minutes", `node_load15{${is}}`],
          ]),
        ),
        panel(
          "memory",
          "Memory in use",
          "share",
          () => `1 - node_memory_MemAvailable_bytes{${is}} / node_memory_MemTotal_bytes{${is}}`,
        ),
        panel("pressure", "Pressure: time spent waiting", "share", (s) =>
          lines([
            ["for a processor", rates(is, s)("node_pressure_cpu_waiting_seconds_total")],
            ["for memory", rates(is, s)("node_pressure_memory_waiting_seconds_total")],
            ["for a disk", rates(is, s)("node_pressure_io_waiting_seconds_total")],
          ]),
        ),
      ],
    },
    {
      title: "Disks and network",
      panels: [
        panel(
          "space",
          "Disk space in use",
          "share",
          () =>
            `max by (mountpoint) (1 - node_filesystem_avail_bytes{${is}, ${disks}} / node_filesystem_size_bytes{${is}, ${disks}})`,
        ),
        panel(
          "busy",
          "Disks busy",
          "share",
          (s) => `sum by (device) (${rates(is, s)("node_disk_io_time_seconds_total")})`,
        ),
        panel("io", "Disk traffic", "bytes/s", (s) =>
          lines([
            ["read", `sum(${rates(is, s)("node_disk_read_bytes_total")})`],
            ["written", `sum(${rates(is, s)("node_disk_written_bytes_total")})`],
          ]),
        ),
        panel("network", "Network traffic", "bytes/s", (s) =>
          lines([
            ["received", `sum(${rates(is, s)("node_network_receive_bytes_total", real)})`],
            ["sent", `sum(${rates(is, s)("node_network_transmit_bytes_total", real)})`],
          ]),
        ),
      ],
    },
    {
      title: "What runs here",
      panels: [
        panel(
          "instances-cpu",
          "CPU by instance, the ten greatest",
          "cores",
          (s) =>
            `topk(10, sum by (instance) (${rates(is, s)("container_cpu_usage_seconds_total")}))`,
        ),
        panel(
          "instances-memory",
          "Memory by instance, the ten greatest",
          "bytes",
          () => `topk(10, sum by (instance) (container_memory_working_set_bytes{${is}}))`,
        ),
      ],
    },
  ];
}

/** The part of requests that fail; none failing is told from none measured. */
export function failing(rate: Rated, by: string): string {
  const sum = (what: string) => `sum${by} (${what})`;
  const all = sum(rate("http_requests_total"));
  const failed = sum(
    `${rate("http_requests_total", 'code=~"5.."')} or ${rate("http_requests_total", 'status=~"5.."')}`,
  );
  return `(${failed} or 0 * ${all}) / ${all}`;
}

function latency(rate: Rated): string {
  const at = (q: number) =>
    `histogram_quantile(${q}, sum by (le) (${rate("http_request_duration_seconds_bucket")}))`;
  return lines([
    ["half within", at(0.5)],
    ["95 % within", at(0.95)],
    ["99 % within", at(0.99)],
  ]);
}

function meanLatency(rate: Rated, by: string): string {
  return `sum${by} (${rate("http_request_duration_seconds_sum")}) / sum${by} (${rate("http_request_duration_seconds_count")})`;
}

/** One instance; `memory` is what it may hold, in bytes. */
export function instancePanels(instance: string, memory: number): Section[] {
  const is = `instance=${quoted(instance)}`;
  return [
    {
      title: "",
      panels: [
        panel(
          "cpu",
          "CPU",
          "cores",
          (s) => `sum(${rates(is, s)("container_cpu_usage_seconds_total")})`,
        ),
        panel("memory", "Memory against its limit", "bytes", () =>
          lines([
            ["in use", `sum(container_memory_working_set_bytes{${is}})`],
            ...(memory > 0 ? ([["limit", `vector(${memory})`]] as const) : []),
          ]),
        ),
        panel(
          "requests",
          "Requests by code",
          "per second",
          (s) => `sum by (code) (${rates(is, s)("http_requests_total")})`,
          true,
        ),
        panel("failing", "Requests that fail", "share", (s) => failing(rates(is, s), "")),
        panel("latency", "Time requests take", "seconds", (s) => latency(rates(is, s))),
        panel(
          "lines",
          "Log lines by level",
          "per second",
          (s) => `sum by (level) (${rates(is, s)("atoll_instance_log_lines_total")})`,
          true,
        ),
        panel(
          "restarts",
          "Restarts",
          "plain",
          (s) => `sum(increase(atoll_instance_restarts_total{${is}}[${rateWindow(s)}]))`,
        ),
      ],
    },
  ];
}

/** Instances together: the golden signals, and one `part` of them beside the other. */
function together(is: string, part: "release" | "deployment"): Section[] {
  const by = ` by (${part})`;
  return [
    {
      title: "Golden signals",
      panels: [
        panel(
          "traffic",
          "Requests by code",
          "per second",
          (s) => `sum by (code) (${rates(is, s)("http_requests_total")})`,
          true,
        ),
        panel("failing", "Requests that fail", "share", (s) => failing(rates(is, s), "")),
        panel("latency", "Time requests take", "seconds", (s) => latency(rates(is, s))),
        panel("saturation", "CPU of an instance", "cores", (s) => {
          const cpu = `sum by (instance) (${rates(is, s)("container_cpu_usage_seconds_total")})`;
          return lines([
            ["least", `min(${cpu})`],
            ["middle", `quantile(0.5, ${cpu})`],
            ["most", `max(${cpu})`],
          ]);
        }),
      ],
    },
    {
      title: part === "release" ? "Release by release" : "Deployment by deployment",
      panels: [
        panel(
          "p-traffic",
          "Requests",
          "per second",
          (s) => `sum${by} (${rates(is, s)("http_requests_total")})`,
        ),
        panel("p-failing", "Requests that fail", "share", (s) => failing(rates(is, s), by)),
        panel("p-latency", "Mean time of a request", "seconds", (s) =>
          meanLatency(rates(is, s), by),
        ),
        panel(
          "p-errors",
          "Lines of errors",
          "per second",
          (s) => `sum${by} (${rates(is, s)("atoll_instance_log_lines_total", 'level="error"')})`,
        ),
        panel(
          "p-cpu",
          "CPU, mean of an instance",
          "cores",
          (s) =>
            `avg${by} (sum by (instance, ${part}) (${rates(is, s)("container_cpu_usage_seconds_total")}))`,
        ),
        panel(
          "p-memory",
          "Memory, mean of an instance",
          "bytes",
          () => `avg${by} (container_memory_working_set_bytes{${is}})`,
        ),
      ],
    },
    {
      title: "Health",
      panels: [
        panel(
          "restarts",
          "Restarts",
          "plain",
          (s) => `sum(increase(atoll_instance_restarts_total{${is}}[${rateWindow(s)}]))`,
        ),
        panel(
          "lines",
          "Log lines by level",
          "per second",
          (s) => `sum by (level) (${rates(is, s)("atoll_instance_log_lines_total")})`,
          true,
        ),
      ],
    },
  ];
}

export const deploymentPanels = (name: string): Section[] =>
  together(`deployment=${quoted(name)}`, "release");

export const applicationPanels = (name: string): Section[] =>
  together(`application=${quoted(name)}`, "deployment");
