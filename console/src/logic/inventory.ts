// Words of the inventory: how values, standings and findings are said, and filters put together
// from what was chosen.
import type { Drift, Relation, Standing } from "../api/inventory";
import type { Tone } from "./phases";

/** A value as it is typed. */
export function valueWords(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

export const STANDING: Readonly<Record<Standing, { tone: Tone; word: string }>> = {
  agrees: { tone: "ok", word: "as it should be" },
  differs: { tone: "bad", word: "differs" },
  unseen: { tone: "unknown", word: "not seen" },
  stale: { tone: "warn", word: "stale" },
  unusable: { tone: "bad", word: "failed in use" },
  undeclared: { tone: "off", word: "seen only" },
};

export const CAUSE: Readonly<
  Record<NonNullable<Drift["status"]["cause"]>, { tone: Tone; word: string }>
> = {
  differs: { tone: "bad", word: "differs" },
  missing: { tone: "bad", word: "missing" },
  unusable: { tone: "bad", word: "failed in use" },
  stale: { tone: "warn", word: "stale" },
  unfit: { tone: "warn", word: "does not fit its class" },
  twin: { tone: "warn", word: "may be another" },
};

/** The ways a finding can be mended from here: taking what is, and, of hosts, making it so. */
export function waysToMend({
  spec,
  status,
}: Pick<Drift, "spec" | "status">): ("accept" | "mend")[] {
  const cause = status.cause ?? "differs";
  if (cause !== "differs" && cause !== "missing") return [];
  // Nobody here can change a thing that has no agent.
  return spec.subject.startsWith("host/") ? ["accept", "mend"] : ["accept"];
}

/** What is said once a difference is mended one way or the other. */
export function mended(how: "accept" | "mend", { attribute, subject }: Drift["spec"]): string {
  return how === "accept"
    ? `the record of ${subject} takes ${attribute} as it is`
    : `${subject} will make ${attribute} what its record says`;
}

/** A value as it stands in a filter. */
export function quoted(value: string): string {
  const plain = value !== "" && !/[\s()",=!<>~]/.test(value);
  return plain ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** A filter with one condition more, or without it where it is there already. */
export function toggled(filter: string, path: string, value: string): string {
  const term = `${path} = ${quoted(value)}`;
  const terms = filter.split(/ and /).filter((t) => t.trim() !== "");
  const without = terms.filter((t) => t.trim() !== term);
  return (without.length < terms.length ? without : [...terms, term]).join(" and ");
}

export const has = (filter: string, path: string, value: string): boolean =>
  filter.split(/ and /).some((t) => t.trim() === `${path} = ${quoted(value)}`);

export type Level = "talk" | "place" | "all";

/** So many things are drawn at most; what is then left out is said. */
export const MOST_DRAWN = 500;

export interface Drawn {
  readonly nodes: readonly { readonly name: string; readonly needs: readonly string[] }[];
  readonly edges: readonly Relation[];
  readonly left: number;
}

const kindOf = (id: string) => id.slice(0, id.indexOf("/"));

const LEVELS: Readonly<Record<Exclude<Level, "all">, (r: Relation) => boolean>> = {
  talk: ({ from, to }) =>
    (kindOf(from) === "application" || kindOf(from) === "item") &&
    ["application", "item", "address"].includes(kindOf(to)),
  place: ({ from, relation }) =>
    relation === "hosts" || (kindOf(from) === "host" && relation === "in"),
};

/** Applications with the hosts they run on: what the instances between them amount to. */
function placed(relations: readonly Relation[]): Relation[] {
  const of = new Map<string, string>();
  const application = new Map<string, string>();
  for (const r of relations) {
    if (kindOf(r.from) === "instance" && r.relation === "of") of.set(r.from, r.to);
    if (kindOf(r.from) === "deployment" && kindOf(r.to) === "application") {
      application.set(r.from, r.to);
    }
  }
  const pairs = new Map<string, Relation>();
  for (const r of relations) {
    if (r.relation !== "runs-on") continue;
    const from = application.get(of.get(r.from) ?? "");
    if (from) pairs.set(`${from}>${r.to}`, { ...r, from, relation: "hosts" });
  }
  return [...pairs.values()];
}

/** The part of all relations that a level shows, round one thing where one is chosen. */
export function drawn(
  relations: readonly Relation[],
  level: Level,
  around: string | undefined,
): Drawn {
  const all = level === "place" ? [...relations, ...placed(relations)] : relations;
  let edges = level === "all" ? [...all] : all.filter(LEVELS[level]);
  if (around) {
    const near = new Set([around]);
    for (const { from, to } of edges) {
      if (from === around) near.add(to);
      if (to === around) near.add(from);
    }
    edges = edges.filter((r) => near.has(r.from) && near.has(r.to));
  }
  const degree = new Map<string, number>();
  for (const { from, to } of edges) {
    degree.set(from, (degree.get(from) ?? 0) + 1);
    degree.set(to, (degree.get(to) ?? 0) + 1);
  }
  const ranked = [...degree].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const kept = new Set(ranked.slice(0, MOST_DRAWN).map(([name]) => name));
  const shown = edges.filter((r) => kept.has(r.from) && kept.has(r.to));
  const needs = new Map<string, string[]>([...kept].map((name) => [name, []]));
  for (const { from, to } of shown) needs.get(to)?.push(from);
  const nodes = [...kept].sort().map((name) => ({ name, needs: needs.get(name) ?? [] }));
  return { nodes, edges: shown, left: Math.max(0, ranked.length - kept.size) };
}
