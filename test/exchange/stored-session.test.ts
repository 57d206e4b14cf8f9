import { describe, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import { createJoinStored } from '../../src/exchange/stored-session.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { StoreReads } from '../../src/store/store.ts';
import type { SessionId } from '../../src/core/ids.ts';
import { NOW, caller, codeOf, hop, session, valueOf, workload } from './world.ts';

type Found = Awaited<ReturnType<StoreReads['session']>>;
const joinTo = (found: Found | Error, of = caller()) => {
  const asked: SessionId[] = [];
  const store = { session: (id: SessionId): Promise<Found> => { asked.push(id); return found instanceof Error ? Promise.reject(found) : Promise.resolve(found); } };
  return { asked, joined: createJoinStored({ clock: { now: () => NOW }, store })(of) };
};
const found = (change: Partial<typeof session> = {}): NonNullable<Found> => ({ session: { ...session, ...change }, hops: [hop], budgets: [], revokedBy: undefined, suspendedBy: undefined });

describe('a run whose session is there already', () => {
  test('is within it, with its age, its end, its beginning and its hops', async () => {
    const stored = { startedAt: NOW - 11 * HOUR, expiresAt: NOW + HOUR, beganVersion: 2 };
    const { joined, asked } = joinTo(found(stored));
    expect(valueOf(await joined)).toEqual({ ...caller(), session: { ...session, ...stored }, hops: [hop], beganVersion: 2 });
    expect(asked).toEqual([session.id]);
  });

  test('ends with its workload all the same, should that have been given an earlier end', async () => {
    const { joined } = joinTo(found({ expiresAt: NOW + HOUR }), caller({ workload: workload({ expires: NOW + 1 }) }));
    expect(valueOf(await joined).session.expiresAt).toBe(NOW + 1);
  });

  test.each<{ readonly name: string; readonly found: Found; readonly code: string }>([
    { name: 'that ends now', found: found({ expiresAt: NOW }), code: 'session_ended' },
    { name: 'that ends in a millisecond', found: found({ expiresAt: NOW + 1 }), code: 'accepted' },
    { name: 'that was ended', found: found({ endedAt: NOW - 1 }), code: 'session_ended' },
    { name: 'that is revoked', found: { ...found(), revokedBy: `workload:${session.holder}` }, code: 'revoked' },
    { name: 'that is suspended', found: { ...found(), suspendedBy: `workload:${session.holder}` }, code: 'suspended' },
    { name: 'that is suspended and revoked', found: { ...found(), suspendedBy: `workload:${session.holder}`, revokedBy: `session:${session.id}` }, code: 'revoked' },
    { name: 'that is revoked and over', found: { ...found({ expiresAt: NOW }), revokedBy: `session:${session.id}` }, code: 'revoked' },
  ])('$name: $code', async (row) => {
    expect(codeOf(await joinTo(row.found).joined)).toBe(row.code);
  });
});

test('a run whose session is not there opens it', async () => {
  expect(valueOf(await joinTo(undefined).joined)).toEqual({ ...caller(), hops: [] });
});

test('what was read once is not read again', async () => {
  const read = caller({ hops: [] });
  const { joined, asked } = joinTo(found({ expiresAt: NOW }), read);
  expect([valueOf(await joined), asked]).toEqual([read, []]);
});

test('a database that does not answer is no answer', async () => {
  await expect(joinTo(new StoreUnavailable('down')).joined).rejects.toThrow(StoreUnavailable);
});
