// Says so when the server is away, that what is seen is old, and when it is tried again.
import { useSyncExternalStore } from "react";
import { clockSkew } from "../api/http";
import { store, useLink, useNow, watch } from "../api/live";
import { clock, countdown } from "../logic/time";
import { Dot } from "../parts/phase";

export function Away() {
  const link = useLink();
  if (link.state !== "away") return null;
  return <AwayBanner since={link.since} retryAt={link.retryAt} />;
}

function AwayBanner({ since, retryAt }: { since: number; retryAt: number }) {
  const now = useNow() - clockSkew();
  return (
    <div className="away" role="alert">
      <Dot tone="warn" />
      <p className="grow">
        <b>The server is away.</b> What you see is how things were at {clock(since)}; it goes on by
        itself.
      </p>
      <span className="nowrap">
        {retryAt > now ? `again in ${countdown(retryAt - now)}` : "trying…"}
      </span>
      <button type="button" className="button slim" onClick={watch.retry}>
        Try now
      </button>
    </div>
  );
}

export function LinkState() {
  const link = useLink();
  const revision = useSyncExternalStore(store.subscribe, () => store.snapshot().revision);
  const synced = useSyncExternalStore(store.subscribe, () => store.snapshot().synced);
  const live = link.state === "live" && synced;
  const word = live ? "live" : link.state === "away" ? "away" : "connecting";
  return (
    <div className="link-state" title={`revision ${revision}`}>
      <span className={`beat beat-${word}`} aria-hidden="true" />
      <span>{word}</span>
      {live && <span className="quiet mono revision">r{revision}</span>}
    </div>
  );
}
