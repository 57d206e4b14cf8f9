import type { Request } from 'express';
import { groupsOf } from '../admin/access.ts';
import type { Admin } from '../admin/access.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR } from '../core/duration.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Denials } from '../exchange/denials.ts';
import type { Issuer } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { STALENESS_BOUND } from '../snapshot/snapshot.ts';
import type { StoreWrites } from '../store/store.ts';
import { readAuthorization } from './caller.ts';

/** Says who calls the admin API. One for the socket, one for HTTP; a listener is given exactly one of them. */
export type FindAdmin = (request: Request) => Promise<Result<Admin, Refusal>>;

/** Whoever can open the socket is the operator: the file system decided (design section 11, Admin plane). */
export const localAdmin: FindAdmin = () => Promise.resolve(ok({ kind: 'local' }));

export interface AdminTokenDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'age' | 'revokedBy' | 'version'>;
  readonly store: Pick<StoreWrites, 'consume'>;
  readonly denials: Pick<Denials, 'record'>;
  attest(token: string, candidates: (iss: string) => readonly Issuer[]): Promise<Result<Evidence, Refusal>>;
}

/** An OIDC token of an issuer that proves admins; its audience tells which domain's (design section 5, Evidence audience). */
export const createFindAdmin = (deps: AdminTokenDeps): FindAdmin => {
  const homeOf = (evidence: Evidence): DomainView | undefined => deps.snapshot.domains().find((view) => view.issuer(evidence.issuerName)?.id === evidence.issuerId);
  /** A stranger learns that he is one and nothing else: why is for who asks about the decision. */
  const unauthenticated = async (why: string): Promise<Result<Admin, Refusal>> => {
    const system = deps.snapshot.domain(SYSTEM_DOMAIN);
    if (system === undefined) return err(refusal('snapshot_stale', 'the system domain is missing'));
    const decision = await deps.denials.record(refusal('admin_unauthenticated', why), { domainId: system.domain.id, workloadId: null, verified: false, facts: { endpoint: 'admin' } });
    return err(refusal('admin_unauthenticated', `an admin can ask why: mayfly explain ${decision}`));
  };

  return async (request) => {
    if (deps.snapshot.age() > STALENESS_BOUND) return err(refusal('snapshot_stale', 'admins cannot be recognised from a stale snapshot'));
    const presented = readAuthorization(request);
    if (!presented.ok) return unauthenticated(presented.error.detail);
    if (presented.value?.scheme !== 'Bearer') return unauthenticated('no bearer token');
    const evidence = await deps.attest(presented.value.token, (iss) => deps.snapshot.domains().flatMap((view) => view.issuersFor(iss, 'admins')));
    if (!evidence.ok && evidence.error.code === 'issuer_keys_unavailable') return err(refusal('issuer_keys_unavailable', 'the keys of the token\'s issuer cannot be had now', evidence.error.retryAfter));
    if (!evidence.ok) return unauthenticated(`${evidence.error.code}: ${evidence.error.detail}`);
    // A bound credential needs a proof by its key (design section 5), which this door does not take yet: better no way in than a weaker one.
    if (evidence.value.boundTo !== undefined) return unauthenticated('the token is bound to a key');
    const home = homeOf(evidence.value);
    if (home === undefined) return unauthenticated('the issuer is no longer registered');
    const revoked = deps.snapshot.revokedBy([`domain:${home.domain.id}`, `issuer:${evidence.value.issuerId}`], deps.snapshot.version);
    if (revoked !== undefined) return unauthenticated(`${revoked} is revoked`);
    if (evidence.value.replayKey !== undefined && !(await deps.store.consume([{ key: evidence.value.replayKey, until: evidence.value.expiresAt + HOUR }]))) return unauthenticated('this token was used before');
    return ok({
      kind: 'person', id: `${evidence.value.issuerName}/${evidence.value.subject}`, issuer: evidence.value.issuerName, groups: groupsOf(evidence.value.attributes), home,
    });
  };
};
