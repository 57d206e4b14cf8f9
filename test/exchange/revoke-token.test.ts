import { describe, expect, test } from '@jest/globals';
import { sha256url } from '../../src/core/bytes.ts';
import { DAY, HOUR } from '../../src/core/duration.ts';
import type { DomainId, LeaseId } from '../../src/core/ids.ts';
import { refusal } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import { createRevokeToken, revocationOfLease } from '../../src/exchange/revoke-token.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { LeaseStanding, RegistryChange } from '../../src/store/store.ts';
import type { OwnToken } from '../../src/tokens/verify.ts';
import { LEASE, NOW, ROLE, codeOf, deployer, domain, hop, other, session, standing, viewOf } from './world.ts';

const TOKEN = 'the.token.itself';
const KEYS = (id = LEASE as string): string => JSON.stringify({ Version: 1, LeaseId: id, AccessKeyId: 'ASIA', SecretAccessKey: 's', SessionToken: 't' });
const leased = (credential: string, lease: Partial<LeaseStanding['lease']> = {}, more: Partial<LeaseStanding> = {}): LeaseStanding => standing({ kind: 'access_token', credentialHash: sha256url(credential), ...lease }, more);
const SECOND_LEASE = `lse_${'3'.repeat(32)}` as LeaseId;

const start = (found: LeaseStanding | undefined, more: { readonly others?: readonly LeaseStanding[]; readonly down?: boolean } = {}) => {
  const changes: RegistryChange[] = [];
  const lookedUp: string[] = [];
  const revoke = createRevokeToken({
    clock: { now: () => NOW },
    readToken: (text) => Promise.resolve(text.startsWith('the.') ? ok({ jti: LEASE } as OwnToken) : err(refusal('token_malformed', 'no token'))),
    store: {
      approvalByCode: () => Promise.resolve(undefined),
      leaseStanding: (id) => { lookedUp.push(id); return Promise.resolve(found?.lease.id === id ? found : undefined); },
      leases: (filter) => { lookedUp.push(`leases of ${String(filter.sessionId)}`); return Promise.resolve({ items: found === undefined ? [] : [found, ...(more.others ?? [])], next: undefined }); },
    },
    change: (change) => {
      if (more.down === true) return Promise.reject(new StoreUnavailable('down'));
      changes.push(change);
      return Promise.resolve({ status: 'committed', version: 8 });
    },
    honouredNote: (kind) => (kind === 'aws-credentials' ? 'AWS does' : undefined),
  });
  return { changes, lookedUp, revoke: (credential = TOKEN, clientId?: string) => revoke(credential, clientId, viewOf()) };
};

describe('whoever holds a credential', () => {
  test('ends it, in one change that says who and what', async () => {
    const { revoke, changes } = start(leased(TOKEN));
    expect(await revoke(TOKEN, deployer.spiffeId)).toEqual(ok('revoked'));
    const reason = 'revoked by its holder (RFC 7009)';
    expect(changes).toEqual([{
      at: NOW, by: deployer.spiffeId, revocations: [{ target: `lease:${LEASE}`, domainId: domain.id, reason, purgeAfter: standing().lease.expiresAt + HOUR }],
      audit: [{ at: NOW, action: 'revocation.made', domainId: domain.id, body: { target: `lease:${LEASE}`, by: deployer.spiffeId, reason, lease: LEASE } }],
    }]);
  });

  test('needs no client id', async () => {
    expect(await start(leased(TOKEN)).revoke()).toEqual(ok('revoked'));
  });

  test('of a session token ends its hop, with what AWS goes on honouring of it', async () => {
    const keys = standing({ id: SECOND_LEASE, kind: 'aws-credentials', audience: ROLE });
    const beside = standing({ id: `lse_${'4'.repeat(32)}` as LeaseId, kind: 'aws-credentials', audience: ROLE }, { hop: { ...hop, path: [`session:${session.id}`] } });
    const { revoke, changes, lookedUp } = start(leased(TOKEN, { kind: 'session_token' }), { others: [keys, beside] });
    expect(await revoke()).toEqual(ok('revoked'));
    expect(lookedUp).toEqual([LEASE, `leases of ${session.id}`]);
    expect(changes[0]?.revocations).toMatchObject([{ target: `hop:${hop.id}`, purgeAfter: session.expiresAt + 90 * DAY }]);
    expect(changes[0]?.audit[0]?.body['honoured']).toEqual([{ lease: SECOND_LEASE, audience: ROLE, until: keys.lease.expiresAt }]);
  });

  test('of AWS keys ends their lease, found by the id they carry and proven by themselves', async () => {
    const { revoke, changes } = start(leased(KEYS(), { kind: 'aws-credentials', audience: ROLE }));
    expect(await revoke(KEYS())).toEqual(ok('revoked'));
    expect(changes[0]?.audit[0]?.body).toMatchObject({ lease: LEASE, honoured: [{ lease: LEASE, audience: ROLE }] });
  });

  test.each([
    { name: 'something that is no id', credential: KEYS('\' OR 1=1') }, { name: 'the id of something else', credential: KEYS(`hop_${'2'.repeat(32)}`) }, { name: 'no member of that name', credential: '{}' }, { name: 'no JSON', credential: 'nonsense' },
  ])('with $name where a lease\'s id would stand makes nobody look for it', async ({ credential }) => {
    const { revoke, lookedUp } = start(undefined);
    expect([await revoke(credential), lookedUp]).toEqual([ok('nothing'), []]);
    // Twin: an id as leases have one.
    const known = start(undefined);
    await known.revoke(KEYS());
    expect(known.lookedUp).toEqual([LEASE]);
  });

  const rows: readonly { readonly name: string; readonly found: LeaseStanding | undefined; readonly credential?: string; readonly clientId?: string; readonly says: string }[] = [
    { name: 'a credential without a lease', found: undefined, says: 'nothing' },
    { name: 'a token that is not the one that was issued', found: leased('the.other.token'), says: 'nothing' },
    { name: 'a token of another domain', found: leased(TOKEN, { domainId: 'dom_other' as DomainId }), says: 'nothing' },
    { name: 'a token that is revoked already', found: leased(TOKEN, {}, { revokedBy: `hop:${hop.id}` }), says: 'nothing' },
    { name: 'a token that expires now', found: leased(TOKEN, { expiresAt: NOW }), says: 'nothing' },
    { name: 'a token that expires in a millisecond', found: leased(TOKEN, { expiresAt: NOW + 1 }), says: 'revoked' },
    { name: 'keys of which only the lease\'s id is right', found: leased(KEYS(), { kind: 'aws-credentials' }), credential: KEYS().replace('ASIA', 'ASIB'), says: 'nothing' },
    { name: 'keys that carry no lease\'s id', found: leased(KEYS('x'), { kind: 'aws-credentials' }), credential: KEYS('x'), says: 'nothing' },
    { name: 'a number in place of an id', found: leased('{"LeaseId":1}'), credential: '{"LeaseId":1}', says: 'nothing' },
    { name: 'a list', found: leased('[]'), credential: '[]', says: 'nothing' },
    { name: 'text that is nothing', found: leased('nonsense'), credential: 'nonsense', says: 'nothing' },
    { name: 'a token under another client\'s id', found: leased(TOKEN), clientId: other.spiffeId, says: 'token_other_client' },
    { name: 'a token that is over, under another client\'s id', found: leased(TOKEN, { expiresAt: NOW }), clientId: other.spiffeId, says: 'token_other_client' },
    { name: 'somebody else\'s token under another client\'s id', found: leased('the.other.token'), clientId: other.spiffeId, says: 'nothing' },
  ];
  test.each(rows)('with $name: $says', async ({ found, credential, clientId, says }) => {
    const { revoke, changes } = start(found);
    const answer = await revoke(credential, clientId);
    expect(answer.ok ? answer.value : codeOf(answer)).toBe(says);
    expect(changes).toHaveLength(says === 'revoked' ? 1 : 0);
  });

  test('is not told that it is revoked when the database did not confirm', async () => {
    await expect(start(leased(TOKEN), { down: true }).revoke()).rejects.toThrow(StoreUnavailable);
  });
});

test('what is revoked with a lease is itself alone, unless it can be exchanged', () => {
  expect(revocationOfLease(leased(TOKEN, { kind: 'aws-credentials' }), 'why')).toMatchObject({ target: `lease:${LEASE}`, reason: 'why' });
  expect(revocationOfLease(standing(), 'why')).toMatchObject({ target: `hop:${hop.id}`, reason: 'why' });
  // What was handed on falls with all that was taken up with it, and the hop it came from goes on. Both are kept as long as what rests on them.
  expect(revocationOfLease(standing({ kind: 'handover_token' }), 'why')).toMatchObject({ target: `lease:${LEASE}`, purgeAfter: session.expiresAt + 90 * DAY });
  // The session that went on with it in another domain outlives it as well.
  expect(revocationOfLease(standing({ kind: 'crossing_token' }), 'why')).toMatchObject({ target: `lease:${LEASE}`, purgeAfter: session.expiresAt + 90 * DAY });
  expect(revocationOfLease(standing(), 'why').purgeAfter).toBe(session.expiresAt + 90 * DAY);
  expect(revocationOfLease(standing({ kind: 'access_token' }), 'why').purgeAfter).toBe(standing().lease.expiresAt + HOUR);
});
