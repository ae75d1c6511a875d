// What was asked before on this machine, and where there is nothing yet, what could be asked.
import { useCallback, useState } from "react";
import { readKept, remembered } from "../../logic/recent";

const KEY = "atoll.queries";

const EXAMPLES: readonly (readonly [string, string])[] = [
  ["how busy every host is", '1 - avg by (host) (rate(node_cpu_seconds_total{mode="idle"}[2m]))'],
  ["memory by deployment", "sum by (deployment) (container_memory_working_set_bytes)"],
  [
    "restarts in the last hour",
    "sum by (instance) (increase(atoll_instance_restarts_total[1h])) > 0",
  ],
  [
    "lines of errors a second",
    'sum by (deployment) (rate(atoll_instance_log_lines_total{level="error"}[5m]))',
  ],
];

function kept(): string[] {
  try {
    return readKept(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

export function useRecent() {
  const [recent, setRecent] = useState(kept);
  const remember = useCallback((query: string) => {
    const next = remembered(kept(), query);
    setRecent(next);
    try {
      localStorage.setItem(KEY, JSON.stringify(next));
    } catch {
      // Without storage they hold until the page is closed.
    }
  }, []);
  return [recent, remember] as const;
}

interface Props {
  recent: readonly string[];
  onRun: (query: string) => void;
  /** Whether something is asked for now; then examples are in the way. */
  asked: boolean;
}

export function Recent({ recent, onRun, asked }: Props) {
  return (
    <>
      {!asked && (
        <section className="panel" aria-label="examples">
          <header>
            <h2>To begin with</h2>
          </header>
          <ul className="queries" data-list>
            {EXAMPLES.map(([does, query]) => (
              <li key={query} data-row>
                <button type="button" onClick={() => onRun(query)}>
                  <span className="second">{does}</span>
                  <code>{query}</code>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      {recent.length > 0 && (
        <section className="panel" aria-label="recent queries">
          <header>
            <h2>Recent</h2>
            <span className="quiet small">kept on this machine</span>
          </header>
          <ul className="queries" data-list>
            {recent.slice(0, 12).map((query) => (
              <li key={query} data-row>
                <button type="button" onClick={() => onRun(query)}>
                  <code>{query}</code>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
