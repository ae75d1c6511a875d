// Pages that are loaded when they are first needed. One that could not be loaded stays so: the
// browser keeps that it failed, and only loading the whole console again helps.
import { type ComponentType, lazy } from "react";
import { keep, kept } from "../parts/kept";

/** A page could not be loaded: the server is away, or it has another console by now. */
export class NotLoaded extends Error {
  readonly at = Date.now();
}

const AGAIN = "loaded-again";

/** A page, or a part of one, that is loaded when it is first drawn. */
export function late<P>(load: () => Promise<ComponentType<P>>) {
  return lazy(async () => {
    try {
      const page = await load();
      keep(AGAIN, undefined);
      return { default: page };
    } catch (cause) {
      throw new NotLoaded("a page could not be loaded", { cause });
    }
  });
}

/** Loads the whole console again, but only once until a page could be loaded: it must not loop. */
export function loadAgainOnce(): void {
  if (kept(AGAIN) === undefined && keep(AGAIN, "yes")) location.reload();
}
