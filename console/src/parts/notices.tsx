// Short words on what was just done, which go by themselves.
import { useSyncExternalStore } from "react";
import "./notices.css";

interface Notice {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
}

let notices: readonly Notice[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: readonly Notice[]): void {
  notices = next;
  for (const listener of listeners) listener();
}

export function notify(text: string, bad = false): void {
  last += 1;
  const id = last;
  set([...notices.slice(-2), { id, text, bad }]);
  setTimeout(() => set(notices.filter((n) => n.id !== id)), bad ? 9000 : 4500);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Notices() {
  const all = useSyncExternalStore(subscribe, () => notices);
  return (
    <div className="notices" role="status" aria-live="polite">
      {all.map((notice) => (
        <div key={notice.id} className={notice.bad ? "notice bad" : "notice"}>
          {notice.text}
        </div>
      ))}
    </div>
  );
}
