// What the keys do. Which element has the focus is the shell's matter.

export interface Shortcut {
  readonly keys: string;
  readonly does: string;
}

export const SHORTCUTS: readonly (readonly [string, readonly Shortcut[]])[] = [
  [
    "Go to",
    [
      { keys: "g o", does: "overview" },
      { keys: "g s", does: "board" },
      { keys: "g a", does: "applications" },
      { keys: "g h", does: "hosts" },
      { keys: "g p", does: "pipelines" },
      { keys: "g e", does: "environments" },
      { keys: "g r", does: "releases" },
      { keys: "g c", does: "configuration" },
      { keys: "g d", does: "delivery in figures" },
      { keys: "g k", does: "capacity" },
      { keys: "g m", does: "migrations" },
      { keys: "g y", does: "rehearsal" },
      { keys: "g f", does: "freezes" },
      { keys: "g t", does: "alerts" },
      { keys: "g b", does: "objectives and their budgets" },
      { keys: "g q", does: "query" },
      { keys: "g l", does: "logs" },
      { keys: "Ctrl K", does: "anything, by its name" },
    ],
  ],
  [
    "In lists",
    [
      { keys: "j k", does: "next, previous (or the arrows)" },
      { keys: "Enter", does: "open" },
      { keys: "/", does: "search" },
    ],
  ],
  [
    "On a deployment or host",
    [
      { keys: "e", does: "edit the target" },
      { keys: "w", does: "why it is as it is" },
      { keys: "h", does: "history" },
    ],
  ],
  [
    "Anywhere",
    [
      { keys: "t", does: "light or dark" },
      { keys: "Esc", does: "close, leave the search" },
      { keys: "?", does: "this help" },
    ],
  ],
];

/** Joins keys into sequences: takes each key with its time and gives `g o` once it is complete. */
export function sequences(prefix: string, within: number): (key: string, at: number) => string {
  let pending = Number.NEGATIVE_INFINITY;
  return (key, at) => {
    const follows = at - pending <= within;
    pending = key === prefix && !follows ? at : Number.NEGATIVE_INFINITY;
    return follows ? `${prefix} ${key}` : key;
  };
}
