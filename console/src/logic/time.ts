// Points and spans of time in words. Never reads a clock.

/** As amounts and times may stand in a manifest; the server itself writes text. */
export type Written = string | number | null | undefined;

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
];

/** Milliseconds of a span as the server writes it: `1m30s`, `250ms`, `0s`. */
export function parseSpan(written: Written): number {
  const sizes: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  if (typeof written === "number") return written;
  let total = 0;
  for (const [, count, unit] of (written ?? "").matchAll(/(\d+)(ms|[dhms])/g)) {
    total += Number(count) * (sizes[unit ?? ""] ?? 0);
  }
  return total;
}

/** A span in at most two units, rounded down: `4m 10s`, `2h`, `3d 4h`; below a second, `0s`. */
export function spanWords(ms: number): string {
  const left = Math.max(0, ms);
  const at = UNITS.findIndex(([, size]) => left >= size);
  if (at < 0) return "0s";
  const [unit, size] = UNITS[at] as [string, number];
  const whole = `${Math.floor(left / size)}${unit}`;
  const next = UNITS[at + 1];
  if (!next || left / size >= 10) return whole;
  const rest = Math.floor((left % size) / next[1]);
  return rest === 0 ? whole : `${whole} ${rest}${next[0]}`;
}

/** A span in its largest unit only: `4m`, `2h`. */
export function spanShort(ms: number): string {
  return spanWords(ms).split(" ")[0] as string;
}

/** Minutes and seconds that run down: `1:04`, `12:00`. */
export function countdown(ms: number): string {
  const seconds = Math.ceil(Math.max(0, ms) / 1000);
  if (seconds >= 3600) return spanWords(seconds * 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Milliseconds since 1970 of what the server wrote, if it did. */
export function parseTime(written: Written): number | undefined {
  if (typeof written === "number") return written;
  const at = written ? Date.parse(written) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

const pad = (n: number) => String(n).padStart(2, "0");

/** Hour, minute and second in the reader's own time zone. */
export function clock(at: number): string {
  const d = new Date(at);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

/** Day and time in the reader's own time zone; without the day where that is today. */
export function moment(at: number, now: number): string {
  const d = new Date(at);
  const today = new Date(now).toDateString() === d.toDateString();
  const day = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  return today ? clock(at) : `${day} ${pad(d.getHours())}:${pad(d.getMinutes())}`;
}

function clocksOf(zone: string): Intl.DateTimeFormat {
  const two = "2-digit";
  const day = { year: "numeric", month: two, day: two } as const;
  const time = { hour: two, minute: two, second: two, hourCycle: "h23" } as const;
  return new Intl.DateTimeFormat("en", {
    ...day,
    ...time,
    timeZone: zone,
    timeZoneName: "longOffset",
  });
}

/**
 * Day and time on the clocks of a zone, as the command line writes them: `2026-11-11 00:00 +08:00`.
 * On those of UTC without a zone, or where the browser does not know it. With its seconds where
 * they are asked for, unless there are none.
 */
export function momentIn(
  written: Written,
  zone: string | null | undefined,
  seconds = false,
): string {
  const at = parseTime(written);
  if (at === undefined) return "at no known time";
  let clocks = clocksOf("UTC");
  try {
    if (zone) clocks = clocksOf(zone);
  } catch {
    // A zone that is newer than the browser.
  }
  const told = Object.fromEntries(clocks.formatToParts(at).map((one) => [one.type, one.value]));
  const offset = told.timeZoneName?.replace("GMT", "") || "+00:00";
  const rest = seconds && told.second !== "00" ? `:${told.second}` : "";
  return `${told.year}-${told.month}-${told.day} ${told.hour}:${told.minute}${rest} ${offset}`;
}
