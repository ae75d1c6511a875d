// How well the standards are kept: the fleet's score and where it is going, whose is lowest, what is
// not kept, and the standards themselves.

import { useMemo } from "react";
import { useCoarseNow, useSnapshot, useSynced } from "../../api/live";
import type { Scorecard, Standard } from "../../api/objects";
import { order } from "../../logic/fleet";
import { counted } from "../../logic/quantity";
import { allFindings, type By, MODE, MODES, modeOf, scores } from "../../logic/standards";
import { useAdjust } from "../../parts/adjust";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import { Tabs } from "../../parts/tabs";
import type { StandardsSearch } from "../../router";
import { Head } from "../../shell/head";
import { Findings } from "./findings";
import { Moved, Score, ScoreLine } from "./score";
import "./standards.css";

const FIRST = `apiVersion: atoll/v1
kind: Standard
metadata: { name: owner-declared }
spec:
  kinds: [Application]
  require: has(object.spec.owner)
  message: "{{object.metadata.name}} has no owner"
  mode: warn`;

export function StandardsPage({ tab = "scores", q = "", by = "team" }: StandardsSearch) {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const set = useAdjust<StandardsSearch>();
  const standards = useMemo(() => sorted(tables.standards.values()), [tables.standards]);
  const findings = useMemo(() => allFindings(tables.scorecards.values()), [tables.scorecards]);
  if (!synced) return <Skeleton lines={10} />;
  const count = (mode: string) => standards.filter((s) => modeOf(s) === mode).length;
  const open = findings.filter((f) => f.state !== "waived" && f.mode !== "trial").length;
  const tabs = [
    { id: "scores", word: "Scores" },
    { id: "findings", word: "Findings", count: findings.length },
    { id: "standards", word: "Standards", count: standards.length },
  ];
  return (
    <>
      <Head
        title="Standards"
        lead={`${count("enforce")} enforced, ${count("warn")} warn, ${count("trial")} on trial; ${counted(open, "finding")} that ${open === 1 ? "counts" : "count"}`}
      >
        {tab !== "scores" && (
          <Search
            value={q}
            label={`Search ${tab}`}
            onChange={(value) => set({ q: value || undefined })}
          />
        )}
      </Head>
      <div className="stack">
        <Whole cards={tables.scorecards} />
        <Tabs tabs={tabs} now={tab} label="views" />
        {tab === "scores" && (
          <ScoresView cards={tables.scorecards} by={by} onBy={(to) => set({ by: to })} />
        )}
        {tab === "findings" && (
          <section className="panel" aria-label="findings">
            <Findings
              findings={findings.filter((f) => found(q, f.standard, f.subject, f.message))}
              none={q ? "No finding matches" : "Every standard is kept by everything it means"}
            />
          </section>
        )}
        {tab === "standards" && (
          <List
            standards={standards.filter((s) => found(q, s.metadata.name, s.spec.description))}
            any={standards.length > 0}
          />
        )}
      </div>
    </>
  );
}

/** What is enforced first. */
function sorted(standards: Iterable<Standard>): Standard[] {
  const rank = (s: Standard) => -MODES.indexOf(modeOf(s));
  return [...standards].sort(
    (a, b) => rank(a) - rank(b) || order(a.metadata.name, b.metadata.name),
  );
}

type Cards = ReadonlyMap<string, Scorecard>;

function Whole({ cards }: { cards: Cards }) {
  const now = useCoarseNow(60_000);
  const fleet = useMemo(() => scores(cards.values(), "fleet", now)[0], [cards, now]);
  if (!fleet) return null;
  const kept = fleet.checks - fleet.broken;
  return (
    <section className="panel standards-whole" aria-label="the fleet">
      <div className="standards-score">
        <Score score={fleet.score} large />
        <div>
          <p className="strong">the fleet’s score</p>
          <p className="small quiet">
            {kept.toLocaleString("en")} of {counted(fleet.checks, "check")} kept
            {fleet.waived > 0 && `, ${fleet.waived} excused`}
          </p>
        </div>
      </div>
      <div className="standards-trend">
        <ScoreLine row={fleet} wide />
        <p className="small quiet">
          30 days, <Moved row={fleet} />
        </p>
      </div>
    </section>
  );
}

interface ScoresProps {
  cards: Cards;
  by: By;
  onBy: (by: "application" | "team") => void;
}

function ScoresView({ cards, by, onBy }: ScoresProps) {
  const now = useCoarseNow(60_000);
  const rows = useMemo(() => scores(cards.values(), by, now), [cards, by, now]);
  return (
    <section className="panel" aria-label={`scores by ${by}`}>
      <header>
        <h2>{by === "team" ? "By team" : "By application"}, the lowest first</h2>
        <div className="choice" role="group" aria-label="by">
          {(["team", "application"] as const).map((word) => (
            <button key={word} type="button" aria-pressed={by === word} onClick={() => onBy(word)}>
              {word}
            </button>
          ))}
        </div>
      </header>
      {rows.length === 0 ? (
        <Empty title="Nothing has a score yet">
          <p>Standards that warn or are enforced make one, of everything they mean.</p>
        </Empty>
      ) : (
        <ul data-list>
          {rows.map((row) => (
            <li key={row.name} className="score-row" data-row>
              <Score score={row.score} />
              <div className="score-who">
                <p className="cut">
                  {by === "application" ? (
                    <ObjectLink plural="applications" name={row.name} className="strong" />
                  ) : (
                    <span className="strong">{row.name}</span>
                  )}
                </p>
                <p className="small quiet cut">
                  {row.broken === 0
                    ? `all of ${counted(row.checks, "check")} kept`
                    : `${row.broken} of ${counted(row.checks, "check")} broken`}
                  {row.waived > 0 && `, ${row.waived} excused`}
                  {row.owner && ` · ${row.owner}`}
                </p>
              </div>
              <ScoreLine row={row} />
              <span className="small score-moved">
                <Moved row={row} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function List({ standards, any }: { standards: readonly Standard[]; any: boolean }) {
  return (
    <section className="panel" aria-label="standards">
      {standards.length === 0 ? (
        <Empty title={any ? "No standard matches" : "Nothing is asked of anything yet"}>
          {!any && <Example>{FIRST}</Example>}
        </Empty>
      ) : (
        <ul data-list>
          {standards.map((standard) => (
            <Row key={standard.metadata.name} standard={standard} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Row({ standard }: { standard: Standard }) {
  const { metadata, spec, status } = standard;
  const mode = modeOf(standard);
  const { broken = 0, waived = 0, unknown = 0 } = status;
  const counts = mode === "warn" || mode === "enforce";
  return (
    <li className="standard-row" data-row>
      <div className="standard-what">
        <p className="cut">
          <ObjectLink plural="standards" name={metadata.name} className="strong" />
          {metadata.labels?.["atoll/built-in"] && <span className="tag">built-in</span>}
        </p>
        <p className="small quiet cut" title={spec.description}>
          {spec.description}
        </p>
      </div>
      <State {...MODE[mode]} />
      <span className="small second standard-kinds">{spec.kinds.join(", ")}</span>
      <span className="small nowrap standard-counts">
        {mode === "off" ? (
          <span className="quiet">not looked at</span>
        ) : broken + waived + unknown === 0 ? (
          <span className="quiet">kept by all</span>
        ) : (
          <>
            <span className={counts && broken > 0 ? "warn-text" : ""}>{broken} broken</span>
            {waived > 0 && <span className="quiet">, {waived} excused</span>}
            {unknown > 0 && <span className="warn-text">, {unknown} not told</span>}
          </>
        )}
      </span>
    </li>
  );
}
