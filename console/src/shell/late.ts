// Pages and parts of them that are loaded when they are first needed. One that could not be loaded
// stays so: the browser keeps that it failed, and only loading the whole console again helps.
import { type ComponentType, lazy } from "react";
import { keep, kept } from "../parts/kept";

/** What is loaded when it is first needed. */
export type Part = "page" | "chart";

/** A part could not be loaded: the server is away, or it has another console by now. */
export class NotLoaded extends Error {
  readonly at = Date.now();
  readonly part: Part;

  constructor(part: Part, cause: unknown) {
    super(`a ${part} of the console could not be loaded; load the console again`, { cause });
    this.part = part;
  }
}

/** Each kind of part has its own: a page that loads says nothing of the charts on it. */
const again = (part: Part) => (part === "page" ? "loaded-again" : `loaded-again-${part}`);

/** Loads a part when it is needed; throws `NotLoaded` where that fails. */
export async function loaded<T>(part: Part, load: () => Promise<T>): Promise<T> {
  try {
    const made = await load();
    keep(again(part), undefined);
    return made;
  } catch (cause) {
    throw new NotLoaded(part, cause);
  }
}

/** A page, or a part of one, that is loaded when it is first drawn. */
export function late<P>(load: () => Promise<ComponentType<P>>) {
  return lazy(async () => ({ default: await loaded("page", load) }));
}

/** Loads the whole console again, but only once until such a part could be loaded: no loop. */
export function loadAgainOnce(part: Part): void {
  if (kept(again(part)) === undefined && keep(again(part), "yes")) location.reload();
}
