// One field of a form made from a JSON Schema.
import { useId, useState } from "react";
import { type FormField, isBeyond } from "../../logic/configs";

interface Props {
  field: FormField;
  value: unknown;
  mayWrite: boolean;
  onChange: (value: unknown) => void;
}

export function Field({ field, value, mayWrite, onChange }: Props) {
  const id = useId();
  const named = field.path.join(".");
  const beyond = isBeyond(field, value);
  return (
    <div className="config-field">
      <label htmlFor={id}>
        <span className="strong">{field.label}</span>
        {field.label !== named && <code className="quiet small"> {named}</code>}
        {field.required && <span className="quiet small"> required</span>}
      </label>
      <Input id={id} field={field} value={value} mayWrite={mayWrite} onChange={onChange} />
      {(field.about || (field.bounds && !beyond)) && (
        <p className="small quiet">
          {[field.about, !beyond && field.bounds].filter(Boolean).join("; ")}
        </p>
      )}
      {beyond && <p className="bad-text small">it may be {field.bounds}</p>}
    </div>
  );
}

function Input({ id, field, value, mayWrite, onChange }: Props & { id: string }) {
  if (field.kind === "boolean") {
    return (
      <button
        id={id}
        type="button"
        role="switch"
        aria-checked={value === true}
        className="switch"
        disabled={!mayWrite}
        onClick={() => onChange(value !== true)}
      >
        <i />
        <span>{value === undefined ? "not set" : value === true ? "true" : "false"}</span>
      </button>
    );
  }
  if (field.kind === "choice") {
    return (
      <select
        id={id}
        value={value === undefined ? "" : JSON.stringify(value)}
        disabled={!mayWrite}
        onChange={(event) =>
          onChange(event.target.value === "" ? undefined : JSON.parse(event.target.value))
        }
      >
        {!field.required && <option value="">not set</option>}
        {field.options.map((option) => (
          <option key={JSON.stringify(option)} value={JSON.stringify(option)}>
            {String(option)}
          </option>
        ))}
      </select>
    );
  }
  if (field.kind === "list" || field.kind === "raw") {
    return <Written id={id} field={field} value={value} mayWrite={mayWrite} onChange={onChange} />;
  }
  const numeric = field.kind === "integer" || field.kind === "number";
  return (
    <input
      id={id}
      type={numeric ? "number" : "text"}
      step={field.kind === "integer" ? 1 : "any"}
      min={field.least}
      max={field.most}
      aria-invalid={isBeyond(field, value) || undefined}
      value={value === undefined || value === null ? "" : String(value)}
      placeholder="not set"
      readOnly={!mayWrite}
      spellCheck={false}
      onChange={(event) => {
        const text = event.target.value;
        if (text === "") onChange(undefined);
        else onChange(numeric ? Number(text) : text);
      }}
    />
  );
}

/** What is written as text: a list, a line for each, or JSON. Kept as typed while it makes no sense. */
function Written({ id, field, value, mayWrite, onChange }: Props & { id: string }) {
  const list = field.kind === "list";
  const shown =
    value === undefined
      ? ""
      : list && Array.isArray(value)
        ? value.join("\n")
        : JSON.stringify(value, null, 2);
  const [typed, setTyped] = useState<string | null>(null);
  const [wrong, setWrong] = useState(false);
  const take = (text: string) => {
    setTyped(text);
    if (text.trim() === "") {
      setWrong(false);
      return onChange(undefined);
    }
    if (list) return onChange(text.split("\n").filter((line) => line.trim() !== ""));
    try {
      onChange(JSON.parse(text));
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return (
    <>
      <textarea
        id={id}
        className="mono"
        rows={Math.min(8, Math.max(2, (typed ?? shown).split("\n").length))}
        value={typed ?? shown}
        placeholder={list ? "one a line" : "JSON"}
        readOnly={!mayWrite}
        spellCheck={false}
        onChange={(event) => take(event.target.value)}
        onBlur={() => !wrong && setTyped(null)}
      />
      {wrong && <p className="bad-text small">no JSON: what was before stays until it is</p>}
    </>
  );
}
