// The few drawings the console uses, all on a grid of 16 with lines of one weight.

const PATHS = {
  overview: "M2.500 8.500 8 3l5.500 5.500M4 7.500V13h8V7.500",
  applications: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
  hosts: "M2.500 3h11v4h-11zM2.500 9h11v4h-11zM5 5h.01M5 11h.01",
  releases: "M8 2 13.500 5v6L8 14 2.500 11V5zM2.500 5 8 8l5.500-3M8 8v6",
  freezes:
    "M8 2v12M2.800 5l10.400 6M13.200 5 2.800 11M6.500 2.800 8 4.200l1.500-1.400M6.500 13.200 8 11.800l1.500 1.400",
  decisions:
    "M8 2v12M8 4.500H3.500M8 4.500h4.500M3.500 4.500 2 9h3zM12.500 4.500 11 9h3zM5.500 14h5",
  peaks: "M1.500 13.500h13M2.500 11l3-2 2.500-6 2.500 6 3 2",
  query: "M2.500 2.500v11h11M5 10.500l2.800-3.500 2.200 2 3.500-5",
  alerts:
    "M8 2.200a4 4 0 0 0-4 4v2.600L2.800 11h10.400L12 8.800V6.200a4 4 0 0 0-4-4zM6.600 13.300a1.500 1.500 0 0 0 2.800 0",
  objectives:
    "M8 13.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM8 10.300a2.300 2.300 0 1 0 0-4.600 2.300 2.300 0 0 0 0 4.600zM8 8h.01",
  pipelines:
    "M2.500 4h3v3h-3zM10.500 2.500h3v3h-3zM10.500 10.500h3v3h-3zM5.500 5.500h2.500M8 4v8M8 4h2.500M8 12h2.500",
  environments: "M2 3h3v10H2zM6.500 3h3v7h-3zM11 3h3v4h-3z",
  configs:
    "M2.500 4.500h6M11.500 4.500h2M8.500 3v3M2.500 8h2M7.500 8h6M4.500 6.500v3M2.500 11.500h5M10.500 11.500h3M7.500 10v3",
  standards: "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4zM5.700 8l1.700 1.700 3-3.400",
  jobs: "M2.500 3h11v10h-11zM5 6l2 2-2 2M8.500 10h2.500",
  inventory: "M2.500 3h11v3h-11zM3.500 6v7.500h9V6M6.500 8.500h3",
  delivery: "M2.500 13.500h11M4 11V8M7 11V5M10 11V7M13 11V3",
  audit: "M4 2.500h8v11H4zM6 5.500h4M6 8h4M6 10.500h2",
  people:
    "M6 7.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM1.500 13.500a4.500 4.500 0 0 1 9 0M10.500 7.300a2.300 2.300 0 0 0 0-4.600M12 9.800a4.500 4.500 0 0 1 2.500 3.700",
  board: "M2.500 2.500h11v11h-11zM2.500 6.500h11M7 6.500v7",
  capacity:
    "M2.500 12.500a5.500 5.500 0 1 1 11 0M8 12.500l2.800-4.300M2.500 12.500h1M12.500 12.500h1",
  budgets:
    "M8 13.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM10 5.800a2.300 2.300 0 1 0 0 4.400M5.200 7.200h3M5.200 8.800h3",
  pools:
    "M2.500 3h11v3.500h-11zM5 4.700h.01M2.500 11c1.400-1.300 2.400-1.300 3.700 0s2.300 1.300 3.700 0 2.300-1.300 3.600 0",
  migrations: "M2.500 3.500h4v9h-4zM9.500 3.500h4v9h-4zM5 8h5.500M8.800 6.200 10.600 8 8.800 9.800",
  rehearsal:
    "M8 13.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM6.700 5.700 10.300 8l-3.600 2.300z",
  logs: "M3 3.500h10M3 6.500h7M3 9.500h10M3 12.500h5",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  quiet:
    "M2.500 2.500l11 11M5 5.300a4 4 0 0 0-1 2.500v1L2.800 11H11M6.500 2.500A4 4 0 0 1 12 6.200v2.600M6.600 13.300a1.500 1.500 0 0 0 2.800 0",
  out: "M6.500 3H3v10h10V9.500M9 3h4v4M13 3 7.500 8.500",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.600 10.600 14 14",
  close: "M4 4l8 8M12 4l-8 8",
  sun: "M8 10.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600zM8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M12.600 3.400l-.9.9M4.300 11.700l-.9.9",
  moon: "M13.500 9.500A5.800 5.800 0 0 1 6.500 2.500a5.800 5.800 0 1 0 7 7z",
  auto: "M8 13.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM8 2.500v11",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.300 6.300a1.700 1.700 0 1 1 2.500 1.500c-.5.300-.8.600-.8 1.200M8 11.200h.01",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  play: "M5 3.200 12.500 8 5 12.800z",
  forward: "M3 3.500 8 8l-5 4.500zM8.500 3.500l5 4.500-5 4.500z",
  back: "M3 6.500h6.500a3.500 3.500 0 0 1 0 7H6M5.500 4 3 6.500 5.500 9",
  stop: "M4 4h8v8H4z",
  edit: "M10.500 3.200l2.300 2.300-7.300 7.300-2.800.5.5-2.800z",
  arrow: "M3 8h10M9.500 4.500 13 8l-3.500 3.500",
  warning: "M8 2.700 14.300 13.300H1.700zM8 6.700v3M8 11.500h.01",
  check: "M3.500 8.500l3 3 6-7",
  down: "M4 6l4 4 4-4",
  lock: "M4 7.500h8v6H4zM5.500 7.500V5.500a2.500 2.500 0 0 1 5 0v2",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: an atoll seen from above. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <g stroke="var(--accent)" strokeWidth="4.5" strokeLinecap="round">
        <path d="M16 4.500a11.500 11.500 0 0 1 11.200 9" />
        <path d="M27 19.500a11.500 11.500 0 0 1-16.500 6.600" />
        <path d="M5.600 21a11.500 11.500 0 0 1 4.400-14.800" />
      </g>
      <circle cx="16" cy="16" r="3" fill="var(--accent)" />
    </svg>
  );
}
