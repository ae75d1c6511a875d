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

/** A link for `host/h1`, as the server writes subjects; plain text for what has no page. */
export function SubjectLink({ subject }: { subject: string }) {
  const slash = subject.indexOf("/");
  // Items have a page, though they are too many to be watched.
  if (subject.startsWith("item/")) {
    return (
      <Link to={`/items/${subject.slice(slash + 1)}` as "/"} className="plain">
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
