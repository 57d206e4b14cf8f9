import { expect, test } from '@jest/globals';
import { verifyAudit } from '../../src/audit/verify.ts';
import { everyTurn } from '../support/every-turn.ts';
import { CHAIN, CODES, makeChain, NOW } from './make-chain.ts';

/** A database that waits for nothing, as SQLite does. */
const readsOf = (rows: ReturnType<typeof makeChain>) => ({
  auditChains: () => Promise.resolve([CHAIN]),
  audit: (_chain: string, after: number, limit: number) => Promise.resolve(rows.slice(after, after + limit)),
  checkpoints: () => Promise.resolve([]),
});
const verify = (rows: ReturnType<typeof makeChain>) => verifyAudit({ reads: readsOf(rows), verifyCheckpoint: () => Promise.resolve('none here'), codes: CODES, outside: [], now: NOW });

test('a long chain is verified whole, and others get their turn meanwhile', async () => {
  const rows = makeChain(3_500);
  const turns = everyTurn();
  expect(await verify(rows)).toMatchObject({ ok: true, entries: 3_500 });
  expect(turns.stop()).toBeGreaterThanOrEqual(3);
  expect(await verify(rows.filter(({ n }) => n !== 2_600))).toMatchObject({ ok: false });
});
