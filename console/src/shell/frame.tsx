// What stands round every page: where one can go, how the link to the server is, who one is.
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useCoarseNow, useFleet, useSynced } from "../api/live";
import { attention } from "../logic/attention";
import { Icon, type IconName, Mark } from "../parts/icon";
import { Notices } from "../parts/notices";
import { Away, LinkState } from "./away";
import { Finder } from "./finder";
import { Help } from "./help";
import { useKeyboard } from "./keyboard";
import { toggleTheme, useDark } from "./theme";
import { titleBroken } from "./title";
import { Who } from "./who";
import "./frame.css";

interface Place {
  to: "/" | "/applications" | "/hosts" | "/releases" | "/freezes";
  word: string;
  icon: IconName;
  /** Further pages that belong to it. */
  also?: string;
}

const PLACES: readonly Place[] = [
  { to: "/", word: "Overview", icon: "overview" },
  { to: "/applications", word: "Applications", icon: "applications", also: "/deployments" },
  { to: "/hosts", word: "Hosts", icon: "hosts" },
  { to: "/releases", word: "Releases", icon: "releases" },
  { to: "/freezes", word: "Freezes", icon: "freezes" },
];

export function Frame() {
  const [open, setOpen] = useState<"find" | "help" | null>(null);
  const find = useCallback(() => setOpen("find"), []);
  const help = useCallback(() => setOpen("help"), []);
  const close = useCallback(() => setOpen(null), []);
  useKeyboard({ find, help });

  return (
    <div className="frame">
      <a className="skip" href="#main">
        To the content
      </a>
      <Rail find={find} help={help} />
      <div className="page">
        <Away />
        <main id="main" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      {open === "find" && <Finder onClose={close} />}
      {open === "help" && <Help onClose={close} />}
      <Notices />
    </div>
  );
}

function Rail({ find, help }: { find: () => void; help: () => void }) {
  const dark = useDark();
  return (
    <header className="rail">
      <Link to="/" className="brand" aria-label="Atoll, overview">
        <Mark />
        <span>Atoll</span>
      </Link>
      <button type="button" className="find-button" aria-label="Find anything" onClick={find}>
        <Icon name="search" />
        <span>Find anything</span>
        <kbd>Ctrl K</kbd>
      </button>
      <Places />
      <div className="rail-foot">
        <LinkState />
        <Who />
        <div className="rail-tools">
          <button
            type="button"
            className="button bare icon"
            onClick={toggleTheme}
            aria-label={dark ? "Light" : "Dark"}
            title={dark ? "Light (t)" : "Dark (t)"}
          >
            <Icon name={dark ? "sun" : "moon"} />
          </button>
          <button
            type="button"
            className="button bare icon help-button"
            onClick={help}
            aria-label="Keys"
            title="Keys (?)"
          >
            <Icon name="help" />
          </button>
        </div>
      </div>
    </header>
  );
}

function Places() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const broken = useBroken();
  return (
    <nav className="places" aria-label="Places">
      {PLACES.map(({ to, word, icon, also }) => {
        const here =
          to === "/" ? path === "/" : path.startsWith(to) || (also && path.startsWith(also));
        return (
          <Link
            key={to}
            to={to}
            className={here ? "place here" : "place"}
            aria-current={here ? "page" : undefined}
          >
            <Icon name={icon} />
            <span>{word}</span>
            {to === "/" && broken > 0 && (
              <b className="place-count" title={`${broken} broken`}>
                {broken}
              </b>
            )}
          </Link>
        );
      })}
    </nav>
  );
}

/** How much is broken, for the eye in passing and for the title of a page in the background. */
function useBroken(): number {
  const fleet = useFleet();
  const synced = useSynced();
  const now = useCoarseNow(10_000);
  const broken = useMemo(
    () => attention(fleet, now).filter((c) => c.rank === "broken").length,
    [fleet, now],
  );
  useEffect(() => {
    titleBroken(synced ? broken : 0);
  }, [synced, broken]);
  return synced ? broken : 0;
}
