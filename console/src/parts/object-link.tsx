// A link to an object of any kind.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Plural, pluralOf } from "../api/objects";

interface Props {
  plural: Plural;
  name: string;
  children?: ReactNode;
  className?: string;
}

export function ObjectLink({ plural, name, children, className = "plain" }: Props) {
  return (
    <Link to={`/${plural}/${name}` as "/"} className={className}>
      {children ?? name}
    </Link>
  );
}

const UNWATCHED: Readonly<Record<string, string>> = {
  item: "items",
  network: "networks",
  itemtype: "itemtypes",
};

/** A link for `host/h1`, as the server writes subjects; plain text for what has no page. */
export function SubjectLink({ subject }: { subject: string }) {
  const slash = subject.indexOf("/");
  // These have a page, though they are not watched.
  const unwatched = UNWATCHED[subject.slice(0, slash)];
  if (unwatched) {
    return (
      <Link to={`/${unwatched}/${subject.slice(slash + 1)}` as "/"} className="plain">
        {subject}
      </Link>
    );
  }
  const plural = pluralOf(subject.slice(0, slash));
  if (slash < 0 || !plural) return <>{subject}</>;
  return (
    <ObjectLink plural={plural} name={subject.slice(slash + 1)}>
      {subject}
    </ObjectLink>
  );
}
