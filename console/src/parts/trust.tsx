// Says of an answer how complete and how fresh it is.
import type { Quality } from "../api/metrics";
import type { Span } from "../logic/period";
import { trustOf } from "../logic/trust";
import { Dot } from "./phase";
import "./trust.css";

/** How often agents collect. */
const COLLECTED = 15_000;

export function Trust({ quality, span }: { quality: Quality | undefined; span: Span }) {
  const trust = trustOf(quality, COLLECTED, span.kind === "between");
  if (!trust) return null;
  return (
    <span className={`trust ${trust.tone}`} title={trust.more}>
      <Dot tone={trust.tone} />
      {trust.words}
    </span>
  );
}
