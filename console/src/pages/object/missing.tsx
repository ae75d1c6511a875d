// Where an address leads nowhere, an object is not there, or a page itself broke.
import { Link, useRouterState } from "@tanstack/react-router";
import { type Plural, singular } from "../../api/objects";
import { Empty } from "../../parts/empty";
import { NotLoaded } from "../../shell/late";
import { Unloaded } from "../../shell/unloaded";

export function Missing() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  return (
    <Empty title="There is no such page">
      <p>
        Nothing is at <code>{path}</code>. Press <kbd>/</kbd> to find something by its name, or go
        to the{" "}
        <Link to="/" className="plain">
          overview
        </Link>
        .
      </p>
    </Empty>
  );
}

export function NoObject({ plural, name }: { plural: Plural; name: string }) {
  const kind = singular(plural);
  return (
    <Empty title={`There is no ${kind} named ${name}`}>
      <p>
        It may have been deleted, or it is named otherwise. If it was here before,{" "}
        <code>
          atoll history {kind}/{name}
        </code>{" "}
        tells what became of it.
      </p>
    </Empty>
  );
}

export function Broken({ error }: { error: unknown }) {
  if (error instanceof NotLoaded) return <Unloaded of={error} />;
  return (
    <Empty title="This page broke">
      <p>
        That is a fault of the console: <code>{String(error)}</code>
      </p>
      <p>Everything else goes on; the other pages work, and so does the atoll command.</p>
    </Empty>
  );
}
