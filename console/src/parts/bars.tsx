// Amounts as lengths: how a whole is made up, and how much of a capacity is given away.
import type { Tone } from "../logic/phases";
import { percent } from "../logic/quantity";
import "./bars.css";

export interface Segment {
  readonly word: string;
  readonly tone: Tone;
  readonly count: number;
}

/** A whole made up of parts; a part that is there is seen, however small. */
export function Segments({ parts, label }: { parts: readonly Segment[]; label: string }) {
  const told = parts.filter((p) => p.count > 0);
  const words = told.map((p) => `${p.count} ${p.word}`).join(", ");
  return (
    <span className="segments" role="img" aria-label={`${label}: ${words || "none"}`} title={words}>
      {told.map((part) => (
        <span key={part.word} className={`segment ${part.tone}`} style={{ flexGrow: part.count }} />
      ))}
    </span>
  );
}

/** The parts of a whole in words, for under the bar. */
export function Legend({ parts }: { parts: readonly Segment[] }) {
  return (
    <ul className="legend">
      {parts
        .filter((p) => p.count > 0)
        .map((part) => (
          <li key={part.word}>
            <span className={`swatch ${part.tone}`} aria-hidden="true" />
            <b>{part.count.toLocaleString("en")}</b> {part.word}
          </li>
        ))}
    </ul>
  );
}

/** How much of a capacity is used; past nine tenths it says so by its colour. */
interface MeterProps {
  used: number;
  whole: number;
  label: string;
  /** For what is meant to get full. */
  progress?: boolean;
}

export function Meter({ used, whole, label, progress = false }: MeterProps) {
  const share = percent(used, whole);
  const tone = progress || share < 90 ? "use" : share > 100 ? "bad" : "warn";
  return (
    <span
      className="meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.min(100, share)}
    >
      <span className={`meter-fill ${tone}`} style={{ width: `${Math.min(100, share)}%` }} />
    </span>
  );
}
