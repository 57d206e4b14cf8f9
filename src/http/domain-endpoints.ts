import type { Nonces } from '../tokens/nonce.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { STALENESS_BOUND } from '../snapshot/snapshot.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';

/** Finds the domain of a request. Without one there is nobody who could explain a refusal, and no id under which to ask. */
export const findDomain = (snapshot: Pick<Snapshot, 'domain'>, name: string): Result<DomainView, Refusal> => {
  const view = name === SYSTEM_DOMAIN ? undefined : snapshot.domain(name);
  return view === undefined ? err(refusal('domain_unknown', 'no such domain')) : ok(view);
};

/** Why nothing may be decided from the snapshot now: a stale or broken one decides nothing (design section 10). */
export const findUnready = (snapshot: Pick<Snapshot, 'age'>, view: Pick<DomainView, 'problems'>): Refusal | undefined => {
  const age = snapshot.age();
  if (age > STALENESS_BOUND) return refusal('snapshot_stale', `the snapshot is ${Math.round(age)} ms old`);
  return view.problems.length > 0 ? refusal('domain_not_ready', view.problems.join('; ')) : undefined;
};

/** Server nonces of a domain's two roles; they follow from the installation's secret, so every node knows them. */
export interface DomainNonces { readonly as: Nonces; readonly rs: Nonces }
export type NoncesOf = (view: DomainView) => DomainNonces;
