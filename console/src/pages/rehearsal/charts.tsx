// The charts of a rehearsal, as far as it has been played: load and what can be carried, what was not
// served, instances, hosts and cost. They share their cursor; events are marked by their number.
import { useMemo, useState } from "react";
import { gridOf, type Play, spentSoFar } from "../../logic/rehearsal";
import { parseSpan } from "../../logic/time";
import { Chart } from "../../parts/chart";
import type { Mark } from "../../parts/drawing";

const GROUP = "rehearsal";

export function Charts({ play, parts }: { play: Play; parts: number }) {
  const { report, from, lasts, entries } = play;
  const [chosen, setChosen] = useState(report.deployments[0]?.deployment ?? "");
  const served = report.deployments.find((one) => one.deployment === chosen);
  const shown = useMemo(() => [from / 1000, (from + lasts) / 1000] as const, [from, lasts]);
  const reached = parts * Math.max(1, parseSpan(report.fleet.step));
  const marks = useMemo((): Mark[] => {
    const faults = entries.filter((e) => e.kind === "fault" && e.at <= reached);
    return faults.map((e, i) => ({ at: (from + e.at) / 1000, word: String(i + 1) }));
  }, [entries, from, reached]);
  const fleet = useMemo(() => {
    const of = (field: "hosts" | "instances" | "errors") =>
      gridOf(report.fleet, [field], from, parts);
    return { hosts: of("hosts"), instances: of("instances"), errors: of("errors") };
  }, [report, from, parts]);
  const load = useMemo(
    () => served && gridOf(served.course, ["load", "capacity"], from, parts),
    [served, from, parts],
  );
  const spent = useMemo(() => {
    const all = spentSoFar(report);
    const grid = gridOf(report.fleet, ["hosts"], from, parts);
    if (!all) return undefined;
    const values = grid.times.map((_, i) => (i < parts ? (all[i] ?? null) : null));
    return { times: grid.times, lines: [{ labels: {}, values }] };
  }, [report, from, parts]);
  const common = { window: shown, marks, group: GROUP, height: 150 } as const;
  return (
    <div className="player-charts">
      <section className="panel wide" aria-label="load">
        <header>
          <h2>Load, and what can be carried</h2>
          {report.deployments.length > 1 && (
            <select
              aria-label="Deployment"
              value={chosen}
              onChange={(event) => setChosen(event.target.value)}
            >
              {report.deployments.map(({ deployment }) => (
                <option key={deployment}>{deployment}</option>
              ))}
            </select>
          )}
        </header>
        <div className="body">
          {load ? (
            <Chart
              {...common}
              grid={load}
              names={["load", "can be carried"]}
              label={`load of ${chosen}`}
              height={200}
              colours={[1, 0]}
            />
          ) : (
            <p className="quiet">No application says what its instances carry.</p>
          )}
        </div>
      </section>
      <Small
        title="Not served"
        name="of the load"
        grid={fleet.errors}
        unit="share"
        colour={4}
        {...common}
      />
      <Small
        title="Instances that serve"
        name="instances"
        grid={fleet.instances}
        colour={3}
        {...common}
      />
      <Small title="Hosts that are up" name="hosts" grid={fleet.hosts} colour={5} {...common} />
      {spent ? (
        <Small
          title="Cost so far"
          name={`${report.cost?.currency}, by hosts’ hours`}
          grid={spent}
          colour={2}
          {...common}
        />
      ) : (
        <section className="panel" aria-label="cost">
          <header>
            <h2>Cost so far</h2>
          </header>
          <p className="body quiet">Not known: the fleet has no prices.</p>
        </section>
      )}
    </div>
  );
}

interface SmallProps {
  title: string;
  name: string;
  grid: Parameters<typeof Chart>[0]["grid"];
  colour: number;
  unit?: "share";
  window: readonly [number, number];
  marks: readonly Mark[];
  group: string;
  height: number;
}

function Small({ title, name, grid, colour, unit, ...rest }: SmallProps) {
  const names = useMemo(() => [name], [name]);
  const colours = useMemo(() => [colour], [colour]);
  return (
    <section className="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
      </header>
      <div className="body">
        <Chart {...rest} grid={grid} names={names} colours={colours} label={title} unit={unit} />
      </div>
    </section>
  );
}
