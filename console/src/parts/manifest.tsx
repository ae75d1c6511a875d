// The whole object as the manifest it would be applied from.
import { useMemo } from "react";
import type { Watched } from "../api/objects";
import { toYaml } from "../logic/yaml";
import { Copy } from "./copy";

export function Manifest({ object }: { object: Watched }) {
  const text = useMemo(() => toYaml(object), [object]);
  const what = `the manifest of ${object.kind.toLowerCase()}/${object.metadata.name}`;
  return (
    <section className="panel" aria-label="manifest">
      <header>
        <h2>Manifest</h2>
        <Copy text={text} what={what} />
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <pre className="body manifest" tabIndex={0}>
        {text}
      </pre>
    </section>
  );
}
