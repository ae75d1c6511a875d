// Searches the logs of instances, over the agents of their hosts, and shows which kinds of errors
// there are. What is asked for stands in the address.

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useEffect, useId, useMemo, useState } from "react";
import { call, type Problem } from "../../api/http";
import { useNow } from "../../api/live";
import type { LogAnswer } from "../../api/logs";
import { type LogSearchAsked, logQuery, pieces } from "../../logic/loglines";
import type { SpanSearch } from "../../logic/period";
import { counted } from "../../logic/quantity";
import { moment, parseTime } from "../../logic/time";
import { useAdjust } from "../../parts/adjust";
import { Empty, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { ProblemView } from "../../parts/problem";
import { SpanPicker, useSpan } from "../../parts/span";
import { Templates } from "./templates";
import "./logs.css";

export interface LogSearchIn extends SpanSearch {
  contains?: string;
  level?: string;
  fields?: string;
}

interface Props {
  /** Whose logs, as `deployment/shop.prod`; of all there are, if empty. */
  subject: string;
  search: LogSearchIn;
  /** A field for the subject, where it is to be chosen. */
  children?: ReactNode;
}

const MOST = 500;
const LEVELS = ["error", "warn", "info", "debug"];
const USUAL = 3_600_000;

export function LogSearch({ subject, search, children }: Props) {
  const { contains = "", level = "", fields = "" } = search;
  const set = useAdjust<LogSearchIn>();
  const { span, set: setSpan } = useSpan(search, USUAL);
  const asked: LogSearchAsked = { subject, contains, level, fields };
  const answer = useQuery<LogAnswer, Problem>({
    queryKey: ["logs", asked, span],
    queryFn: ({ signal }) => call("GET", `/v1/logs?${logQuery(asked, span, MOST)}`, { signal }),
    enabled: subject !== "",
    staleTime: 5_000,
    gcTime: 30_000,
  });

  return (
    <div className="stack">
      <Templates
        subject={subject}
        span={span}
        onPick={(text) => set({ contains: text, level: undefined })}
      />
      <section className="panel" aria-label="log lines">
        <div className="logs-bar">
          {children}
          <Words
            key={`${contains} ${fields}`}
            contains={contains}
            fields={fields}
            onSearch={set}
            onAgain={() => void answer.refetch()}
          />
          <select
            aria-label="Level"
            value={level}
            onChange={(event) => set({ level: event.target.value || undefined })}
          >
            <option value="">every level</option>
            {LEVELS.map((word) => (
              <option key={word}>{word}</option>
            ))}
          </select>
          <SpanPicker span={span} onChange={setSpan} />
        </div>
        {answer.error && (
          <div className="body">
            <ProblemView problem={answer.error} again={() => void answer.refetch()} />
          </div>
        )}
        {answer.data?.problems?.map((problem) => (
          <p key={problem} className="warn-line logs-problem">
            {problem}
          </p>
        ))}
        {subject === "" && <Empty title="Nothing is deployed that could write a log" />}
        {subject !== "" && answer.isPending && !answer.error && <Skeleton lines={10} />}
        {answer.data && <Lines answer={answer.data} contains={contains} />}
      </section>
    </div>
  );
}

interface WordsProps {
  contains: string;
  fields: string;
  onSearch: (change: LogSearchIn) => void;
  onAgain: () => void;
}

function Words({ contains, fields, onSearch, onAgain }: WordsProps) {
  const [text, setText] = useState(contains);
  const [pairs, setPairs] = useState(fields);
  const id = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text === contains && pairs === fields) onAgain();
    else onSearch({ contains: text || undefined, fields: pairs.trim() || undefined });
  };
  return (
    <form className="logs-words" onSubmit={submit} role="search">
      <input
        type="search"
        id={id}
        data-search
        aria-label="Text in the line"
        placeholder="Text in the line"
        value={text}
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
      />
      <input
        aria-label="Fields, as key=value"
        placeholder="Fields: status=502"
        value={pairs}
        spellCheck={false}
        onChange={(event) => setPairs(event.target.value)}
      />
      <button type="submit" className="button">
        Search
      </button>
    </form>
  );
}

/** So many lines are drawn at first, and so many more at a time. */
const PART = 200;

function Lines({ answer, contains }: { answer: LogAnswer; contains: string }) {
  const now = useNow();
  const [shown, setShown] = useState(PART);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new answer begins anew
  useEffect(() => setShown(PART), [answer]);
  const lines = useMemo(() => [...answer.lines].reverse(), [answer]);
  const timed = lines.some((line) => line.at);
  if (lines.length === 0) {
    return (
      <Empty title="No line matches">
        <p>Ask for a longer time, fewer words or every level.</p>
      </Empty>
    );
  }
  return (
    <>
      <ol className={timed ? "log-lines" : "log-lines untimed"}>
        {lines.slice(0, shown).map((line, i) => {
          const at = parseTime(line.at);
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines of one answer never move
            <li key={i} className={line.level ?? ""}>
              {timed && (
                <time dateTime={line.at ?? undefined} title={line.at ?? "it does not say when"}>
                  {at === undefined ? "–" : moment(at, now)}
                </time>
              )}
              <span className="log-level">{line.level ?? ""}</span>
              <ObjectLink plural="instances" name={line.instance} className="log-instance cut" />
              <code>
                {pieces(line.line, contains).map((piece, k) =>
                  // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a fixed text
                  piece.hit ? <mark key={k}>{piece.text}</mark> : <span key={k}>{piece.text}</span>,
                )}
              </code>
            </li>
          );
        })}
      </ol>
      <p className="table-foot row wrap">
        {shown < lines.length ? (
          <button type="button" className="button slim" onClick={() => setShown(shown + PART)}>
            Show more
          </button>
        ) : null}
        <span>
          {counted(lines.length, "line")}, the newest first
          {!timed && "; they do not say when they were written"}
          {answer.truncated && "; there are more: narrow the time or the words"}
        </span>
      </p>
    </>
  );
}
