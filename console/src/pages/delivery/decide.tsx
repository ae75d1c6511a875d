// What people decide of releases: let one on, approve it, forbid it, keep an environment at it.
// Each is a change like any other: shown by a dry run, then made.
import { useState } from "react";
import { applyEdit, type Edit, previewEdit } from "../../api/change";
import { rulesOf } from "../../api/delivery";
import { store } from "../../api/live";
import type { Deployment, Promotion } from "../../api/objects";
import { ChangeDialog, type Proposal } from "../../parts/change";
import { Approve, Remark } from "../../parts/judging";

export type Asked =
  | { what: "promote" | "approve"; promotion: Promotion }
  | { what: "veto" | "unveto"; release: string }
  | { what: "pin" | "unpin"; deployment: Deployment; release: string };

function edited(edit: Edit, done: string): Proposal {
  return {
    key: `${edit.plural}/${edit.name}@${edit.generation} ${JSON.stringify(edit.spec)}`,
    preview: (signal) => previewEdit(edit, signal),
    apply: () => applyEdit(edit),
    done,
  };
}

export function Decide({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  if (asked.what === "approve") {
    return <ApprovePromotion promotion={asked.promotion} onClose={onClose} />;
  }
  if (asked.what === "promote") return <Promote promotion={asked.promotion} onClose={onClose} />;
  if (asked.what === "pin" || asked.what === "unpin") {
    return <Pin {...asked} off={asked.what === "unpin"} onClose={onClose} />;
  }
  if (asked.what === "veto" || asked.what === "unveto") {
    return <VetoForm release={asked.release} off={asked.what === "unveto"} onClose={onClose} />;
  }
  return null;
}

function Promote({ promotion, onClose }: { promotion: Promotion; onClose: () => void }) {
  const { release, environment } = promotion.spec;
  const { name, generation = 0 } = promotion.metadata;
  const [emergency, setEmergency] = useState(false);
  const [why, setWhy] = useState("");
  const [seen] = useState(generation);
  const spec = emergency ? { asked: true, emergency: why.trim() } : { asked: true };
  const complete = !emergency || why.trim() !== "";
  return (
    <ChangeDialog
      title={`Promote ${release} to ${environment}`}
      lead={
        emergency
          ? "Soaks, objectives, approvals, times and freezes are passed over; signatures, tests and vetoes never are. The audit keeps it."
          : "It goes in as soon as everything the environment asks is there."
      }
      word="Promote"
      danger={emergency}
      proposal={
        complete
          ? edited(
              { plural: "promotions", name, generation: seen, spec },
              `release/${release} will go to ${environment}`,
            )
          : undefined
      }
      onClose={onClose}
    >
      <label className="check">
        <input
          type="checkbox"
          checked={emergency}
          onChange={(event) => setEmergency(event.target.checked)}
        />
        It may not wait: an emergency
      </label>
      {emergency && (
        <Remark
          label="Why it may not wait"
          required
          value={why}
          placeholder="kept in the audit"
          onChange={setWhy}
        />
      )}
    </ChangeDialog>
  );
}

function ApprovePromotion({ promotion, onClose }: { promotion: Promotion; onClose: () => void }) {
  const { release, environment } = promotion.spec;
  const rules = store.snapshot().tables.environments.get(environment);
  return (
    <Approve
      subject={`promotion/${promotion.metadata.name}`}
      title={`Approve ${release} for ${environment}`}
      lead="An approval is never changed; the audit keeps it."
      done={`release/${release} is approved for ${environment}`}
      roles={rules && rulesOf(rules).approval?.roles}
      onClose={onClose}
    />
  );
}

interface VetoProps {
  release: string;
  off: boolean;
  onClose: () => void;
}

function VetoForm({ release, off, onClose }: VetoProps) {
  const [why, setWhy] = useState("");
  const [back, setBack] = useState(true);
  const [generation] = useState(
    () => store.snapshot().tables.releases.get(release)?.metadata.generation ?? 0,
  );
  const spec = off ? { veto: null } : { veto: { reason: why.trim(), rollback: back } };
  const edit = { plural: "releases" as const, name: release, generation, spec };
  const done = off ? `release/${release} may run again` : `release/${release} may run nowhere`;
  return (
    <ChangeDialog
      title={off ? `Take the veto of ${release} away` : `Veto ${release}`}
      lead={
        off
          ? "It may enter environments again, if it has what they ask."
          : "It enters no environment any more. Nothing passes a veto over."
      }
      word={off ? "Take it away" : "Veto"}
      danger={!off}
      proposal={off || why.trim() !== "" ? edited(edit, done) : undefined}
      onClose={onClose}
    >
      {!off && (
        <>
          <Remark
            label="Why"
            required
            value={why}
            placeholder="kept with the release"
            onChange={setWhy}
          />
          <label className="check">
            <input type="checkbox" checked={back} onChange={(e) => setBack(e.target.checked)} />
            Take it back where it runs already
          </label>
        </>
      )}
    </ChangeDialog>
  );
}

interface PinProps {
  deployment: Deployment;
  release: string;
  off: boolean;
  onClose: () => void;
}

function Pin({ deployment, release, off, onClose }: PinProps) {
  const { name, generation = 0 } = deployment.metadata;
  const [seen] = useState(generation);
  const [why, setWhy] = useState("");
  const spec = off ? { pin: null, release: null } : { release, pin: why.trim() };
  const edit = { plural: "deployments" as const, name, generation: seen, spec };
  const done = `deployment/${name} ${off ? "follows new releases again" : `stays at ${release}`}`;
  return (
    <ChangeDialog
      title={off ? `Take the pin of ${name} away` : `Pin ${name} at ${release}`}
      lead={
        off
          ? "It follows what is let into its environment again."
          : "It stays at this release, whatever else comes, until the pin is taken away."
      }
      word={off ? "Unpin" : "Pin"}
      proposal={off || why.trim() !== "" ? edited(edit, done) : undefined}
      onClose={onClose}
    >
      {!off && (
        <Remark
          label="Why"
          required
          value={why}
          placeholder="kept with the deployment"
          onChange={setWhy}
        />
      )}
    </ChangeDialog>
  );
}
