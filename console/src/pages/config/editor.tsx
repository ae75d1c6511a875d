// The values of a configuration: as a form where a JSON Schema says what they are, and raw. What
// would change against what is live stands beside; it is kept as a draft, or pushed.

import { useMemo, useState } from "react";
import type { Values } from "../../api/config";
import type { Config } from "../../api/objects";
import {
  contentDiff,
  type FormField,
  fieldsOf,
  mergePatch,
  overlayWords,
  readValues,
  valueAt,
  withValue,
} from "../../logic/configs";
import { counted } from "../../logic/quantity";
import { ChangeDialog } from "../../parts/change";
import { Diff } from "../../parts/diff";
import { Remark } from "../../parts/judging";
import { proposalOf } from "../deployment/actions";
import { Field } from "./field";

interface Props {
  config: Config;
  mayWrite: boolean;
}

export function Editor({ config, mayWrite }: Props) {
  const { spec, status, metadata } = config;
  const base = spec.draft?.values ?? spec.values ?? {};
  const fields = useMemo(() => fieldsOf(spec.schema), [spec.schema]);
  const [way, setWay] = useState<"form" | "raw">(fields.length > 0 ? "form" : "raw");
  const [values, setValues] = useState<Values>(base);
  const [raw, setRaw] = useState(() => JSON.stringify(base, null, 2));
  const [asked, setAsked] = useState<"push" | "draft" | null>(null);
  const read = useMemo(() => (way === "raw" ? readValues(raw) : { values }), [way, raw, values]);
  const now = "values" in read ? read.values : undefined;
  const live = status.live?.values ?? spec.values ?? {};
  const overlays = spec.overlays ?? [];
  const changes = now ? contentDiff({ values: live }, { values: now }) : [];
  // What was pushed and is on its way differs from what is live, yet is not to be pushed again.
  const fresh = now !== undefined && JSON.stringify(now) !== JSON.stringify(spec.values ?? {});
  const go = (to: "form" | "raw") => {
    if (to === "raw") setRaw(JSON.stringify(values, null, 2));
    else if (now) setValues(now);
    setWay(to);
  };
  return (
    <div className="config-editor">
      <section className="panel" aria-label="values">
        <header>
          <h2>Values</h2>
          {fields.length > 0 && (
            <div className="choice" role="group" aria-label="edited as">
              <button
                type="button"
                aria-pressed={way === "form"}
                disabled={!now}
                onClick={() => go("form")}
              >
                Form
              </button>
              <button type="button" aria-pressed={way === "raw"} onClick={() => go("raw")}>
                Raw
              </button>
            </div>
          )}
        </header>
        {way === "form" ? (
          <Form fields={fields} values={values} mayWrite={mayWrite} onChange={setValues} />
        ) : (
          <div className="body stack tight">
            <textarea
              className="raw-values mono"
              aria-label="values as JSON"
              value={raw}
              readOnly={!mayWrite}
              spellCheck={false}
              rows={Math.min(28, Math.max(8, raw.split("\n").length + 1))}
              onChange={(event) => setRaw(event.target.value)}
            />
            {"wrong" in read && (
              <p className="bad-text small" role="status">
                {read.wrong}
              </p>
            )}
          </div>
        )}
      </section>
      <section className="panel config-change" aria-label="against what is live">
        <header>
          <h2>Against what is live</h2>
        </header>
        <div className="body stack tight">
          {changes.length === 0 ? (
            <p className="quiet">{now ? "Nothing differs." : "It cannot be read yet."}</p>
          ) : (
            <Diff diff={changes} />
          )}
          {overlays.length > 0 && <Overlays overlays={overlays} />}
          {mayWrite && (
            <p className="row wrap">
              <button
                type="button"
                className="button main"
                data-key="e"
                disabled={!fresh}
                onClick={() => setAsked("push")}
              >
                Push…
              </button>
              <button
                type="button"
                className="button"
                disabled={!fresh}
                onClick={() => setAsked("draft")}
              >
                Keep as a draft…
              </button>
            </p>
          )}
        </div>
      </section>
      {asked && now && (
        <Ask
          what={asked}
          values={now}
          config={config}
          key={metadata.name}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}

interface FormProps {
  fields: readonly FormField[];
  values: Values;
  mayWrite: boolean;
  onChange: (values: Values) => void;
}

function Form({ fields, values, mayWrite, onChange }: FormProps) {
  return (
    <div className="body config-form">
      {fields.map((field) => (
        <Field
          key={field.path.join(".")}
          field={field}
          value={valueAt(values, field.path)}
          mayWrite={mayWrite}
          onChange={(value) => onChange(withValue(values, field.path, value))}
        />
      ))}
    </div>
  );
}

function Overlays({ overlays }: { overlays: NonNullable<Config["spec"]["overlays"]> }) {
  return (
    <div>
      <h3>Other values for some</h3>
      <ul className="small overlays">
        {overlays.map((overlay, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: overlays are known by their place
          <li key={i}>
            <span className="second">{overlayWords(overlay)}</span>{" "}
            <code>{JSON.stringify(overlay.values)}</code>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface AskProps {
  what: "push" | "draft";
  values: Values;
  config: Config;
  onClose: () => void;
}

function Ask({ what, values, config, onClose }: AskProps) {
  const { metadata, spec, status } = config;
  const { name, generation = 0 } = metadata;
  const [seen] = useState(generation);
  const [note, setNote] = useState(spec.draft?.note ?? "");
  const overlays = spec.draft?.overlays ?? spec.overlays ?? [];
  const patch =
    what === "push"
      ? { values: mergePatch(spec.values ?? {}, values), overlays, draft: null }
      : {
          draft: {
            values: mergePatch(spec.draft?.values ?? {}, values),
            overlays,
            note: note.trim() || null,
          },
        };
  const done = what === "push" ? `config/${name} is pushed` : `a draft of config/${name} is kept`;
  return (
    <ChangeDialog
      title={what === "push" ? `Push ${name}` : `Keep a draft of ${name}`}
      lead={
        what === "draft"
          ? "Nothing goes out: somebody reads it and pushes it."
          : spec.gray
            ? "It goes out in gray, step by step; the guard watches each."
            : `It reaches all at once: ${counted(status.instances ?? 0, "instance")}.`
      }
      word={what === "push" ? "Push" : "Keep the draft"}
      proposal={proposalOf({ plural: "configs", name, generation: seen, spec: patch }, done)}
      onClose={onClose}
    >
      {what === "draft" && <Remark label="What for" value={note} onChange={setNote} />}
    </ChangeDialog>
  );
}
