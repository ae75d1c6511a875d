// Begins a job: which command, on which hosts, and how it goes from host to host. What it would do
// is seen before it is done.
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { create } from "../../api/change";
import { lineOf, wordsOf } from "../../logic/jobs";
import { ChangeDialog } from "../../parts/change";

const PAUSES = [
  ["never", "Goes through"],
  ["first", "Waits for a person after the first batch"],
  ["each", "Waits for a person after each batch"],
] as const;

/** Names hold letters, digits and dashes. */
function nameFor(words: readonly string[], key: string): string {
  const word = (words[0] ?? "job").split("/").pop() ?? "job";
  const plain = word.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return `${plain.replaceAll(/^-+|-+$/g, "").slice(0, 30) || "job"}-${key}`;
}

export function JobForm({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  // Sent twice, it is one job all the same.
  const [key] = useState(() => Math.floor(Date.now() / 1000).toString(36));
  const [line, setLine] = useState("");
  const [on, setOn] = useState("");
  const [batches, setBatches] = useState("");
  const [most, setMost] = useState("0");
  const [pause, setPause] = useState<string>("never");
  const [runAs, setRunAs] = useState("root");
  const [timeout, setTimeout] = useState("60s");
  const [once, setOnce] = useState(false);
  const words = wordsOf(line);
  const name = nameFor(words ?? [], key);
  const sizes = batches.split(/[\s,]+/).filter(Boolean);
  const object = {
    kind: "Job",
    metadata: { name },
    spec: {
      on: on.trim(),
      once,
      do: {
        command: words ?? [],
        runAs: runAs.trim() || "root",
        timeout: timeout.trim() || "60s",
        batches: sizes,
        maxErrors: most.trim() || "0",
        pause,
      },
    },
  };
  const good = words !== undefined && words.length > 0;
  const field = (id: string, label: string, input: React.ReactNode, help?: string) => (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {input}
      {help && <p className="small quiet">{help}</p>}
    </div>
  );
  return (
    <ChangeDialog
      title="Run a command"
      lead={`It is run as ${runAs.trim() || "root"} on each host, and what it says is kept.`}
      word="Run"
      proposal={
        good
          ? {
              key: JSON.stringify(object),
              preview: (signal) => create("jobs", object, true, signal),
              apply: async () => {
                const outcome = await create("jobs", object, false);
                void navigate({ to: `/jobs/${name}` as "/" });
                return outcome;
              },
              done: `job/${name} begins`,
            }
          : undefined
      }
      onClose={onClose}
    >
      {field(
        "job-command",
        "Command",
        <input
          id="job-command"
          data-first
          className="mono"
          value={line}
          placeholder="systemctl restart nginx"
          spellCheck={false}
          onChange={(event) => setLine(event.target.value)}
        />,
        words === undefined
          ? "A quote is left open."
          : words.length > 1 || line.includes("'")
            ? `That is ${words.map((w) => lineOf([w])).join(" · ")}`
            : "Program and arguments; no shell is between.",
      )}
      {field(
        "job-on",
        "On hosts with",
        <input
          id="job-on"
          className="mono"
          value={on}
          placeholder="all of them; or zone=a, tier in (web, api)"
          spellCheck={false}
          onChange={(event) => setOn(event.target.value)}
        />,
      )}
      <div className="job-fields">
        {field(
          "job-batches",
          "Batches",
          <input
            id="job-batches"
            value={batches}
            placeholder="1, 10%, 50%"
            onChange={(event) => setBatches(event.target.value)}
          />,
          "All at once, if empty.",
        )}
        {field(
          "job-errors",
          "Stops after more failures than",
          <input id="job-errors" value={most} onChange={(event) => setMost(event.target.value)} />,
          "A count, or a part such as 5%.",
        )}
      </div>
      <div className="job-fields">
        {field(
          "job-user",
          "Run as",
          <input
            id="job-user"
            value={runAs}
            spellCheck={false}
            onChange={(event) => setRunAs(event.target.value)}
          />,
          "A user of the host.",
        )}
        {field(
          "job-timeout",
          "Ended after",
          <input
            id="job-timeout"
            value={timeout}
            onChange={(event) => setTimeout(event.target.value)}
          />,
          "On each host, such as 30s or 2h.",
        )}
      </div>
      {field(
        "job-pause",
        "Between batches",
        <select id="job-pause" value={pause} onChange={(event) => setPause(event.target.value)}>
          {PAUSES.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </select>,
      )}
      <label className="check">
        <input type="checkbox" checked={once} onChange={(event) => setOnce(event.target.checked)} />
        Once on each host, new hosts included, however often it is begun again
      </label>
    </ChangeDialog>
  );
}
