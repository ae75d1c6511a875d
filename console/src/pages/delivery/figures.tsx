// How fast and how safely changes reach an environment: from the records of promotions, as a whole,
// per application and per team, with the trend of weeks. What is not recorded is said, not zero.

import { useMemo } from "react";
import { useCoarseNow, useFleet, useSynced } from "../../api/live";
import type { Promotion } from "../../api/objects";
import { type Figures, figures, road, weekly } from "../../logic/delivery";
import { order } from "../../logic/fleet";
import { counted } from "../../logic/quantity";
import { spanWords } from "../../logic/time";
import { useAdjust } from "../../parts/adjust";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { Trend } from "../../parts/trend";
import type { FiguresSearch } from "../../router";
import { Head } from "../../shell/head";
import "../../parts/figures.css";
import "./delivery.css";

const DAY = 86_400_000;
const WEEKS = 12;

type Key = "leadTime" | "perWeek" | "failureRate" | "restore" | "unaided";

interface Kind {
  readonly key: Key;
  readonly title: string;
  readonly about: string;
  readonly words: (value: number) => string;
  /** Whether more of it is better. */
  readonly up: boolean;
}

const percent = (value: number) => `${Math.round(value * 100)} %`;
const rate = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} a week`;

const KINDS: readonly Kind[] = [
  {
    key: "leadTime",
    title: "Lead time",
    about: "from the commit until it had proved itself, in the middle",
    words: spanWords,
    up: false,
  },
  { key: "perWeek", title: "Frequency", about: "releases that went in", words: rate, up: true },
  {
    key: "failureRate",
    title: "Change failure rate",
    about: "of those that went in, failed or were taken back",
    words: percent,
    up: false,
  },
  {
    key: "restore",
    title: "Time to restore",
    about: "from a failure until all was well again, in the middle",
    words: spanWords,
    up: false,
  },
  {
    key: "unaided",
    title: "With no person",
    about: "nobody asked, approved or pushed it on",
    words: percent,
    up: true,
  },
];

const SPANS = [7, 30, 90] as const;

export function FiguresPage({ days = 30, environment, by = "application" }: FiguresSearch) {
  const { tables } = useFleet();
  const synced = useSynced();
  const set = useAdjust<FiguresSearch>();
  const now = useCoarseNow(60_000);
  const environments = useMemo(() => road(tables.environments.values()), [tables.environments]);
  const place = environment ?? environments.at(-1)?.metadata.name ?? "";
  const here = useMemo(
    () => [...tables.promotions.values()].filter((p) => p.spec.environment === place),
    [tables.promotions, place],
  );
  if (!synced) return <Skeleton lines={10} />;
  const from = now - days * DAY;
  const whole = figures(here, from, now);
  return (
    <>
      <Head
        title="Delivery"
        lead={`how changes reach ${place || "an environment"}: ${counted(whole.deliveries, "delivery", "deliveries")} in the last ${days} days`}
      >
        <div className="toolbar">
          <select
            aria-label="Environment"
            value={place}
            onChange={(event) => set({ environment: event.target.value })}
          >
            {environments.map((e) => (
              <option key={e.metadata.name}>{e.metadata.name}</option>
            ))}
          </select>
          <div className="choice" role="group" aria-label="time">
            {SPANS.map((span) => (
              <button
                key={span}
                type="button"
                aria-pressed={days === span}
                onClick={() => set({ days: span })}
              >
                {span}d
              </button>
            ))}
          </div>
        </div>
      </Head>
      {here.length === 0 ? (
        <section className="panel">
          <Empty title={`Nothing is recorded of deliveries to ${place || "anywhere"}`}>
            <p>
              Each release that enters an environment leaves a record. Let one in with what the
              environment asks, or by hand:
            </p>
            <Example>{`atoll promote shop-42 --to ${place || "prod"}`}</Example>
          </Empty>
        </section>
      ) : (
        <div className="stack">
          <Whole all={here} days={days} now={now} figures={whole} />
          <Groups all={here} by={by} from={from} now={now} onBy={(to) => set({ by: to })} />
        </div>
      )}
    </>
  );
}

interface WholeProps {
  all: readonly Promotion[];
  days: number;
  now: number;
  figures: Figures;
}

function Whole({ all, days, now, figures: told }: WholeProps) {
  const before = useMemo(
    () => figures(all, now - 2 * days * DAY, now - days * DAY),
    [all, days, now],
  );
  const weeks = useMemo(() => weekly(all, WEEKS, now), [all, now]);
  return (
    <section className="panel delivery-figures" aria-label="figures">
      {KINDS.map((kind) => (
        <div className="delivery-figure" key={kind.key} data-figure={kind.key}>
          <h3>{kind.title}</h3>
          <p className="figure-value">
            {told[kind.key] === undefined ? (
              <span className="quiet">not known</span>
            ) : (
              kind.words(told[kind.key] as number)
            )}
          </p>
          <Than kind={kind} now={told[kind.key]} before={before[kind.key]} days={days} />
          <Trend
            values={weeks.map((w) => w[kind.key])}
            label={`${kind.title}, week by week`}
            words={kind.words}
          />
          <p className="small quiet">{kind.about}</p>
        </div>
      ))}
    </section>
  );
}

interface ThanProps {
  kind: Kind;
  now: number | undefined;
  before: number | undefined;
  days: number;
}

/** Against the same time before: better or worse only where the difference is worth a word. */
function Than({ kind, now, before, days }: ThanProps) {
  if (now === undefined || before === undefined) {
    return <p className="small quiet">nothing to compare with</p>;
  }
  const change = before === 0 ? (now === 0 ? 0 : 1) : (now - before) / before;
  if (Math.abs(change) < 0.05) return <p className="small quiet">as in the {days} days before</p>;
  const better = change > 0 === kind.up;
  return (
    <p className="small">
      <span className={better ? "good-text" : "bad-text"}>{better ? "better" : "worse"}</span>{" "}
      <span className="quiet">than {kind.words(before)} before</span>
    </p>
  );
}

interface GroupsProps {
  all: readonly Promotion[];
  by: "application" | "team";
  from: number;
  now: number;
  onBy: (by: "application" | "team") => void;
}

function Groups({ all, by, from, now, onBy }: GroupsProps) {
  const { tables } = useFleet();
  const rows = useMemo(() => {
    const groups = new Map<string, Promotion[]>();
    for (const p of all) {
      const owner = tables.applications.get(p.spec.application)?.spec.owner ?? "nobody";
      const name = by === "team" ? owner : p.spec.application;
      groups.set(name, [...(groups.get(name) ?? []), p]);
    }
    return [...groups]
      .map(([name, list]) => ({
        name,
        told: figures(list, from, now),
        weeks: weekly(list, WEEKS, now).map((w) => w.deliveries),
      }))
      .sort((a, b) => b.told.deliveries - a.told.deliveries || order(a.name, b.name));
  }, [all, by, from, now, tables.applications]);
  return (
    <section className="panel" aria-label={`by ${by}`}>
      <header>
        <h2>{by === "team" ? "By team" : "By application"}</h2>
        <div className="choice" role="group" aria-label="by">
          {(["application", "team"] as const).map((word) => (
            <button key={word} type="button" aria-pressed={by === word} onClick={() => onBy(word)}>
              {word}
            </button>
          ))}
        </div>
      </header>
      <div className="figure-scroll">
        <table className="figure-table">
          <thead>
            <tr>
              <th scope="col">{by}</th>
              <th scope="col" className="right">
                deliveries
              </th>
              {KINDS.filter((k) => k.key !== "perWeek").map((kind) => (
                <th key={kind.key} scope="col" className="right" title={kind.about}>
                  {kind.title.toLowerCase()}
                </th>
              ))}
              <th scope="col">twelve weeks</th>
            </tr>
          </thead>
          <tbody data-list>
            {rows.map(({ name, told, weeks }) => (
              <tr key={name} data-row>
                <th scope="row">
                  {by === "team" ? (
                    name
                  ) : (
                    <ObjectLink plural="applications" name={name} className="strong" />
                  )}
                </th>
                <td className="right">{told.deliveries}</td>
                {KINDS.filter((k) => k.key !== "perWeek").map((kind) => (
                  <td key={kind.key} className="right">
                    {told[kind.key] === undefined ? (
                      <span className="quiet">–</span>
                    ) : (
                      kind.words(told[kind.key] as number)
                    )}
                  </td>
                ))}
                <td>
                  <Trend
                    values={weeks}
                    label={`${name}, deliveries week by week`}
                    words={String}
                    small
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
