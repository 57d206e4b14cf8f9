import type { Clock } from '../core/clock.ts';
import type { DomainId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import type { JsonObject } from '../core/json.ts';
import type { Catalogues, ValidatePolicy } from './catalogues.ts';
import type { Domain, EntryKind, Issuer } from './entries.ts';
import type { StoredRow } from './decode.ts';
import type { Report } from './problem.ts';

export interface PlannerDeps extends Catalogues {
  readonly validatePolicy: ValidatePolicy;
  readonly clock: Clock;
  readonly random: Random;
  /** Without trailing slash, as in `https://sts.acme.example`. */
  readonly externalUrl: string;
  /** Audiences our own tokens for providers carry, such as `sts.amazonaws.com`; no access token may. */
  readonly reservedAudiences: ReadonlySet<string>;
}

/** Kinds of which a registry may hold very many: of these a plan asks for what it needs. */
export const MANY_KINDS = ['resource', 'workload', 'policy'] as const;
export type ManyKind = (typeof MANY_KINDS)[number];

/** The registry as it stood at one version: whatever is asked, and whenever, tells of that version. Newest rows that have not ended. */
export interface RegistryView {
  /** Of all domains. These are few, and everything is checked against them. */
  all(kind: 'domain' | 'issuer'): Promise<readonly StoredRow[]>;
  /** Those of the named ones that are there. */
  named(kind: ManyKind, domainId: DomainId, names: readonly string[]): Promise<readonly StoredRow[]>;
  /** All of one domain by name, a page at a time; between two pages others get their turn. */
  pages(kind: ManyKind, domainId: DomainId): AsyncIterable<readonly StoredRow[]>;
}

/** The registry as it would be after the apply: what entries are checked against. Filled kind by kind. */
export interface Scene {
  readonly deps: PlannerDeps;
  readonly now: number;
  /** Rows by {@link rowKey}: those the plan asked for. */
  readonly rows: ReadonlyMap<string, StoredRow>;
  /** By name; `system` among them once it exists. */
  readonly domains: Map<string, Domain>;
  /** By {@link rowKey}, like the next two. */
  readonly issuers: Map<string, Issuer>;
  /** Of the manifest, and those it refers to. */
  readonly workloadNames: Set<string>;
  /** For workloads that are referred to and not there: the name that was probably meant. */
  readonly workloadsMeant: Map<string, string>;
  /** Keys of manifest entries that have problems of their own: references to them are not reported as well. */
  readonly broken: Set<string>;
  /** Whether whoever reads the problems may know what is registered in this domain (design section 3, invariant 11). */
  readonly mayKnow: (domain: string) => boolean;
  /** Keys of what the manifest itself contains: its author knows them. */
  readonly written: ReadonlyMap<string, unknown>;
}

/** Checks one entry and gives its body; undefined if anything was reported. */
export type Settle<E> = (entry: E, domain: Domain, scene: Scene, report: Report) => JsonObject | undefined;

export const rowKey = (kind: EntryKind, domainId: string, name: string): string => `${kind}\n${domainId}\n${name}`;
export const brokenKey = (kind: EntryKind, domain: string, name: string): string => `broken\n${kind}\n${domain}\n${name}`;

/** Domains hold themselves: their `domainId` is their own id. */
export const keyOfRow = (row: StoredRow): string => rowKey(row.kind, row.kind === 'domain' ? '' : row.domainId, row.name);

export const namesIn = (keys: Iterable<string>, kind: EntryKind, domainId: DomainId): string[] => {
  const prefix = rowKey(kind, domainId, '');
  return [...keys].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
};
