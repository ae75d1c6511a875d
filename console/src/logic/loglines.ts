// Searching logs: what is asked for, and which parts of a line were.
import type { Span } from "./period";
import { writeSpan } from "./period";

export interface LogSearchAsked {
  readonly subject: string;
  readonly contains: string;
  readonly level: string;
  readonly fields: string;
}

/** `KEY=VALUE` pairs with commas or spaces between; what is no pair is left out. */
export function parseFields(text: string): [string, string][] {
  return [...text.matchAll(/([\w.-]+)\s*=\s*(?:"([^"]*)"|([^\s,]+))/g)].map(
    ([, key = "", quoted, bare]) => [key, quoted ?? bare ?? ""],
  );
}

/** The search as the server takes it. */
export function logQuery(asked: LogSearchAsked, span: Span, limit: number): string {
  const time: Record<string, string> =
    span.kind === "last"
      ? { since: writeSpan(span.ms) }
      : { since: new Date(span.from).toISOString(), until: new Date(span.to).toISOString() };
  const search = new URLSearchParams({ subject: asked.subject, ...time, limit: `${limit}` });
  if (asked.contains) search.set("contains", asked.contains);
  if (asked.level) search.set("level", asked.level);
  for (const [key, value] of parseFields(asked.fields)) search.append("field", `${key}=${value}`);
  return search.toString();
}

export interface Piece {
  readonly text: string;
  readonly hit: boolean;
}

/** Cuts a line where the text searched for stands, whatever its case. */
export function pieces(line: string, contains: string): Piece[] {
  if (!contains) return [{ text: line, hit: false }];
  const found: Piece[] = [];
  const [low, wanted] = [line.toLowerCase(), contains.toLowerCase()];
  let at = 0;
  for (;;) {
    const next = low.indexOf(wanted, at);
    if (next < 0) break;
    if (next > at) found.push({ text: line.slice(at, next), hit: false });
    found.push({ text: line.slice(next, next + wanted.length), hit: true });
    at = next + wanted.length;
  }
  if (at < line.length) found.push({ text: line.slice(at), hit: false });
  return found;
}

/** The longest part of a template that stands in its lines as it is. */
export function literalOf(template: string): string {
  const parts = template.split(/<[^<>\s]*>|\*/).map((part) => part.trim());
  return parts.reduce((best, part) => (part.length > best.length ? part : best), "");
}
