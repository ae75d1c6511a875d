// Whether the page is narrow, as the style sheets mean it.
import { useSyncExternalStore } from "react";

const narrow = typeof matchMedia === "undefined" ? undefined : matchMedia("(max-width: 700px)");

function subscribe(listener: () => void): () => void {
  narrow?.addEventListener("change", listener);
  return () => narrow?.removeEventListener("change", listener);
}

export function useNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => narrow?.matches ?? false);
}
