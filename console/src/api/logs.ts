// The search of logs, as the server answers it.

/** One line. */
export interface LogLine {
  /** When it was written, as far as it says so itself. */
  readonly at?: string | null;
  readonly instance: string;
  readonly level?: string | null;
  readonly line: string;
}

export interface LogAnswer {
  readonly lines: readonly LogLine[];
  /** There are more lines than are given. */
  readonly truncated: boolean;
  /** Whose logs could not be read: what was found is then not all there is. */
  readonly problems?: readonly string[];
}
