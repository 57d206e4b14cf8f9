import { LRUCache } from 'lru-cache';
import { sha256url } from '../core/bytes.ts';
import type { CompiledPolicy } from './compile.ts';
import type { Facts } from './facts.ts';
import { uidKey } from './head.ts';
import { collectMentions } from './mentions.ts';
import type { Mentions } from './mentions.ts';

/** Policies that are handed to Cedar as one set. */
export interface PolicyGroup {
  /** Equal for equal contents. */
  readonly key: string;
  readonly policies: readonly CompiledPolicy[];
  readonly mentions: Mentions;
}

/**
 * The policies that can matter to one request. A request gets two sets, one shared by all (every forbid, every permit
 * without a fixed principal or resource) and one of the permits fixed to its own principal or resource: kept apart, a
 * thousand workloads with a policy each cost a thousand small sets and not a thousand copies of the shared one.
 */
export interface PolicyIndex {
  select(facts: Pick<Facts, 'time' | 'principal' | 'resourceKeys'>, identity: string): readonly PolicyGroup[];
}

const REMEMBERED_SELECTIONS = 10_000;

export const createPolicyIndex = (policies: readonly CompiledPolicy[]): PolicyIndex => {
  const shared = policies.filter(isShared);
  const byPrincipal = groupBy(policies, (policy) => (isShared(policy) ? undefined : policy.head.principal));
  const byResource = groupBy(policies, (policy) => (isShared(policy) || policy.head.principal !== undefined ? undefined : policy.head.resource));
  const boundaries = [...new Set(policies.flatMap(({ expires }) => expires ?? []))].sort((a, b) => a - b);

  const open = (time: number): Window => {
    const next = boundaries.findIndex((boundary) => time < boundary);
    const until = next === -1 ? Infinity : boundaries[next] ?? Infinity;
    const from = (next === -1 ? boundaries.at(-1) : boundaries[next - 1]) ?? -Infinity;
    return { from, until, shared: groupOf(shared.filter((policy) => isAlive(policy, time))), selections: new LRUCache({ max: REMEMBERED_SELECTIONS }) };
  };
  const ownPermits = (time: number, principal: string, resources: readonly string[]): PolicyGroup => {
    const ofPrincipal = (byPrincipal.get(principal) ?? []).filter(({ head }) => head.resource === undefined || resources.includes(head.resource));
    const ofResources = resources.flatMap((resource) => byResource.get(resource) ?? []);
    return groupOf([...ofPrincipal, ...ofResources].filter((policy) => isAlive(policy, time)));
  };

  let window: Window | undefined;
  return {
    select({ time, principal, resourceKeys }, identity) {
      // A set holds only while none of its policies expires; the next expiry opens a new window.
      if (window === undefined || !(time >= window.from && time < window.until)) window = open(time);
      const known = window.selections.get(identity);
      if (known !== undefined) return known;
      const selection = [window.shared, ownPermits(time, uidKey(principal), resourceKeys)].filter((group) => group.policies.length > 0);
      window.selections.set(identity, selection);
      return selection;
    },
  };
};

interface Window {
  readonly from: number;
  readonly until: number;
  readonly shared: PolicyGroup;
  /** By identity. */
  readonly selections: LRUCache<string, readonly PolicyGroup[]>;
}

/** A permit counts until the millisecond of its expiry, not with it. */
export const isAlive = ({ expires }: CompiledPolicy, time: number): boolean => expires === undefined || time < expires;

const isShared = ({ effect, head }: CompiledPolicy): boolean => effect === 'forbid' || (head.principal === undefined && head.resource === undefined);

const groupOf = (policies: readonly CompiledPolicy[]): PolicyGroup =>
  ({ key: sha256url(policies.map(({ digest }) => digest).join()), policies, mentions: collectMentions(policies.map(({ statement }) => statement)) });

const groupBy = (policies: readonly CompiledPolicy[], keyOf: (policy: CompiledPolicy) => string | undefined): ReadonlyMap<string, readonly CompiledPolicy[]> => {
  const groups = new Map<string, CompiledPolicy[]>();
  for (const policy of policies) {
    const key = keyOf(policy);
    if (key === undefined) continue;
    const group = groups.get(key) ?? [];
    group.push(policy);
    groups.set(key, group);
  }
  return groups;
};
