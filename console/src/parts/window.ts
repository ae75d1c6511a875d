// Which rows of a long list are near what is seen, so that only those are drawn.
import { type RefObject, useLayoutEffect, useState } from "react";

const OVER = 12;
const STEP = 6;

export interface Range {
  readonly first: number;
  readonly last: number;
}

/** The rows between `top` and `bottom` of the list, in steps, with some to spare at both ends. */
export function rangeOf(top: number, bottom: number, count: number, height: number): Range {
  const first = Math.floor((top / height - OVER) / STEP) * STEP;
  const last = Math.ceil((bottom / height + OVER) / STEP) * STEP;
  return { first: Math.max(0, Math.min(first, count)), last: Math.max(0, Math.min(last, count)) };
}

/** The same for a list that scrolls with the page. */
export function useRange(
  list: RefObject<HTMLElement | null>,
  count: number,
  height: number,
): Range {
  const [range, setRange] = useState<Range>({ first: 0, last: Math.min(count, 60) });
  useLayoutEffect(() => {
    const look = () => {
      const top = list.current?.getBoundingClientRect().top ?? 0;
      const next = rangeOf(-top, innerHeight - top, count, height);
      setRange((old) => (old.first === next.first && old.last === next.last ? old : next));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [list, count, height]);
  return range;
}
