// Promotions and approvals as the wire has them, and what environments ask beside what types.ts says.
import type { Environment, Meta, Reason, Release } from "./objects";

export type PromotionPhase =
  | "waiting"
  | "admitted"
  | "rolling"
  | "good"
  | "failed"
  | "refused"
  | "superseded";

/** One thing an environment asks of a release. */
export interface Check {
  readonly name: string;
  readonly state: "passed" | "waiting" | "refused" | "skipped";
  readonly message: string;
  /** When that changes by itself, where it does. */
  readonly until?: string | null;
}

export interface Commit {
  readonly id: string;
  readonly subject: string;
  readonly author: string;
  readonly at: string;
}

/** One release's entry into one environment. Its object is named `RELEASE.ENVIRONMENT`. */
export interface Promotion {
  readonly apiVersion: "atoll/v1";
  readonly kind: "Promotion";
  readonly metadata: Meta;
  readonly spec: {
    readonly application: string;
    readonly release: string;
    readonly environment: string;
    readonly asked?: boolean;
    readonly emergency?: string | null;
  };
  readonly status: {
    readonly phase?: PromotionPhase;
    readonly checks?: readonly Check[];
    readonly digest?: string | null;
    readonly commit?: Commit | null;
    /** A person had a hand in it. */
    readonly byHand?: boolean;
    readonly admittedAt?: string | null;
    readonly beganAt?: string | null;
    readonly goodAt?: string | null;
    readonly failedAt?: string | null;
    readonly restoredAt?: string | null;
    readonly reasons?: Reason[];
  };
}

/** One person's consent. */
export interface Approval {
  readonly apiVersion: "atoll/v1";
  readonly kind: "Approval";
  readonly metadata: Meta;
  readonly spec: {
    readonly subject: string;
    readonly by: string;
    readonly role: string;
    readonly comment?: string;
  };
  readonly status: { readonly reasons?: Reason[] };
}

/** What an environment asks of a release before it may enter. */
export interface Require {
  readonly signed?: boolean;
  readonly tests?: readonly string[];
  readonly soak?: string;
  readonly objectives?: boolean;
  readonly windows?: readonly { days?: readonly string[]; from?: string; to?: string }[];
}

export interface Rules {
  readonly after?: string | null;
  readonly approval?: { readonly roles?: readonly string[]; readonly count?: number } | null;
  readonly require?: Require;
  readonly promotion?: "auto" | "manual";
  readonly ephemeral?: {
    readonly application: string;
    readonly branch: string;
    until: string;
  } | null;
  readonly template?: unknown;
}

export const rulesOf = (environment: Environment): Rules => environment.spec as Rules;

export interface Veto {
  readonly reason: string;
  readonly rollback?: boolean;
}

export const vetoOf = (release: Release): Veto | undefined =>
  (release.spec as { veto?: Veto | null }).veto ?? undefined;

/** How a package was made, and what is attested of it. */
export interface PackageView {
  readonly spec: {
    readonly name: string;
    readonly version: string;
    readonly digest: string;
    readonly size?: number;
    readonly image?: string | null;
    readonly built?: {
      readonly run: string;
      readonly pipeline: string;
      readonly cause: string;
      readonly branch?: string | null;
      readonly commit?: Commit | null;
      readonly tests?: Readonly<
        Record<string, { passed: number; failed: number; skipped: number }>
      >;
      readonly sbom?: string | null;
    } | null;
  };
  readonly status?: {
    readonly provenance?: { readonly signatures: readonly { readonly keyid: string }[] } | null;
    readonly reasons?: Reason[];
  };
}
