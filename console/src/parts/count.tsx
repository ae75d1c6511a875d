// A field for how many of something there are to be, with one fewer and one more beside it.
import "./count.css";

/** The number a text says, if it is one and not above the most; NaN if not. */
export function countOf(text: string, most = Number.MAX_SAFE_INTEGER): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return count <= most ? count : Number.NaN;
}

interface Props {
  id: string;
  label: string;
  /** What stands in the field, a number or not. */
  text: string;
  most?: number;
  onText: (text: string) => void;
}

export function CountField({ id, label, text, most, onText }: Props) {
  const count = countOf(text, most);
  const step = (by: number) => onText(String(Math.max(0, (count || 0) + by)));
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="stepper">
        <button
          type="button"
          className="button icon"
          onClick={() => step(-1)}
          aria-label="one fewer"
        >
          −
        </button>
        <input
          id={id}
          type="number"
          inputMode="numeric"
          min={0}
          max={most}
          value={text}
          aria-invalid={Number.isNaN(count)}
          data-first
          onFocus={(event) => event.target.select()}
          onChange={(event) => onText(event.target.value)}
        />
        <button type="button" className="button icon" onClick={() => step(1)} aria-label="one more">
          +
        </button>
      </div>
    </div>
  );
}
