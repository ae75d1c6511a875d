// Goes to anything by its name: type a part of it, choose with the arrows, Enter.
import { useRouter } from "@tanstack/react-router";
import { useDeferredValue, useId, useMemo, useState } from "react";
import { useSnapshot } from "../api/live";
import { type Plural, singular } from "../api/objects";
import { candidates } from "../logic/find";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import "./finder.css";

const MOST = 40;

export function Finder({ onClose }: { onClose: () => void }) {
  const router = useRouter();
  const { tables } = useSnapshot();
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const asked = useDeferredValue(query);
  const hits = useMemo(() => candidates(tables, asked, MOST), [tables, asked]);
  const list = useId();
  const now = Math.min(at, hits.length - 1);

  const go = (plural: Plural, name: string) => {
    onClose();
    void router.navigate({ to: `/${plural}/${name}` as "/" });
  };

  const onKey = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = now + (event.key === "ArrowDown" ? 1 : -1);
      setAt(Math.max(0, Math.min(hits.length - 1, next)));
      document.getElementById(`${list}-${next}`)?.scrollIntoView({ block: "nearest" });
    }
    if (event.key === "Enter") {
      // What is shown may still be what was found for fewer letters.
      const hit = asked === query ? hits[now] : candidates(tables, query, 1)[0];
      if (hit) go(hit.plural, hit.name);
    }
  };

  return (
    <Dialog title="Find anything" shape="top" bare onClose={onClose}>
      <div className="finder-field">
        <Icon name="search" size={18} />
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={hits.length > 0 ? `${list}-${now}` : undefined}
          aria-label="Find anything by its name"
          placeholder="An application, deployment, host, instance…"
          value={query}
          data-first
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => {
            setQuery(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKey}
        />
        <kbd>Esc</kbd>
      </div>
      <div className="finder-hits" id={list} role="listbox" aria-label="found">
        {hits.map((hit, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys
          <div
            key={`${hit.plural}/${hit.name}`}
            id={`${list}-${i}`}
            role="option"
            aria-selected={i === now}
            tabIndex={-1}
            className="hit"
            onPointerMove={() => setAt(i)}
            onClick={() => go(hit.plural, hit.name)}
          >
            <span className="hit-kind">{singular(hit.plural)}</span>
            <span className="cut">{hit.name}</span>
          </div>
        ))}
        {hits.length === 0 && <p className="hit quiet">Nothing is named like that.</p>}
      </div>
    </Dialog>
  );
}
