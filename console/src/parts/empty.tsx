// Where there is nothing to show: says why, and how there would be.
import type { ReactNode } from "react";
import "./empty.css";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="strong">{title}</p>
      {children && <div className="prose second">{children}</div>}
    </div>
  );
}

/** A command to type, or a manifest to write. */
export function Example({ children }: { children: string }) {
  return <pre className="example">{children}</pre>;
}

/** Stands where something is about to come, in its size. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="loading">
      {Array.from({ length: lines }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are all alike
        <span key={i} style={{ width: `${88 - ((i * 37) % 45)}%` }} />
      ))}
    </div>
  );
}
