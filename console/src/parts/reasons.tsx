// Reasons as the server gives them: what is so, and what to do about it.
import type { Reason } from "../api/objects";
import { Prose } from "./prose";
import "./reasons.css";

export function Reasons({ reasons, most = 20 }: { reasons: readonly Reason[]; most?: number }) {
  if (reasons.length === 0) return null;
  const more = reasons.length - most;
  return (
    <ul className="reasons">
      {reasons.slice(0, most).map((reason) => (
        <li key={`${reason.code} ${reason.message}`}>
          <code className="code">{reason.code}</code>
          <span className="reason">
            <Prose text={reason.message} />
            {reason.hint && (
              <span className="hint">
                <Prose text={reason.hint} />
              </span>
            )}
          </span>
        </li>
      ))}
      {more > 0 && <li className="quiet">and {more} more</li>}
    </ul>
  );
}
