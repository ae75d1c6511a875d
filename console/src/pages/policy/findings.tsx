// What does not keep a standard, one line each: what is wrong, since when, and what to do.
import { useState } from "react";
import type { Finding } from "../../api/objects";
import { MODE } from "../../logic/standards";
import { Ago } from "../../parts/ago";
import { Empty } from "../../parts/empty";
import { ObjectLink, SubjectLink } from "../../parts/object-link";
import { State } from "../../parts/phase";
import { Prose } from "../../parts/prose";
import "./standards.css";

const PAGE = 50;

interface Props {
  findings: readonly Finding[];
  none: string;
  /** On the page of a standard its own name need not be told. */
  bare?: boolean;
}

export function Findings({ findings, none, bare = false }: Props) {
  const [most, setMost] = useState(PAGE);
  if (findings.length === 0) return <Empty title={none} />;
  return (
    <>
      <ul data-list>
        {findings.slice(0, most).map((finding) => (
          <Line key={`${finding.standard} ${finding.subject}`} finding={finding} bare={bare} />
        ))}
      </ul>
      {findings.length > most && (
        <div className="body">
          <button type="button" className="button slim" onClick={() => setMost(most + 200)}>
            {findings.length - most} more
          </button>
        </div>
      )}
    </>
  );
}

function look({ state, mode }: Finding) {
  if (state === "waived") return { word: "excused", tone: "held" } as const;
  if (state === "unknown") return { word: "not told", tone: "unknown" } as const;
  if (mode === "enforce") return { word: "broken", tone: "bad" } as const;
  if (mode === "warn") return { word: "broken", tone: "warn" } as const;
  return { word: MODE[mode].word, tone: MODE[mode].tone };
}

function Line({ finding, bare }: { finding: Finding; bare: boolean }) {
  const { standard, subject, message, field, fix, since, until } = finding;
  return (
    <li className="finding" data-row>
      <State {...look(finding)} />
      <div className="finding-what">
        <p>
          <Prose text={message} />
        </p>
        {fix && (
          <p className="small second">
            <Prose text={fix} />
          </p>
        )}
      </div>
      <div className="small finding-where">
        <p className="cut">
          <SubjectLink subject={subject} />
        </p>
        <p className="quiet cut">
          {!bare && (
            <>
              <ObjectLink plural="standards" name={standard} />
              {field && " · "}
            </>
          )}
          {field && <code>{field}</code>}
        </p>
      </div>
      <span className="small quiet nowrap finding-since">
        {until ? (
          <>
            until <time dateTime={String(until)}>{String(until).slice(0, 10)}</time>
          </>
        ) : (
          <>
            <Ago at={since} /> ago
          </>
        )}
      </span>
    </li>
  );
}
