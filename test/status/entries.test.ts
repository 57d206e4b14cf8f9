import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { BLOCK_ENTRIES, createStatusEntries } from '../../src/status/entries.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { BlockClaim, ClaimedBlock } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import type { StatusEntry } from '../../src/tokens/status-list.ts';
import { DOMAIN, OTHER_DOMAIN, START } from '../keys/make-ring.ts';

const PROD = { id: DOMAIN, issuer: 'https://sts.acme.example/prod', name: 'prod' };
const OTHER = { id: OTHER_DOMAIN, issuer: 'https://sts.acme.example/other', name: 'other' };
const viewsOf = (...domains: readonly { readonly id: DomainId }[]) => domains.map((domain) => ({ domain })) as unknown as Parameters<ReturnType<typeof createStatusEntries>['keepAhead']>[0];

/** As the database does: one open list for each domain, its blocks in the order it was made with. */
const makeLists = () => {
  const open = new Map<DomainId, { readonly list: string; readonly order: readonly number[]; claimed: number }>();
  return (claim: BlockClaim): ClaimedBlock => {
    const known = open.get(claim.domainId) ?? { list: claim.list, order: claim.order, claimed: 0 };
    known.claimed += 1;
    if (known.claimed < known.order.length) open.set(claim.domainId, known);
    else open.delete(claim.domainId);
    return { list: known.list, block: known.order[known.claimed - 1] ?? -1 };
  };
};

const start = (lists = makeLists()) => {
  const time = { now: START };
  const claims: BlockClaim[] = [];
  /** What the database does with a claim, where it does not answer at once. */
  const answer: { by: (claim: BlockClaim) => Promise<ClaimedBlock> } = { by: (claim) => Promise.resolve(lists(claim)) };
  const entries = createStatusEntries({ clock: { now: () => time.now }, random: systemRandom, log: silentLog, store: { claimStatusBlock: (claim) => { claims.push(claim); return answer.by(claim); } } });
  const take = async (count: number, domain = PROD): Promise<readonly StatusEntry[]> => {
    const taken: StatusEntry[] = [];
    for (let turn = 0; turn < count; turn += 1) taken.push(await entries.take(domain));
    return taken;
  };
  return { time, claims, answer, entries, take, lists };
};
const keyOf = ({ uri, index }: StatusEntry): string => `${uri} ${index}`;
const never = (): Promise<never> => new Promise(() => undefined);

describe('entries of status lists', () => {
  test('are given once each, all of a block and none beside it, in an order that tells nothing', async () => {
    const it = start();
    const taken = await it.take(BLOCK_ENTRIES);
    const block = (it.claims[0]?.order[0] ?? -1) * BLOCK_ENTRIES;
    const indexes = taken.map(({ index }) => index);
    expect(indexes.toSorted((a, b) => a - b)).toEqual(Array.from({ length: BLOCK_ENTRIES }, (_, index) => block + index));
    // Neighbours in time are no neighbours in the list: of those in order there would be 4,095.
    expect(indexes.filter((index, at) => Math.abs(index - (indexes[at - 1] ?? -2)) === 1).length).toBeLessThan(50);
    expect(new Set(taken.map(({ uri, list }) => `${uri} ${list}`))).toEqual(new Set([`${PROD.issuer}/status/${it.claims[0]?.list} ${it.claims[0]?.list}`]));
  });

  test('come from lists of 2^20 with names and orders drawn by chance', async () => {
    const [one, two] = [start(), start()];
    await Promise.all([one.take(1), two.take(1)]);
    const [first, second] = [one.claims[0], two.claims[0]];
    expect(first?.order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (_, block) => block));
    expect(first?.order).not.toEqual(second?.order);
    expect([first?.list, second?.list]).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{22}$/), expect.stringMatching(/^[A-Za-z0-9_-]{22}$/)]);
    expect(first?.list).not.toBe(second?.list);
  });

  test('are never given twice, by however many processes, across blocks and lists', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 3_000 })), { minLength: 1, maxLength: 8 }), async (turns) => {
      const lists = makeLists();
      const processes = [start(lists), start(lists), start(lists)];
      const seen = new Set<string>();
      let count = 0;
      for (const [which, many] of turns) {
        for (const entry of await (processes[which]?.take(many) ?? [])) seen.add(keyOf(entry));
        count += many;
      }
      expect(seen.size).toBe(count);
    }), { numRuns: 25 });
  });

  test('belong to the domain they are taken for', async () => {
    const it = start();
    const [[one], [two]] = [await it.take(1), await it.take(1, OTHER)];
    expect([one?.uri.startsWith(`${PROD.issuer}/status/`), two?.uri.startsWith(`${OTHER.issuer}/status/`)]).toEqual([true, true]);
    expect(it.claims.map(({ domainId }) => domainId)).toEqual([DOMAIN, OTHER_DOMAIN]);
  });
});

describe('the next block', () => {
  test('is claimed while the present one still lasts, and nobody waits for it', async () => {
    const it = start();
    await it.take(BLOCK_ENTRIES - BLOCK_ENTRIES / 4);
    expect(it.claims).toHaveLength(1);
    it.answer.by = never;
    expect(await it.take(BLOCK_ENTRIES / 4)).toHaveLength(BLOCK_ENTRIES / 4);
    expect(it.claims).toHaveLength(2);
  });

  test('is one, however many wait for it', async () => {
    const it = start();
    const taken = await Promise.all(Array.from({ length: 200 }, () => it.entries.take(PROD)));
    expect(new Set(taken.map(keyOf)).size).toBe(200);
    expect(it.claims).toHaveLength(1);
  });

  test('is not missed while the present one lasts, though the database gives none', async () => {
    const it = start();
    await it.take(1);
    it.answer.by = () => Promise.reject(new StoreUnavailable('down'));
    expect(await it.take(BLOCK_ENTRIES - 1)).toHaveLength(BLOCK_ENTRIES - 1);
    await expect(it.take(1)).rejects.toThrow(StoreUnavailable);
    it.answer.by = (claim) => Promise.resolve(it.lists(claim));
    expect(await it.take(1)).toHaveLength(1);
  });

  test('is claimed for a day, and said to matter until its last token and a margin are over', async () => {
    const it = start();
    await it.take(1);
    expect(it.claims[0]?.until).toBe(START + DAY + HOUR + 10 * MINUTE);
    it.time.now = START + DAY - 1;
    const [late] = await it.take(1);
    expect(late?.list).toBe(it.claims[0]?.list);
    const before = it.claims.length;
    it.time.now = START + DAY;
    const blocks = new Set((await it.take(100)).map(({ index }) => Math.floor(index / BLOCK_ENTRIES)));
    expect([...blocks]).toEqual([it.claims[0]?.order[1]]);
    expect(it.claims.length).toBe(Math.max(before, 2));
  });
});

describe('keeping ahead', () => {
  test('has a block at hand for each domain that issues, before anybody asks', async () => {
    const it = start();
    await it.entries.keepAhead(viewsOf(PROD, OTHER, { id: 'dom_system' as DomainId, name: 'system' } as never));
    expect(it.claims.map(({ domainId }) => domainId)).toEqual([DOMAIN, OTHER_DOMAIN]);
    it.answer.by = never;
    expect([await it.take(1), await it.take(1, OTHER)].flat()).toHaveLength(2);
    await it.entries.keepAhead(viewsOf(PROD, OTHER));
    expect(it.claims).toHaveLength(2);
  });

  test('claims for one domain at a time', async () => {
    const it = start();
    it.answer.by = never;
    void it.entries.keepAhead(viewsOf(PROD, OTHER));
    await new Promise((resolve) => { setImmediate(resolve); });
    expect(it.claims.map(({ domainId }) => domainId)).toEqual([DOMAIN]);
  });

  test('claims anew before the time of a block that nobody used is over', async () => {
    const it = start();
    await it.entries.keepAhead(viewsOf(PROD));
    it.time.now = START + DAY - HOUR - 1;
    await it.entries.keepAhead(viewsOf(PROD));
    expect(it.claims).toHaveLength(1);
    it.time.now += 1;
    await it.entries.keepAhead(viewsOf(PROD));
    expect(it.claims).toHaveLength(2);
  });

  test('tells when the database gives nothing', async () => {
    const it = start();
    it.answer.by = () => Promise.reject(new StoreUnavailable('down'));
    await expect(it.entries.keepAhead(viewsOf(PROD))).rejects.toThrow(StoreUnavailable);
  });

  test('forgets domains that are gone', async () => {
    const it = start();
    await it.entries.keepAhead(viewsOf(PROD, OTHER));
    await it.entries.keepAhead(viewsOf(OTHER));
    await it.entries.keepAhead(viewsOf(PROD, OTHER));
    expect(it.claims.map(({ domainId }) => domainId)).toEqual([DOMAIN, OTHER_DOMAIN, DOMAIN]);
  });
});
