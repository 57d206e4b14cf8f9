import { describe, expect, test } from '@jest/globals';
import { MINUTE } from '../../src/core/duration.ts';
import type { DomainId, WorkloadId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { refusal } from '../../src/core/refusal.ts';
import { createDenials } from '../../src/exchange/denials.ts';
import type { DenialContext } from '../../src/exchange/denials.ts';
import type { AuditEvent, DenialRow } from '../../src/store/rows.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';

const NO = refusal('target_denied', 'no policy permits it');
const by = (workload: string, more: Partial<DenialContext> = {}): DenialContext => ({ domainId: 'dom_1' as DomainId, workloadId: workload as WorkloadId, verified: true, facts: { asked: { target: 'x' } }, ...more });

const start = () => {
  const clock = { time: 1_000_000, now: () => clock.time };
  const written: { readonly row: DenialRow; readonly event: AuditEvent }[] = [];
  const store = { down: false, gate: Promise.resolve() };
  const denials = createDenials({
    clock, random: systemRandom, log: silentLog,
    store: {
      async deny(row, event) {
        await store.gate;
        if (store.down) throw new StoreUnavailable('down');
        written.push({ row, event });
      },
    },
  });
  const many = async (count: number, context: DenialContext): Promise<void> => { for (let n = 0; n < count; n += 1) await denials.record(NO, context); };
  return { denials, clock, written, store, many, counts: () => written.filter(({ row }) => row.count > 1 || row.detail.includes('more denials')).map(({ row }) => row.count) };
};

describe('denials of verified evidence', () => {
  test('are rows and audit entries with what was known', async () => {
    const { denials, written } = start();
    const id = await denials.record(NO, by('wkl_1'));
    expect(written[0]?.row).toMatchObject({ id, code: 'target_denied', workloadId: 'wkl_1', count: 1, facts: { asked: { target: 'x' } } });
    expect(written[0]?.event).toMatchObject({ action: 'exchange.denied', domainId: 'dom_1', body: { decision: id, code: 'target_denied', workload: 'wkl_1' } });
  });

  test('are 60 rows a minute and workload, then a count', async () => {
    const { clock, written, many, counts } = start();
    await many(75, by('wkl_1'));
    await many(1, by('wkl_2'));
    expect(written.filter(({ row }) => row.workloadId === 'wkl_1')).toHaveLength(60);
    expect(written.filter(({ row }) => row.workloadId === 'wkl_2')).toHaveLength(1);
    clock.time += MINUTE;
    await many(1, by('wkl_1'));
    expect(counts()).toEqual([15]);
  });

  test('of nobody that is registered are capped domain by domain: one stranger hides nobody else\'s', async () => {
    const { written, many } = start();
    await many(61, by('', { workloadId: null }));
    await many(1, by('', { workloadId: null, domainId: 'dom_2' as DomainId }));
    expect(written.map(({ row }) => row.domainId)).toEqual([...Array.from({ length: 60 }, () => 'dom_1'), 'dom_2']);
  });

  test('are still explained beyond the cap', async () => {
    const { denials, many } = start();
    await many(60, by('wkl_1'));
    const id = await denials.record(NO, by('wkl_1'));
    expect(denials.recent(id)).toMatchObject({ id, code: 'target_denied', facts: { asked: { target: 'x' } } });
  });

  test('are counted once, however many come at the end of a minute', async () => {
    const { denials, clock, many, counts, written } = start();
    await many(70, by('wkl_1'));
    clock.time += MINUTE;
    await Promise.all(Array.from({ length: 100 }, () => denials.record(NO, by('wkl_1'))));
    expect(counts()).toEqual([10]);
    expect(written).toHaveLength(60 + 1 + 60);
  });

  test('keep their cap over a flush within the minute, and nothing is counted twice', async () => {
    const { denials, clock, many, counts, written } = start();
    await many(65, by('wkl_1'));
    clock.time += MINUTE / 2;
    await denials.flush();
    expect(counts()).toEqual([5]);
    await many(65, by('wkl_1'));
    expect(written.filter(({ row }) => !row.detail.includes('more denials'))).toHaveLength(60);
    clock.time += MINUTE / 2;
    await denials.flush();
    await denials.flush();
    expect(counts()).toEqual([5, 65]);
  });

  test('stay a "no" when the store is down, and stay explainable', async () => {
    const { denials, store } = start();
    store.down = true;
    const id = await denials.record(NO, by('wkl_1'));
    expect(denials.recent(id)?.code).toBe('target_denied');
  });

  test('of an admin say who and what, and are capped by themselves', async () => {
    const { many, written } = start();
    await many(61, by('wkl_1', { workloadId: null, admin: { by: 'corp/eve', verb: 'apply' } }));
    await many(1, by('wkl_1', { workloadId: null, admin: { by: 'corp/ada', verb: 'keys' } }));
    await many(1, by('wkl_1', { workloadId: null }));
    expect(written).toHaveLength(62);
    expect(written[0]?.event).toMatchObject({ action: 'admin.denied', body: { by: 'corp/eve', verb: 'apply', code: 'target_denied' } });
    expect(written.at(-1)?.event.action).toBe('exchange.denied');
  });
});

describe('denials of unverified requests', () => {
  const unverified: DenialContext = { domainId: 'dom_1' as DomainId, workloadId: null, verified: false, facts: {} };
  test('have no row and are found in memory', async () => {
    const { denials, written } = start();
    const id = await denials.record(NO, unverified);
    expect(written).toEqual([]);
    expect(denials.recent(id)?.code).toBe('target_denied');
  });

  test('are sampled in the log: one line in a hundred, the first among them', async () => {
    const lines: unknown[] = [];
    const denials = createDenials({ clock: { now: () => 1 }, random: systemRandom, store: { deny: () => Promise.reject(new Error('no row is written')) }, log: { ...silentLog, info: (line: unknown) => { lines.push(line); } } });
    const ids = await Promise.all(Array.from({ length: 201 }, () => denials.record(NO, unverified)));
    expect(lines).toEqual([0, 100, 200].map((index) => ({ decision: ids[index], code: 'target_denied', detail: NO.detail, sampled: 100 })));
  });

  test('are the last 10,000', async () => {
    const { denials } = start();
    const first = await denials.record(NO, unverified);
    const ids = await Promise.all(Array.from({ length: 10_000 }, () => denials.record(NO, unverified)));
    expect(denials.recent(first)).toBeUndefined();
    expect(ids.every((id) => denials.recent(id) !== undefined)).toBe(true);
  });

  test('are fewer when strangers ask for much, so that memory is bounded', async () => {
    const { denials } = start();
    const ids = await Promise.all(Array.from({ length: 1000 }, () => denials.record(NO, { ...unverified, facts: { asked: 'x'.repeat(60_000) } })));
    const found = ids.filter((id) => denials.recent(id) !== undefined).length;
    expect(found).toBeGreaterThan(400);
    expect(found).toBeLessThan(600);
    expect(denials.recent(ids.at(-1) ?? ids[0] as never)).toBeDefined();
  });
});
