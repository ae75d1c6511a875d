// What a page shows is said by its address, so that it can be sent to somebody. Changing a part of it
// leaves the rest, and where one has scrolled to, as they are.
import { useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";

/** Changes some of what the address says; a step one can go back from only where `replace` is false. */
export function useAdjust<S extends object>(): (change: S, replace?: boolean) => void {
  const navigate = useNavigate();
  return useCallback(
    (change: S, replace = true) =>
      void navigate({
        to: ".",
        search: (old: Record<string, unknown>) => ({ ...old, ...change }),
        replace,
        resetScroll: false,
      } as never),
    [navigate],
  );
}
