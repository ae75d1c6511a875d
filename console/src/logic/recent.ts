// Queries that were run, kept on this machine: the newest first, none twice.

const MOST = 30;

/** The list with one more. */
export function remembered(list: readonly string[], query: string): string[] {
  const text = query.trim();
  if (text === "") return [...list];
  return [text, ...list.filter((other) => other !== text)].slice(0, MOST);
}

/** Reads what was kept; whatever else stands there counts as nothing. */
export function readKept(text: string | null): string[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value)
      ? value.filter((v): v is string => typeof v === "string").slice(0, MOST)
      : [];
  } catch {
    return [];
  }
}
