import { describe, expect, test } from '@jest/globals';
import { createNonces, NONCE_SLOT } from '../../src/tokens/nonce.ts';
import type { NonceRole } from '../../src/tokens/nonce.ts';
import { START } from '../keys/make-ring.ts';
import { ISSUER } from './forge.ts';

const secret = Buffer.alloc(32, 7);
const at = (now: number, change: { issuer?: string; role?: NonceRole; secret?: Uint8Array; old?: readonly Uint8Array[] } = {}) => createNonces({ secret, issuer: ISSUER, role: 'as', clock: { now: () => now }, ...change });
/** START is the beginning of a slot. */
const nonce = at(START).issue();

test('is short, opaque and the same on every node', () => {
  expect(START % NONCE_SLOT).toBe(0);
  expect(nonce).toMatch(/^[A-Za-z0-9_-]{22}$/);
  expect(at(START + 1000).issue()).toBe(nonce);
});

describe('a nonce', () => {
  test.each([
    { name: 'at once', now: START, accepted: true },
    { name: 'at the end of the slot after its own', now: START + 2 * NONCE_SLOT - 1, accepted: true },
    { name: 'two slots later', now: START + 2 * NONCE_SLOT, accepted: false },
    { name: 'before its time', now: START - 1, accepted: false },
  ])('$name: accepted $accepted', ({ now, accepted }) => {
    expect(at(now).check(nonce)).toBe(accepted ? START + 2 * NONCE_SLOT : undefined);
  });

  test.each([
    { name: 'of another role', by: at(START, { role: 'rs' }) },
    { name: 'of the admin listener', by: at(START, { role: 'admin' }) },
    { name: 'of another domain', by: at(START, { issuer: 'https://sts.acme.example/dev' }) },
    { name: 'under another secret', by: at(START, { secret: Buffer.alloc(32, 8) }) },
  ])('$name is refused', ({ by }) => {
    expect(by.check(nonce)).toBeUndefined();
    expect(at(START).check(by.issue())).toBeUndefined();
    expect(by.check(by.issue())).toBeDefined();
  });

  test.each(['', 'x', `${nonce}A`, nonce.slice(1), `${nonce}=`, ` ${nonce}`, 'é'.repeat(22)])('%j is refused', (given) => {
    expect(at(START).check(given)).toBeUndefined();
  });
});

describe('while the secret is changed node by node', () => {
  const [next, third] = [Buffer.alloc(32, 8), Buffer.alloc(32, 9)];
  const before = at(START, { old: [next] });
  const after = at(START, { secret: next, old: [secret] });

  test('every node accepts what the others give, and gives what is under its own', () => {
    expect(before.issue()).toBe(nonce);
    expect(after.issue()).toBe(at(START, { secret: next }).issue());
    expect(before.check(after.issue())).toBe(START + 2 * NONCE_SLOT);
    expect(after.check(before.issue())).toBe(START + 2 * NONCE_SLOT);
    expect(at(START + 2 * NONCE_SLOT, { secret: next, old: [secret] }).check(nonce)).toBeUndefined();
  });

  test('a node that has but one of them refuses the other, and none accepts a third', () => {
    expect(at(START).check(after.issue())).toBeUndefined();
    expect(after.check(at(START, { secret: third }).issue())).toBeUndefined();
  });
});

test('takes no weak secret', () => {
  expect(() => at(START, { secret: Buffer.alloc(31) })).toThrow('shorter than 32');
  expect(() => at(START, { old: [Buffer.alloc(31)] })).toThrow('shorter than 32');
});
