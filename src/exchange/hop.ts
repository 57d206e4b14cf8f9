import { actorsOf, isForeign } from '../authority/chain.ts';
import { isWithin } from '../authority/narrow.ts';
import type { Ceiling } from '../authority/narrow.ts';
import { openChildHop, openRootHop } from '../authority/session.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CeilingPair, HopRow } from '../store/rows.ts';
import type { Caller } from './caller.ts';
import { rulesAt } from './rules.ts';

/** The place of a caller that has none yet: the session's first actor, or one below whoever handed on to it. */
export const openHop = (caller: Caller, jkt: string | null, ceiling: readonly CeilingPair[], now: number, view: DomainView): HopRow => {
  const link = caller.chain.at(-1);
  if (link === undefined) throw new Error('a caller without a place in its own chain');
  const crossed = caller.crossing === undefined ? undefined : { before: caller.chain.filter(isForeign), lease: caller.crossing, path: caller.path };
  const actor = { workload: caller.workload, issuerId: caller.issuerId, jkt, ceiling, link, crossed };
  if (caller.parent === undefined) return openRootHop(caller.session, actor, now);
  const hop = openChildHop({ ...caller.parent.hop, chain: caller.chain.slice(0, -1) }, actor, caller.parent.handover, now);
  const reach = (of: HopRow, pairs: readonly CeilingPair[]): Ceiling => ({ pairs, endsAt: of.expiresAt, depth: view.domain.limits.depth - actorsOf(caller.session, of.chain).length });
  // INVARIANT: whatever the steps before decided, a hop never exceeds what was handed on to it (design section 3, invariant 3).
  if (!isWithin(reach(hop, ceiling), reach(caller.parent.hop, caller.ceiling ?? []), rulesAt(view))) throw new Error(`hop ${hop.id} would exceed its parent`);
  return hop;
};

/** RFC 9068 section 2.2.1, of a person's session only: when they logged in, and how. */
export const loginClaims = ({ session, freshness }: Caller): { readonly authTime: number | undefined; readonly acr: string | undefined } => {
  if (session.model !== 'delegated') return { authTime: undefined, acr: undefined };
  const { acr } = session.facts;
  return { authTime: freshness?.at, acr: typeof acr === 'string' ? acr : undefined };
};
