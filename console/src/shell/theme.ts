// Light, dark, or as the machine has it; remembered on this machine.
import { useSyncExternalStore } from "react";

export type Theme = "auto" | "light" | "dark";

const KEY = "atoll.theme";
const listeners = new Set<() => void>();
const dark =
  typeof matchMedia === "undefined" ? undefined : matchMedia("(prefers-color-scheme: dark)");

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "auto";
  } catch {
    return "auto";
  }
}

let theme: Theme = read();

function show(): void {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function startTheme(): void {
  show();
}

function set(next: Theme): void {
  theme = next;
  try {
    if (next === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Without storage it holds until the page is closed.
  }
  show();
  for (const listener of listeners) listener();
}

/** The other of light and dark; where that is what the machine has anyway, it follows the machine. */
export function toggleTheme(): void {
  const machine = dark?.matches ? "dark" : "light";
  const seen = theme === "auto" ? machine : theme;
  const other = seen === "dark" ? "light" : "dark";
  set(other === machine ? "auto" : other);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  dark?.addEventListener("change", listener);
  return () => {
    listeners.delete(listener);
    dark?.removeEventListener("change", listener);
  };
}

export function useDark(): boolean {
  return useSyncExternalStore(subscribe, () =>
    theme === "auto" ? (dark?.matches ?? false) : theme === "dark",
  );
}
