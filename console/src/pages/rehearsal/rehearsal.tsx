// Rehearsals: a scenario is written or opened, or an object chosen; the server plays it on a twin of
// the fleet, and what came of it is played here.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ChangeEvent, useEffect, useMemo, useRef, useState } from "react";
import { rehearse, rehearseObject } from "../../api/forecasts";
import type { Problem } from "../../api/http";
import { useSnapshot, useSynced } from "../../api/live";
import type { RehearsalReport } from "../../api/objects";
import { order } from "../../logic/fleet";
import { isChosen, type Played, shownOf, type Way } from "../../logic/rehearsal";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { keep, kept } from "../../parts/kept";
import { ProblemView } from "../../parts/problem";
import type { RehearsalSearch } from "../../router";
import { Head } from "../../shell/head";
import { EXAMPLES } from "./examples";
import { Player } from "./player";
import "../../parts/figures.css";
import "./rehearsal.css";

const WAYS = [
  { way: "scenario", word: "A scenario" },
  { way: "object", word: "One object" },
] as const;

/** What came of it last, for as long as this page of the browser is open. */
const last: Played = {};

type Asked = { readonly n: number; readonly text?: string; readonly of?: string };

export function RehearsalPage({ of }: RehearsalSearch) {
  const synced = useSynced();
  const [way, setWay] = useState<Way>(of ? "object" : "scenario");
  const [text, setText] = useState(() => kept("scenario") ?? EXAMPLES[0].text);
  const [asked, setAsked] = useState<Asked | null>(null);
  const answer = useQuery<RehearsalReport, Problem>({
    queryKey: ["rehearsal", asked?.n, asked?.of, asked?.text],
    queryFn: ({ signal }) =>
      asked?.of ? rehearseObject(asked.of, signal) : rehearse(asked?.text ?? "", signal),
    enabled: asked !== null,
    gcTime: 0,
  });
  const { data } = answer;
  const played = asked?.of;
  useEffect(() => void keep("scenario", text), [text]);
  useEffect(() => {
    if (data) Object.assign(last, { report: data, of: played });
  }, [data, played]);
  if (!synced) return <Skeleton lines={8} />;
  // What came of something else is no answer to what is chosen now.
  const report = shownOf(way, of, asked, data, last);
  const going = asked !== null && answer.isFetching;
  const wrong = asked && !going && isChosen(asked, way, of) ? answer.error : null;
  const play = (what: { text?: string; of?: string }) => setAsked({ n: Date.now(), ...what });
  return (
    <>
      <Head
        title="Rehearsal"
        lead="what would come of it, played by the real planners on a twin of the fleet"
      />
      <div className="stack">
        <section className="panel" aria-label="what is rehearsed">
          <header>
            <h2>What is rehearsed</h2>
            <div className="choice" role="group" aria-label="what">
              {WAYS.map((one) => (
                <button
                  key={one.way}
                  type="button"
                  aria-pressed={way === one.way}
                  onClick={() => setWay(one.way)}
                >
                  {one.word}
                </button>
              ))}
            </div>
          </header>
          <div className="body stack tight">
            {way === "scenario" ? (
              <Scenario text={text} onText={setText} busy={going} onPlay={() => play({ text })} />
            ) : (
              <OneObject of={of} busy={going} onPlay={(what) => play({ of: what })} />
            )}
            {going && <Going key={asked.n} onStop={() => setAsked(null)} />}
            {wrong && <ProblemView problem={wrong} />}
          </div>
        </section>
        {report && !going ? (
          <Player key={`${asked?.n ?? 0} ${report.name}`} report={report} />
        ) : (
          !going && <Nothing way={way} of={of} />
        )}
      </div>
    </>
  );
}

/** Before anything was played: what would be, and the same on the command line. */
function Nothing({ way, of }: { way: Way; of: string | undefined }) {
  return (
    <section className="panel">
      <Empty title="This has not been played yet">
        {way === "scenario" ? (
          <p>
            Rehearse the scenario above, or one of your own; the same file is a test on the command
            line:
          </p>
        ) : (
          <p>Rehearse the object chosen above; the same on the command line:</p>
        )}
        <Example>
          {way === "scenario"
            ? "atoll rehearse examples/rehearsal/peak-day.yaml"
            : `atoll rehearse ${of ?? "KIND/NAME"}`}
        </Example>
      </Empty>
    </section>
  );
}

interface ScenarioProps {
  text: string;
  busy: boolean;
  onText: (text: string) => void;
  onPlay: () => void;
}

function Scenario({ text, busy, onText, onPlay }: ScenarioProps) {
  const file = useRef<HTMLInputElement>(null);
  const open = async (event: ChangeEvent<HTMLInputElement>) => {
    const [chosen] = event.target.files ?? [];
    if (chosen) onText(await chosen.text());
    event.target.value = "";
  };
  return (
    <>
      <textarea
        className="scenario mono"
        aria-label="Scenario"
        value={text}
        spellCheck={false}
        rows={14}
        onChange={(event) => onText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onPlay();
        }}
      />
      <div className="row wrap">
        <button
          type="button"
          className="button main"
          disabled={busy || text.trim() === ""}
          title="Rehearse (Ctrl Enter)"
          onClick={onPlay}
        >
          <Icon name="rehearsal" /> Rehearse
        </button>
        <button type="button" className="button" onClick={() => file.current?.click()}>
          Open a file
        </button>
        <input
          ref={file}
          type="file"
          accept=".yaml,.yml,.json"
          hidden
          aria-label="Open a file"
          onChange={(event) => void open(event)}
        />
        <select
          aria-label="Examples"
          value=""
          onChange={(event) => {
            const found = EXAMPLES.find((one) => one.name === event.target.value);
            if (found) onText(found.text);
          }}
        >
          <option value="">an example…</option>
          {EXAMPLES.map(({ name, word }) => (
            <option key={name} value={name}>
              {word}
            </option>
          ))}
        </select>
      </div>
    </>
  );
}

interface ObjectProps {
  of: string | undefined;
  busy: boolean;
  onPlay: (of: string) => void;
}

const ABOUT = {
  deployment: "its release that waits; if none does, the loss of its fullest zone at its next peak",
  migration: "the migration, for twice as long as its dry run says it takes",
  pool: "that its provider fails for an hour at the peak",
  peak: "the peak, from when hosts are made for it until all is given back",
} as const;

function OneObject({ of, busy, onPlay }: ObjectProps) {
  const { tables } = useSnapshot();
  const navigate = useNavigate();
  const { deployments, migrations, pools, peaks } = tables;
  const all = useMemo(
    () =>
      (
        [
          ["deployment", deployments],
          ["migration", migrations],
          ["pool", pools],
          ["peak", peaks],
        ] as const
      ).map(([kind, table]) => [kind, [...table.keys()].sort(order).slice(0, 1000)] as const),
    [deployments, migrations, pools, peaks],
  );
  const first = all.flatMap(([kind, names]) => names.map((name) => `${kind}/${name}`))[0] ?? "";
  const chosen = of ?? first;
  const kind = chosen.split("/")[0] as keyof typeof ABOUT;
  return (
    <>
      <div className="row wrap">
        <select
          aria-label="Object"
          value={chosen}
          onChange={(event) =>
            void navigate({ to: ".", search: { of: event.target.value }, replace: true } as never)
          }
        >
          {all.map(([one, names]) =>
            names.length === 0 ? null : (
              <optgroup key={one} label={`${one}s`}>
                {names.map((name) => (
                  <option key={name} value={`${one}/${name}`}>
                    {name}
                  </option>
                ))}
              </optgroup>
            ),
          )}
        </select>
        <button
          type="button"
          className="button main"
          disabled={busy || !chosen}
          onClick={() => onPlay(chosen)}
        >
          <Icon name="rehearsal" /> Rehearse
        </button>
      </div>
      <p className="small quiet">{ABOUT[kind] ?? "There is nothing that could be rehearsed."}</p>
    </>
  );
}

/** While it is played there: how long already, and a way to stop waiting. */
function Going({ onStop }: { onStop: () => void }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = performance.now();
    const timer = setInterval(
      () => setSeconds(Math.floor((performance.now() - began) / 1000)),
      500,
    );
    return () => clearInterval(timer);
  }, []);
  return (
    <p className="row" role="status">
      <span className="dot move" aria-hidden="true" />
      <span className="grow">
        It is being played{seconds > 1 && `, ${seconds} s already`}. A large fleet takes minutes.
      </span>
      <button type="button" className="button slim" onClick={onStop}>
        Stop waiting
      </button>
    </p>
  );
}
