// Which objects a few typed letters mean: the shorter and the earlier the match, the sooner.
import type { Plural } from "../api/objects";
import type { Tables } from "../api/store";
import { order } from "./fleet";

export interface Hit {
  readonly plural: Plural;
  readonly name: string;
  readonly score: number;
}

const KINDS: readonly Plural[] = [
  "deployments",
  "applications",
  "hosts",
  "instances",
  "releases",
  "freezes",
  "peaks",
  "environments",
  "zones",
  "objectives",
  "alerts",
  "rules",
  "silences",
  "receivers",
  "monitors",
  "analyses",
  "pipelines",
  "configs",
  "budgets",
  "pools",
  "migrations",
  "autoscalers",
  "capacities",
  "policies",
  "decisions",
  "prices",
  "runs",
  "promotions",
];

const MANY: readonly Plural[] = ["instances", "releases", "decisions", "runs", "promotions"];

/** Lower is better; none where a word is not found in the name. */
export function scoreOf(name: string, words: readonly string[]): number | undefined {
  let score = 0;
  for (const word of words) {
    const at = name.indexOf(word);
    if (at < 0) return undefined;
    score += at === 0 ? 0 : /[.-]/.test(name[at - 1] ?? "") ? 5 : 20;
  }
  return words.join(" ") === name ? -1 : score + name.length / 10;
}

export function candidates(tables: Tables, query: string, most: number): Hit[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const hits: Hit[] = [];
  for (const [i, plural] of KINDS.entries()) {
    // Before anything is typed, what there are thousands of is not worth offering.
    if (words.length === 0 && MANY.includes(plural)) continue;
    for (const name of tables[plural].keys()) {
      const score = scoreOf(name, words);
      if (score !== undefined) hits.push({ plural, name, score: score + i * 0.5 });
    }
  }
  return hits.sort((a, b) => a.score - b.score || order(a.name, b.name)).slice(0, most);
}
