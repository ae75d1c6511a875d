// Stands where a page, or a part of one, could not be loaded; loads it once the server is back.
import { useEffect } from "react";
import { useLink, watch } from "../api/live";
import { Empty } from "../parts/empty";
import { loadAgainOnce, type NotLoaded } from "./late";

const WRITING = "input, textarea, select, [contenteditable]:not([contenteditable='false'])";

/** Whether somebody is writing something that loading the console again would lose. */
function isWriting(): boolean {
  const written = document.activeElement?.matches(WRITING) ?? false;
  return written || document.querySelector("dialog[open]") !== null;
}

/** Says that something could not be loaded, and loads the console again once that may help. */
export function Unloaded({ of: { part, at } }: { of: NotLoaded }) {
  const link = useLink();
  const live = link.state === "live";
  const back = live && link.since > at;
  useEffect(() => {
    if (back && (part === "page" || !isWriting())) loadAgainOnce(part);
  }, [back, part]);
  return (
    <Empty title={live ? `This ${part} could not be loaded` : "The server is away"}>
      <p>
        {live
          ? "The server may have another console by now; loading it again brings that one."
          : `This ${part} could not be loaded. It is loaded by itself once the server is back.`}
      </p>
      <p>
        <button
          type="button"
          className="button"
          onClick={() => (live ? location.reload() : watch.retry())}
        >
          Load again
        </button>
      </p>
    </Empty>
  );
}
