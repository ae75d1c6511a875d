// Writes an object as the YAML people apply. It writes only what JSON can hold, and reads nothing.

const PLAIN = /^[A-Za-z_/.][\w ./:@%+,()=-]*$/;
/** Spans, amounts and portions: they begin as numbers do, and are none. */
const AMOUNT = /^((\d+(ms|[smhd]))+|\d+(\.\d+)?(m|[KMGT]i|%))$/;
const READ_AS_OTHER = /^(true|false|null|yes|no|on|off|~)$/i;

function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  if (AMOUNT.test(value)) return value;
  const plain = PLAIN.test(value) && !READ_AS_OTHER.test(value);
  return plain && !value.includes(": ") && !value.endsWith(":") && !value.endsWith(" ")
    ? value
    : JSON.stringify(value);
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

function lines(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      if (typeof item !== "object" || item === null || isEmpty(item)) {
        return [`${indent}- ${flat(item)}`];
      }
      const [first, ...rest] = lines(item, `${indent}  `);
      return [`${indent}- ${(first ?? "").trimStart()}`, ...rest];
    });
  }
  return Object.entries(value as object).flatMap(([key, field]) => {
    if (typeof field !== "object" || field === null || isEmpty(field)) {
      return [`${indent}${scalar(key)}: ${flat(field)}`];
    }
    const words = Array.isArray(field) && field.every((f) => typeof f !== "object" || f === null);
    if (words) return [`${indent}${scalar(key)}: [${field.map(scalar).join(", ")}]`];
    return [`${indent}${scalar(key)}:`, ...lines(field, `${indent}  `)];
  });
}

function flat(value: unknown): string {
  if (Array.isArray(value)) return "[]";
  if (typeof value === "object" && value !== null) return "{}";
  return scalar(value);
}

export function toYaml(value: unknown): string {
  return `${lines(value, "").join("\n")}\n`;
}
