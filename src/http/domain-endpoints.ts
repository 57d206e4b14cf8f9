import type { Nonces } from '../tokens/nonce.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { STALENESS_BOUND } from '../snapshot/snapshot.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';

/** Finds the domain of a request, or says why nothing can be answered for it. */
export const findDomain = (snapshot: Pick<Snapshot, 'domain' | 'age'>, name: string): Result<DomainView, Refusal> => {
  const view = name === SYSTEM_DOMAIN ? undefined : snapshot.domain(name);
  return view === undefined ? err(refusal('domain_unknown', 'no such domain')) : ok(view);
};

/** As {@link findDomain}, for what is decided from the snapshot: a stale or broken one decides nothing (design section 10). */
export const findReadyDomain = (snapshot: Pick<Snapshot, 'domain' | 'age'>, name: string): Result<DomainView, Refusal> => {
  const view = findDomain(snapshot, name);
  if (!view.ok) return view;
  const age = snapshot.age();
  if (age > STALENESS_BOUND) return err(refusal('snapshot_stale', `the snapshot is ${Math.round(age)} ms old`));
  if (view.value.problems.length > 0) return err(refusal('domain_not_ready', view.value.problems.join('; ')));
  return view;
};

/** Server nonces of a domain's two roles; they follow from the installation's secret, so every node knows them. */
export interface DomainNonces { readonly as: Nonces; readonly rs: Nonces }
export type NoncesOf = (view: DomainView) => DomainNonces;
