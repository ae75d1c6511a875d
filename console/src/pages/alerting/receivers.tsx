// Who is told, whether they can be, and the latest messages.
import type { Notification, Receiver } from "../../api/objects";
import { order } from "../../logic/fleet";
import { counted } from "../../logic/quantity";
import { Ago } from "../../parts/ago";
import { Empty, Example } from "../../parts/empty";
import { ObjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Reasons } from "../../parts/reasons";

const FIRST = `apiVersion: atoll/v1
kind: Receiver
metadata: { name: on-call }
spec:
  channel: { webhook: { url: "https://…" } }
  routes: [{ matchers: ['severity="page"'] }]`;

const CAUSES: Readonly<Record<Notification["spec"]["cause"], string>> = {
  new: "new",
  changed: "changed",
  repeat: "still so",
  resolved: "ended",
  heartbeat: "a sign of life",
};

const PHASES = {
  sent: { word: "sent", tone: "ok" },
  pending: { word: "waiting", tone: "move" },
  abandoned: { word: "given up", tone: "warn" },
} as const;

interface Props {
  receivers: readonly Receiver[];
  notifications: readonly Notification[];
}

const MOST = 30;

export function Receivers({ receivers, notifications }: Props) {
  const sorted = [...receivers].sort((a, b) => order(a.metadata.name, b.metadata.name));
  const latest = [...notifications]
    .sort((a, b) => String(b.spec.at).localeCompare(String(a.spec.at)))
    .slice(0, MOST);
  return (
    <>
      <section className="panel" aria-label="receivers">
        {sorted.length === 0 ? (
          <Empty title="Nobody is told">
            <p>Alerts are shown here in any case. A receiver tells somebody:</p>
            <Example>{FIRST}</Example>
          </Empty>
        ) : (
          <ul data-list>
            {sorted.map((receiver) => (
              <ReceiverView key={receiver.metadata.name} receiver={receiver} />
            ))}
          </ul>
        )}
      </section>
      {latest.length > 0 && (
        <section className="panel" aria-label="messages">
          <header>
            <h2>Latest messages</h2>
          </header>
          <ul data-list>
            {latest.map((n) => (
              <li key={n.metadata.name} className="message" data-row>
                <State {...PHASES[n.status.phase]} />
                <span className="grow">
                  <ObjectLink plural="notifications" name={n.metadata.name}>
                    {n.spec.receiver}
                  </ObjectLink>
                  <span className="second">
                    {" "}
                    {CAUSES[n.spec.cause]}
                    {n.spec.alerts?.length ? `: ${counted(n.spec.alerts.length, "alert")}` : ""}
                  </span>
                </span>
                <span className="small quiet nowrap">
                  <Ago at={n.status.at ?? n.spec.at} /> ago
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** Whom nothing was sent to yet is not known to be reached. */
function reach({ status }: Receiver) {
  if (status.reasons?.length) return { word: "cannot be told", tone: "bad" } as const;
  if (status.lastSent) return { word: "reachable", tone: "ok" } as const;
  return { word: "not tried yet", tone: "unknown" } as const;
}

function ReceiverView({ receiver }: { receiver: Receiver }) {
  const { spec, status, metadata } = receiver;
  const channel = Object.keys(spec.channel)[0] ?? "";
  const routes = spec.routes.map((r) =>
    r.matchers?.length
      ? r.matchers.join(", ")
      : r.otherwise
        ? "what nobody else is told of"
        : "all alerts",
  );
  return (
    <li className="receiver" data-row>
      <div className="grow">
        <p>
          <ObjectLink plural="receivers" name={metadata.name} className="strong" />{" "}
          <span className="quiet">{channel}</span>
        </p>
        <p className="small second">
          {routes.length > 0 ? `told of ${routes.join("; or ")}` : "told of no alerts"}
          {spec.heartbeat && `, and a sign of life every ${spec.heartbeat}`}
        </p>
        <Reasons reasons={status.reasons ?? []} />
      </div>
      <div className="silence-when">
        <State {...reach(receiver)} />
        <p className="small second">
          {status.lastSent ? (
            <>
              told <Ago at={status.lastSent} /> ago
            </>
          ) : (
            "never told yet"
          )}
          {status.waiting > 0 && `, ${status.waiting} waiting`}
        </p>
      </div>
    </li>
  );
}
