import type { Catalogues } from './catalogues.ts';
import type { Domain, Entry, Issuer } from './entries.ts';
import type { DescribePolicy } from './lint-policies.ts';
import type { LintRule } from './lint-rules.ts';

export interface LintDeps extends Catalogues {
  readonly describePolicy: DescribePolicy;
}

/** What a rule says about one entry: which rule, what exactly, and the mend. */
export interface Remark { readonly rule: LintRule; readonly what?: string; readonly mend: string }

/** The entries a rule may look at beside the one it judges. */
export interface LintScene {
  readonly deps: LintDeps;
  readonly entries: readonly Entry[];
  readonly domains: ReadonlyMap<string, Domain>;
  readonly issuers: ReadonlyMap<string, Issuer>;
  /** Of all resources but other domains, which only get what is made out to them. */
  readonly audiences: ReadonlySet<string>;
  readonly now: number;
}

export const issuerKey = (domainId: string, name: string): string => `${domainId} ${name}`;
