// Times under a chart, in the reader's own time zone: only as much as tells one from the next.

const pad = (n: number) => String(n).padStart(2, "0");
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** How often times may stand, in seconds. */
export const TICK_STEPS: readonly number[] = [
  1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 1_209_600, 2_592_000,
];

/** A time in seconds, where ticks are `step` seconds apart. */
export function tick(at: number, step: number): string {
  const d = new Date(at * 1000);
  const midnight = d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0;
  if (step >= 86_400 || midnight) return `${d.getDate()} ${MONTHS[d.getMonth()]}`;
  const minutes = `${pad(d.getHours())}:${pad(d.getMinutes())}`;
  return step < 60 ? `${minutes}:${pad(d.getSeconds())}` : minutes;
}
