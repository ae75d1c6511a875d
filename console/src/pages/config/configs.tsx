// The configurations that are pushed to running instances, and how far each has got.
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { useSnapshot, useSynced } from "../../api/live";
import type { Config } from "../../api/objects";
import { CONFIG } from "../../logic/configs";
import { order } from "../../logic/fleet";
import { counted } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Meter } from "../../parts/bars";
import { Empty, Example, Skeleton } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { found, Search } from "../../parts/search";
import type { ListSearch } from "../../router";
import { Head } from "../../shell/head";
import "./config.css";

const FIRST = `apiVersion: atoll/v1
kind: Config
metadata: { name: shop-switches }
spec:
  switches:
    new-checkout: { default: false, owner: team/trade }
---
# and in the Application:
  config: { dynamic: [shop-switches] }`;

export const stateOf = ({ status }: Config) => CONFIG[status.phase ?? "waiting"];

export function ConfigsPage({ q = "" }: ListSearch) {
  const { tables } = useSnapshot();
  const synced = useSynced();
  const navigate = useNavigate();
  const all = useMemo(
    () => [...tables.configs.values()].sort((a, b) => order(a.metadata.name, b.metadata.name)),
    [tables.configs],
  );
  if (!synced) return <Skeleton lines={6} />;
  const shown = all.filter((c) =>
    found(
      q,
      c.metadata.name,
      c.spec.owner,
      c.spec.description,
      ...Object.keys(c.spec.switches ?? {}),
    ),
  );
  const gray = all.filter((c) => c.status.gray).length;
  return (
    <>
      <Head
        title="Configuration"
        lead={`${counted(all.length, "configuration")} pushed at run time${gray > 0 ? `, ${counted(gray, "gray release")} under way` : ""}`}
      >
        {all.length > 0 && (
          <Search
            value={q}
            label="Search configurations"
            onChange={(value) =>
              navigate({ to: ".", search: { q: value || undefined }, replace: true } as never)
            }
          />
        )}
      </Head>
      <section className="panel" aria-label="configurations">
        {all.length === 0 ? (
          <Empty title="No configuration is pushed at run time yet">
            <p>What may change without a release, each with its type, default and owner:</p>
            <Example>{FIRST}</Example>
          </Empty>
        ) : shown.length === 0 ? (
          <Empty title="No configuration matches" />
        ) : (
          <ul data-list>
            {shown.map((config) => (
              <Row key={config.metadata.name} config={config} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

function Row({ config }: { config: Config }) {
  const { spec, status, metadata } = config;
  const switches = Object.keys(spec.switches ?? {}).length;
  const { instances = 0, acknowledged = 0 } = status;
  return (
    <li className="config-row" data-row>
      <div className="config-what">
        <p>
          <ObjectLink plural="configs" name={metadata.name} className="strong" />
          {spec.draft && <span className="tag">draft</span>}
          {switches > 0 && <span className="tag">{counted(switches, "switch", "switches")}</span>}
        </p>
        <p className="small quiet cut">
          {[spec.description, spec.owner].filter(Boolean).join(" · ")}
        </p>
      </div>
      <State {...stateOf(config)} />
      <span className="small second nowrap">
        version {status.version ?? "–"}
        {status.since && (
          <span className="quiet">
            , <Ago at={status.since} /> ago
          </span>
        )}
      </span>
      <span className="config-acks small">
        {instances === 0 ? (
          <span className="quiet">no instance takes it</span>
        ) : (
          <>
            <Meter used={acknowledged} whole={instances} label="acknowledged" progress />
            <span className={acknowledged < instances ? "warn-text" : "quiet"}>
              {acknowledged} of {instances}
            </span>
          </>
        )}
      </span>
    </li>
  );
}
