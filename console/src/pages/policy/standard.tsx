// One standard: what it asks and of what, what does not keep it, who is excused, what it would have
// stopped; and its mode, to be changed.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { applyEdit, previewEdit } from "../../api/change";
import { call, type Problem } from "../../api/http";
import { useCoarseNow, useObject, useSnapshot, useSynced } from "../../api/live";
import type { Mode, Replay, Standard, Waiver } from "../../api/objects";
import { counted } from "../../logic/quantity";
import { allFindings, MODE, MODES, modeOf } from "../../logic/standards";
import { parseTime, spanWords } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { ChangeDialog } from "../../parts/change";
import { Empty, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Manifest } from "../../parts/manifest";
import { ObjectLink, SubjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { ProblemView } from "../../parts/problem";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { NoObject } from "../object/missing";
import { Findings } from "./findings";
import "./standards.css";

export function StandardPage({ name, tab = "findings" }: ThingSearch & { name: string }) {
  const standard = useObject("standards", name);
  const { tables } = useSnapshot();
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const [mode, setMode] = useState<Mode | null>(null);
  const findings = useMemo(
    () => allFindings(tables.scorecards.values()).filter((f) => f.standard === name),
    [tables.scorecards, name],
  );
  const waivers = useMemo(
    () => [...tables.waivers.values()].filter((w) => w.spec.standard === name),
    [tables.waivers, name],
  );
  if (!synced) return <Skeleton lines={10} />;
  if (!standard) return <NoObject plural="standards" name={name} />;
  const { generation = 0, revision = 0 } = standard.metadata;
  const now = modeOf(standard);
  const tabs = [
    { id: "findings", word: "Findings", count: findings.length },
    { id: "replay", word: "Replay" },
    { id: "waivers", word: "Waivers", count: waivers.length },
    { id: "manifest", word: "Manifest" },
    { id: "history", word: "History" },
  ];
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "standards", to: "/standards" }]}
        beside={<State {...MODE[now]} />}
        lead={standard.spec.description}
      >
        {mayWrite && (
          <div className="choice" role="group" aria-label="mode">
            {MODES.map((word) => (
              <button
                key={word}
                type="button"
                title={MODE[word].about}
                aria-pressed={word === now}
                onClick={() => word !== now && setMode(word)}
              >
                {word}
              </button>
            ))}
          </div>
        )}
      </Head>
      <div className="stack">
        <Asked standard={standard} />
        <Tabs tabs={tabs} now={tab} label="views" />
        {tab === "findings" && (
          <section className="panel" aria-label="findings">
            <Findings findings={findings} none="Everything it means keeps it" bare />
          </section>
        )}
        {tab === "replay" && <ReplayView standard={standard} />}
        {tab === "waivers" && <Waivers waivers={waivers} name={name} />}
        {tab === "manifest" && <Manifest object={standard} />}
        {tab === "history" && (
          <HistoryView plural="standards" {...{ name, generation, revision, mayWrite }} />
        )}
      </div>
      {mode && <SetMode standard={standard} mode={mode} onClose={() => setMode(null)} />}
    </>
  );
}

/** What it asks, and of what. */
function Asked({ standard }: { standard: Standard }) {
  const { spec, status } = standard;
  const selector = spec.applications ? String(spec.applications) : "";
  const examples = spec.examples ?? [];
  const good = examples.filter((e) => e.passes).length;
  return (
    <section className="panel" aria-label="what it asks">
      <div className="body stack">
        <Facts>
          <Fact name="about">{spec.kinds.join(", ")}</Fact>
          {selector && <Fact name="applications">{selector}</Fact>}
          {(spec.environments?.length ?? 0) > 0 && (
            <Fact name="environments">{spec.environments?.join(", ")}</Fact>
          )}
          <Fact name="looked at">{spec.points?.join(", ") || "always"}</Fact>
          <Fact name="if it cannot be told">{spec.failure === "closed" ? "broken" : "kept"}</Fact>
          <Fact name="weight">{spec.weight ?? 1}</Fact>
          <Fact name="examples">
            {examples.length === 0
              ? "none"
              : `${good} that keep it, ${examples.length - good} that break it`}
          </Fact>
        </Facts>
        <dl className="standard-asks">
          {spec.when && <Code name="where" text={spec.when} />}
          <Code name="requires" text={spec.require} />
          {spec.fix && (
            <div>
              <dt>to mend it</dt>
              <dd>{spec.fix}</dd>
            </div>
          )}
        </dl>
        <Reasons reasons={status.reasons ?? []} />
      </div>
    </section>
  );
}

function Code({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <pre className="standard-code">{text.trim()}</pre>
      </dd>
    </div>
  );
}

const SPANS = ["7d", "30d"] as const;

/** Which past changes it would have stopped; asked for when the view is opened. */
function ReplayView({ standard }: { standard: Standard }) {
  const [since, setSince] = useState<(typeof SPANS)[number]>("30d");
  const { name, generation } = standard.metadata;
  const replay = useQuery<Replay, Problem>({
    queryKey: ["replay", name, generation, since],
    queryFn: ({ signal }) => {
      const { apiVersion, kind, metadata, spec } = standard;
      const body = { standard: { apiVersion, kind, metadata, spec }, since };
      return call("POST", "/v1/replay/standards", { body, signal });
    },
    staleTime: 60_000,
    gcTime: 60_000,
  });
  const told = replay.data;
  return (
    <section className="panel" aria-label="replay">
      <header>
        <h2>Had it been enforced</h2>
        <div className="choice" role="group" aria-label="time">
          {SPANS.map((span) => (
            <button
              key={span}
              type="button"
              aria-pressed={since === span}
              onClick={() => setSince(span)}
            >
              {span}
            </button>
          ))}
        </div>
      </header>
      {replay.error && (
        <div className="body">
          <ProblemView problem={replay.error} again={() => replay.refetch()} />
        </div>
      )}
      {replay.isPending && <Skeleton lines={4} />}
      {told && (
        <div className="body stack">
          <p>
            It would have stopped{" "}
            <b className={told.stopped > 0 ? "warn-text" : ""}>{told.stopped}</b> of{" "}
            {counted(told.changes, "change")} of what it means. Of the{" "}
            {counted(told.objectsNow, "object")} it means now, {told.brokenNow}{" "}
            {told.brokenNow === 1 ? "breaks" : "break"} it
            {told.unknown > 0 && `; it could not be told of ${counted(told.unknown, "change")}`}.
          </p>
          {told.stops.length > 0 && (
            <ul className="replay-stops">
              {told.stops.map((stop) => (
                <li key={stop.revision}>
                  <p>
                    <SubjectLink subject={stop.subject} />{" "}
                    <span className="quiet small">
                      by {stop.actor}, <Ago at={stop.at} /> ago, r{stop.revision}
                    </span>
                  </p>
                  <p className="small second">{stop.message}</p>
                </li>
              ))}
            </ul>
          )}
          <p className="small quiet">
            The changed object is as it was then, all else as it is now.
            {told.cut && " There are more changes than are looked at."}
          </p>
        </div>
      )}
    </section>
  );
}

function Waivers({ waivers, name }: { waivers: readonly Waiver[]; name: string }) {
  const now = useCoarseNow(60_000);
  return (
    <section className="panel" aria-label="waivers">
      {waivers.length === 0 ? (
        <Empty title="Nobody is excused">
          <p>
            <code className="typed">
              atoll waive {name} application/NAME --until 14d --reason WHY
            </code>
          </p>
        </Empty>
      ) : (
        <ul data-list>
          {waivers.map(({ metadata, spec }) => {
            const left = (parseTime(spec.ends) ?? 0) - now;
            return (
              <li key={metadata.name} className="waiver-row" data-row>
                <State
                  tone={left > 0 ? "held" : "off"}
                  word={left > 0 ? `for ${spanWords(left)}` : "over"}
                />
                <div className="finding-what">
                  <p>
                    {spec.subject ? (
                      <SubjectLink subject={spec.subject} />
                    ) : (
                      `applications with ${String(spec.applications)}`
                    )}
                  </p>
                  <p className="small second">{spec.reason}</p>
                </div>
                <p className="small quiet cut">
                  {spec.owner} · <ObjectLink plural="waivers" name={metadata.name} />
                </p>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

const DONE: Readonly<Record<Mode, string>> = {
  enforce: "enforced",
  warn: "only warned of",
  trial: "on trial",
  off: "off",
};

interface ModeProps {
  standard: Standard;
  mode: Mode;
  onClose: () => void;
}

function SetMode({ standard, mode, onClose }: ModeProps) {
  const { name, generation = 0 } = standard.metadata;
  const edit = { plural: "standards", name, generation, spec: { mode } } as const;
  return (
    <ChangeDialog
      title={`${name}: ${mode}`}
      lead={`From then on ${MODE[mode].about}.`}
      word={mode === "enforce" ? "Enforce" : "Set the mode"}
      danger={mode === "enforce"}
      proposal={{
        key: `mode ${name} ${mode} ${generation}`,
        preview: (signal) => previewEdit(edit, signal),
        apply: () => applyEdit(edit),
        done: `standard/${name} is ${DONE[mode]} now`,
      }}
      onClose={onClose}
    />
  );
}
