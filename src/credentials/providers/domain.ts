import { z } from 'zod';
import { SECOND } from '../../core/duration.ts';
import { refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import { buildResourceClaims } from '../../tokens/claims.ts';
import type { DomainClaim } from '../../tokens/claims.ts';
import { statusClaim } from '../../tokens/status-list.ts';
import type { Order, Provider } from '../provider.ts';
import type { AccessTokenDeps } from './access-token.ts';

export const DOMAIN_PROVIDER = 'domain';
/** Lease kind of a token that leaves for another trust domain. */
export const CROSSING_TOKEN = 'crossing_token';
const TOKEN_TYPES = ['urn:ietf:params:oauth:token-type:jwt'] as const;
const LIFETIME = 60;
const options = z.strictObject({});

/**
 * Tokens with which a chain of actors goes on in another trust domain (draft-ietf-oauth-identity-chaining section 2.3): made out to
 * that domain and to the one workload there that takes over, for a minute, once. What it may do there is decided there.
 */
export const createDomainProvider = ({ signAccessToken, takeStatusEntry }: AccessTokenDeps): Provider<z.output<typeof options>> => ({
  kind: DOMAIN_PROVIDER,
  leaseKind: CROSSING_TOKEN,
  tokenTypes: TOKEN_TYPES,
  options,
  callsTarget: false,
  signsWith: () => ({ purpose: 'access', algorithm: 'ES256' }),
  lifetime: { default: LIFETIME, minimum: 1, maximum: LIFETIME },

  check({ audience, scopes }, domain) {
    if (audience === domain.issuer) return 'the audience is this trust domain itself, which a chain cannot leave for: name the issuer URL of another one';
    if (scopes.length > 0) return 'another trust domain has no scopes here: what may be done there is decided by its own policies; remove scopes';
    return isIssuerUrl(audience, domain.stage === 'development') ? undefined : 'the audience is not the issuer URL of a trust domain: write it exactly as its metadata does, https, without trailing slash';
  },

  async issue(order) {
    const expiresAt = Math.min(order.expiresAt, order.hopExpiresAt, order.issuedAt + LIFETIME * SECOND);
    if (expiresAt - order.issuedAt < SECOND) return err(refusal('lifetime_exhausted', 'the hop ends within a second'));
    const { domain, subject, handsOnTo } = order;
    if (handsOnTo === undefined) return err(refusal('crossing_unnamed', 'requested_actor is missing'));
    const status = await takeStatusEntry(domain);
    const signed = signAccessToken(domain.id, buildResourceClaims({
      issuer: domain.issuer, leaseId: order.leaseId, sessionId: order.sessionId, clientId: order.workload.spiffeId, subject: subject.sub, act: subject.act,
      mayAct: { iss: order.resource.audience, sub: handsOnTo }, jkt: undefined, authTime: subject.authTime, acr: subject.acr, authorizationDetails: undefined, status: statusClaim(status),
      authority: { model: subject.model, principal: subject.principal, depth: subject.depth, domains: domainsPassed(order) },
      issuedAt: order.issuedAt, expiresAt,
    }, { audience: order.resource.audience, scopes: [] }), 'ES256');
    if (!signed.ok) return signed;
    return ok({ kind: CROSSING_TOKEN, issuedTokenType: TOKEN_TYPES[0], tokenType: 'N_A' as const, credential: signed.value.token, kid: signed.value.kid, expiresAt, handle: undefined, status });
  },

  /** Within one installation the chain that went on with it falls in the same moment; elsewhere it lives for minutes. */
  revoke: (_handle, lease) => Promise.resolve({ kind: 'recorded', honouredUntil: lease.expiresAt, note: 'recorded; a domain of another installation honours the token until it expires' }),
});

/** Each domain whose actors stand in the chain, the first one first, and this one last. */
const domainsPassed = ({ chain, domain }: Order): readonly DomainClaim[] => {
  const passed = new Map<string, DomainClaim>();
  for (const link of chain) if ('stage' in link) passed.set(link.iss, { iss: link.iss, stage: link.stage });
  return [...passed.values(), { iss: domain.issuer, stage: domain.stage }];
};

/** Compared byte for byte over there, so a second spelling names nobody (RFC 8414 section 2). */
const isIssuerUrl = (written: string, loopback: boolean): boolean => {
  if (!URL.canParse(written) || written.endsWith('/') || /[?#@]/.test(written)) return false;
  const url = new URL(written);
  if (url.href !== written && url.href !== `${written}/`) return false;
  return url.protocol === 'https:' || (loopback && url.protocol === 'http:' && /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname));
};
