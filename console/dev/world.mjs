// A pretended store: objects, revisions, history, and who watches. It knows no kind's meaning.

const PLURALS = {
  applications: "Application",
  environments: "Environment",
  releases: "Release",
  deployments: "Deployment",
  instances: "Instance",
  hosts: "Host",
  zones: "Zone",
  freezes: "Freeze",
  policies: "Policy",
  decisions: "Decision",
  peaks: "Peak",
  monitors: "Monitor",
  objectives: "Objective",
  rules: "Rule",
  alerts: "Alert",
  silences: "Silence",
  receivers: "Receiver",
  notifications: "Notification",
  analyses: "Analysis",
  pipelines: "Pipeline",
  runs: "Run",
  tasks: "Task",
  promotions: "Promotion",
  approvals: "Approval",
  configs: "Config",
};

export const KINDS = Object.fromEntries(Object.entries(PLURALS).map(([p, k]) => [k, p]));

function flatten(path, value, into) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, field] of Object.entries(value)) flatten(`${path}.${key}`, field, into);
  } else if (value !== null && value !== undefined) into[path] = value;
}

export function diff(from, to) {
  const flat = (object) => {
    const fields = {};
    for (const part of ["spec", "status"]) if (object) flatten(part, object[part], fields);
    return fields;
  };
  const [a, b] = [flat(from), flat(to)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .sort()
    .filter((path) => JSON.stringify(a[path]) !== JSON.stringify(b[path]))
    .map((path) => ({ path, from: a[path], to: b[path] }));
}

export class World {
  revision = 1;
  tables = Object.fromEntries(Object.keys(PLURALS).map((p) => [p, new Map()]));
  history = new Map();
  watchers = new Set();

  get(plural, name) {
    return this.tables[plural]?.get(name);
  }

  all(plural) {
    return [...(this.tables[plural]?.values() ?? [])];
  }

  /** Writes an object; a changed spec counts as an edit of its target. */
  put(
    kind,
    name,
    { spec, status, labels, actor = "controller/deployment", intent = "observe", reasons = [] },
  ) {
    const plural = KINDS[kind];
    const old = this.get(plural, name);
    const next = {
      apiVersion: "atoll/v1",
      kind,
      metadata: {
        name,
        labels: labels ?? old?.metadata.labels ?? {},
        generation: old?.metadata.generation ?? 0,
        createdAt: old?.metadata.createdAt ?? new Date().toISOString(),
      },
      spec: spec ?? old.spec,
      status: status ?? old?.status ?? {},
    };
    if (!old || JSON.stringify(old.spec) !== JSON.stringify(next.spec))
      next.metadata.generation += 1;
    next.metadata.revision = ++this.revision;
    this.tables[plural].set(name, next);
    this.keep(plural, name, next, diff(old, next), old ? "update" : "create", {
      actor,
      intent,
      reasons,
    });
    this.tell("put", next);
    return next;
  }

  status(kind, name, change, reasons) {
    const old = this.get(KINDS[kind], name);
    if (!old) return;
    const status = { ...old.status, ...change };
    if (JSON.stringify(status) !== JSON.stringify(old.status))
      this.put(kind, name, { status, reasons });
  }

  remove(kind, name) {
    const plural = KINDS[kind];
    const old = this.get(plural, name);
    if (!old) return;
    this.tables[plural].delete(name);
    this.revision += 1;
    this.tell("delete", old);
  }

  keep(plural, name, object, changes, op, { actor, intent, reasons }) {
    if (plural === "instances") return;
    const key = `${plural}/${name}`;
    const rows = this.history.get(key) ?? [];
    rows.unshift({
      revision: this.revision,
      at: new Date().toISOString(),
      kind: object.kind,
      name,
      op,
      actor,
      intent,
      reasons,
      diff: changes,
      object,
    });
    this.history.set(key, rows.slice(0, 300));
  }

  tell(event, object) {
    for (const watcher of this.watchers) watcher({ event, revision: this.revision, object }, true);
  }
}
