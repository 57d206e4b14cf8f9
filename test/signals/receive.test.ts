import { describe, expect, test } from '@jest/globals';
import { MINUTE } from '../../src/core/duration.ts';
import type { DecisionId } from '../../src/core/ids.ts';
import { refusal } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import { createReceive } from '../../src/signals/receive.ts';
import type { ReceivedSet, SetRefused } from '../../src/signals/received-set.ts';
import type { RegistryChange } from '../../src/store/store.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { CAEP } from '../support/foreign-transmitter.ts';
import { IDP, makeSignalling, viewNamed } from './world.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const set = (more: Partial<ReceivedSet> = {}): ReceivedSet => ({
  jti: 'jti-1', issuedAt: NOW - 1000, happenedAt: undefined, txn: undefined, subject: { format: 'iss_sub', iss: IDP, sub: 'alice' }, event: { uri: `${CAEP}session-revoked`, payload: {} }, ...more,
});

/** Receives what is told to have been verified; the store keeps what it was asked, in order, and jtis that were used. */
const makeReceive = () => {
  const clock = { time: NOW, now: () => clock.time };
  const log: string[] = [];
  const changes: RegistryChange[] = [];
  const used = new Set<string>();
  let verified: ReceivedSet | SetRefused = set();
  let down = false;
  const denied: (readonly [code: string, verified: boolean])[] = [];
  const metrics = createMetrics();
  const receive = createReceive({
    clock, metrics,
    verify: () => Promise.resolve('refusal' in verified ? err(verified) : ok(verified)),
    store: {
      session: () => Promise.resolve(undefined), sessions: () => { log.push('read sessions'); return Promise.resolve({ items: [], next: undefined }); },
      append: ({ action }) => { log.push(action); return Promise.resolve(); },
    },
    change: (change) => {
      if (down) return Promise.reject(new StoreUnavailable('down'));
      const [once] = change.once ?? [];
      if (once === undefined || used.has(once.key)) return Promise.resolve({ status: 'replayed', version: 1 });
      used.add(once.key);
      changes.push(change);
      log.push('commit');
      return Promise.resolve({ status: 'committed', version: 2 });
    },
    fall: (searches) => { log.push(`look for ${searches.length}`); return Promise.resolve({ leases: 0 }); },
    denials: { record: ({ code }, context) => { denied.push([code, context.verified]); return Promise.resolve('dec_1' as DecisionId); } },
  });
  return {
    clock, log, changes, denied, metrics,
    tell: (next: ReceivedSet | SetRefused): void => { verified = next; },
    fail: (next: boolean): void => { down = next; },
    receive: (jti?: string, issuer = makeSignalling()) => receive('token', issuer, viewNamed('dev'), jti),
  };
};

describe('what a verified token does', () => {
  test('is one change with the effect, the audit entry and the jti in it, after what will fall was looked up', async () => {
    const { receive, changes, log } = makeReceive();
    expect(await receive()).toEqual(ok({ jti: 'jti-1', event: 'session-revoked', outcome: 'ended' }));
    expect(log).toEqual(['read sessions', 'look for 0', 'commit']);
    expect(changes).toEqual([expect.objectContaining({
      at: NOW, by: IDP, ends: [{ target: 'person:urn:mayfly:dev:person:corp:alice', domainId: 'dom_dev', reason: 'session-revoked jti-1', purgeAfter: expect.any(Number) }],
      once: [{ key: expect.stringMatching(/^set\.[\w-]{43}$/), until: expect.any(Number) }],
      audit: [expect.objectContaining({ action: 'signal.received', body: expect.objectContaining({ outcome: 'ended', leases: 0 }) })],
    })]);
    // The jti is remembered for longer than the token can be accepted.
    expect(Number(changes[0]?.once?.[0]?.until)).toBeGreaterThan(NOW - 1000 + 30 * 24 * 60 * MINUTE);
  });

  test('is nothing while the database does not confirm it, and all of it when the token comes again', async () => {
    const { receive, changes, fail } = makeReceive();
    fail(true);
    await expect(receive()).rejects.toThrow(StoreUnavailable);
    fail(false);
    expect(await receive()).toMatchObject({ value: { outcome: 'ended' } });
    expect(await receive()).toMatchObject({ value: { outcome: 'repeated' } });
    expect(changes).toHaveLength(1);
  });

  test('is made once for each entry that receives the token, and once for each transmitter that calls one so', async () => {
    const { receive, changes } = makeReceive();
    for (const issuer of [makeSignalling(), makeSignalling({}, { id: makeSignalling().id.replace('corp', 'other') as never }), makeSignalling({ transmitter: 'https://tx.example' }), makeSignalling()]) await receive(undefined, issuer);
    expect(changes).toHaveLength(3);
  });

  test('is refused when the token came under another jti than its own', async () => {
    const { receive, changes, denied } = makeReceive();
    expect(await receive('jti-2')).toMatchObject({ ok: false, error: { refusal: { code: 'set_claim_invalid' } } });
    expect([changes, denied]).toEqual([[], [['set_claim_invalid', true]]]);
    expect(await receive('jti-1')).toMatchObject({ ok: true });
  });

  test('is recorded as a denial that names the signature\'s worth: before it verified it is anybody\'s', async () => {
    const { receive, denied, tell, metrics } = makeReceive();
    for (const verified of [false, true]) {
      tell({ refusal: refusal(verified ? 'set_audience_wrong' : 'set_signature_invalid', 'x'), verified });
      await receive();
    }
    expect(denied).toEqual([['set_signature_invalid', false], ['set_audience_wrong', true]]);
    expect((await metrics.signalsReceived.get()).values.map(({ labels }) => [labels['event'], labels['outcome']])).toEqual([['', 'set_signature_invalid'], ['', 'set_audience_wrong']]);
  });

  test('that comes again is told in the log sixty times a minute, however often it comes', async () => {
    const { receive, log, clock } = makeReceive();
    for (let time = 0; time < 100; time += 1) await receive();
    expect(log.filter((line) => line === 'signal.repeated')).toHaveLength(60);
    clock.time += MINUTE;
    await receive();
    expect(log.filter((line) => line === 'signal.repeated')).toHaveLength(61);
  });
});

describe('a suspension', () => {
  const event = (status: string, more: Partial<ReceivedSet> = {}): ReceivedSet =>
    set({ event: { uri: `${CAEP}device-compliance-change`, payload: { previous_status: status === 'compliant' ? 'not-compliant' : 'compliant', current_status: status, event_timestamp: NOW / 1000 - 60 } }, ...more });

  test('is of when it happened, and no revocation ever is; neither is later than the token, or than now', async () => {
    const { receive, changes, tell } = makeReceive();
    tell(event('not-compliant'));
    await receive();
    tell(event('not-compliant', { jti: 'jti-2', issuedAt: NOW + 30_000, event: { uri: `${CAEP}device-compliance-change`, payload: { previous_status: 'compliant', current_status: 'not-compliant', event_timestamp: NOW / 1000 + 3600 } } }));
    await receive();
    expect(changes.flatMap(({ revocations = [] }) => revocations.map(({ effect, at }) => [effect, at]))).toEqual([['suspended', NOW - MINUTE], ['suspended', NOW]]);
    tell(event('compliant', { jti: 'jti-3' }));
    await receive();
    expect(changes.at(-1)).toMatchObject({ by: `${IDP} device-compliance-change`, resume: [{ target: 'person:urn:mayfly:dev:person:corp:alice', by: `${IDP} device-compliance-change`, until: NOW - MINUTE }] });
  });
});
