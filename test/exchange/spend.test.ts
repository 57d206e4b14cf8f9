import { describe, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import type { LeaseId } from '../../src/core/ids.ts';
import { refusal } from '../../src/core/refusal.ts';
import type { RefusalCode } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import { openChildHop, openTask } from '../../src/authority/session.ts';
import { createSpend } from '../../src/exchange/spend.ts';
import type { AuditEvent, SessionRow } from '../../src/store/rows.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import type { OwnToken } from '../../src/tokens/verify.ts';
import { token } from './asking.ts';
import { LEASE, NOW, OWN_TOKEN, codeOf, deployer, domain, evidence, hop, linkOf, newHop, other, person, standing, valueOf, viewOf } from './world.ts';

const task: SessionRow = { ...openTask(domain, deployer, person().urn, evidence(), 'once', 'mend the tests', NOW), beganVersion: 5 };
const live = (lease: Partial<LeaseStanding['lease']> = {}, more: Partial<LeaseStanding> = {}): LeaseStanding => standing({ expiresAt: NOW + 1, ...lease }, { session: task, ...more });

interface Setting { readonly token?: OwnToken | RefusalCode; readonly standing?: LeaseStanding | undefined; readonly spent?: { readonly used: number; readonly most: number } | undefined | Error }
const start = (setting: Setting = {}) => {
  const asked: string[] = [];
  const charged: (readonly [string, number, AuditEvent])[] = [];
  const spending = createSpend({
    clock: { now: () => NOW },
    verify: (text) => {
      asked.push(`verify ${text}`);
      const given = setting.token ?? token();
      return Promise.resolve(typeof given === 'string' ? err(refusal(given, 'as told')) : ok(given));
    },
    store: {
      leaseStanding: (id) => { asked.push(`lease ${id}`); return Promise.resolve('standing' in setting ? setting.standing : live()); },
      spend: (id, amount, audit) => {
        charged.push([id, amount, audit]);
        const { spent = { used: amount, most: 100 } } = setting;
        if (spent instanceof Error) return Promise.reject(spent);
        return Promise.resolve('spent' in setting && setting.spent === undefined ? undefined : spent);
      },
    },
  });
  return { asked, charged, authenticate: () => spending.authenticate(OWN_TOKEN, viewOf()), spend: (on = live(), amount = 7) => spending.spend(on, amount) };
};

describe('who spends', () => {
  test('shows a live session token, whose standing it is charged to', async () => {
    const it = start();
    expect(await it.authenticate()).toEqual({ ok: true, value: { token: token(), standing: live() } });
    expect(it.asked).toEqual([`verify ${OWN_TOKEN}`, `lease ${LEASE}`]);
  });

  test.each<{ readonly name: string; readonly setting: Setting; readonly code: string }>([
    { name: 'a token that does not verify', setting: { token: 'token_expired' }, code: 'token_expired' },
    { name: 'a resource token', setting: { token: 'token_not_exchangeable' }, code: 'token_not_exchangeable' },
    { name: 'a token without a lease', setting: { standing: undefined }, code: 'token_unknown' },
    { name: 'another token of the same lease', setting: { standing: live({ credentialHash: 'of another' }) }, code: 'token_unknown' },
    { name: 'a token that was handed on', setting: { standing: live({ kind: 'handover_token' }) }, code: 'token_unknown' },
    { name: 'a resource token\'s lease', setting: { standing: live({ kind: 'access_token' }) }, code: 'token_unknown' },
    { name: 'a token that is revoked', setting: { standing: live({}, { revokedBy: `session:${task.id}` }) }, code: 'revoked' },
    { name: 'a token that is suspended', setting: { standing: live({}, { suspendedBy: `workload:${deployer.id}` }) }, code: 'revoked' },
    { name: 'a token of a task that is over', setting: { standing: live({}, { ended: true }) }, code: 'revoked' },
    { name: 'a token whose lease ends now', setting: { standing: live({ expiresAt: NOW }) }, code: 'revoked' },
    { name: 'a token of a task that is stale', setting: { standing: live({}, { session: { ...task, freshAt: NOW - HOUR } }) }, code: 'revoked' },
    { name: 'a token of a task that is just fresh', setting: { standing: live({}, { session: { ...task, freshAt: NOW - HOUR + 1 } }) }, code: 'accepted' },
  ])('with $name: $code', async ({ setting, code }) => {
    expect(codeOf(await start(setting).authenticate())).toBe(code);
  });
});

describe('what is spent', () => {
  test('is told with what there is, and recorded with who spent it', async () => {
    const it = start({ spent: { used: 40, most: 100 } });
    expect(valueOf(await it.spend())).toEqual({ used: 40, most: 100 });
    expect(it.charged).toEqual([[task.id, 7, { at: NOW, action: 'session.spent', domainId: domain.id, body: { session: task.id, hop: hop.id, actor: deployer.spiffeId, amount: 7 } }]]);
  });

  test('by an actor below is charged to the task, and says through whom', async () => {
    const below = openChildHop(hop, newHop({ workload: other, link: linkOf(other) }), 'lse_x' as LeaseId, NOW);
    const it = start();
    await it.spend(live({}, { hop: below }));
    expect(it.charged[0]?.[0]).toBe(task.id);
    expect(it.charged[0]?.[2].body).toEqual({ session: task.id, hop: below.id, actor: other.spiffeId, amount: 7, through: [other.spiffeId] });
  });

  test('beyond what there is, is refused', async () => {
    expect(codeOf(await start({ spent: undefined }).spend())).toBe('budget_exhausted');
  });

  test('is nobody\'s word but the database\'s', async () => {
    await expect(start({ spent: new StoreUnavailable('down') }).spend()).rejects.toThrow(StoreUnavailable);
  });
});
