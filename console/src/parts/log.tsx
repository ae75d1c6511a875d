// The live log of an instance. It stays at its end until one scrolls up, and goes on when one comes
// back to the end.
import { useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { instancesLog, LogStream, type LogView } from "../api/session";
import { Icon } from "./icon";
import "./log.css";

const TAIL = 200;

const WORDS: Readonly<Record<LogView["state"], string>> = {
  connecting: "connecting…",
  following: "live",
  ended: "ended",
  failed: "not available",
};

export function Log({ instance }: { instance: string }) {
  const [again, setAgain] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `again` asks for a new stream
  const stream = useMemo(() => new LazyLog(instance), [instance, again]);
  const view = useSyncExternalStore(stream.subscribe, stream.state);
  const box = useRef<HTMLPreElement>(null);
  const [stays, setStays] = useState(true);
  const [filter, setFilter] = useState("");
  useEffect(() => stream.open(), [stream]);
  const silent = view.state === "following" && view.lines.length === 1 && view.lines[0] === "";

  const text = useMemo(() => {
    const lines = filter ? view.lines.filter((l) => l.includes(filter)) : view.lines;
    return lines.join("\n");
  }, [view.lines, filter]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: new text is what moves the end
  useLayoutEffect(() => {
    if (stays && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, stays]);

  return (
    <section className="log" aria-label="log">
      <header className="row">
        <h2>Log</h2>
        <span className={`log-state ${view.state}`}>
          {silent ? "connected, nothing written yet" : WORDS[view.state]}
        </span>
        <input
          type="search"
          className="grow"
          placeholder="Only lines with…"
          aria-label="Only lines with"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
        {(view.state === "ended" || view.state === "failed") && (
          <button type="button" className="button slim" onClick={() => setAgain(again + 1)}>
            Try again
          </button>
        )}
      </header>
      {view.problem && <p className="log-problem">{view.problem}</p>}
      <div className="log-frame">
        <pre
          ref={box}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
          tabIndex={0}
          onScroll={(event) => {
            const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
            setStays(scrollHeight - scrollTop - clientHeight < 24);
          }}
        >
          {view.dropped > 0 && (
            <span className="quiet">
              … {view.dropped} earlier lines left out{"\n"}
            </span>
          )}
          {text}
        </pre>
        {!stays && (
          <button type="button" className="button slim log-end" onClick={() => setStays(true)}>
            <Icon name="down" size={14} /> To the end
          </button>
        )}
      </div>
    </section>
  );
}

/** A stream that is opened when it is shown and ended when it is not. */
class LazyLog {
  private stream: LogStream | undefined;
  private listeners = new Set<() => void>();
  private readonly instance: string;
  private readonly before: LogView = {
    state: "connecting",
    lines: [""],
    dropped: 0,
    problem: undefined,
  };

  constructor(instance: string) {
    this.instance = instance;
  }

  readonly open = (): (() => void) => {
    const stream = new LogStream(instancesLog(this.instance), TAIL);
    this.stream = stream;
    stream.subscribe(() => {
      for (const listener of this.listeners) listener();
    });
    return () => stream.end();
  };

  readonly state = (): LogView => this.stream?.state() ?? this.before;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}
