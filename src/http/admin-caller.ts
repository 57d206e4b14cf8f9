import type { Request } from 'express';
import { groupsOf } from '../admin/access.ts';
import type { Admin } from '../admin/access.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR } from '../core/duration.ts';
import type { DecisionId } from '../core/ids.ts';
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
import { normaliseHttpUri } from '../tokens/http-uri.ts';
import type { Nonces } from '../tokens/nonce.ts';
import { readAuthorization } from './caller.ts';
import type { PossessionCheck, PresentedToken } from './caller.ts';

/** Whoever calls, and the nonce their next proof may carry if this one came with a proof. */
export interface Recognised { readonly admin: Admin; readonly nonce: string | undefined }

/** Why nobody was recognised. `possession`: the token itself is genuine, and whoever holds its key may know what the proof lacks. */
export interface Unrecognised { readonly refusal: Refusal; readonly possession?: { readonly decisionId: DecisionId; readonly nonce: string | undefined } }

/** Says who calls the admin API. One for the socket, one for HTTP; a listener is given exactly one of them. */
export type FindAdmin = (request: Request) => Promise<Result<Recognised, Unrecognised>>;

/** Whoever can open the socket is the operator: the file system decided (design section 11, Admin plane). */
export const localAdmin: FindAdmin = () => Promise.resolve(ok({ admin: { kind: 'local' }, nonce: undefined }));

export interface AdminTokenDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'age' | 'revokedBy' | 'version'>;
  readonly store: Pick<StoreWrites, 'consume'>;
  readonly denials: Pick<Denials, 'record'>;
  readonly checkPossession: PossessionCheck;
  readonly nonces: Nonces;
  /** Of the listener, from the configuration; undefined where that does not tell it. */
  readonly externalUrl: string | undefined;
  attest(token: string, candidates: (iss: string) => readonly Issuer[]): Promise<Result<Evidence, Refusal>>;
}

/** An OIDC token of an issuer that proves admins; its audience tells which domain's (design section 5, Evidence audience). */
export const createFindAdmin = (deps: AdminTokenDeps): FindAdmin => {
  const homeOf = (evidence: Evidence): DomainView | undefined => deps.snapshot.domains().find((view) => view.issuer(evidence.issuerName)?.id === evidence.issuerId);
  const down = (refused: Refusal): Result<never, Unrecognised> => err({ refusal: refused });

  /** A stranger learns that he is one and nothing else: why is for who asks about the decision. */
  const unauthenticated = async (why: string): Promise<Result<never, Unrecognised>> => {
    const system = deps.snapshot.domain(SYSTEM_DOMAIN);
    if (system === undefined) return down(refusal('snapshot_stale', 'the system domain is missing'));
    const decision = await deps.denials.record(refusal('admin_unauthenticated', why), { domainId: system.domain.id, workloadId: null, verified: false, facts: { endpoint: 'admin' } });
    return err({ refusal: refusal('admin_unauthenticated', `an admin can ask why: mayfly explain ${decision}`) });
  };

  /**
   * A bound credential is worth nothing without a proof by its key (design section 5), made for this very URL: from the
   * configuration, never from `Host` or forwarded headers (standards.md A12).
   */
  const prove = async (request: Request, presented: PresentedToken, evidence: Evidence, home: DomainView): Promise<Result<undefined, Unrecognised>> => {
    const url = deps.externalUrl === undefined ? undefined : normaliseHttpUri(`${deps.externalUrl}${request.path}`);
    const possession = await deps.checkPossession(request, presented, evidence.boundTo, url, deps.nonces);
    if (possession.ok) return possession;
    // Asking for a nonce is part of the protocol; whatever else is wrong may be somebody with a stolen token.
    const isHandshake = possession.error.code.startsWith('dpop_nonce');
    const by = idOf(evidence);
    const decisionId = await deps.denials.record(possession.error, { domainId: home.domain.id, workloadId: null, verified: !isHandshake, admin: { by, verb: 'authenticate' }, facts: { endpoint: 'admin', admin: by, issuer: evidence.issuerName } });
    return err({ refusal: possession.error, possession: { decisionId, nonce: isHandshake ? deps.nonces.issue() : undefined } });
  };

  return async (request) => {
    if (deps.snapshot.age() > STALENESS_BOUND) return down(refusal('snapshot_stale', 'admins cannot be recognised from a stale snapshot'));
    const presented = readAuthorization(request);
    if (!presented.ok) return unauthenticated(presented.error.detail);
    if (presented.value === undefined) return unauthenticated('no token');
    const attested = await deps.attest(presented.value.token, (iss) => deps.snapshot.domains().flatMap((view) => view.issuersFor(iss, 'admins')));
    if (!attested.ok && attested.error.code === 'issuer_keys_unavailable') return down(refusal('issuer_keys_unavailable', 'the keys of the token\'s issuer cannot be had now', attested.error.retryAfter));
    if (!attested.ok) return unauthenticated(`${attested.error.code}: ${attested.error.detail}`);
    const evidence = attested.value;
    const home = homeOf(evidence);
    if (home === undefined) return unauthenticated('the issuer is no longer registered');
    const revoked = deps.snapshot.revokedBy([`domain:${home.domain.id}`, `issuer:${evidence.issuerId}`], deps.snapshot.version);
    if (revoked !== undefined) return unauthenticated(`${revoked} is revoked`);
    // Before the token is used up, which a request that is asked to come again with a nonce must not do.
    const proven = await prove(request, presented.value, evidence, home);
    if (!proven.ok) return proven;
    if (evidence.replayKey !== undefined && !(await deps.store.consume([{ key: evidence.replayKey, until: evidence.expiresAt + HOUR }]))) return unauthenticated('this token was used before');
    return ok({
      admin: { kind: 'person', id: idOf(evidence), issuer: evidence.issuerName, issuerId: evidence.issuerId, groups: groupsOf(evidence.attributes), home },
      nonce: evidence.boundTo === undefined ? undefined : deps.nonces.issue(),
    });
  };
};

const idOf = ({ issuerName, subject }: Evidence): string => `${issuerName}/${subject}`;
