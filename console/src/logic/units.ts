// Measured values in words: with their unit, and no more digits than say something.

export type Unit = "plain" | "share" | "bytes" | "bytes/s" | "seconds" | "cores" | "per second";

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["", "k", "M", "G", "T", "P"];
const SMALL: readonly (readonly [number, string])[] = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];

/** Three digits that count. */
function digits(value: number, power = false): string {
  if (power) return value.toExponential(2).replace(/\.?0*e\+/, "e");
  if (value < 0) return `−${digits(-value)}`;
  const size = value;
  if (size >= 100 || size === 0) return String(Math.round(value));
  if (size >= 10) return value.toFixed(1).replace(/\.0$/, "");
  if (size >= 0.01) return value.toFixed(2).replace(/\.?0+$/, "");
  return value.toPrecision(2).replace(/\.0+(?=e|$)/, "");
}

function scaled(value: number, base: number, names: readonly string[]): string {
  let [left, at] = [Math.abs(value), 0];
  while (left >= base * 0.9995 && at < names.length - 1) {
    left /= base;
    at += 1;
  }
  const sign = value < 0 ? "−" : "";
  // There is no letter that people know for what is larger.
  if (left >= base * 0.9995) return sign + digits(Math.abs(value), true);
  const space = names[at]?.length && names === BINARY ? " " : "";
  return `${sign}${digits(left)}${space}${names[at]}`;
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (size >= 172_800) return `${digits(value / 86_400)} d`;
  if (size >= 7200) return `${digits(value / 3600)} h`;
  if (size >= 120) return `${digits(value / 60)} min`;
  const [scale, name] = SMALL.find(([s]) => size >= s * 0.9995) ?? [1, "s"];
  return `${digits(value / scale)} ${name}`;
}

/** Percent; what is nearly all is not told as all. */
export function share(value: number): string {
  const percent = value * 100;
  if (percent > 99 && percent < 100) {
    const cut = Math.floor(percent * 1000) / 1000;
    return `${cut} %`;
  }
  return `${percents(percent)} %`;
}

/** Past ten thousand of them not every digit is told. */
const percents = (percent: number) =>
  Math.abs(percent) < 10_000 ? digits(percent) : scaled(percent, 1000, DECIMAL);

/** Whole percent; what is not quite nothing or all is not told as that. */
export function wholeShare(value: number): string {
  const percent = Math.abs(value) * 100;
  const sign = value < 0 ? "−" : "";
  if (percent > 0 && percent < 1) return sign ? "−1 %" : "<1 %";
  if (percent > 99 && percent < 100) return sign ? "−99 %" : ">99 %";
  const whole = Math.round(percent);
  return `${whole > 0 ? sign : ""}${percents(whole)} %`;
}

export function measured(value: number | null | undefined, unit: Unit = "plain"): string {
  if (value === null || value === undefined) return "–";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "−Inf";
  switch (unit) {
    case "share":
      return share(value);
    case "bytes":
      return scaled(value, 1024, BINARY);
    case "bytes/s":
      return `${scaled(value, 1024, BINARY)}/s`;
    case "seconds":
      return seconds(value);
    case "cores":
      return value !== 0 && Math.abs(value) < 0.1 ? `${digits(value * 1000)}m` : digits(value);
    case "per second":
      return `${scaled(value, 1000, DECIMAL)}/s`;
    default:
      return scaled(value, 1000, DECIMAL);
  }
}

/** Four digits that count: what was compared with a bound; what is very large or small is shortened. */
export function precise(value: number): string {
  const size = Math.abs(value);
  const plain = value === 0 || (size >= 0.001 && size < 100_000);
  return plain ? String(Number(value.toPrecision(4))) : measured(value);
}

/** The unit the name of a metric, or what is done with it, tells. */
export function guessUnit(query: string): Unit {
  const rate = /\b(?:rate|irate|deriv)\s*\(/.test(query);
  if (/_bytes(?:_total)?\b/.test(query) && !query.includes("/")) return rate ? "bytes/s" : "bytes";
  if (/_seconds\b/.test(query) && !rate && !query.includes("time()")) return "seconds";
  if (/histogram_quantile/.test(query) && /_seconds/.test(query)) return "seconds";
  return "plain";
}
