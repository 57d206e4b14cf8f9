import { readFile } from 'node:fs/promises';
import { exportJWK, SignJWT } from 'jose';
import type { CryptoKeyPair } from 'oauth4webapi';
import { sha256url } from '../core/bytes.ts';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { isObject } from '../core/json.ts';
import { systemRandom } from '../core/random.ts';
import type { CliContext } from './context.ts';
import { badInput } from './errors.ts';
import { readProofKey } from './proof-key.ts';

/** Where an admin's token and the key it may be bound to come from; both are for a server over HTTP alone. */
export interface CredentialOptions { readonly tokenFile?: string; readonly dpopKey?: string }

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What an admin shows with each request. */
export interface AdminCredential {
  headersFor(method: string, url: URL): Promise<Readonly<Record<string, string>>>;
  /** Keeps the nonce an answer brought; true if the answer asks for the same request once more with it (RFC 9449 section 9). */
  hear(status: number, headers: Headers): boolean;
}

/** The admin's OIDC token, with the key it is bound to where one is given. */
export const findCredential = async (context: CliContext, options: CredentialOptions): Promise<AdminCredential> => {
  const token = (options.tokenFile === undefined ? context.env['MAYFLY_ADMIN_TOKEN'] : await readText('--token-file', options.tokenFile, 'the token'))?.trim();
  if (token === undefined || token === '') throw badInput('over HTTP an admin shows an OIDC token, and there is none', 'give --token-file FILE or set MAYFLY_ADMIN_TOKEN; on the server itself use its socket (--server unix:///path/admin.sock)');
  const variable = context.env['MAYFLY_ADMIN_DPOP_KEY'];
  if (options.dpopKey !== undefined) return boundTo(readProofKey(options.dpopKey, await readText('--dpop-key', options.dpopKey, 'the key')), token, context.clock);
  return variable === undefined || variable.trim() === '' ? bearer(token) : boundTo(readProofKey('MAYFLY_ADMIN_DPOP_KEY', variable), token, context.clock);
};

/** Whether a token is named at all. */
export const hasCredential = ({ env }: CliContext, { tokenFile }: CredentialOptions): boolean => tokenFile !== undefined || (env['MAYFLY_ADMIN_TOKEN'] ?? '').trim() !== '';

const bearer = (token: string): AdminCredential => ({ headersFor: () => Promise.resolve({ authorization: `Bearer ${token}` }), hear: () => false });

/** A proof for each request, made for its method and URL and for this token (RFC 9449 sections 4.2 and 7.1). */
const boundTo = ({ privateKey, publicKey }: CryptoKeyPair, token: string, clock: Clock): AdminCredential => {
  let nonce: string | undefined;
  return {
    async headersFor(method, url) {
      const proof = new SignJWT({
        jti: Buffer.from(systemRandom.bytes(16)).toString('base64url'), htm: method, htu: `${url.origin}${url.pathname}`, iat: seconds(clock.now()), ath: sha256url(token), ...(nonce === undefined ? {} : { nonce }),
      }).setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: await exportJWK(publicKey) });
      return { authorization: `DPoP ${token}`, dpop: await proof.sign(privateKey) };
    },
    hear(status, headers) {
      const fresh = headers['dpop-nonce'];
      if (typeof fresh !== 'string') return false;
      nonce = fresh;
      return status === 401 && [headers['www-authenticate']].flat().some((challenge) => challenge?.includes('error="use_dpop_nonce"') === true);
    },
  };
};

const readText = async (flag: string, file: string, what: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8');
  } catch (fault) {
    throw badInput(`cannot read ${flag} ${file}: ${isObject(fault) ? String(fault['code']) : String(fault)}`, `name a file that holds ${what} and that you may read`);
  }
};
