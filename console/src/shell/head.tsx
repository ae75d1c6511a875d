// The head of a page: where it stands, what it is, what can be done.
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { titlePage } from "./title";

export interface Crumb {
  readonly word: string;
  readonly to: string;
}

interface Props {
  title: string;
  crumbs?: readonly Crumb[];
  beside?: ReactNode;
  lead?: ReactNode;
  children?: ReactNode;
}

export function Head({ title, crumbs, beside, lead, children }: Props) {
  useEffect(() => titlePage(title), [title]);
  return (
    <header className="page-head">
      <div className="titles">
        {crumbs && (
          <nav className="crumbs" aria-label="above">
            {crumbs.map((crumb, i) => (
              <span key={crumb.word}>
                {i > 0 && <span aria-hidden="true">/ </span>}
                <Link to={crumb.to as "/"}>{crumb.word}</Link>
              </span>
            ))}
          </nav>
        )}
        <div className="title-line">
          <h1>{title}</h1>
          {beside}
        </div>
        {lead && <p className="lead">{lead}</p>}
      </div>
      {children && <div className="actions">{children}</div>}
    </header>
  );
}
