// Times relative to now, which go on by themselves.
import { useNow } from "../api/live";
import { countdown, moment, parseTime, spanShort, spanWords } from "../logic/time";

/** How long ago something was: `4m`. The whole time is told on pointing at it. */
export function Ago({
  at,
  long = false,
}: {
  at: string | number | null | undefined;
  long?: boolean;
}) {
  const now = useNow();
  const time = typeof at === "number" ? at : parseTime(at);
  if (time === undefined) return <span className="quiet">–</span>;
  const words = long ? spanWords(now - time) : spanShort(now - time);
  return (
    <time dateTime={new Date(time).toISOString()} title={moment(time, now)} className="nowrap">
      {words}
    </time>
  );
}

/** The time left until something, running down. */
export function Countdown({ until }: { until: number }) {
  const now = useNow();
  return <span className="nowrap">{countdown(until - now)}</span>;
}
