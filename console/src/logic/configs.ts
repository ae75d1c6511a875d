// Configurations: what differs between two contents, and how a JSON Schema becomes fields of a form.

import type { ConfigPhase, Content, GrayStep, Values } from "../api/config";
import type { FieldDiff } from "../api/objects";
import type { Tone } from "./phases";
import { counted, ranged } from "./quantity";

export const CONFIG: Readonly<Record<ConfigPhase, { word: string; tone: Tone }>> = {
  waiting: { word: "nothing live yet", tone: "held" },
  delivering: { word: "on its way", tone: "move" },
  gray: { word: "gray release", tone: "soak" },
  paused: { word: "paused", tone: "warn" },
  settled: { word: "settled", tone: "ok" },
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function flatten(path: string, value: unknown, into: Map<string, unknown>): void {
  if (isObject(value) && Object.keys(value).length > 0) {
    for (const [key, field] of Object.entries(value)) {
      flatten(path === "" ? key : `${path}.${key}`, field, into);
    }
  } else if (value !== undefined) into.set(path, value);
}

/** Every field that differs, values first, then overlays by their place. */
export function contentDiff(from: Content | undefined, to: Content): FieldDiff[] {
  const flat = (content: Content | undefined) => {
    const fields = new Map<string, unknown>();
    flatten("", content?.values ?? {}, fields);
    for (const [i, overlay] of (content?.overlays ?? []).entries()) {
      flatten(`overlays[${i}]`, overlay, fields);
    }
    return fields;
  };
  const [a, b] = [flat(from), flat(to)];
  const paths = [...new Set([...a.keys(), ...b.keys()])];
  return paths
    .filter((path) => JSON.stringify(a.get(path)) !== JSON.stringify(b.get(path)))
    .map((path) => ({ path, from: a.get(path), to: b.get(path) }) as FieldDiff);
}

export type FieldKind = "boolean" | "integer" | "number" | "string" | "choice" | "list" | "raw";

/** One field of a form. */
export interface FormField {
  readonly path: readonly string[];
  readonly label: string;
  readonly about: string;
  readonly kind: FieldKind;
  readonly required: boolean;
  readonly options: readonly unknown[];
  readonly bounds: string;
  readonly least?: number;
  readonly most?: number;
}

interface SchemaNode {
  type?: string | string[];
  title?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, SchemaNode>;
  required?: string[];
  items?: SchemaNode;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
}

const DEEPEST = 4;

/**
 * The fields a schema amounts to, objects opened up. What a form cannot show (choices of shapes,
 * references) is one field of raw JSON; no schema at all: none, and the values are edited raw.
 */
export function fieldsOf(schema: unknown): FormField[] {
  if (!isObject(schema)) return [];
  return walk(schema as SchemaNode, [], false);
}

function walk(node: SchemaNode, path: readonly string[], required: boolean): FormField[] {
  const properties = Object.entries(node.properties ?? {});
  if (properties.length > 0 && path.length < DEEPEST) {
    return properties.flatMap(([name, child]) =>
      walk(child, [...path, name], node.required?.includes(name) ?? false),
    );
  }
  if (path.length === 0) return [];
  const kind = kindOf(node);
  return [
    {
      path,
      label: node.title ?? path.join("."),
      about: node.description ?? "",
      kind,
      required,
      options: node.enum ?? [],
      bounds: boundsOf(node),
      least: node.minimum,
      most: node.maximum,
    },
  ];
}

function kindOf({ type, enum: options, items }: SchemaNode): FieldKind {
  if (options?.length) return "choice";
  if (type === "boolean" || type === "integer" || type === "number" || type === "string")
    return type;
  if (type === "array" && items?.type === "string") return "list";
  return "raw";
}

function boundsOf({ minimum, maximum, pattern, minLength, maxLength }: SchemaNode): string {
  const told = [];
  if (minimum !== undefined && maximum !== undefined) told.push(ranged(minimum, maximum));
  else if (minimum !== undefined) told.push(`at least ${minimum}`);
  else if (maximum !== undefined) told.push(`at most ${maximum}`);
  if (minLength !== undefined) told.push(`${counted(minLength, "character")} or more`);
  if (maxLength !== undefined) told.push(`${counted(maxLength, "character")} or fewer`);
  if (pattern !== undefined) told.push(`like ${pattern}`);
  return told.join(", ");
}

/** Whether a value is beyond what a field may be. */
export function isBeyond({ least, most }: FormField, value: unknown): boolean {
  if (typeof value !== "number") return false;
  return (least !== undefined && value < least) || (most !== undefined && value > most);
}

export function valueAt(values: Values, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), values);
}

/** The same values with another one at a path; `undefined` takes it away. */
export function withValue(values: Values, path: readonly string[], value: unknown): Values {
  const [key, ...rest] = path;
  if (key === undefined) return values;
  const { [key]: old, ...others } = values;
  const next = rest.length === 0 ? value : withValue(isObject(old) ? old : {}, rest, value);
  const empty = next === undefined || (rest.length > 0 && Object.keys(next as object).length === 0);
  // Fields keep their order, so that what was edited is found where it was.
  return empty ? others : { ...values, [key]: next };
}

/** Reads raw values; what is wrong is told as people would find it. */
export function readValues(text: string): { values: Values } | { wrong: string } {
  try {
    const read: unknown = JSON.parse(text);
    return isObject(read) ? { values: read } : { wrong: "values are an object: { … }" };
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const at = Number(/position (\d+)/.exec(message)?.[1]);
    const line = Number.isNaN(at) ? undefined : text.slice(0, at).split("\n").length;
    return { wrong: `no JSON${line === undefined ? "" : `, at line ${line}`}: ${message}` };
  }
}

/** Whom a step of a gray release reaches: `10% of instances`, `where zone=a`. */
export function stepWords({ instances, names, where }: GrayStep): string {
  if (instances !== undefined && instances !== null) {
    const count = String(instances);
    return count.endsWith("%")
      ? `${count} of instances`
      : `${count} instance${count === "1" ? "" : "s"}`;
  }
  if (names?.length) return names.join(", ");
  return where ? `where ${where}` : "all instances";
}

/** Whom an overlay is for. */
export function overlayWords(overlay: {
  environments?: readonly string[];
  where?: string;
}): string {
  const told = [
    overlay.environments?.length ? `in ${overlay.environments.join(", ")}` : "",
    overlay.where ? `where ${overlay.where}` : "",
  ].filter(Boolean);
  return told.join(" ") || "everywhere";
}

/** What makes one value of another as a merge patch: `null` takes away what is no longer there. */
export function mergePatch(from: Values, to: Values): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(from)) if (!(key in to)) patch[key] = null;
  for (const [key, value] of Object.entries(to)) {
    const old = from[key];
    if (JSON.stringify(old) === JSON.stringify(value)) continue;
    patch[key] = isObject(old) && isObject(value) ? mergePatch(old, value) : value;
  }
  return patch;
}
