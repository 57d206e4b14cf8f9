import { sameSecret, sha256url } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { DAY, HOUR } from '../core/duration.ts';
import { parseId } from '../core/ids.ts';
import type { LeaseId } from '../core/ids.ts';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { CROSSING_TOKEN } from '../credentials/providers/domain.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { LeaseRow } from '../store/rows.ts';
import type { LeaseStanding, NewRevocation, RegistryChange, RegistryOutcome, StoreReads } from '../store/store.ts';
import type { OwnToken } from '../tokens/verify.ts';
import { hashOfCode } from './deferral-code.ts';
import { findFalling, honouredEntries } from './falling.ts';
import type { HonouredNote } from './falling.ts';
import { HANDOVER_TOKEN, SESSION_TOKEN } from './session-token.ts';

/**
 * What revoking one lease means: a session token stands for its hop, so all that was exchanged from it falls with it; one that was
 * handed on, or on to another domain, for what was taken up with it. All outlast the token itself, so they are kept as long as rows of the session are.
 */
export const revocationOfLease = ({ lease, session }: Pick<LeaseStanding, 'lease' | 'session'>, reason: string): NewRevocation => ({
  target: lease.kind === SESSION_TOKEN ? `hop:${lease.hopId}` : `lease:${lease.id}`, domainId: lease.domainId, reason,
  purgeAfter: othersRestOn(lease) ? session.expiresAt + 90 * DAY : lease.expiresAt + HOUR,
});

/** Whether more than the lease itself falls with it. */
export const othersRestOn = ({ kind }: Pick<LeaseRow, 'kind'>): boolean => kind === SESSION_TOKEN || kind === HANDOVER_TOKEN || kind === CROSSING_TOKEN;

export interface RevokeTokenDeps {
  readonly clock: Clock;
  /** The lease a token of ours names, its signature verified; expiry does not matter here. */
  readToken(token: string, view: DomainView): Promise<Result<OwnToken, Refusal>>;
  readonly store: Pick<StoreReads, 'leaseStanding' | 'leases' | 'approvalByCode'>;
  /** Commits and brings the snapshots up to date. */
  change(change: RegistryChange): Promise<RegistryOutcome>;
  readonly honouredNote: HonouredNote;
}

/** A credential that is no token of ours carries its lease's id (AWS keys in credential_process form); the hash proves possession. */
const leaseNamedIn = (credential: string): LeaseId | undefined => {
  try {
    const value: unknown = JSON.parse(credential);
    return isObject(value) && typeof value['LeaseId'] === 'string' ? parseId('lease', value['LeaseId']) : undefined;
  } catch {
    return undefined;
  }
};

/** Revoking a deferral code cancels the request that waits (standards.md G3). */
const leaseOfCode = async (store: Pick<StoreReads, 'approvalByCode'>, credential: string): Promise<LeaseId | undefined> => {
  const hash = hashOfCode(credential);
  return hash === undefined ? undefined : (await store.approvalByCode(hash))?.leaseId;
};

/** RFC 7009 section 2: possession of the credential and its `client_id` suffice. Unknown and finished credentials are no error. */
export const createRevokeToken = (deps: RevokeTokenDeps) => async (credential: string, clientId: string | undefined, view: DomainView): Promise<Result<'revoked' | 'nothing', Refusal>> => {
  const token = await deps.readToken(credential, view);
  const leaseId = token.ok ? token.value.jti : await leaseOfCode(deps.store, credential) ?? leaseNamedIn(credential);
  if (leaseId === undefined) return ok('nothing');
  const standing = await deps.store.leaseStanding(leaseId);
  if (standing === undefined || standing.lease.domainId !== view.domain.id || !sameSecret(standing.lease.credentialHash, sha256url(credential))) return ok('nothing');
  if (clientId !== undefined && clientId !== standing.hop.actor) return err(refusal('token_other_client', 'the credential was issued to another client'));
  const now = deps.clock.now();
  if (standing.revokedBy !== undefined || standing.lease.expiresAt <= now) return ok('nothing');
  const revocation = revocationOfLease(standing, 'revoked by its holder (RFC 7009)');
  const falling = othersRestOn(standing.lease)
    ? await findFalling(deps.store, [{ target: revocation.target, filter: { sessionId: standing.session.id } }], now)
    : { standings: [standing], more: false };
  await deps.change({
    at: now, by: standing.hop.actor, revocations: [revocation],
    audit: [{ at: now, action: 'revocation.made', domainId: view.domain.id, body: { target: revocation.target, by: standing.hop.actor, reason: revocation.reason, lease: leaseId, ...honouredEntries(falling, deps.honouredNote) } }],
  });
  return ok('revoked');
};
export type RevokeToken = ReturnType<typeof createRevokeToken>;
