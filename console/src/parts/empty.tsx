// Where there is nothing to show: says why, and how there would be.
import type { ReactNode } from "react";
import { isCommand } from "../logic/prose";
import { Copy } from "./copy";
import "./empty.css";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="strong">{title}</p>
      {children && <div className="prose second">{children}</div>}
    </div>
  );
}

/** A command to type, which breaks where there is no room, or a manifest to write, which scrolls. */
export function Example({ children }: { children: string }) {
  return (
    <div className="example">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <pre className={isCommand(children) ? "command" : undefined} tabIndex={0}>
        {children}
      </pre>
      <Copy text={children} what={isCommand(children) ? "the command" : "the example"} bare />
    </div>
  );
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
