// What keeps alerts quiet, now and later, and ending it.
import { useState } from "react";
import { remove } from "../../api/change";
import { serverNow } from "../../api/metrics";
import type { Silence } from "../../api/objects";
import { type SilenceState, silenceState } from "../../logic/alerts";
import { moment, parseTime, spanWords } from "../../logic/time";
import { ChangeDialog, type Proposal } from "../../parts/change";
import { Empty } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import { SilenceForm } from "./silence-form";

const LOOKS = {
  active: { word: "in force", tone: "held" },
  ahead: { word: "ahead", tone: "move" },
  over: { word: "over", tone: "off" },
} as const;
const ORDER: readonly SilenceState[] = ["active", "ahead", "over"];

export function Silences({ silences, now }: { silences: readonly Silence[]; now: number }) {
  const mayWrite = useMayWrite();
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<Silence | null>(null);
  const sorted = [...silences].sort(
    (a, b) =>
      ORDER.indexOf(silenceState(a, now)) - ORDER.indexOf(silenceState(b, now)) ||
      a.metadata.name.localeCompare(b.metadata.name),
  );
  return (
    <section className="panel" aria-label="silences">
      <header>
        <h2>Silences</h2>
        {mayWrite && (
          <button type="button" className="button slim" onClick={() => setMaking(true)}>
            New silence
          </button>
        )}
      </header>
      {sorted.length === 0 && (
        <Empty title="Nothing is kept quiet">
          <p>
            A silence keeps alerts from telling anybody, for a time or while another alert fires.
          </p>
        </Empty>
      )}
      <ul data-list>
        {sorted.map((silence) => {
          const state = silenceState(silence, now);
          return (
            <li key={silence.metadata.name} className={`silence ${state}`} data-row>
              <div className="grow">
                <ObjectLink plural="silences" name={silence.metadata.name} className="strong" />
                <p className="second">{silence.spec.reason}</p>
                <p className="small matcher-list">
                  {silence.spec.matchers.map((m) => (
                    <code key={m} className="typed">
                      {m}
                    </code>
                  ))}
                  {silence.spec.whileFiring?.length ? (
                    <span className="quiet">while there fires</span>
                  ) : null}
                  {silence.spec.whileFiring?.map((m) => (
                    <code key={m} className="typed">
                      {m}
                    </code>
                  ))}
                  {silence.spec.equal?.length ? (
                    <span className="quiet">of the same {silence.spec.equal.join(", ")}</span>
                  ) : null}
                </p>
              </div>
              <div className="silence-when">
                <State {...LOOKS[state]} />
                <p className="small second">{when(silence, state, now)}</p>
              </div>
              {mayWrite && state !== "over" && (
                <button type="button" className="button slim" onClick={() => setEnding(silence)}>
                  End
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {making && <SilenceForm alert={undefined} onClose={() => setMaking(false)} />}
      {ending && <End silence={ending} onClose={() => setEnding(null)} />}
    </section>
  );
}

function when({ spec }: Silence, state: SilenceState, now: number): string {
  const [from, until] = [parseTime(spec.from), parseTime(spec.until)];
  if (state === "ahead" && from !== undefined) return `begins in ${spanWords(from - now)}`;
  if (until === undefined) return "until it is deleted";
  return state === "over" ? `since ${moment(until, now)}` : `for another ${spanWords(until - now)}`;
}

/** One that holds ends now and is kept; one that is still ahead, or has no end, is deleted. */
function End({ silence, onClose }: { silence: Silence; onClose: () => void }) {
  const [proposal] = useState((): Proposal => {
    const { name, generation = 0 } = silence.metadata;
    const now = serverNow();
    const done = `silence/${name} is over`;
    if (silenceState(silence, now) === "active" && silence.spec.until) {
      const until = new Date(now).toISOString();
      return proposalOf({ plural: "silences", name, generation, spec: { until } }, done);
    }
    return {
      key: `delete silences/${name}`,
      preview: (signal) => remove("silences", name, true, signal),
      apply: () => remove("silences", name, false),
      done,
    };
  });
  return (
    <ChangeDialog
      title={`End ${silence.metadata.name}`}
      lead="What it kept quiet tells people again."
      word="End it"
      proposal={proposal}
      onClose={onClose}
    />
  );
}
