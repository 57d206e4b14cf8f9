import { mayActOf } from '../authority/chain.ts';
import { MINUTE, SECOND } from '../core/duration.ts';
import type { Refusal } from '../core/refusal.ts';
import { ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { IssuedCredential } from '../credentials/provider.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { CeilingPair } from '../store/rows.ts';
import { buildSessionClaims, ceilingDetails } from '../tokens/claims.ts';
import { signToken } from '../tokens/sign.ts';
import { statusClaim } from '../tokens/status-list.ts';
import type { StatusEntry } from '../tokens/status-list.ts';
import type { Ticket } from './mint.ts';

export const SESSION_TOKEN_SECONDS = (5 * MINUTE) / SECOND;

/** Lease kinds: a token its holder exchanges, and one that only the actor it names can take up. */
export const SESSION_TOKEN = 'session_token';
export const HANDOVER_TOKEN = 'handover_token';

/**
 * A token for this domain's own issuer: worth nothing at any resource, it may be exchanged for what its ceiling names (design
 * section 5). One that hands on names who may act and is bound to no key: who takes it up proves its own.
 */
export const signSessionToken = (ticket: Ticket, ceiling: readonly CeilingPair[], ring: Pick<KeyRing, 'current'>, status: StatusEntry): Result<IssuedCredential, Refusal> => {
  const { handsOnTo, subject } = ticket;
  const binding = handsOnTo === undefined ? ticket.binding : undefined;
  const signed = signToken(buildSessionClaims({
    issuer: ticket.domain.issuer, leaseId: ticket.leaseId, sessionId: ticket.sessionId, clientId: ticket.workload.spiffeId, subject: subject.sub,
    act: subject.act, mayAct: handsOnTo === undefined ? undefined : mayActOf(handsOnTo, ticket.domain.issuer), jkt: binding?.jkt, authTime: subject.authTime, acr: subject.acr,
    authorizationDetails: ceilingDetails(ceiling),
    authority: { model: subject.model, principal: subject.principal, depth: subject.depth },
    issuedAt: ticket.issuedAt, expiresAt: ticket.expiresAt, status: statusClaim(status),
  }), ring);
  if (!signed.ok) return signed;
  return ok({
    kind: handsOnTo === undefined ? SESSION_TOKEN : HANDOVER_TOKEN, issuedTokenType: 'urn:ietf:params:oauth:token-type:access_token', tokenType: binding === undefined ? 'Bearer' : 'DPoP',
    credential: signed.value.token, kid: signed.value.kid, expiresAt: ticket.expiresAt, handle: undefined, status,
  });
};
