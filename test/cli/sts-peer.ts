import { startPeer } from './harness.ts';
import type { Peer, Reply, Received } from './harness.ts';

export const AWS_TYPE = 'urn:mayfly:token-type:aws-credentials';
export const ROLE = 'arn:aws:iam::123456789012:role/deploy';

/** The messages of an RFC 8693 issuer, numbered so that a test can tell one credential from the next. Its decisions are the test's. */
export interface StsPeer extends Peer {
  /** Forms sent to the token endpoint, and credentials sent to the revocation endpoint. */
  readonly asked: readonly Readonly<Record<string, string>>[];
  readonly proofs: readonly (string | undefined)[];
  readonly revoked: readonly string[];
}

export interface StsOptions {
  /** Seconds, of all or of the n-th that is asked for. */
  readonly expiresIn?: number | ((n: number) => number);
  readonly path?: string;
  readonly refuse?: (form: Readonly<Record<string, string>>, proof: string | undefined) => Reply | undefined;
  readonly revokeStatus?: number;
}

export const startStsPeer = async ({ expiresIn = 300, path = '', refuse = () => undefined, revokeStatus = 200 }: StsOptions = {}): Promise<StsPeer> => {
  const asked: Readonly<Record<string, string>>[] = [];
  const proofs: (string | undefined)[] = [];
  const revoked: string[] = [];
  let origin = '';
  const issue = (form: Readonly<Record<string, string>>): Reply => {
    const seconds = typeof expiresIn === 'number' ? expiresIn : expiresIn(asked.length);
    const isAws = form['requested_token_type'] === AWS_TYPE;
    const credential = isAws
      ? JSON.stringify({ Version: 1, AccessKeyId: `ASIA${asked.length}`, SecretAccessKey: 'secret', SessionToken: 'session', Expiration: new Date(Date.now() + seconds * 1000).toISOString(), LeaseId: `lse_${asked.length}` })
      : `token-${asked.length}`;
    return { body: { access_token: credential, token_type: isAws ? 'N_A' : 'Bearer', issued_token_type: isAws ? AWS_TYPE : 'urn:ietf:params:oauth:token-type:access_token', expires_in: seconds, scope: form['scope'] } };
  };
  const answer = ({ path: at, body, headers }: Received): Reply => {
    const issuer = `${origin}${path}`;
    if (at === `/.well-known/oauth-authorization-server${path}`) return { body: { issuer, token_endpoint: `${issuer}/token`, revocation_endpoint: `${issuer}/revoke` } };
    const form = Object.fromEntries(new URLSearchParams(body));
    if (at === `${path}/revoke`) {
      revoked.push(form['token'] ?? '');
      return { status: revokeStatus, body: revokeStatus === 200 ? '' : { error: 'temporarily_unavailable' } };
    }
    if (at !== `${path}/token`) return { status: 404 };
    const proof = typeof headers['dpop'] === 'string' ? headers['dpop'] : undefined;
    asked.push(form);
    proofs.push(proof);
    return refuse(form, proof) ?? issue(form);
  };
  const peer = await startPeer(answer);
  origin = peer.url;
  return { ...peer, url: `${peer.url}${path}`, asked, proofs, revoked };
};
