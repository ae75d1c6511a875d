// A state as a small shape and a word. The shape differs as well as the colour, so that it is told
// apart without seeing colours.
import type { Tone } from "../logic/phases";
import "./phase.css";

export function Dot({ tone }: { tone: Tone }) {
  return <span className={`dot ${tone}`} aria-hidden="true" />;
}

export function State({ tone, word }: { tone: Tone; word: string }) {
  return (
    <span className={`state ${tone}`}>
      <Dot tone={tone} />
      {word}
    </span>
  );
}
