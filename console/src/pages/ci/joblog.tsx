// The log of a task: followed while it goes on, whole once it has ended; searched, with the times
// its lines tell. Secrets were masked where it was written, and are shown as they are here.
import { useQuery } from "@tanstack/react-query";
import {
  memo,
  type UIEvent,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { callText, type Problem } from "../../api/http";
import { appendText, LogStream, type LogView, tasksLog } from "../../api/session";
import { hitsIn, type JobLine, jobLines } from "../../logic/joblog";
import { pieces } from "../../logic/loglines";
import { counted } from "../../logic/quantity";
import { clock, parseTime } from "../../logic/time";
import { Icon } from "../../parts/icon";
import { rangeOf } from "../../parts/window";
import "../../parts/log.css";
import "./ci.css";

interface Props {
  task: string;
  over: boolean;
  /** Where it ended is what one looks for. */
  failed: boolean;
}

const NONE: LogView = { state: "connecting", lines: [""], dropped: 0, problem: undefined };

export function JobLog({ task, over, failed }: Props) {
  // A log that was being followed to its end is kept on the screen as it is.
  const [followed] = useState(!over);
  return followed ? <Followed task={task} /> : <Whole task={task} failed={failed} />;
}

function Followed({ task }: { task: string }) {
  const [stream, setStream] = useState<LogStream | null>(null);
  useEffect(() => {
    const made = new LogStream(tasksLog(task), 5_000);
    setStream(made);
    return () => made.end();
  }, [task]);
  const view = useSyncExternalStore(stream?.subscribe ?? nothing, stream?.state ?? (() => NONE));
  return <Lines view={view} live ends />;
}

const nothing = () => () => {};

function Whole({ task, failed }: { task: string; failed: boolean }) {
  const log = useQuery<string, Problem>({
    queryKey: ["task-log", task],
    queryFn: ({ signal }) => callText(`/v1/tasks/${encodeURIComponent(task)}/log`, signal),
  });
  const view = useMemo(
    (): LogView => ({
      state: log.error ? "failed" : log.data === undefined ? "connecting" : "ended",
      lines: appendText([""], log.data ?? ""),
      dropped: 0,
      problem: log.error?.message,
    }),
    [log.data, log.error],
  );
  return <Lines view={view} live={false} ends={failed} />;
}

const HEIGHT = 19;

interface LinesProps {
  view: LogView;
  live: boolean;
  /** It begins at its end. */
  ends: boolean;
}

function Lines({ view, live, ends }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [times, setTimes] = useState(true);
  const [stays, setStays] = useState(ends);
  const [top, setTop] = useState(0);
  const lines = useMemo(() => {
    const all = jobLines(view.lines, view.dropped);
    return all.at(-1)?.text === "" ? all.slice(0, -1) : all;
  }, [view.lines, view.dropped]);
  const hits = useMemo(() => hitsIn(lines, text), [lines, text]);
  const timed = lines.some((line) => line.time);
  const now = hits.length === 0 ? undefined : hits[Math.min(at, hits.length - 1)];

  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what moves the end
  useLayoutEffect(() => {
    if (stays && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, stays]);
  useEffect(() => {
    if (now === undefined || !box.current) return;
    box.current.scrollTop = Math.max(0, now * HEIGHT - box.current.clientHeight / 2);
  }, [now]);

  const scrolled = ({ currentTarget: it }: UIEvent<HTMLDivElement>) => {
    setTop(Math.floor(it.scrollTop / HEIGHT) * HEIGHT);
    setStays(ends && it.scrollHeight - it.scrollTop - it.clientHeight < 30);
  };
  const { first, last } = rangeOf(top, top + 640, lines.length, HEIGHT);
  const go = (by: number) => {
    setStays(false);
    setAt((hits.length + Math.min(at, hits.length - 1) + by) % Math.max(1, hits.length));
  };
  return (
    <div className="job-log">
      <div className="job-bar">
        <State view={view} live={live} lines={lines.length} />
        <input
          type="search"
          data-search
          className="grow"
          placeholder="Search the log"
          aria-label="Search the log"
          value={text}
          spellCheck={false}
          onChange={(event) => {
            setText(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && hits.length > 0) go(event.shiftKey ? -1 : 1);
            if (event.key === "Escape") setText("");
          }}
        />
        {text && (
          <span className="small nowrap" role="status">
            {hits.length === 0 ? "none" : `${Math.min(at, hits.length - 1) + 1} of ${hits.length}`}
          </span>
        )}
        {timed && (
          <button
            type="button"
            className="toggle"
            aria-pressed={times}
            onClick={() => setTimes(!times)}
          >
            Times
          </button>
        )}
        {live && (
          <button
            type="button"
            className="toggle"
            aria-pressed={stays}
            onClick={() => setStays(!stays)}
          >
            Follow
          </button>
        )}
      </div>
      {view.problem && <p className="log-problem">{view.problem}</p>}
      <div
        className="job-lines"
        ref={box}
        onScroll={scrolled}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
        tabIndex={0}
        role="log"
        aria-live="off"
      >
        {view.dropped > 0 && <p className="quiet small">… {view.dropped} earlier lines left out</p>}
        <ol style={{ paddingTop: first * HEIGHT, paddingBottom: (lines.length - last) * HEIGHT }}>
          {lines.slice(first, last).map((line, i) => (
            <Line
              key={line.number}
              line={line}
              wanted={text}
              here={first + i === now}
              times={times && timed}
            />
          ))}
        </ol>
        {lines.length === 0 && view.state !== "connecting" && (
          <p className="quiet job-none">Nothing was written.</p>
        )}
      </div>
      {live && !stays && view.state === "following" && (
        <button type="button" className="button slim log-end" onClick={() => setStays(true)}>
          <Icon name="down" size={14} /> To the end
        </button>
      )}
    </div>
  );
}

function State({ view, live, lines }: { view: LogView; live: boolean; lines: number }) {
  const words = {
    connecting: "reading…",
    following: "live",
    ended: live ? "ended" : counted(lines, "line"),
    failed: "not available",
  };
  return <span className={`log-state ${view.state}`}>{words[view.state]}</span>;
}

interface LineProps {
  line: JobLine;
  wanted: string;
  here: boolean;
  times: boolean;
}

const Line = memo(function Line({ line, wanted, here, times }: LineProps) {
  const at = parseTime(line.time);
  return (
    <li className={`${line.tone ?? ""}${here ? " here" : ""}`}>
      <span className="job-number">{line.number}</span>
      {times && (
        <time className="job-time" title={line.time}>
          {at === undefined ? "" : clock(at)}
        </time>
      )}
      <code>
        {pieces(line.text, wanted).map((piece, k) =>
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a fixed text
          piece.hit ? <mark key={k}>{piece.text}</mark> : <span key={k}>{piece.text}</span>,
        )}
      </code>
    </li>
  );
});
