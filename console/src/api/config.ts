// Configurations as the wire has them.
import type { GuardStatus, Meta, Reason } from "./objects";

export type Values = Readonly<Record<string, unknown>>;

export interface Overlay {
  readonly environments?: readonly string[];
  readonly where?: string;
  readonly values: Values;
}

export interface Content {
  readonly values?: Values;
  readonly overlays?: readonly Overlay[];
}

export interface Switch {
  readonly type?: "boolean" | "string" | "integer" | "number";
  readonly default: unknown;
  readonly owner: string;
  readonly description?: string;
  readonly options?: readonly unknown[];
}

export interface GrayStep {
  readonly instances?: string | number;
  readonly names?: readonly string[];
  readonly where?: string;
  readonly soak?: string;
}

export type ConfigPhase = "waiting" | "delivering" | "gray" | "paused" | "settled";

export interface GrayStatus {
  readonly version: number;
  readonly content: Content;
  readonly step?: number;
  /** The instances that have it, and since when. */
  readonly instances?: Readonly<Record<string, string>>;
  readonly affected?: number;
  readonly since: string;
  readonly soakingSince?: string | null;
  readonly guard?: Readonly<Record<string, GuardStatus>>;
}

export interface Laggard {
  readonly instance: string;
  readonly host: string;
  readonly wanted: number;
  readonly has?: number | null;
  readonly why: string;
}

export interface Config {
  readonly apiVersion: "atoll/v1";
  readonly kind: "Config";
  readonly metadata: Meta;
  readonly spec: Content & {
    readonly owner?: string | null;
    readonly description?: string;
    readonly schema?: unknown;
    readonly switches?: Readonly<Record<string, Switch>>;
    readonly file?: { readonly format?: string; readonly name?: string | null };
    readonly then?: { readonly signal?: string; readonly command?: readonly string[] } | null;
    readonly gray?: { readonly steps: readonly GrayStep[]; readonly guard?: string } | null;
    readonly draft?: (Content & { readonly note?: string }) | null;
    readonly promoted?: number | null;
    readonly aborted?: number | null;
  };
  readonly status: {
    readonly phase?: ConfigPhase;
    readonly version?: number;
    readonly since?: string | null;
    readonly live?: Content;
    readonly previous?: Content | null;
    readonly gray?: GrayStatus | null;
    readonly failed?: {
      readonly version: number;
      readonly content: Content;
      readonly at: string;
      readonly reason: Reason;
    } | null;
    readonly instances?: number;
    readonly acknowledged?: number;
    readonly laggards?: readonly Laggard[];
    readonly reasons?: Reason[];
  };
}
