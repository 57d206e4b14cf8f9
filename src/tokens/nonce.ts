import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { MINUTE } from '../core/duration.ts';

/** Server nonces for DPoP (RFC 9449 section 8): nothing is stored, every node with the secret gives and accepts the same. */
export interface Nonces {
  /** The nonce of the present time slot. */
  issue(): string;
  /** Milliseconds until which the nonce is accepted, or undefined when it is not. */
  check(nonce: string): number | undefined;
}

/** `as`: token endpoint; `rs`: endpoints that take a token of ours; `admin`: the admin listener. A nonce of one is nothing at another. */
export type NonceRole = 'as' | 'rs' | 'admin';

/**
 * `secret` has at least 32 bytes and is the same on every node (`KeyEncryption.derive`); the issuer keeps trust domains apart, and is the
 * installation's URL for admins.
 * While it is changed node by node, `old` are the secrets under which other nodes give theirs.
 */
export const createNonces = (deps: { readonly secret: Uint8Array; readonly old?: readonly Uint8Array[]; readonly issuer: string; readonly role: NonceRole; readonly clock: Clock }): Nonces => {
  const keyOf = (secret: Uint8Array): Uint8Array => {
    if (secret.length < 32) throw new Error('the nonce secret is shorter than 32 bytes');
    return new Uint8Array(hkdfSync('sha256', secret, '', `mayfly/dpop-nonce/${deps.role}/${deps.issuer}`, 32));
  };
  const key = keyOf(deps.secret);
  const keys = [key, ...(deps.old ?? []).map(keyOf)];
  const nonceOf = (slot: number, by = key): Buffer => createHmac('sha256', by).update(String(slot)).digest().subarray(0, NONCE_BYTES);
  const slotNow = (): number => Math.floor(deps.clock.now() / NONCE_SLOT);
  return {
    issue: () => nonceOf(slotNow()).toString('base64url'),
    check(nonce) {
      const given = Buffer.from(nonce, 'base64url');
      if (given.length !== NONCE_BYTES || given.toString('base64url') !== nonce) return undefined;
      const slot = slotNow();
      // All are always computed and compared: how long it takes tells nothing.
      const [current, previous] = [slot, slot - 1].map((of) => keys.map((by) => timingSafeEqual(given, nonceOf(of, by))).includes(true));
      if (current === true) return (slot + 2) * NONCE_SLOT;
      return previous === true ? (slot + 1) * NONCE_SLOT : undefined;
    },
  };
};

/** A nonce is current for one slot and accepted for one more. */
export const NONCE_SLOT = 5 * MINUTE;
const NONCE_BYTES = 16;
