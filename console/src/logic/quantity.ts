// Amounts as the server writes them, in numbers and back in words.

import type { Written } from "./time";
import { measured } from "./units";

const MEMORY: readonly (readonly [string, number])[] = [
  ["Ti", 2 ** 40],
  ["Gi", 2 ** 30],
  ["Mi", 2 ** 20],
  ["Ki", 2 ** 10],
  ["T", 1e12],
  ["G", 1e9],
  ["M", 1e6],
  ["k", 1e3],
];

/** Thousandths of a core of `500m`, `2` or `1.5`. */
export function parseCpu(written: Written): number {
  const text = String(written ?? 0);
  return text.endsWith("m") ? Number(text.slice(0, -1)) : Math.round(Number(text) * 1000);
}

/** Bytes of `256Mi`, `1Gi` or `500M`. */
export function parseMemory(written: Written): number {
  const text = String(written ?? 0);
  const unit = MEMORY.find(([name]) => text.endsWith(name));
  return unit ? Number(text.slice(0, -unit[0].length)) * unit[1] : Number(text);
}

function short(value: number): string {
  if (value >= 100_000) return measured(value);
  const digits = value >= 100 || Number.isInteger(value) ? 0 : 1;
  return value.toFixed(digits).replace(/\.0$/, "");
}

/** Cores: `0.5`, `12`. */
export function cpuWords(milli: number): string {
  return milli !== 0 && milli < 100 ? `${milli}m` : short(milli / 1000);
}

/** Cores as they are written in a manifest, nothing of them rounded away: `150m`, `2`. */
export const exactCpu = (milli: number): string =>
  milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`;

/** Cores with their unit: `1 core`, `0.5 cores`, `20m of a core`. */
export function coreWords(milli: number): string {
  if (milli !== 0 && milli < 100) return `${cpuWords(milli)} of a core`;
  return `${cpuWords(milli)} ${milli === 1000 ? "core" : "cores"}`;
}

/** Bytes in the largest unit that leaves at least one of it: `1.5 GiB`. */
export function memoryWords(bytes: number): string {
  const unit = MEMORY.slice(0, 4).find(([, size]) => bytes >= size);
  return unit ? `${short(bytes / unit[1])} ${unit[0]}B` : `${bytes} B`;
}

/** How many of `whole` a portion like `2` or `25%` is, rounded up. */
export function portionOf(text: string, whole: number): number {
  if (!text.endsWith("%")) return Number(text);
  return Math.ceil((whole * Number(text.slice(0, -1))) / 100 - 1e-9);
}

/** A whole percentage that says 0 or 100 only where it is so. */
export function percent(part: number, whole: number): number {
  if (whole <= 0 || part <= 0) return 0;
  if (part >= whole) return Math.round((part / whole) * 100);
  return Math.min(99, Math.max(1, Math.round((part / whole) * 100)));
}

/** Up to here every digit is told. */
const WHOLE = 1e9;

/** A whole number: `1,234`; what is beyond all that can be counted is shortened. */
export const amount = (count: number): string =>
  Math.abs(count) < WHOLE ? count.toLocaleString("en") : measured(count);

/** `a, b, c and 2 more`. */
export function listed(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** `1 instance`, `3 instances`; nouns that take more than an s bring their plural. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${amount(count)} ${count === 1 ? noun : plural}`;
}

/** `2 to 5`; where both are the same, that one. */
export const ranged = (least: number | string, most: number | string): string =>
  least === most ? `${most}` : `${least} to ${most}`;

/** The same with what they are: `2 to 5 hosts`, `1 host`. */
export const countedRange = (least: number, most: number, noun: string): string =>
  least === most ? counted(most, noun) : `${least} to ${counted(most, noun)}`;
