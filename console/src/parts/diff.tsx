// Fields that differ: what they were and what they become.
import type { FieldDiff } from "../api/objects";
import { type DiffLine, diffLines } from "../logic/diff";
import "./diff.css";

interface Props {
  diff: readonly FieldDiff[] | undefined;
  /** Leaves out what is only reported. */
  targetOnly?: boolean;
  most?: number;
}

export function Diff({ diff, targetOnly = false, most = 40 }: Props) {
  const lines = diffLines(diff).filter((line) => !targetOnly || line.target);
  if (lines.length === 0) return null;
  return (
    <ul className="diff">
      {lines.slice(0, most).map((line) => (
        <Line key={line.path} line={line} />
      ))}
      {lines.length > most && <li className="quiet">and {lines.length - most} more fields</li>}
    </ul>
  );
}

function Line({ line }: { line: DiffLine }) {
  return (
    <li className={line.target ? line.kind : `${line.kind} quiet`}>
      <span className="diff-path">{line.path}</span>
      {line.from !== undefined && <del>{line.from}</del>}
      {line.from !== undefined && line.to !== undefined && (
        <span className="quiet" aria-hidden="true">
          →
        </span>
      )}
      {line.to !== undefined && <ins>{line.to}</ins>}
    </li>
  );
}
