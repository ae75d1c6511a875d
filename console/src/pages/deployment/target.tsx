// Edits the target of a deployment: how many instances, and which release.
import { useMemo, useState } from "react";
import type { Deployment, Release } from "../../api/objects";
import { counted } from "../../logic/quantity";
import { wantedOf } from "../../logic/rollout";
import { ChangeDialog } from "../../parts/change";
import { CountField, countOf } from "../../parts/count";
import { editOf, proposalOf } from "./actions";

interface Props {
  deployment: Deployment;
  releases: readonly Release[];
  onClose: () => void;
}

const MOST = 200_000;

function releaseWord(release: Release): string {
  const version = release.spec.package?.version;
  const notes = release.spec.notes?.split("\n")[0];
  return [release.metadata.name, version, notes].filter(Boolean).join(" · ").slice(0, 90);
}

/** What is said once a target is edited: only what has changed of it. */
function doneWords(name: string, count: number | undefined, release: string | null | undefined) {
  const will = [
    count !== undefined && `have ${counted(count, "instance")}`,
    release && `run ${release}`,
    release === null && "follow new releases",
  ];
  return `deployment/${name} will ${will.filter(Boolean).join(" and ")}`;
}

export function EditTarget({ deployment, releases, onClose }: Props) {
  const [seen] = useState(deployment);
  const { name } = seen.metadata;
  const [instances, setInstances] = useState(String(wantedOf(seen)));
  const [release, setRelease] = useState(seen.spec.release ?? "");
  const choices = useMemo(
    () =>
      releases
        .filter((r) => r.spec.application === seen.spec.application)
        .sort((a, b) => (b.spec.number ?? 0) - (a.spec.number ?? 0)),
    [releases, seen],
  );

  const count = countOf(instances, MOST);
  const valid = !Number.isNaN(count);
  const spec: Record<string, unknown> = {};
  if (valid && count !== wantedOf(seen)) spec.instances = count;
  if (release !== (seen.spec.release ?? "")) spec.release = release || null;
  const changed = Object.keys(spec).length > 0;
  const edit = proposalOf(
    editOf(seen, spec),
    doneWords(
      name,
      spec.instances as number | undefined,
      spec.release as string | null | undefined,
    ),
  );

  return (
    <ChangeDialog
      title={`Target of ${name}`}
      word="Apply"
      proposal={valid && changed ? edit : undefined}
      onClose={onClose}
    >
      <div className="edit-fields">
        <CountField
          id="instances"
          label="Instances"
          text={instances}
          most={MOST}
          onText={setInstances}
        />
        <div className="field">
          <label htmlFor="release">Release</label>
          <select id="release" value={release} onChange={(event) => setRelease(event.target.value)}>
            <option value="">the newest, as they come</option>
            {release && !choices.some((r) => r.metadata.name === release) && (
              <option value={release}>{release}</option>
            )}
            {choices.map((r) => (
              <option key={r.metadata.name} value={r.metadata.name}>
                {releaseWord(r)}
              </option>
            ))}
          </select>
        </div>
      </div>
      {!valid && <p className="bad small">A whole number from 0 to {MOST.toLocaleString("en")}.</p>}
      {valid && !changed && <p className="quiet">Change something to see what it would do.</p>}
    </ChangeDialog>
  );
}
