// Views of one thing, one at a time; which one stands in the address.
import { Link } from "@tanstack/react-router";
import "./tabs.css";

export interface Tab {
  readonly id: string;
  readonly word: string;
  readonly count?: number;
}

export function Tabs({ tabs, now, label }: { tabs: readonly Tab[]; now: string; label: string }) {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map((tab, i) => (
        <Link
          key={tab.id}
          to="."
          search={(old: Record<string, unknown>) => ({ ...old, tab: i === 0 ? undefined : tab.id })}
          replace
          resetScroll={false}
          className={tab.id === now ? "tab now" : "tab"}
          aria-current={tab.id === now ? "page" : undefined}
          data-tab={tab.id}
        >
          {tab.word}
          {tab.count !== undefined && (
            <span className="tab-count">{tab.count.toLocaleString("en")}</span>
          )}
        </Link>
      ))}
    </nav>
  );
}
