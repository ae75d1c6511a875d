// A request that was refused or failed: what was attempted, why not, and what to do.
import { Problem } from "../api/http";
import { Prose } from "./prose";
import { Reasons } from "./reasons";
import "./problem.css";

export function ProblemView({ problem, again }: { problem: unknown; again?: () => void }) {
  const { message, code, reasons } = Problem.from(problem);
  const said = reasons.filter((r) => r.message !== message);
  const hint = reasons.find((r) => r.message === message)?.hint;
  return (
    <div className="problem" role="alert">
      <div className="row">
        <b className="grow">{message}</b>
        {!said.some((r) => r.code === code) && <code className="quiet small">{code}</code>}
        {again && (
          <button type="button" className="button slim" onClick={again}>
            Try again
          </button>
        )}
      </div>
      {hint && (
        <p className="second">
          <Prose text={hint} />
        </p>
      )}
      <Reasons reasons={said} />
    </div>
  );
}
