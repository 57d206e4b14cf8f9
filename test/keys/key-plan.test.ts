import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createKeyEncryption, parseKek } from '../../src/keys/kek.ts';
import { carryOut, DEFAULT_SCHEDULE, findForeignKek, planEarlyRotation, planKeyRevocation, planMissingKeys, planRewrap, planRotation } from '../../src/keys/key-plan.ts';
import type { KeyKind, KeyPlan, KeySchedule } from '../../src/keys/key-plan.ts';
import { newestVersions, openKeyRing } from '../../src/keys/key-ring.ts';
import { createKeyOpener } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { DOMAIN, makeEncryption, makeRow, OTHER_DOMAIN, START, stored } from './make-ring.ts';

const encryption = makeEncryption();
const open = createKeyOpener(encryption);
const schedule: KeySchedule = { ...DEFAULT_SCHEDULE, wanted: [{ purpose: 'access', algorithm: 'ES256' }] };
const TOKEN_LIFE = 60 * MINUTE;
const ES256: KeyKind = { purpose: 'access', algorithm: 'ES256' };
const RS256: KeyKind = { purpose: 'access', algorithm: 'RS256' };
const withRs256: KeySchedule = { ...schedule, wanted: [ES256, RS256] };

/** What a store does with a plan. */
const apply = async (rows: readonly KeyRow[], plan: KeyPlan, now: number): Promise<readonly KeyRow[]> => newestVersions([...rows, ...(await carryOut(plan, encryption)).map((row) => stored(row, now))]);
const rotate = (rows: readonly KeyRow[], now: number): Promise<readonly KeyRow[]> => apply(rows, planRotation(DOMAIN, rows, now, schedule), now);
const states = (rows: readonly KeyRow[]): string[] => rows.map((row) => row.status).sort();

describe('rotation', () => {
  test('makes every first key current at once', async () => {
    const plan = planRotation(DOMAIN, [], START, DEFAULT_SCHEDULE);
    expect(plan.create.map(({ purpose, status }) => `${purpose} ${status}`)).toEqual(['access current', 'aws current', 'set current', 'checkpoint current', 'status current']);
    const rows = await apply([], plan, START);
    expect(openKeyRing(rows, open).ring.published(START)).toHaveLength(5);
  });

  test('changes nothing when nothing is due', async () => {
    const rows = await rotate([], START);
    expect(planRotation(DOMAIN, rows, START + 29 * DAY, schedule)).toEqual({ change: [], create: [] });
  });

  test('publishes, promotes, retires and erases, each when due', async () => {
    let rows = await rotate([], START);
    rows = await rotate(rows, START + 30 * DAY - HOUR);
    expect(states(rows)).toEqual(['current', 'next']);
    rows = await rotate(rows, START + 30 * DAY - 1);
    expect(states(rows)).toEqual(['current', 'next']);
    rows = await rotate(rows, START + 30 * DAY);
    expect(states(rows)).toEqual(['current', 'retired']);
    rows = await rotate(rows, START + 30 * DAY + 70 * MINUTE - 1);
    expect(states(rows)).toEqual(['current', 'retired']);
    rows = await rotate(rows, START + 30 * DAY + 70 * MINUTE);
    expect(states(rows)).toEqual(['current', 'gone']);
    expect(rows.find((row) => row.status === 'gone')?.sealed).toBe('');
  });

  test('still publishes the full lead time ahead when the job comes late', async () => {
    const rows = await rotate([], START);
    expect(planRotation(DOMAIN, rows, START + 90 * DAY, schedule).create).toMatchObject([{ status: 'next', notBefore: START + 90 * DAY + HOUR }]);
  });

  test('begins at once when an admin rotates, and touches no key but those of the kind that was named', async () => {
    const rows = await apply([], planRotation(DOMAIN, [], START, withRs256), START);
    for (const kind of [ES256, RS256]) expect(planEarlyRotation(DOMAIN, rows, START + 1, schedule, kind)).toMatchObject({ change: [], create: [{ ...kind, status: 'next', notBefore: START + 1 + HOUR }] });
  });

  test('leaves the keys of other domains alone', async () => {
    const foreign = await makeRow(encryption, { domainId: OTHER_DOMAIN });
    const plan = planRotation(DOMAIN, [{ ...foreign, status: 'retired', notAfter: START }], START + DAY, schedule);
    expect(plan.change).toEqual([]);
    expect(plan.create).toMatchObject([{ domainId: DOMAIN, status: 'current' }]);
  });

  test('retires all but the newest should two keys of one kind be current', async () => {
    const [older, newer] = await Promise.all([makeRow(encryption), makeRow(encryption, { notBefore: START + HOUR })]);
    const plan = planRotation(DOMAIN, [newer, older], START + DAY, schedule);
    expect(plan).toMatchObject({ create: [], change: [{ kid: older.kid, status: 'retired', notAfter: START + DAY + schedule.retention.access }] });
  });

  test('keeps checkpoint keys as long as audit entries', () => {
    expect(DEFAULT_SCHEDULE.retention.checkpoint).toBeGreaterThan(400 * DAY);
  });

  test('whenever the job runs: one current key, each published the lead time before it signs and until its last token is over', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: MINUTE, max: 20 * DAY }), { minLength: 5, maxLength: 25 }), async (pauses) => {
      let now = START;
      let rows = await rotate([], now);
      const firstSeen = new Map(rows.map((row) => [row.kid, now]));
      const lastSigned = new Map<string, number>();
      const [first] = rows;
      for (const pause of pauses) {
        // Until the job runs again, the ring it left behind signs.
        const before = openKeyRing(rows, open).ring.current('access', 'ES256')?.kid ?? '';
        now += pause;
        lastSigned.set(before, now);
        rows = await rotate(rows, now);
        const { ring, problems } = openKeyRing(rows, open);
        expect(problems).toEqual([]);
        expect(rows.filter((row) => row.status === 'current')).toHaveLength(1);
        for (const row of rows) firstSeen.set(row.kid, firstSeen.get(row.kid) ?? now);
        const current = ring.current('access', 'ES256')?.kid ?? '';
        if (current !== first?.kid) expect(now - (firstSeen.get(current) ?? now)).toBeGreaterThanOrEqual(schedule.lead);
        const published = new Set(ring.published(now).map((key) => key.kid));
        for (const [kid, at] of lastSigned) if (now < at + TOKEN_LIFE) expect(published).toContain(kid);
      }
    }), { numRuns: 20 });
  });
});

describe('a kind of key that only some resources want', () => {
  const plan = (rows: readonly KeyRow[], now: number, wanted: readonly KeyKind[]): KeyPlan => planRotation(DOMAIN, rows, now, { ...schedule, wanted });
  const kinds = (rows: readonly KeyRow[]): string[] => rows.map(({ algorithm, status }) => `${algorithm} ${status}`).sort();

  test('is made current with the first of them, and the keys that are there stay', async () => {
    const rows = await rotate([], START);
    expect(planMissingKeys(DOMAIN, rows, START + DAY, [ES256]).create).toEqual([]);
    const missing = planMissingKeys(DOMAIN, rows, START + DAY, [ES256, RS256]);
    expect(missing).toMatchObject({ change: [], create: [{ ...RS256, status: 'current', notBefore: START + DAY }] });
    const both = await apply(rows, missing, START + DAY);
    expect(kinds(both)).toEqual(['ES256 current', 'RS256 current']);
    expect(planMissingKeys(DOMAIN, both, START + DAY, [ES256, RS256])).toEqual({ change: [], create: [] });
  });

  test('is not missing early: a key that is due is the rotation\'s to publish first', async () => {
    const rows = await rotate([], START);
    expect(planMissingKeys(DOMAIN, rows, START + 60 * DAY, [ES256])).toEqual({ change: [], create: [] });
  });

  test('is made anew where only a retired one is left', async () => {
    const retired = { ...await makeRow(encryption, { algorithm: 'RS256' }), status: 'retired' as const, notAfter: START + HOUR };
    expect(planMissingKeys(DOMAIN, [retired], START, [RS256])).toMatchObject({ change: [], create: [{ ...RS256, status: 'current' }] });
  });

  test('rotates beside the others', async () => {
    let rows = await apply([], plan([], START, [ES256, RS256]), START);
    rows = await apply(rows, plan(rows, START + 30 * DAY - HOUR, [ES256, RS256]), START + 30 * DAY - HOUR);
    expect(kinds(rows)).toEqual(['ES256 current', 'ES256 next', 'RS256 current', 'RS256 next']);
    rows = await apply(rows, plan(rows, START + 30 * DAY, [ES256, RS256]), START + 30 * DAY);
    expect(kinds(rows)).toEqual(['ES256 current', 'ES256 retired', 'RS256 current', 'RS256 retired']);
  });

  test('is retired when none wants it any more, published until its last token is over, and then erased', async () => {
    let rows = await apply([], plan([], START, [ES256, RS256]), START);
    const rsa = rows.find(({ algorithm }) => algorithm === 'RS256')?.kid ?? '';
    const end = START + DAY;
    rows = await apply(rows, plan(rows, end, [ES256]), end);
    expect(kinds(rows)).toEqual(['ES256 current', 'RS256 retired']);
    const { ring } = openKeyRing(rows, open);
    expect(ring.current('access', 'RS256')).toBeUndefined();
    expect(ring.published(end + TOKEN_LIFE).map(({ kid }) => kid)).toContain(rsa);
    expect(ring.verifying(rsa, 'access', end + TOKEN_LIFE)).toMatchObject({ kid: rsa });
    expect(plan(rows, end + MINUTE, [ES256])).toEqual({ change: [], create: [] });
    rows = await apply(rows, plan(rows, end + 70 * MINUTE, [ES256]), end + 70 * MINUTE);
    expect(kinds(rows)).toEqual(['ES256 current', 'RS256 gone']);
    expect(rows.find(({ kid }) => kid === rsa)?.sealed).toBe('');
  });

  test('takes its next key along, which never signed', async () => {
    const rows = [await makeRow(encryption), await makeRow(encryption, { algorithm: 'RS256' }), await makeRow(encryption, { algorithm: 'RS256', status: 'next', notBefore: START + HOUR })];
    const after = await apply(rows, plan(rows, START + 1, [ES256]), START + 1);
    expect(kinds(after)).toEqual(['ES256 current', 'RS256 gone', 'RS256 retired']);
    expect(after.find(({ status }) => status === 'gone')?.sealed).toBe('');
  });

  test('keeps the keys of another domain that wants it', async () => {
    const foreign = await makeRow(encryption, { domainId: OTHER_DOMAIN, algorithm: 'RS256' });
    expect(plan([await makeRow(encryption), foreign], START + 1, [ES256])).toEqual({ change: [], create: [] });
  });
});

describe('revoking a key', () => {
  const wanted = [ES256];

  test('erases a current key and puts a new one in its place at once', async () => {
    const row = await makeRow(encryption);
    const plan = planKeyRevocation(DOMAIN, [row], row.kid, START, wanted);
    if (!plan.ok) throw new Error(plan.error.code);
    expect(plan.value.change).toMatchObject([{ kid: row.kid, version: 2, status: 'revoked', sealed: '' }]);
    const { ring } = openKeyRing(await apply([row], plan.value, START), open);
    expect(ring.verifying(row.kid, 'access', START)).toBe('revoked');
    expect(ring.current('access', 'ES256')?.kid).toBeDefined();
    expect(ring.current('access', 'ES256')?.kid).not.toBe(row.kid);
  });

  test('promotes the next key when there is one', async () => {
    const [row, next] = await Promise.all([makeRow(encryption), makeRow(encryption, { status: 'next', notBefore: START + DAY })]);
    const plan = planKeyRevocation(DOMAIN, [row, next], row.kid, START, wanted);
    if (!plan.ok) throw new Error(plan.error.code);
    expect(plan.value.create).toEqual([]);
    expect(openKeyRing(await apply([row, next], plan.value, START), open).ring.current('access', 'ES256')?.kid).toBe(next.kid);
  });

  test('needs no replacement for a retired key', async () => {
    const row = { ...await makeRow(encryption), status: 'retired' as const, notAfter: START + HOUR };
    const plan = planKeyRevocation(DOMAIN, [row], row.kid, START, wanted);
    expect(plan).toMatchObject({ ok: true, value: { create: [], change: [{ status: 'revoked' }] } });
  });

  test('puts nothing in the place of a key that no resource wants any more', async () => {
    const row = await makeRow(encryption, { algorithm: 'RS256' });
    expect(planKeyRevocation(DOMAIN, [row], row.kid, START, [ES256])).toMatchObject({ ok: true, value: { create: [], change: [{ kid: row.kid, status: 'revoked', sealed: '' }] } });
    expect(planKeyRevocation(DOMAIN, [row], row.kid, START, [ES256, RS256])).toMatchObject({ ok: true, value: { create: [{ ...RS256, status: 'current' }] } });
  });

  test('leaves the keys of the other algorithm as they are', async () => {
    const rows = [await makeRow(encryption), await makeRow(encryption, { algorithm: 'RS256' }), await makeRow(encryption, { status: 'next', notBefore: START + HOUR })];
    const kid = rows[1]?.kid ?? '';
    const revoked = planKeyRevocation(DOMAIN, rows, kid, START, [ES256, RS256]);
    expect(revoked).toMatchObject({ ok: true, value: { change: [{ kid, status: 'revoked' }], create: [{ algorithm: 'RS256' }] } });
  });

  test.each([
    { name: 'an unknown key', change: { kid: 'other' }, code: 'not_found' },
    { name: 'a key of another domain', change: { domainId: OTHER_DOMAIN }, code: 'not_found' },
    { name: 'a revoked key', change: { status: 'revoked' as const }, code: 'conflict' },
    { name: 'a key that is gone', change: { status: 'gone' as const }, code: 'conflict' },
  ])('refuses $name', async ({ change, code }) => {
    const row = await makeRow(encryption);
    expect(planKeyRevocation(DOMAIN, [{ ...row, ...change }], row.kid, START, wanted)).toMatchObject({ ok: false, error: { code } });
    expect(planKeyRevocation(DOMAIN, [row], row.kid, START, wanted).ok).toBe(true);
  });
});

test('tells which key is sealed under a KEK that is not loaded; erased ones and older versions need none', async () => {
  const [own, lost] = [parseKek(systemRandom.bytes(32)), parseKek(systemRandom.bytes(32))];
  const here = createKeyEncryption({ current: own, random: systemRandom });
  const elsewhere = createKeyEncryption({ current: lost, random: systemRandom });
  const [mine, foreign] = [await makeRow(here), await makeRow(elsewhere)];
  expect(findForeignKek([mine, foreign], here)).toMatch(new RegExp(`${foreign.kid}.*${lost.id}.*kek\\.previous_files`));
  expect(findForeignKek([mine, foreign], createKeyEncryption({ current: own, old: [lost], random: systemRandom }))).toBeUndefined();
  expect(findForeignKek([mine, { ...foreign, status: 'revoked', sealed: '' }], here)).toBeUndefined();
  expect(findForeignKek([foreign, { ...foreign, ...here.seal(Buffer.from('x'), 'x'), version: 2 }], here)).toBeUndefined();
});

test('rewraps every key that is not under the current KEK', async () => {
  const [oldKek, newKek] = [parseKek(systemRandom.bytes(32)), parseKek(systemRandom.bytes(32))];
  const before = createKeyEncryption({ current: oldKek, random: systemRandom });
  const both = createKeyEncryption({ current: newKek, old: [oldKek], random: systemRandom });
  const rows = [await makeRow(before), await makeRow(before, { purpose: 'aws' }), await makeRow(both), { ...await makeRow(before), status: 'gone' as const, sealed: '' }];
  const rewrapped = planRewrap(rows, both).change;
  expect(rewrapped.map((row) => row.kid)).toEqual(rows.slice(0, 2).map((row) => row.kid));
  const alone = createKeyEncryption({ current: newKek, random: systemRandom });
  expect(openKeyRing(rewrapped.map((row) => stored(row)), createKeyOpener(alone)).problems).toEqual([]);
});
