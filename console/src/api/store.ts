// What the console knows of the world: every watched object as the server last told it. Events are
// gathered and put in once a frame, so that a busy fleet costs one rendering a frame and no more.
// It opens no connection; watch.ts feeds it.
import { type Change, changeOf } from "../logic/changes";
import {
  type Kinds,
  PLURALS,
  type Plural,
  pluralOf,
  type WatchEvent,
  type Watched,
} from "./objects";

export type Tables = { readonly [P in Plural]: ReadonlyMap<string, Kinds[P]> };

export interface Snapshot {
  readonly tables: Tables;
  /** The revision this is true of. */
  readonly revision: number;
  /** Whether everything that was there at the start has come in. */
  readonly synced: boolean;
  /** What has changed while this page was open, newest first. */
  readonly changes: readonly Change[];
}

type AnyTables = Record<Plural, Map<string, Watched>>;

const MOST_CHANGES = 400;

/** An answer to a request says nothing of what else was written before it: the stream does. */
const LEARNT = "learnt";

function noTables(): AnyTables {
  return Object.fromEntries(PLURALS.map((p) => [p, new Map()])) as AnyTables;
}

export class Store {
  private current: Snapshot = {
    tables: noTables() as Tables,
    revision: 0,
    synced: false,
    changes: [],
  };
  private waiting: WatchEvent[] = [];
  private scheduled = false;
  /** While everything is sent anew, it is gathered here and takes the place of what was. */
  private incoming: AnyTables | null = null;
  private readonly listeners = new Set<() => void>();
  private readonly schedule: (run: () => void) => void;
  private readonly now: () => number;

  constructor(schedule: (run: () => void) => void, now: () => number = Date.now) {
    this.schedule = schedule;
    this.now = now;
  }

  readonly snapshot = (): Snapshot => this.current;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Everything there is begins to be sent, up to the next `sync`. */
  begin(): void {
    this.flush();
    this.incoming ??= noTables();
  }

  /** The stream ends; if it was sending everything, that begins anew with the next one. */
  broken(): void {
    this.flush();
    this.incoming = null;
  }

  /** Takes one event of the watch, to be put in with the next frame. */
  feed(event: WatchEvent): void {
    this.waiting.push(event);
    this.wake();
  }

  /** Takes an object that came as an answer, so that one sees at once what one did. */
  learn(object: Watched): void {
    const revision = object.metadata.revision ?? 0;
    this.feed({ event: LEARNT, revision, object: object as WatchEvent["object"] });
  }

  private wake(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  private flush(): void {
    if (this.waiting.length === 0) return;
    const events = this.waiting;
    this.waiting = [];
    const before = this.current;
    const draft = new Draft(before, this.now());
    for (const event of events) {
      if (event.event === "sync") {
        if (this.incoming) draft.replace(this.incoming);
        this.incoming = null;
        draft.sync(event.revision);
      } else if (this.incoming) {
        gather(this.incoming, event);
      } else {
        draft.apply(event);
      }
    }
    this.current = draft.done();
    if (this.current === before) return;
    for (const listener of this.listeners) listener();
  }
}

function gather(tables: AnyTables, event: WatchEvent): void {
  const object = event.object;
  const plural = object && pluralOf(object.kind);
  if (!object || !plural) return;
  if (event.event === "delete") tables[plural].delete(object.metadata.name);
  else tables[plural].set(object.metadata.name, object as Watched);
}

/** The next snapshot in the making: tables are copied when they are first written to. */
class Draft {
  private readonly before: Snapshot;
  private tables: AnyTables;
  private readonly copied = new Set<Plural>();
  private revision: number;
  private synced: boolean;
  private changes: Change[] = [];
  private touched = false;
  private readonly at: number;

  constructor(before: Snapshot, at: number) {
    this.before = before;
    this.tables = { ...(before.tables as AnyTables) };
    this.revision = before.revision;
    this.synced = before.synced;
    this.at = at;
  }

  apply(event: WatchEvent): void {
    const object = event.object as Watched | null | undefined;
    const plural = object && pluralOf(object.kind);
    if (!object || !plural) return;
    const name = object.metadata.name;
    const known = this.tables[plural].get(name);
    // An answer to a request may have told of this write, or of a later one, before.
    if (known && (known.metadata.revision ?? 0) >= event.revision) return;
    const table = this.writable(plural);
    if (event.event === "delete") table.delete(name);
    else table.set(name, object);
    if (event.event !== LEARNT) this.revision = Math.max(this.revision, event.revision);
    this.note(event, known, object);
  }

  replace(tables: AnyTables): void {
    if (this.before.synced) this.noteReplaced(tables);
    this.tables = tables;
    for (const plural of PLURALS) this.copied.add(plural);
    this.revision = 0;
    this.touched = true;
  }

  sync(revision: number): void {
    this.touched ||= !this.synced || revision > this.revision;
    this.synced = true;
    this.revision = Math.max(this.revision, revision);
  }

  done(): Snapshot {
    if (!this.touched) return this.before;
    const fresh = this.changes.reverse();
    const changes =
      fresh.length > 0
        ? [...fresh, ...this.before.changes].slice(0, MOST_CHANGES)
        : this.before.changes;
    return { tables: this.tables as Tables, revision: this.revision, synced: this.synced, changes };
  }

  private writable(plural: Plural): Map<string, Watched> {
    this.touched = true;
    if (!this.copied.has(plural)) {
      this.tables[plural] = new Map(this.tables[plural]);
      this.copied.add(plural);
    }
    return this.tables[plural];
  }

  private note(event: WatchEvent, known: Watched | undefined, object: Watched): void {
    if (!this.synced) return;
    const gone = event.event === "delete";
    const change = changeOf(known, gone ? undefined : object, event.revision, this.at);
    if (change) this.changes.push(change);
  }

  /** After an outage everything came anew: what differs is what was missed meanwhile. */
  private noteReplaced(tables: AnyTables): void {
    for (const plural of PLURALS) {
      for (const [name, object] of tables[plural]) {
        const known = this.tables[plural].get(name);
        if (known?.metadata.revision === object.metadata.revision) continue;
        const change = changeOf(known, object, object.metadata.revision ?? 0, this.at);
        if (change) this.changes.push(change);
      }
      for (const [name, known] of this.tables[plural]) {
        const change = tables[plural].has(name) ? null : changeOf(known, undefined, 0, this.at);
        if (change) this.changes.push(change);
      }
    }
  }
}
