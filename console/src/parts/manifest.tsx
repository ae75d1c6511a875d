// The whole object as the manifest it would be applied from.
import { useMemo } from "react";
import type { Watched } from "../api/objects";
import { toYaml } from "../logic/yaml";
import { Icon } from "./icon";
import { notify } from "./notices";

export function Manifest({ object }: { object: Watched }) {
  const text = useMemo(() => toYaml(object), [object]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () =>
        notify(`the manifest of ${object.kind.toLowerCase()}/${object.metadata.name} is copied`),
      () => notify("the browser did not allow copying the manifest", true),
    );
  return (
    <section className="panel" aria-label="manifest">
      <header>
        <h2>Manifest</h2>
        <button type="button" className="button slim" onClick={copy}>
          <Icon name="copy" size={14} /> Copy
        </button>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <pre className="body manifest" tabIndex={0}>
        {text}
      </pre>
    </section>
  );
}
