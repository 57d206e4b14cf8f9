import { inflateSync } from 'node:zlib';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';

/**
 * An API that verifies tokens and stays offline but for public documents, as Token Status List section 8.3 tells it to: nothing
 * here is Mayfly's own code.
 */
export interface FetchedList { readonly claims: JWTPayload; readonly bytes: Uint8Array; readonly headers: Headers; readonly header: { readonly typ?: string; readonly alg?: string; readonly kid?: string } }
export interface StatusReference { readonly idx: number; readonly uri: string }

export const NAMES = ['valid', 'invalid', 'suspended', 'application specific'] as const;

/** Where the token says that its status is. */
export const referenceOf = (token: string): StatusReference => {
  const { status } = decodeJwt<{ status?: { status_list?: StatusReference } }>(token);
  if (status?.status_list === undefined) throw new Error('the token has no status list');
  return status.status_list;
};

export const createStatusVerifier = (issuer: string, now: () => number = () => Date.now()) => {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks.json`), { cooldownDuration: 0, timeoutDuration: 30_000 });
  const fetchList = async (uri: string): Promise<FetchedList> => {
    const response = await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } });
    if (response.status !== 200 || response.headers.get('content-type') !== 'application/statuslist+jwt') throw new Error(`no status list: ${response.status} ${await response.text()}`);
    const { payload, protectedHeader } = await jwtVerify(await response.text(), keys, { issuer, subject: uri, typ: 'statuslist+jwt', algorithms: ['ES256'], requiredClaims: ['exp', 'iat', 'sub', 'ttl', 'status_list'], currentDate: new Date(now()) });
    const { bits, lst } = payload['status_list'] as { bits: number; lst: string };
    if (bits !== 2) throw new Error(`${bits} bits`);
    return { claims: payload, bytes: inflateSync(Buffer.from(lst, 'base64url'), { maxOutputLength: 262_144 }), headers: response.headers, header: protectedHeader };
  };
  const statusOf = async (token: string): Promise<(typeof NAMES)[number]> => {
    const { idx, uri } = referenceOf(token);
    const { bytes } = await fetchList(uri);
    if (idx * 2 >= bytes.length * 8) throw new Error('the entry lies outside the list');
    return NAMES[((bytes[idx >> 2] ?? 0) >> ((idx % 4) * 2)) & 3] ?? 'valid';
  };
  return { fetchList, statusOf };
};
