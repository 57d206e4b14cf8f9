import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { LeaseId, SessionId, SpiffeId } from '../../src/core/ids.ts';
import { MINUTE } from '../../src/core/duration.ts';
import type { TokenFacts } from '../../src/tokens/claims.ts';
import { statusClaim, statusListUri } from '../../src/tokens/status-list.ts';
import { START } from '../keys/make-ring.ts';

export const ISSUER = 'https://sts.acme.example/prod';
export const API = 'https://deploy.acme.example';
export const WORKLOAD = 'spiffe://prod.acme.example/ci/deployer' as SpiffeId;
export const CHILD = 'spiffe://prod.acme.example/agent/reviewer' as SpiffeId;
export const LEASE = `lse_${'0a'.repeat(16)}` as LeaseId;
export const SESSION = 'AAECAwQFBgcICQoLDA0ODw' as SessionId;
export const JKT = 'A'.repeat(43);

export const makeFacts = (change: Partial<TokenFacts> = {}): TokenFacts => ({
  issuer: ISSUER, leaseId: LEASE, sessionId: SESSION, clientId: WORKLOAD, subject: WORKLOAD, act: undefined, mayAct: undefined, jkt: undefined, authorizationDetails: undefined,
  status: statusClaim({ index: 7, uri: statusListUri(ISSUER, 'AAAAAAAAAAAAAAAAAAAAAA') }), authority: { model: 'bounded', principal: 'payments@acme.example', depth: 0 }, issuedAt: START, expiresAt: START + 5 * MINUTE, ...change,
});

/** Signs any header and any payload text with a real key: what a token would look like if only one thing about it were wrong. */
export const forge = (header: object | string, payload: object | string, key: KeyObject): string => {
  const text = (part: object | string): string => (typeof part === 'string' ? part : JSON.stringify(part));
  const input = `${Buffer.from(text(header)).toString('base64url')}.${Buffer.from(text(payload)).toString('base64url')}`;
  return `${input}.${sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};
