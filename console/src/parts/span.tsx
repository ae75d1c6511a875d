// Chooses the span of time that is looked at; it stands in the address, so that it can be shared.
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { serverNow } from "../api/metrics";
import {
  lengthOf,
  localInput,
  PRESETS,
  type Span,
  type SpanSearch,
  searchOf,
  spanLabel,
  spanOf,
  writeSpan,
} from "../logic/period";
import { parseSpan } from "../logic/time";
import { Dialog } from "./dialog";
import { Icon } from "./icon";
import "./span.css";

/** The span the address tells, and how to set it. */
export function useSpan(search: SpanSearch, usual?: number) {
  const navigate = useNavigate();
  const { range, from, to } = search;
  const span = useMemo(() => spanOf({ range, from, to }, usual), [range, from, to, usual]);
  const set = useCallback(
    (next: Span) =>
      void navigate({
        to: ".",
        search: (old: Record<string, unknown>) => ({ ...old, ...searchOf(next) }),
        resetScroll: false,
      } as never),
    [navigate],
  );
  const zoom = useCallback(
    (first: number, last: number) => {
      const ms = Math.max(10_000, (last - first) * 1000);
      set({ kind: "between", from: Math.round(first * 1000), to: Math.round(first * 1000 + ms) });
    },
    [set],
  );
  return { span, set, zoom };
}

export function SpanPicker({ span, onChange }: { span: Span; onChange: (span: Span) => void }) {
  const [open, setOpen] = useState(false);
  const now = span.kind === "last" ? writeSpan(span.ms) : undefined;
  const wider = () => {
    const half = lengthOf(span) / 2;
    if (span.kind === "last") return onChange({ kind: "last", ms: span.ms * 2 });
    onChange({
      kind: "between",
      from: span.from - half,
      to: Math.min(serverNow(), span.to + half),
    });
  };
  return (
    <div className="span-picker" role="group" aria-label="span of time">
      <div className="span-presets">
        {PRESETS.map((preset) => (
          <button
            key={preset}
            type="button"
            aria-pressed={now === preset}
            onClick={() => onChange({ kind: "last", ms: parseSpan(preset) })}
          >
            {preset}
          </button>
        ))}
        <button
          type="button"
          aria-pressed={now === undefined || !PRESETS.includes(now as never)}
          onClick={() => setOpen(true)}
          title={spanLabel(span)}
        >
          {now === undefined || !PRESETS.includes(now as never) ? spanLabel(span) : "custom"}
        </button>
      </div>
      {span.kind === "between" && (
        <button type="button" className="button slim" onClick={wider} title="twice as long">
          <Icon name="search" size={13} /> Zoom out
        </button>
      )}
      {open && <Custom span={span} onChange={onChange} onClose={() => setOpen(false)} />}
    </div>
  );
}

interface CustomProps {
  span: Span;
  onChange: (span: Span) => void;
  onClose: () => void;
}

function Custom({ span, onChange, onClose }: CustomProps) {
  const ends = span.kind === "last" ? [serverNow() - span.ms, serverNow()] : [span.from, span.to];
  const [from, setFrom] = useState(localInput(ends[0] as number));
  const [to, setTo] = useState(localInput(ends[1] as number));
  const [first, last] = [Date.parse(from), Date.parse(to)];
  const good = last - first >= 60_000;
  return (
    <Dialog title="From when to when" onClose={onClose}>
      <form
        className="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!good) return;
          onChange({ kind: "between", from: first, to: last });
          onClose();
        }}
      >
        <div className="dialog-body span-custom">
          <div className="field">
            <label htmlFor="span-from">From</label>
            <input
              id="span-from"
              type="datetime-local"
              value={from}
              data-first
              onChange={(e) => setFrom(e.target.value)}
            />
          </div>
          <div className="field">
            <label htmlFor="span-to">To</label>
            <input
              id="span-to"
              type="datetime-local"
              value={to}
              onChange={(e) => setTo(e.target.value)}
            />
          </div>
          {!good && (
            <p className="bad small">The end is to be a minute after the beginning, at least.</p>
          )}
        </div>
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button main" disabled={!good}>
            Show
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
