// One release and its journey as a picture: from the commit over its run and its package through
// the environments, with what was asked at each and what is still waited for.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useState } from "react";
import { type PackageView, rulesOf, vetoOf } from "../../api/delivery";
import { call, type Problem } from "../../api/http";
import { useNow, useObject, useSnapshot, useSynced } from "../../api/live";
import type { Environment, Promotion, Release } from "../../api/objects";
import { goesTo, harmedAt, PROMOTION, packageObject, phaseOf, road } from "../../logic/delivery";
import type { Tone } from "../../logic/phases";
import { memoryWords } from "../../logic/quantity";
import { moment, parseTime, spanWords, type Written } from "../../logic/time";
import { Ago } from "../../parts/ago";
import { Skeleton } from "../../parts/empty";
import { Fact, Facts } from "../../parts/facts";
import { HistoryView } from "../../parts/history";
import { Icon } from "../../parts/icon";
import { Manifest } from "../../parts/manifest";
import { ObjectLink } from "../../parts/object-link";
import { Dot, State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";
import { Tabs } from "../../parts/tabs";
import { Why } from "../../parts/why";
import type { ThingSearch } from "../../router";
import { Head } from "../../shell/head";
import { useMayWrite } from "../../shell/who";
import { NoObject } from "../object/missing";
import { type Asked, Decide } from "./decide";
import { CheckLine } from "./environments";
import "./delivery.css";

export function ReleasePage({ name, tab = "journey" }: ThingSearch & { name: string }) {
  const release = useObject("releases", name);
  const synced = useSynced();
  const mayWrite = useMayWrite();
  const [asked, setAsked] = useState<Asked | null>(null);
  if (!synced) return <Skeleton lines={8} />;
  if (!release) return <NoObject plural="releases" name={name} />;
  const { generation = 0, revision = 0 } = release.metadata;
  const veto = vetoOf(release);
  return (
    <>
      <Head
        title={name}
        crumbs={[{ word: "releases", to: "/releases" }]}
        beside={veto && <State word="vetoed" tone="bad" />}
      >
        {mayWrite && (
          <button
            type="button"
            className={veto ? "button" : "button danger"}
            onClick={() => setAsked({ what: veto ? "unveto" : "veto", release: name })}
          >
            <Icon name={veto ? "check" : "stop"} size={14} /> {veto ? "Take the veto away" : "Veto"}
          </button>
        )}
      </Head>
      <div className="stack">
        <Summary release={release} />
        <Tabs
          label="views"
          now={tab}
          tabs={[
            { id: "journey", word: "Journey" },
            { id: "why", word: "Why" },
            { id: "history", word: "History" },
            { id: "manifest", word: "Manifest" },
          ]}
        />
        {tab === "journey" && <Journey release={release} onAsk={setAsked} />}
        {tab === "why" && <Why plural="releases" name={name} revision={revision} />}
        {tab === "history" && (
          <HistoryView plural="releases" mayWrite={false} {...{ name, generation, revision }} />
        )}
        {tab === "manifest" && <Manifest object={release} />}
      </div>
      {asked && <Decide asked={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

function Summary({ release }: { release: Release }) {
  const { spec, status, metadata } = release;
  const veto = vetoOf(release);
  return (
    <section className="panel">
      <div className="body stack tight">
        <Facts>
          <Fact name="application">
            <ObjectLink plural="applications" name={spec.application} />
          </Fact>
          <Fact name="made">
            <Ago at={metadata.createdAt} /> ago
          </Fact>
          {spec.package && (
            <Fact name="package">
              {spec.package.name}:{spec.package.version}
            </Fact>
          )}
          {spec.package?.digest && (
            <Fact name="digest">
              <code title={spec.package.digest}>
                {spec.package.digest.replace("sha256:", "").slice(0, 12)}
              </code>
            </Fact>
          )}
          {spec.notes && <Fact name="notes">{spec.notes}</Fact>}
        </Facts>
        {veto && (
          <p className="bad-note">
            It is to run nowhere: {veto.reason}
            {veto.rollback && " Where it ran it is taken back."}
          </p>
        )}
        <Reasons reasons={status.reasons ?? []} />
      </div>
    </section>
  );
}

interface JourneyProps {
  release: Release;
  onAsk: (asked: Asked) => void;
}

function Journey({ release, onAsk }: JourneyProps) {
  const { tables } = useSnapshot();
  const name = release.metadata.name;
  const meant = tables.applications.get(release.spec.application)?.spec.environments;
  const environments = useMemo(
    () => road(tables.environments.values()).filter((e) => goesTo(meant, e)),
    [tables.environments, meant],
  );
  const pack = release.spec.package;
  const files = useQuery<PackageView, Problem>({
    queryKey: ["package", pack?.name, pack?.version],
    queryFn: ({ signal }) =>
      call(
        "GET",
        `/v1/packages/${encodeURIComponent(packageObject(pack?.name ?? "", pack?.version ?? ""))}`,
        { signal },
      ),
    enabled: pack !== undefined && pack !== null,
  });
  const built = files.data?.spec.built ?? undefined;
  const run = built && tables.runs.get(built.run);
  const commit =
    built?.commit ??
    environments
      .map((e) => tables.promotions.get(`${name}.${e.metadata.name}`)?.status.commit)
      .find(Boolean);
  return (
    <section className="panel" aria-label="journey">
      <ol className="journey">
        <Leg title="Commit" tone={commit ? "ok" : "unknown"} at={commit?.at}>
          {commit ? (
            <>
              <p className="strong">{commit.subject}</p>
              <p className="small second">
                {commit.author} · <code>{commit.id.slice(0, 8)}</code>
                {built?.branch && ` · ${built.branch}`}
              </p>
            </>
          ) : (
            <p className="quiet small">
              {built
                ? "Not recorded: what was run was handed in, and is no commit."
                : "Not recorded: its package was not made by a pipeline."}
            </p>
          )}
        </Leg>
        <Leg title="Pipeline" tone={built ? "ok" : "unknown"} at={run?.status.endedAt}>
          {built ? (
            <>
              <Link to={`/runs/${built.run}` as "/"} className="plain">
                {built.run}
              </Link>
              <Tests tests={built.tests} />
            </>
          ) : (
            <p className="quiet small">{files.isFetching ? "…" : "No run made it."}</p>
          )}
        </Leg>
        <Leg title="Package" tone={pack ? "ok" : "unknown"} at={release.metadata.createdAt}>
          {pack ? (
            <>
              <p className="strong">
                {pack.name}:{pack.version}
              </p>
              <PackageFacts files={files.data} />
            </>
          ) : (
            <p className="quiet small">It runs what is on the host.</p>
          )}
        </Leg>
        {environments.map((e) => (
          <Entry
            key={e.metadata.name}
            environment={e}
            release={name}
            promotion={tables.promotions.get(`${name}.${e.metadata.name}`)}
            onAsk={onAsk}
          />
        ))}
      </ol>
    </section>
  );
}

interface LegProps {
  title: ReactNode;
  tone: Tone;
  word?: string;
  at?: Written;
  children: ReactNode;
}

function Leg({ title, tone, word, at, children }: LegProps) {
  const now = useNow();
  const time = parseTime(at);
  return (
    <li className={`leg ${tone}`}>
      <span className="leg-mark">
        <Dot tone={tone} />
      </span>
      <div className="leg-what">
        <h3>{title}</h3>
        {word && <State word={word} tone={tone} />}
        {children}
        {time !== undefined && <p className="small quiet">{moment(time, now)}</p>}
      </div>
    </li>
  );
}

function Tests({ tests }: { tests: NonNullable<PackageView["spec"]["built"]>["tests"] }) {
  const all = Object.entries(tests ?? {});
  if (all.length === 0) return <p className="small quiet">no tests told of</p>;
  return (
    <ul className="small">
      {all.map(([suite, { passed, failed }]) => (
        <li key={suite} className={failed > 0 ? "bad-text" : "second"}>
          {suite}: {failed > 0 ? `${failed} failed of ${passed + failed}` : `${passed} passed`}
        </li>
      ))}
    </ul>
  );
}

function PackageFacts({ files }: { files: PackageView | undefined }) {
  if (!files) return null;
  const { provenance } = files.status ?? {};
  const { image, size, built } = files.spec;
  return (
    <ul className="small second">
      {image ? <li>image in {image}</li> : size ? <li>{memoryWords(size)} of files</li> : null}
      <li className={provenance ? undefined : "quiet"}>
        {provenance ? `signed by ${provenance.signatures[0]?.keyid ?? "?"}` : "not signed"}
      </li>
      {built?.sbom && <li>list of parts kept</li>}
    </ul>
  );
}

interface EntryProps {
  environment: Environment;
  release: string;
  promotion: Promotion | undefined;
  onAsk: (asked: Asked) => void;
}

function Entry({ environment, release, promotion, onAsk }: EntryProps) {
  const { tables } = useSnapshot();
  const mayWrite = useMayWrite();
  const name = environment.metadata.name;
  const application = tables.releases.get(release)?.spec.application ?? "";
  const deployment = tables.deployments.get(`${application}.${name}`);
  const runs = deployment?.status.release === release;
  if (!promotion) {
    return (
      <Leg title={name} tone={runs ? "ok" : "off"} word={runs ? "runs there" : undefined}>
        {!runs && (
          <p className="quiet small">
            {rulesOf(environment).after ? "It has not got this far." : "It is not there."}
          </p>
        )}
      </Leg>
    );
  }
  const phase = phaseOf(promotion);
  const { status, spec } = promotion;
  const missing = (status.checks ?? []).filter((c) => c.state !== "passed");
  const there = (status.checks ?? []).filter((c) => c.state === "passed");
  const at = status.goodAt ?? status.failedAt ?? status.beganAt ?? status.admittedAt;
  return (
    <Leg
      title={<ObjectLink plural="environments" name={name} className="strong" />}
      tone={PROMOTION[phase].tone}
      word={phase === "good" && runs ? "runs there" : PROMOTION[phase].word}
      at={at}
    >
      <Times promotion={promotion} />
      {spec.emergency && <p className="small warn-line">as an emergency: {spec.emergency}</p>}
      <ul className="small leg-checks">
        {missing.map((check) => (
          <li key={check.name}>
            <CheckLine check={check} />
          </li>
        ))}
        {there.length > 0 && (
          <li className="quiet" title={there.map((c) => c.message).join("; ")}>
            there: {there.map((c) => c.name).join(", ")}
          </li>
        )}
      </ul>
      {mayWrite && phase === "waiting" && (
        <p className="row wrap">
          {missing.some((c) => c.name === "approval") && (
            <button
              type="button"
              className="button slim"
              aria-label={`Approve ${release} for ${name}`}
              onClick={() => onAsk({ what: "approve", promotion })}
            >
              Approve
            </button>
          )}
          {!spec.asked && (
            <button
              type="button"
              className="button slim"
              aria-label={`Promote ${release} for ${name}`}
              onClick={() => onAsk({ what: "promote", promotion })}
            >
              Promote
            </button>
          )}
        </p>
      )}
      <ObjectLink plural="promotions" name={promotion.metadata.name} className="plain small">
        why
      </ObjectLink>
    </Leg>
  );
}

/** How long it took to go in and to prove itself. */
function Times({ promotion }: { promotion: Promotion }) {
  const { admittedAt, beganAt, goodAt, failedAt, restoredAt, byHand } = promotion.status;
  const between = (a: string | null | undefined, b: string | null | undefined) => {
    const [from, to] = [parseTime(a), parseTime(b)];
    return from === undefined || to === undefined ? undefined : spanWords(Math.max(0, to - from));
  };
  const proved = between(beganAt, goodAt);
  const restored = between(harmedAt(promotion), restoredAt);
  const told = [
    proved && `rolled out in ${proved}`,
    failedAt && (restored ? `whole again after ${restored}` : "not whole again yet"),
    byHand && admittedAt && "a person had a hand in it",
  ].filter(Boolean);
  return told.length === 0 ? null : <p className="small second">{told.join("; ")}</p>;
}
