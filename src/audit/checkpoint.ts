import { compactVerify } from 'jose';
import { readNamedCheckpoint } from '../core/hash-chain.ts';
import type { NamedCheckpoint } from '../core/hash-chain.ts';
import { isObject } from '../core/json.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { TYPE_OF } from '../tokens/sign.ts';
import type { KeyRow } from '../store/rows.ts';

/** What a checkpoint says: this chain had this hash at this entry at this time, and before it this was the newest of the installation. */
export interface CheckpointStatement extends NamedCheckpoint { readonly before: NamedCheckpoint | null }

/** The statement a checkpoint (compact JWS, RFC 7515) makes, or a sentence that says why it proves nothing. */
export type VerifyCheckpoint = (jws: string) => Promise<CheckpointStatement | string>;

/** The payload to sign; the key's purpose is `checkpoint`. */
export const checkpointPayload = ({ chain, n, hash, at, before }: CheckpointStatement): CheckpointStatement => ({ chain, n, hash, at, before });

/**
 * Verifies with the checkpoint keys the registry ever had. A retired key still verifies what it signed; a revoked one proves
 * nothing, and neither does one that is gone: what it sealed was purged before it.
 *
 * INVARIANT: a key counts only if `open` finds its private half sealed under our key-encryption key. Whoever can write the
 * database but does not hold that key could otherwise plant a key of their own and seal a rewritten log with it.
 */
export const createVerifyCheckpoint = (keys: readonly KeyRow[], open: (row: KeyRow) => Pick<SigningKey, 'publicKey'>): VerifyCheckpoint => {
  const newest = new Map<string, KeyRow>();
  for (const key of keys) if (key.purpose === 'checkpoint' && key.version > (newest.get(key.kid)?.version ?? 0)) newest.set(key.kid, key);

  return async (jws) => {
    if (jws.length > MAX_LENGTH) return 'it is too long';
    let signedBy: KeyRow | undefined;
    try {
      const { payload, protectedHeader } = await compactVerify(jws, ({ kid }) => {
        signedBy = newest.get(kid ?? '');
        if (signedBy === undefined) throw new Error('its key is not a checkpoint key of this installation');
        if (signedBy.status === 'revoked' || signedBy.status === 'gone') throw new Error(`its key is ${signedBy.status}`);
        return open(signedBy).publicKey;
      }, { algorithms: ['ES256', 'RS256'] });
      if (protectedHeader.alg !== signedBy?.algorithm) return 'its alg is not its key\'s';
      if (protectedHeader.typ !== TYPE_OF.checkpoint) return 'its typ is not that of a checkpoint';
      return readStatement(Buffer.from(payload).toString('utf8'));
    } catch (cause) {
      return cause instanceof Error ? cause.message : 'it cannot be read';
    }
  };
};

const MAX_LENGTH = 4096;

const readStatement = (text: string): CheckpointStatement | string => {
  const value: unknown = JSON.parse(text);
  const own = readNamedCheckpoint(value);
  // The first of an installation names none.
  const named = isObject(value) ? value['before'] ?? null : null;
  const before = named === null ? null : readNamedCheckpoint(named);
  return own === undefined || before === undefined ? 'it makes no statement' : { ...own, before };
};
