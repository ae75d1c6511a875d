// Changes people make. A change is made from the target they saw: if that was edited meanwhile it
// is refused; if only the status moved on, which it does all the time, it is made all the same.
import { call, Problem } from "./http";
import { store } from "./live";
import type { Kinds, Outcome, Plural, Watched } from "./objects";
import { pluralOf, singular } from "./objects";

export interface Edit {
  readonly plural: Plural;
  readonly name: string;
  /** The generation of the target that was seen when the change was made up. */
  readonly generation: number;
  /** A merge patch of `spec`; `null` takes a field out. */
  readonly spec: Record<string, unknown>;
  /** Annotations to be set. */
  readonly annotations?: Record<string, string>;
}

function patchOf({ spec, annotations }: Edit): Record<string, unknown> {
  return annotations ? { metadata: { annotations } } : { spec };
}

const MERGE = "application/merge-patch+json";
const TRIES = 5;

const pathTo = (plural: Plural, name: string) => `/v1/${plural}/${encodeURIComponent(name)}`;

function known(plural: Plural, name: string): Kinds[Plural] | undefined {
  return store.snapshot().tables[plural].get(name);
}

/** What the change would do; nothing is written. */
export function previewEdit(edit: Edit, signal?: AbortSignal): Promise<Outcome> {
  const { plural, name } = edit;
  return call("PATCH", pathTo(plural, name), {
    body: patchOf(edit),
    type: MERGE,
    query: { dryRun: true },
    signal,
  });
}

/** Makes the change. Throws a `conflict` if somebody else has edited the target meanwhile. */
export async function applyEdit(edit: Edit): Promise<Outcome> {
  const { plural, name } = edit;
  const body = patchOf(edit);
  for (let tried = 1; ; tried += 1) {
    const object = known(plural, name);
    if (object && (object.metadata.generation ?? 0) !== edit.generation) throw edited(edit);
    try {
      const ifMatch = object?.metadata.revision;
      return taken(await call("PATCH", pathTo(plural, name), { body, type: MERGE, ifMatch }));
    } catch (thrown) {
      const problem = Problem.from(thrown);
      if (![409, 412].includes(problem.status) || tried === TRIES) throw problem;
      const fresh = await call<Watched>("GET", pathTo(plural, name));
      if ((fresh.metadata.generation ?? 0) !== edit.generation) throw edited(edit);
      if (fresh.metadata.revision === object?.metadata.revision) throw problem;
      store.learn(fresh);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  }
}

function edited({ plural, name }: Edit): Problem {
  return new Problem(409, "conflict", `${singular(plural)}/${name} was edited by somebody else`, [
    {
      code: "conflict",
      message: "its target is no longer the one this change was made from",
      hint: "look at what it is now, and make the change again",
    },
  ]);
}

/** Makes an object; with `dryRun` only tells what that would do. */
export async function create(
  plural: Plural,
  object: { kind: string; metadata: { name: string }; spec: unknown },
  dryRun: boolean,
  signal?: AbortSignal,
): Promise<Outcome> {
  const body = { apiVersion: "atoll/v1", ...object };
  const query = { dryRun: dryRun || undefined };
  const outcome = await call<Outcome>("PUT", pathTo(plural, object.metadata.name), {
    body,
    query,
    signal,
  });
  return dryRun ? outcome : taken(outcome);
}

/** Deletes an object; with `dryRun` only tells what that would do. */
export function remove(
  plural: Plural,
  name: string,
  dryRun: boolean,
  signal?: AbortSignal,
): Promise<Outcome> {
  return call("DELETE", pathTo(plural, name), { query: { dryRun: dryRun || undefined }, signal });
}

/** Takes an object back to what it was at a revision; with `dryRun` only tells what that would do. */
export async function rollBack(
  plural: Plural,
  name: string,
  to: number,
  dryRun: boolean,
  signal?: AbortSignal,
): Promise<Outcome> {
  const path = `/v1/rollback/${plural}/${encodeURIComponent(name)}`;
  const query = { to, dryRun: dryRun || undefined };
  const outcome = await call<Outcome>("POST", path, { query, signal });
  return dryRun ? outcome : taken(outcome);
}

/** Shows at once what was written, rather than when the stream tells of it. */
function taken(outcome: Outcome): Outcome {
  for (const object of outcome.objects ?? []) {
    if (pluralOf(object.kind)) store.learn(object as Watched);
  }
  return outcome;
}
