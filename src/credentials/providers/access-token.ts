import { z } from 'zod';
import { MINUTE, SECOND } from '../../core/duration.ts';
import type { DomainId } from '../../core/ids.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { KeyAlgorithm } from '../../keys/signing-key.ts';
import type { Domain } from '../../registry/entries.ts';
import { MAX_TOKEN_SECONDS, buildResourceClaims } from '../../tokens/claims.ts';
import type { TokenClaims } from '../../tokens/claims.ts';
import type { SignedToken } from '../../tokens/sign.ts';
import { statusClaim } from '../../tokens/status-list.ts';
import type { StatusEntry } from '../../tokens/status-list.ts';
import type { Provider } from '../provider.ts';
import { isProviderAudience } from '../reserved-audiences.ts';

/** Port: signs with the domain's current access key of this algorithm. */
type SignAccessToken = (domainId: DomainId, claims: TokenClaims, algorithm: KeyAlgorithm) => Result<SignedToken, Refusal>;

/** Port: an entry of a status list of the domain that no other token is ever given. Rejects with the store's fault when there is none to be had. */
export type TakeStatusEntry = (domain: Pick<Domain, 'id' | 'issuer'>) => Promise<StatusEntry>;

export interface AccessTokenDeps { readonly signAccessToken: SignAccessToken; readonly takeStatusEntry: TakeStatusEntry }

const TOKEN_TYPES = ['urn:ietf:params:oauth:token-type:access_token', 'urn:ietf:params:oauth:token-type:jwt'] as const;
const LEASE_KIND = 'access_token';
const options = z.strictObject({
  algorithm: z.enum(['ES256', 'RS256']).default('ES256').describe('What its tokens are signed with; RS256 for an API that verifies nothing else'),
});

/** JWT access tokens of our own (RFC 9068): one audience, its scopes, the actor chain, and nothing that could be exchanged. */
export const createAccessTokenProvider = ({ signAccessToken, takeStatusEntry }: AccessTokenDeps): Provider<z.output<typeof options>> => ({
  kind: 'access-token',
  leaseKind: LEASE_KIND,
  tokenTypes: TOKEN_TYPES,
  options,
  callsTarget: false,
  signsWith: ({ algorithm }) => ({ purpose: 'access', algorithm }),
  lifetime: { default: 5 * MINUTE / SECOND, minimum: 1, maximum: MAX_TOKEN_SECONDS },

  check({ audience }, domain) {
    if (isProviderAudience(audience)) return `"${audience}" is an audience of a cloud provider, where an access token would open what only its provider may open: use the API's own URL, or the provider for it`;
    if (sameUrl(audience, domain.issuer)) return 'the audience is this trust domain\'s own issuer, which is reserved for session tokens: use the URL of the API that will receive the token';
    return undefined;
  },

  async issue(order, { algorithm }) {
    const expiresAt = Math.min(order.expiresAt, order.hopExpiresAt);
    // Seconds are rounded down on both sides, so a token never outlives what it was ordered for.
    if (expiresAt - order.issuedAt < SECOND) return err(refusal('lifetime_exhausted', 'the hop ends within a second'));
    const status = await takeStatusEntry(order.domain);
    const signed = signAccessToken(order.domain.id, buildResourceClaims(
      {
        issuer: order.domain.issuer,
        leaseId: order.leaseId,
        sessionId: order.sessionId,
        clientId: order.workload.spiffeId,
        subject: order.subject.sub,
        act: order.subject.act,
        mayAct: undefined,
        jkt: order.binding?.jkt,
        authTime: order.subject.authTime,
        acr: order.subject.acr,
        authorizationDetails: order.details,
        status: statusClaim(status),
        authority: { model: order.subject.model, principal: order.subject.principal, depth: order.subject.depth },
        issuedAt: order.issuedAt,
        expiresAt,
      },
      { audience: order.resource.audience, scopes: order.scopes },
    ), algorithm);
    if (!signed.ok) return signed;
    return ok({
      kind: LEASE_KIND,
      issuedTokenType: TOKEN_TYPES[0],
      tokenType: order.binding === undefined ? 'Bearer' as const : 'DPoP' as const,
      credential: signed.value.token,
      kid: signed.value.kid,
      expiresAt,
      handle: undefined,
      status,
    });
  },

  /** Nothing to call: introspection and status lists answer from the revocation. */
  revoke: (_handle, lease) => Promise.resolve({ kind: 'recorded', honouredUntil: lease.expiresAt, note: 'recorded; introspection says inactive at once, the status list within a minute, and resources that ask neither honour the token until it expires' }),
});

/** Compares as a URL parser would, so that upper case or a trailing slash makes no second name for the issuer. */
const sameUrl = (a: string, b: string): boolean => normalise(a) === normalise(b);
const normalise = (raw: string): string => (URL.canParse(raw) ? new URL(raw).href : raw).replace(/\/+$/, '');
