// What stands round every page: where one can go, how the link to the server is, who one is.
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useCoarseNow, useFleet, useSynced } from "../api/live";
import { loud } from "../logic/alerts";
import { attention } from "../logic/attention";
import { Dialog } from "../parts/dialog";
import { Icon, type IconName, Mark } from "../parts/icon";
import { useNarrow } from "../parts/media";
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
  to:
    | "/"
    | "/applications"
    | "/hosts"
    | "/releases"
    | "/freezes"
    | "/alerts"
    | "/objectives"
    | "/query"
    | "/logs"
    | "/pipelines"
    | "/environments"
    | "/delivery"
    | "/configs"
    | "/people"
    | "/audit"
    | "/standards"
    | "/jobs"
    | "/inventory"
    | "/decisions"
    | "/capacity"
    | "/budgets"
    | "/pools"
    | "/migrations"
    | "/rehearsal"
    | "/board"
    | "/peaks";
  word: string;
  icon: IconName;
  /** Further pages that belong to it. */
  also?: string;
  /** Where room is short it stands behind “More”. */
  more?: boolean;
}

/** What there is, and how it does. */
const PLACES: readonly (readonly Place[])[] = [
  [
    { to: "/", word: "Overview", icon: "overview" },
    { to: "/board", word: "Board", icon: "board", more: true },
    { to: "/applications", word: "Applications", icon: "applications", also: "/deployments" },
    { to: "/hosts", word: "Hosts", icon: "hosts" },
    { to: "/jobs", word: "Jobs", icon: "jobs", more: true },
    { to: "/inventory", word: "Inventory", icon: "inventory", also: "/items", more: true },
  ],
  [
    { to: "/pipelines", word: "Pipelines", icon: "pipelines", also: "/runs", more: true },
    { to: "/environments", word: "Environments", icon: "environments", more: true },
    { to: "/releases", word: "Releases", icon: "releases", more: true },
    { to: "/configs", word: "Configuration", icon: "configs", more: true },
    { to: "/delivery", word: "Delivery", icon: "delivery", more: true },
    { to: "/standards", word: "Standards", icon: "standards", more: true },
    { to: "/freezes", word: "Freezes", icon: "freezes", more: true },
  ],
  [
    { to: "/alerts", word: "Alerts", icon: "alerts" },
    { to: "/decisions", word: "Decisions", icon: "decisions", more: true },
    { to: "/peaks", word: "Peaks", icon: "peaks", more: true },
    { to: "/objectives", word: "Objectives", icon: "objectives", more: true },
    { to: "/query", word: "Query", icon: "query", more: true },
    { to: "/logs", word: "Logs", icon: "logs", more: true },
  ],
  [
    { to: "/capacity", word: "Capacity", icon: "capacity", also: "/capacities", more: true },
    { to: "/budgets", word: "Budgets", icon: "budgets", more: true },
    { to: "/pools", word: "Pools", icon: "pools", more: true },
    { to: "/migrations", word: "Migrations", icon: "migrations", more: true },
    { to: "/rehearsal", word: "Rehearsal", icon: "rehearsal", more: true },
  ],
  [
    { to: "/people", word: "People", icon: "people", more: true },
    { to: "/audit", word: "Audit", icon: "audit", more: true },
  ],
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

const isHere = ({ to, also }: Place, path: string): boolean =>
  to === "/" ? path === "/" : path.startsWith(to) || (also !== undefined && path.startsWith(also));

function Places() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const narrow = useNarrow();
  const [open, setOpen] = useState(false);
  const broken = useBroken();
  const firing = useFiring();
  const counts: Readonly<Record<string, readonly [number, string]>> = {
    "/": [broken, "broken"],
    "/alerts": [firing, "firing"],
  };
  const link = (place: Place) => (
    <PlaceLink
      key={place.to}
      place={place}
      here={isHere(place, path)}
      count={counts[place.to]}
      onGo={() => setOpen(false)}
    />
  );
  const behind = PLACES.flat().filter((place) => place.more);
  if (!narrow) {
    return (
      <nav className="places" aria-label="Places">
        {PLACES.map((group) => (
          <div key={group[0]?.to} className="place-group">
            {group.map(link)}
          </div>
        ))}
      </nav>
    );
  }
  return (
    <nav className="places" aria-label="Places">
      {PLACES.flat()
        .filter((place) => !place.more)
        .map(link)}
      <button
        type="button"
        className={behind.some((p) => isHere(p, path)) ? "place here" : "place"}
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <Icon name="more" />
        <span>More</span>
      </button>
      {open && (
        <Dialog title="More places" onClose={() => setOpen(false)}>
          <div className="more-places">{behind.map(link)}</div>
          <Who />
        </Dialog>
      )}
    </nav>
  );
}

interface PlaceProps {
  place: Place;
  here: boolean;
  count: readonly [number, string] | undefined;
  onGo: () => void;
}

function PlaceLink({ place, here, count, onGo }: PlaceProps) {
  return (
    <Link
      to={place.to}
      className={here ? "place here" : "place"}
      aria-current={here ? "page" : undefined}
      onClick={onGo}
    >
      <Icon name={place.icon} />
      <span>{place.word}</span>
      {count && count[0] > 0 && (
        <b className="place-count" title={count.join(" ")}>
          {count[0]}
        </b>
      )}
    </Link>
  );
}

/** How many alerts fire that nothing keeps quiet. */
function useFiring(): number {
  const { tables } = useFleet();
  const synced = useSynced();
  const now = useCoarseNow(10_000);
  const { alerts, silences } = tables;
  const count = useMemo(
    () => loud(alerts.values(), silences.values(), now).length,
    [alerts, silences, now],
  );
  return synced ? count : 0;
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
