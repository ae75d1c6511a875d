// One configuration: what is live and where, the gray release under way, its values in an editor,
// its switches as toggles, who has not taken it up.
import { useState } from "react";
import type { Values } from "../../api/config";
import { useNow, useObject, useSynced } from "../../api/live";
import type { Config } from "../../api/objects";
import { contentDiff, mergePatch, overlayWords, stepWords } from "../../logic/configs";
import { VERDICT } from "../../logic/guard";
import { counted } from "../../logic/quantity";
import { parseSpan, parseTime } from "../../logic/time";
import { Ago, Countdown } from "../../parts/ago";
import { Meter } from "../../parts/bars";
import { ChangeDialog } from "../../parts/change";
import { Diff } from "../../parts/diff";
import { Empty, Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { ObjectLink, SubjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { proposalOf } from "../deployment/actions";
import { NoObject } from "../object/missing";
import { stateOf } from "./configs";
import { Editor } from "./editor";
import { Switches } from "./switches";
import "./config.css";

export function ConfigPage({ name, tab }: ThingSearch & { name: string }) {
  const config = useObject("configs", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  if (!synced) return <Skeleton lines={8} />;
  if (!config) return <NoObject plural="configs" name={name} />;
  const { generation = 0, revision = 0 } = config.metadata;
  const { spec, status } = config;
  const switches = Object.keys(spec.switches ?? {}).length;
  const tabs = [
    ...(switches > 0 ? [{ id: "switches", word: "Switches", count: switches }] : []),
    { id: "values", word: "Values" },
    { id: "instances", word: "Instances", count: status.laggards?.length || undefined },
    { id: "why", word: "Why" },
    { id: "history", word: "History" },
    { id: "manifest", word: "Manifest" },
  ];
  const now = tab ?? tabs[0]?.id ?? "values";
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "configuration", to: "/configs" }]}
        beside={<State {...stateOf(config)} />}
        lead={spec.description}
      />
      <div className="stack">
        <Summary config={config} />
        {status.gray && <GrayPanel config={config} mayWrite={mayWrite} />}
        {spec.draft && <DraftPanel config={config} mayWrite={mayWrite} />}
        <Tabs label="views" now={now} tabs={tabs} />
        {now === "switches" && <Switches config={config} mayWrite={mayWrite} />}
        {now === "values" && (
          <Editor key={`${name} ${generation}`} config={config} mayWrite={mayWrite} />
        )}
        {now === "instances" && <Laggards config={config} />}
        {now === "why" && <Why plural="configs" name={name} revision={revision} />}
        {now === "history" && (
          <HistoryView plural="configs" {...{ name, generation, revision, mayWrite }} />
        )}
        {now === "manifest" && <Manifest object={config} />}
      </div>
    </>
  );
}

function Summary({ config }: { config: Config }) {
  const { spec, status } = config;
  const { instances = 0, acknowledged = 0, failed } = status;
  return (
    <section className="panel">
      <div className="body stack tight">
        <Facts>
          <Fact name="live version">{status.version || "none"}</Fact>
          {status.since && (
            <Fact name="since">
              <Ago at={status.since} />
            </Fact>
          )}
          <Fact name="acknowledged">
            {instances === 0 ? (
              <span className="quiet">no instance takes it</span>
            ) : (
              `${acknowledged} of ${instances}`
            )}
          </Fact>
          <Fact name="delivered as">
            {spec.file?.name ?? `${config.metadata.name}.${spec.file?.format ?? "json"}`}
            {spec.then?.signal && `, then SIG${spec.then.signal}`}
            {spec.then?.command && `, then ${spec.then.command.join(" ")}`}
          </Fact>
          {spec.owner && <Fact name="answers for it">{spec.owner}</Fact>}
          <Fact name="goes out">
            {spec.gray ? `in gray, ${counted(spec.gray.steps.length, "step")}` : "to all at once"}
          </Fact>
        </Facts>
        {failed && (
          <p className="bad-note">
            Version {failed.version} was given up <Ago at={failed.at} /> ago:{" "}
            {failed.reason.message}
          </p>
        )}
        <Reasons reasons={status.reasons ?? []} most={4} />
      </div>
    </section>
  );
}

interface PanelProps {
  config: Config;
  mayWrite: boolean;
}

/** The gray release under way: whom it has reached, what the guard says, and its two ways out. */
function GrayPanel({ config, mayWrite }: PanelProps) {
  const [asked, setAsked] = useState<"promoted" | "aborted" | null>(null);
  const now = useNow();
  const { spec, status, metadata } = config;
  const { gray } = status;
  if (!gray) return null;
  const { version, step = 0, affected = 0 } = gray;
  const has = Object.keys(gray.instances ?? {}).length;
  const steps = spec.gray?.steps ?? [];
  const soaks = parseTime(gray.soakingSince);
  const until = soaks === undefined ? undefined : soaks + parseSpan(steps[step]?.soak);
  const edit = {
    plural: "configs" as const,
    name: metadata.name,
    generation: metadata.generation ?? 0,
    spec: asked ? { [asked]: version } : {},
  };
  return (
    <section className="panel gray" aria-label="gray release">
      <header>
        <h2>Gray release of version {version}</h2>
        {mayWrite && (
          <>
            <button
              type="button"
              className="button slim danger"
              onClick={() => setAsked("aborted")}
            >
              <Icon name="back" size={13} /> Roll back
            </button>
            <button type="button" className="button slim main" onClick={() => setAsked("promoted")}>
              <Icon name="forward" size={13} /> Promote to all
            </button>
          </>
        )}
      </header>
      <div className="body stack tight">
        <div className="gray-progress">
          <Meter used={has} whole={affected} label="have the new version" progress />
          <b>
            {has} of {affected}
          </b>
        </div>
        <ol className="gray-steps">
          {steps.map((s, i) => {
            const tone =
              i < step ? "ok" : i === step ? (status.phase === "paused" ? "warn" : "soak") : "off";
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: steps are known by their place
              <li key={i} className={`gray-step ${tone}`}>
                <State word={stepWords(s)} tone={tone} />
                <span className="small quiet">
                  {i === step && until !== undefined && until > now ? (
                    <>
                      watched for another <Countdown until={until} />
                    </>
                  ) : i === step ? (
                    status.phase === "paused" ? (
                      "paused"
                    ) : (
                      "being delivered"
                    )
                  ) : (
                    `soak ${s.soak ?? "0s"}`
                  )}
                </span>
              </li>
            );
          })}
          <li className="gray-step off">
            <State word="all" tone="off" />
          </li>
        </ol>
        {Object.entries(gray.guard ?? {}).map(([deployment, said]) => (
          <p key={deployment} className="row wrap">
            <State {...VERDICT[said.verdict]} />
            <span>
              <SubjectLink subject={`deployment/${deployment}`} />: {said.message}
            </span>
          </p>
        ))}
        <div>
          <h3>What it changes</h3>
          <Diff diff={contentDiff(status.live, gray.content)} />
        </div>
      </div>
      {asked && (
        <ChangeDialog
          title={
            asked === "promoted"
              ? `Promote version ${version} to all`
              : `Roll version ${version} back`
          }
          lead={
            asked === "promoted"
              ? `The remaining steps are skipped: ${counted(affected - has, "more instance")} ${affected - has === 1 ? "gets" : "get"} it at once.`
              : `${counted(has, "instance")} with it ${has === 1 ? "goes" : "go"} back to version ${status.version}.`
          }
          word={asked === "promoted" ? "Promote" : "Roll back"}
          danger={asked === "aborted"}
          proposal={proposalOf(
            edit,
            asked === "promoted"
              ? `version ${version} of config/${name} goes to all instances`
              : `version ${version} of config/${name} is taken back`,
          )}
          onClose={() => setAsked(null)}
        />
      )}
    </section>
  );
}

function DraftPanel({ config, mayWrite }: PanelProps) {
  const [asked, setAsked] = useState<"push" | "drop" | null>(null);
  const { spec, status, metadata } = config;
  const { draft } = spec;
  if (!draft) return null;
  const content = { values: draft.values ?? {}, overlays: draft.overlays ?? [] };
  const patch =
    asked === "push"
      ? {
          values: mergePatch(spec.values ?? {}, content.values),
          overlays: content.overlays,
          draft: null,
        }
      : { draft: null };
  const { name, generation = 0 } = metadata;
  return (
    <section className="panel" aria-label="draft">
      <header>
        <h2>Draft</h2>
        {mayWrite && (
          <>
            <button type="button" className="button slim" onClick={() => setAsked("drop")}>
              Throw away
            </button>
            <button type="button" className="button slim main" onClick={() => setAsked("push")}>
              Push it
            </button>
          </>
        )}
      </header>
      <div className="body stack tight">
        {draft.note && <p className="second">{draft.note}</p>}
        <Diff
          diff={contentDiff(withDefaults(config, status.live), withDefaults(config, content))}
        />
      </div>
      {asked && (
        <ChangeDialog
          title={asked === "push" ? `Push the draft of ${name}` : `Throw the draft of ${name} away`}
          lead={
            asked === "push"
              ? spec.gray
                ? "It goes out in gray, step by step."
                : "It goes to all instances at once."
              : "What is live stays as it is."
          }
          word={asked === "push" ? "Push" : "Throw away"}
          danger={asked === "drop"}
          proposal={proposalOf(
            { plural: "configs", name, generation, spec: patch },
            `the draft of config/${name} is ${asked === "push" ? "pushed" : "thrown away"}`,
          )}
          onClose={() => setAsked(null)}
        />
      )}
    </section>
  );
}

/** Switches nobody has set have their default, live as in drafts. */
function withDefaults(config: Config, content: { values?: Values } | null | undefined) {
  const defaults = Object.entries(config.spec.switches ?? {}).map(([k, s]) => [k, s.default]);
  return { ...content, values: { ...Object.fromEntries(defaults), ...content?.values } };
}

function Laggards({ config }: { config: Config }) {
  const { laggards = [], instances = 0, acknowledged = 0 } = config.status;
  const more = instances - acknowledged - laggards.length;
  const overlays = config.status.live?.overlays ?? [];
  return (
    <section className="panel" aria-label="instances that lag behind">
      <header>
        <h2>Not taken up yet</h2>
        <span className="small quiet">
          acknowledged what is meant for them: {acknowledged} of {instances}
        </span>
      </header>
      {laggards.length === 0 ? (
        <Empty
          title={
            instances === 0 ? "No instance takes it" : "Every instance has what is meant for it"
          }
        >
          {instances === 0 && (
            <p>
              An application takes it by <code>config: {"{ dynamic: […] }"}</code>.
            </p>
          )}
        </Empty>
      ) : (
        <ul data-list>
          {laggards.map((l) => (
            <li key={l.instance} className="laggard" data-row>
              <div>
                <ObjectLink plural="instances" name={l.instance} className="strong" />
                <p className="small quiet">
                  on <ObjectLink plural="hosts" name={l.host} />
                </p>
              </div>
              <span className="nowrap">
                {l.has ?? "none"} <span className="quiet">→</span> {l.wanted}
              </span>
              <span className="second">{l.why}</span>
            </li>
          ))}
          {more > 0 && <li className="laggard quiet">and {more} more</li>}
        </ul>
      )}
      {overlays.length > 0 && (
        <p className="body small quiet">Other values {overlays.map(overlayWords).join("; ")}.</p>
      )}
    </section>
  );
}
