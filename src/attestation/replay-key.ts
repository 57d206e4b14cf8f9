import { sha256url } from '../core/bytes.ts';
import type { EvidenceProfile } from './attestor.ts';
import type { Envelope } from './envelope.ts';

/**
 * What makes two presentations the same evidence (evidence.md A0, design: replay). Never over the signature: an ECDSA signature
 * (r, s) has a twin (r, n - s) that verifies as well. Hashed, so its length is fixed whatever the issuer puts in `jti`.
 */
export const replayKeyOf = (envelope: Envelope, iss: string, jti: string | undefined, by: EvidenceProfile['replayKey']): string =>
  by === 'jti' && jti !== undefined ? `jti.${sha256url(JSON.stringify([iss, jti]))}` : `jws.${sha256url(envelope.token.slice(0, envelope.signedLength))}`;
