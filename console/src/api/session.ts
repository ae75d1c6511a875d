// The log of an instance or a task, read from its host through the server. A bounded number of lines is kept.

export type LogState = "connecting" | "following" | "ended" | "failed";

export interface LogView {
  readonly state: LogState;
  readonly lines: readonly string[];
  /** How many lines were dropped at the front. */
  readonly dropped: number;
  readonly problem: string | undefined;
}

const MOST_LINES = 5_000;

/** Colours and cursor movements that programs write for terminals. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g;

/** Appends text to lines, the last of which may be unfinished; pure, for the sake of its test. */
export function appendText(lines: readonly string[], text: string): string[] {
  const parts = text.replaceAll(ESCAPES, "").replaceAll("\r\n", "\n").split("\n");
  const open = lines.at(-1) ?? "";
  return [...lines.slice(0, -1), open + (parts[0] ?? ""), ...parts.slice(1)];
}

export const instancesLog = (name: string): string =>
  `/v1/instances/${encodeURIComponent(name)}/session`;

export const tasksLog = (name: string): string => `/v1/tasks/${encodeURIComponent(name)}/session`;

export class LogStream {
  private view: LogView = { state: "connecting", lines: [""], dropped: 0, problem: undefined };
  private readonly listeners = new Set<() => void>();
  private readonly socket: WebSocket;
  private readonly decoder = new TextDecoder();
  private gathered = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(path: string, tail: number) {
    const ask = JSON.stringify({ type: "logs", follow: true, tail });
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const address = `${scheme}://${location.host}${path}?${new URLSearchParams({ ask })}`;
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.set({ state: "following" });
    this.socket.onmessage = (message) => this.take(message.data as ArrayBuffer | string);
    this.socket.onclose = (event) => this.closed(event);
  }

  readonly state = (): LogView => this.view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  end(): void {
    clearTimeout(this.timer);
    this.listeners.clear();
    this.socket.onclose = null;
    this.socket.close();
  }

  private set(part: Partial<LogView>): void {
    this.view = { ...this.view, ...part };
    for (const listener of this.listeners) listener();
  }

  private take(data: ArrayBuffer | string): void {
    if (typeof data === "string") {
      this.note(data);
      return;
    }
    // The first byte names the stream; a log has but one.
    this.gathered += this.decoder.decode(new Uint8Array(data, 1), { stream: true });
    this.timer ??= setTimeout(() => this.flush(), 50);
  }

  private note(text: string): void {
    const note = JSON.parse(text) as { type: string; message?: string };
    if (note.type === "failed") this.set({ state: "failed", problem: note.message });
  }

  private flush(): void {
    this.timer = undefined;
    const lines = appendText(this.view.lines, this.gathered);
    this.gathered = "";
    const over = Math.max(0, lines.length - MOST_LINES);
    this.set({ lines: over > 0 ? lines.slice(over) : lines, dropped: this.view.dropped + over });
  }

  private closed(event: CloseEvent): void {
    if (this.gathered) this.flush();
    if (this.view.state === "failed") return;
    const opened = this.view.state === "following";
    const problem =
      event.reason || (opened ? undefined : "its host cannot be reached through the server");
    // 1005 is a close that gives no code: what was read has come to its end.
    const ended = opened && (event.code <= 1001 || event.code === 1005);
    this.set({ state: ended ? "ended" : "failed", problem });
  }
}
