// Begins a migration: what is moved off where, how much at a time; beside it what that would take.
import { useMemo, useState } from "react";
import { create } from "../../api/change";
import { useMigrationForecast } from "../../api/forecasts";
import { useFleet } from "../../api/live";
import { serverNow } from "../../api/metrics";
import { order, zoneOf } from "../../logic/fleet";
import { type Asking, specOf, wrongWith } from "../../logic/migrations";
import { butOfForecast } from "../../logic/outcome";
import { ChangeDialog, type Proposal } from "../../parts/change";
import { ForecastView } from "./forecast";

type What = Asking["what"];

const WORDS: Readonly<Record<What, string>> = {
  zone: "a zone",
  host: "a host",
  filter: "hosts by a filter",
  balance: "fuller hosts",
};

export function Begin({ onClose }: { onClose: () => void }) {
  const { hosts } = useFleet();
  const zones = useMemo(() => [...new Set(hosts.map((h) => zoneOf(h)))].sort(order), [hosts]);
  const [what, setWhat] = useState<What>("zone");
  const [zone, setZone] = useState(zones[0] ?? "");
  const [host, setHost] = useState(hosts[0]?.metadata.name ?? "");
  const [filter, setFilter] = useState("");
  const [wave, setWave] = useState("10%");
  const [pause, setPause] = useState("0s");
  const [retire, setRetire] = useState(false);
  const [at] = useState(() => Math.floor(serverNow() / 1000));
  const of = { zone, host, filter, balance: "" }[what];
  const asking: Asking = what === "balance" ? { what } : { what, of };
  const how = { wave, pause, retire };
  const names = useMemo(() => new Set(hosts.map(({ metadata }) => metadata.name)), [hosts]);
  const wrong = wrongWith(asking, how, names);
  const spec = wrong ? undefined : specOf(asking, how);
  const { data: forecast, error } = useMigrationForecast(spec);
  // What moves nothing is nothing to begin, unless the hosts are to stay closed; what cannot be
  // forecast is told by the forecast, and a preview would only tell it again.
  const nothing =
    forecast && (forecast.hosts.length === 0 || (forecast.instances === 0 && !retire));
  const asked = nothing || error ? undefined : spec;
  const plain = of.replaceAll(/[^a-z0-9-]+/gi, "-").toLowerCase();
  const named = what === "balance" ? "balance" : what === "filter" ? "hosts" : plain;
  const name = `${named}-${at}`;
  const migration = { kind: "Migration", metadata: { name }, spec };
  const proposal: Proposal | undefined = asked && {
    key: `migrate ${name} ${JSON.stringify(spec)}`,
    preview: (signal) => create("migrations", migration, true, signal),
    apply: () => create("migrations", migration, false),
    done: `migration/${name} begins`,
    but: butOfForecast(forecast),
  };
  return (
    <ChangeDialog
      title="Move what runs"
      lead="Each instance is replaced first and stopped when its replacement serves, in waves."
      word="Begin"
      proposal={proposal}
      onClose={onClose}
    >
      <div className="field">
        <span className="field-word">Off</span>
        <div className="choice" role="group" aria-label="off what">
          {(Object.keys(WORDS) as What[]).map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={what === one}
              onClick={() => setWhat(one)}
            >
              {WORDS[one]}
            </button>
          ))}
        </div>
      </div>
      {what === "zone" && (
        <div className="field">
          <label htmlFor="move-zone">Zone</label>
          <select id="move-zone" value={zone} onChange={(event) => setZone(event.target.value)}>
            {zones.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </div>
      )}
      {what === "host" && (
        <div className="field">
          <label htmlFor="move-host">Host</label>
          <input
            id="move-host"
            value={host}
            list="move-hosts"
            spellCheck={false}
            onChange={(event) => setHost(event.target.value)}
          />
          <datalist id="move-hosts">
            {hosts.slice(0, 1000).map(({ metadata }) => (
              <option key={metadata.name} value={metadata.name} />
            ))}
          </datalist>
        </div>
      )}
      {what === "filter" && (
        <div className="field">
          <label htmlFor="move-filter">Filter</label>
          <input
            id="move-filter"
            className="mono"
            value={filter}
            placeholder="kernel ~ 5.10*"
            spellCheck={false}
            onChange={(event) => setFilter(event.target.value)}
          />
        </div>
      )}
      <div className="move-how">
        <div className="field">
          <label htmlFor="move-wave">At a time: a number, or a share</label>
          <input id="move-wave" value={wave} onChange={(event) => setWave(event.target.value)} />
        </div>
        <div className="field">
          <label htmlFor="move-pause">Between two waves</label>
          <input id="move-pause" value={pause} onChange={(event) => setPause(event.target.value)} />
        </div>
      </div>
      {what !== "balance" && (
        <label className="check">
          <input
            type="checkbox"
            checked={retire}
            onChange={(event) => setRetire(event.target.checked)}
          />
          Keep the hosts closed afterwards
        </label>
      )}
      {wrong && (
        <p className="field-wrong" role="status">
          {wrong}
        </p>
      )}
      {spec && <ForecastView spec={spec} />}
    </ChangeDialog>
  );
}
