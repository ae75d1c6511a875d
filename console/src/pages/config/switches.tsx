// Switches as toggles: each with what it does, its default and who answers for it. Turning one is a
// change like any other: shown by a dry run before it is made.

import { useState } from "react";
import type { Switch } from "../../api/config";
import type { Config } from "../../api/objects";
import { overlayWords } from "../../logic/configs";
import { counted } from "../../logic/quantity";
import { ChangeDialog } from "../../parts/change";
import { SubjectLink } from "../../parts/object-link";
import { proposalOf } from "../deployment/actions";

interface Props {
  config: Config;
  mayWrite: boolean;
}

interface Turn {
  readonly name: string;
  readonly value: unknown;
}

export function Switches({ config, mayWrite }: Props) {
  const [turn, setTurn] = useState<Turn | null>(null);
  const { spec, metadata } = config;
  const all = Object.entries(spec.switches ?? {});
  return (
    <section className="panel" aria-label="switches">
      <ul data-list>
        {all.map(([name, one]) => (
          <Row
            key={name}
            name={name}
            one={one}
            config={config}
            mayWrite={mayWrite}
            onTurn={(value) => setTurn({ name, value })}
          />
        ))}
      </ul>
      {turn && (
        <Ask turn={turn} config={config} key={metadata.name} onClose={() => setTurn(null)} />
      )}
    </section>
  );
}

const shown = (value: unknown): string =>
  value === true
    ? "on"
    : value === false
      ? "off"
      : typeof value === "string"
        ? value
        : JSON.stringify(value);

interface RowProps {
  name: string;
  one: Switch;
  config: Config;
  mayWrite: boolean;
  onTurn: (value: unknown) => void;
}

function Row({ name, one, config, mayWrite, onTurn }: RowProps) {
  const set = config.spec.values?.[name];
  const value = set === undefined ? one.default : set;
  const elsewhere = (config.spec.overlays ?? []).filter((o) => name in o.values);
  const live = config.status.live?.values?.[name];
  const coming = live !== undefined && JSON.stringify(live) !== JSON.stringify(value);
  return (
    <li className="switch-row" data-row>
      <div className="switch-what">
        <p className="strong">{name}</p>
        <p className="small second">{one.description || "nobody has said what it does"}</p>
        <p className="small quiet">
          <SubjectLink subject={one.owner} /> · {shown(one.default)} unless set
          {elsewhere.map((o) => (
            <span key={overlayWords(o)}>
              {" "}
              · <b>{shown(o.values[name])}</b> {overlayWords(o)}
            </span>
          ))}
          {coming && (
            <span className="warn-text"> · still {shown(live)} where it has not arrived</span>
          )}
        </p>
      </div>
      <Turner name={name} one={one} value={value} mayWrite={mayWrite} onTurn={onTurn} />
      {set !== undefined && mayWrite ? (
        <button
          type="button"
          className="button bare slim"
          title={`back to ${shown(one.default)}`}
          onClick={() => onTurn(undefined)}
        >
          Reset
        </button>
      ) : (
        <span className="small quiet switch-default">{set === undefined ? "default" : ""}</span>
      )}
    </li>
  );
}

interface TurnerProps {
  name: string;
  one: Switch;
  value: unknown;
  mayWrite: boolean;
  onTurn: (value: unknown) => void;
}

function Turner({ name, one, value, mayWrite, onTurn }: TurnerProps) {
  const [text, setText] = useState<string | null>(null);
  if ((one.type ?? "boolean") === "boolean" && !one.options?.length) {
    return (
      <button
        type="button"
        role="switch"
        aria-checked={value === true}
        aria-label={name}
        className="switch"
        disabled={!mayWrite}
        onClick={() => onTurn(value !== true)}
      >
        <i />
        <span>{shown(value)}</span>
      </button>
    );
  }
  if (one.options?.length) {
    return (
      <select
        aria-label={name}
        value={JSON.stringify(value)}
        disabled={!mayWrite}
        onChange={(event) => onTurn(JSON.parse(event.target.value))}
      >
        {one.options.map((option) => (
          <option key={JSON.stringify(option)} value={JSON.stringify(option)}>
            {shown(option)}
          </option>
        ))}
      </select>
    );
  }
  const numeric = one.type === "integer" || one.type === "number";
  const submit = () => {
    if (text === null || text === String(value)) return setText(null);
    onTurn(numeric ? Number(text) : text);
    setText(null);
  };
  return (
    <input
      aria-label={name}
      type={numeric ? "number" : "text"}
      value={text ?? String(value)}
      disabled={!mayWrite}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => event.key === "Enter" && submit()}
      onBlur={submit}
    />
  );
}

function Ask({ turn, config, onClose }: { turn: Turn; config: Config; onClose: () => void }) {
  const { name, generation = 0 } = config.metadata;
  const [edit] = useState(() => ({
    plural: "configs" as const,
    name,
    generation,
    spec: { values: { [turn.name]: turn.value === undefined ? null : turn.value } },
  }));
  const one = config.spec.switches?.[turn.name];
  const to = shown(turn.value === undefined ? one?.default : turn.value);
  const { instances = 0 } = config.status;
  return (
    <ChangeDialog
      title={`${turn.name}: ${to}`}
      lead={
        config.spec.gray
          ? `It goes out in gray to ${counted(instances, "instance")}, step by step.`
          : `It reaches all at once: ${counted(instances, "instance")}.`
      }
      word={turn.value === undefined ? "Reset" : `Turn ${turn.name} ${to}`}
      proposal={proposalOf(edit, `${turn.name} of config/${name} will be ${to}`)}
      onClose={onClose}
    />
  );
}
