// The one store and the one live stream of this page, as React sees them.
import { useMemo, useSyncExternalStore } from "react";
import { arrange, type Fleet } from "../logic/fleet";
import { clockSkew } from "./http";
import type { Kinds, Plural } from "./objects";
import { type Snapshot, Store } from "./store";
import { type Link, Watch } from "./watch";

/** Once a frame where the page is seen; a hidden page gets no frames, but still keeps up. */
function nextFrame(run: () => void): void {
  if (document.visibilityState === "visible") requestAnimationFrame(run);
  else setTimeout(run, 250);
}

export const store = new Store(nextFrame);
export const watch = new Watch(store);

export function useSnapshot(): Snapshot {
  return useSyncExternalStore(store.subscribe, store.snapshot);
}

export function useLink(): Link {
  return useSyncExternalStore(watch.subscribe, watch.state);
}

let arranged: Fleet | undefined;

/** The whole fleet, arranged once for all that look at it. */
export function useFleet(): Fleet {
  const { tables } = useSnapshot();
  if (arranged?.tables !== tables) arranged = arrange(tables, arranged);
  return arranged;
}

/** One object, drawn again only when it changes. */
export function useObject<P extends Plural>(plural: P, name: string): Kinds[P] | undefined {
  return useSyncExternalStore(store.subscribe, () => store.snapshot().tables[plural].get(name));
}

export function useSynced(): boolean {
  return useSyncExternalStore(store.subscribe, () => store.snapshot().synced);
}

/** A clock that ticks once a second while anybody looks at it and the page is seen. */
class Ticker {
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setInterval> | undefined;
  private at = Date.now();

  readonly now = (): number => this.at;

  readonly subscribe = (listener: () => void): (() => void) => {
    if (this.listeners.size === 0) {
      this.tick();
      this.timer = setInterval(() => this.tick(), 1000);
    }
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) clearInterval(this.timer);
    };
  };

  private tick(): void {
    if (document.visibilityState === "hidden") return;
    this.at = Date.now() + clockSkew();
    for (const listener of this.listeners) listener();
  }
}

const ticker = new Ticker();

/** The server's time, to the second. */
export function useNow(): number {
  return useSyncExternalStore(ticker.subscribe, ticker.now);
}

/** A value that is worked out again at most every `step` milliseconds of the server's time. */
export function useCoarseNow(step: number): number {
  const coarse = () => Math.floor(ticker.now() / step) * step;
  const at = useSyncExternalStore(ticker.subscribe, coarse);
  return useMemo(() => at, [at]);
}
