import { MINUTE, SECOND } from '../core/duration.ts';
import type { Refusal } from '../core/refusal.ts';
import { ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { IssuedCredential } from '../credentials/provider.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { CeilingPair } from '../store/rows.ts';
import { buildSessionClaims, CEILING_TYPE } from '../tokens/claims.ts';
import { signToken } from '../tokens/sign.ts';
import type { Ticket } from './mint.ts';

export const SESSION_TOKEN_SECONDS = (5 * MINUTE) / SECOND;

/** A token for this domain's own issuer: worth nothing at any resource, it may be exchanged for what its ceiling names (design section 5). */
export const signSessionToken = (ticket: Ticket, ceiling: readonly CeilingPair[], ring: Pick<KeyRing, 'current'>): Result<IssuedCredential, Refusal> => {
  const signed = signToken(buildSessionClaims({
    issuer: ticket.domain.issuer, leaseId: ticket.leaseId, sessionId: ticket.sessionId, clientId: ticket.workload.spiffeId, subject: ticket.subject.sub,
    act: ticket.subject.act, mayAct: undefined, jkt: ticket.binding?.jkt,
    authorizationDetails: ceiling.map((pair) => ({ type: CEILING_TYPE, audience: pair.audience, scopes: pair.scopes })),
    authority: { model: ticket.subject.model, principal: ticket.subject.principal, depth: ticket.subject.depth },
    issuedAt: ticket.issuedAt, expiresAt: ticket.expiresAt,
  }), ring);
  if (!signed.ok) return signed;
  return ok({
    kind: 'session_token', issuedTokenType: 'urn:ietf:params:oauth:token-type:access_token', tokenType: ticket.binding === undefined ? 'Bearer' : 'DPoP',
    credential: signed.value.token, kid: signed.value.kid, expiresAt: ticket.expiresAt, handle: undefined,
  });
};
