// Begins a run by hand: the branch, and what the pipeline lets be given to it.
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useId, useState } from "react";
import { beginRun } from "../../api/ci";
import { Problem } from "../../api/http";
import type { Pipeline } from "../../api/objects";
import { Dialog } from "../../parts/dialog";
import { notify } from "../../parts/notices";
import { ProblemView } from "../../parts/problem";

type Param = NonNullable<Pipeline["spec"]["params"]>[string];

const written = (value: unknown): string =>
  value === undefined || value === null ? "" : String(value);

function readAs(type: Param["type"] | undefined, text: string): unknown {
  if (type === "number") return Number(text);
  return type === "boolean" ? text === "true" : text;
}

export function BeginRun({ pipeline, onClose }: { pipeline: Pipeline; onClose: () => void }) {
  const navigate = useNavigate();
  const { name } = pipeline.metadata;
  const params = Object.entries(pipeline.spec.params ?? {});
  const [branch, setBranch] = useState("");
  const [given, setGiven] = useState<Record<string, string>>({});
  const [failure, setFailure] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  // Sent twice, it begins one run all the same.
  const [key] = useState(() => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`);
  const id = useId();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      const told = Object.entries(given).filter(([, text]) => text !== "");
      const values = told.map(([k, text]) => [k, readAs(pipeline.spec.params?.[k]?.type, text)]);
      const body = { key, branch: branch || undefined, params: Object.fromEntries(values) };
      const { run } = await beginRun(name, body);
      notify(`run/${run} begins`);
      onClose();
      void navigate({ to: `/runs/${run}` as "/" });
    } catch (thrown) {
      setFailure(Problem.from(thrown));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Run ${name}`} onClose={onClose}>
      <form className="dialog-form" onSubmit={submit}>
        <div className="dialog-body">
          {pipeline.spec.source && (
            <div className="field">
              <label htmlFor={`${id}-branch`}>Branch</label>
              <input
                id={`${id}-branch`}
                data-first
                value={branch}
                placeholder={pipeline.spec.source.branch ?? "main"}
                spellCheck={false}
                onChange={(event) => setBranch(event.target.value)}
              />
            </div>
          )}
          {params.map(([param, rule]) => (
            <div className="field" key={param}>
              <label htmlFor={`${id}-${param}`}>{param}</label>
              <ParamInput
                id={`${id}-${param}`}
                rule={rule}
                value={given[param] ?? ""}
                onChange={(text) => setGiven({ ...given, [param]: text })}
              />
              {rule.description && <p className="small quiet">{rule.description}</p>}
            </div>
          ))}
          {failure && <ProblemView problem={failure} />}
        </div>
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button main" disabled={busy}>
            {busy ? "Working…" : "Run"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

interface InputProps {
  id: string;
  rule: Param;
  value: string;
  onChange: (text: string) => void;
}

function ParamInput({ id, rule, value, onChange }: InputProps) {
  const options = rule.type === "boolean" ? [true, false] : (rule.oneOf ?? []);
  if (options.length === 0) {
    return (
      <input
        id={id}
        type={rule.type === "number" ? "number" : "text"}
        value={value}
        placeholder={written(rule.default)}
        required={rule.default === undefined}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  return (
    <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
      {rule.default !== undefined && <option value="">{written(rule.default)}, as usual</option>}
      {options.map((option) => (
        <option key={written(option)}>{written(option)}</option>
      ))}
    </select>
  );
}
