// Keeps the live stream open: reads it into the store, and when it breaks says so and tries again,
// at first soon and then ever later. It decides nothing about what is shown.
import { learnClock, pathOf, problemOf, renewSession } from "./http";
import { PLURALS, type WatchEvent } from "./objects";
import { type Message, messages } from "./sse";
import type { Store } from "./store";

export type Link =
  | { readonly state: "connecting" }
  | { readonly state: "live"; readonly since: number }
  /** The server does not answer; it is tried again at `retryAt`. */
  | { readonly state: "away"; readonly since: number; readonly retryAt: number }
  | { readonly state: "signedOut" };

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** Servers send a sign of life at least this often; longer silence means a dead connection. */
const LONGEST_SILENCE = 45_000;

class SignedOut extends Error {}

export class Watch {
  private link: Link = { state: "connecting" };
  private kinds: readonly string[] = PLURALS;
  private readonly listeners = new Set<() => void>();
  private stop: AbortController | null = null;
  private skipWait: (() => void) | null = null;
  private readonly store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  readonly state = (): Link => this.link;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  start(): void {
    if (this.stop) return;
    this.stop = new AbortController();
    this.set({ state: "connecting" });
    void this.run(this.stop.signal);
  }

  end(): void {
    this.stop?.abort();
    this.stop = null;
  }

  /** Tries again now rather than when the wait is over. */
  readonly retry = (): void => this.skipWait?.();

  private set(link: Link): void {
    this.link = link;
    for (const listener of this.listeners) listener();
  }

  private async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.once(signal, () => {
          failures = 0;
        });
      } catch (thrown) {
        if (signal.aborted) return;
        if (thrown instanceof SignedOut) {
          this.stop = null;
          this.set({ state: "signedOut" });
          return;
        }
      }
      if (signal.aborted) return;
      const wait = Math.min(FIRST_WAIT * 2 ** failures, LONGEST_WAIT);
      failures += 1;
      const since = this.link.state === "away" ? this.link.since : Date.now();
      this.set({ state: "away", since, retryAt: Date.now() + wait });
      await this.pause(wait, signal);
    }
  }

  /** One connection, from its opening to its end. */
  private async once(signal: AbortSignal, lives: () => void): Promise<void> {
    const from = this.store.snapshot().synced ? this.store.snapshot().revision : undefined;
    const broken = new AbortController();
    const both = AbortSignal.any([signal, broken.signal]);
    let answer = await this.open(both, from);
    if (answer.status === 401 && (await renewSession())) answer = await this.open(both, from);
    if (answer.status === 401) throw new SignedOut();
    if (!answer.ok || !answer.body) throw new Error(`watch: ${answer.status}`);
    learnClock(answer);
    this.set({ state: "live", since: Date.now() });
    lives();
    await this.read(answer.body, broken);
  }

  /** A server older than this page does not know every kind: it is asked for the others. */
  private async open(signal: AbortSignal, from: number | undefined): Promise<Response> {
    for (;;) {
      const answer = await open(this.kinds, signal, from);
      if (answer.status !== 404) return answer;
      const unknown = /no kind "(\w+)"/.exec((await problemOf(answer)).message)?.[1];
      const left = this.kinds.filter((kind) => kind !== unknown);
      if (left.length === this.kinds.length) throw new Error("watch: not found");
      this.kinds = left;
    }
  }

  /** What is there is sent without ids: whole, up to a `sync`, whenever the server sees fit. */
  private take(message: Message): void {
    const event = JSON.parse(message.data) as WatchEvent;
    if (event.event === "put" && message.id === undefined) this.store.begin();
    this.store.feed(event);
  }

  private async read(body: ReadableStream<Uint8Array>, broken: AbortController): Promise<void> {
    const take = messages();
    const reader = body
      .pipeThrough(new TextDecoderStream() as never)
      .getReader() as ReadableStreamDefaultReader<string>;
    let silence: ReturnType<typeof setTimeout> | undefined;
    let chatty = false;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        // Only a server that has shown signs of life is held to them.
        chatty ||= value.startsWith(":");
        clearTimeout(silence);
        if (chatty) silence = setTimeout(() => broken.abort(), LONGEST_SILENCE);
        for (const message of take(value)) this.take(message);
      }
    } finally {
      clearTimeout(silence);
      this.store.broken();
      broken.abort();
    }
  }

  private pause(wait: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        removeEventListener("online", go);
        this.skipWait = null;
        resolve();
      };
      const timer = setTimeout(go, wait);
      this.skipWait = go;
      addEventListener("online", go, { once: true });
      signal.addEventListener("abort", go, { once: true });
    });
  }
}

function open(
  kinds: readonly string[],
  signal: AbortSignal,
  from: number | undefined,
): Promise<Response> {
  return fetch(pathOf("/v1/watch", { kinds: kinds.join(","), permitted: true, from }), {
    signal,
    headers: { accept: "text/event-stream" },
    credentials: "same-origin",
    cache: "no-store",
  });
}
