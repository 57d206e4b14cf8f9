import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { REVOCATION, encodeRow } from '../../src/store/sql/tables.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, startOddWorld } from './odd-world.ts';
import type { OddWorld } from './odd-world.ts';

/** Half a surrogate pair: JSON can spell it, UTF-8 cannot. libsql aborts the process that reads it back. */
const HALF = 'r\ud800';

describe('text that is no text', () => {
  test.each([{ name: 'half a surrogate pair', text: HALF }, { name: 'NUL', text: 'r\0' }])('reaches no column: $name', ({ text }) => {
    const row = JSON.parse(encodeRow(REVOCATION, { target: 'lease:x', domainId: 'dom_x' as never, effect: 'revoked', at: 0, by: text, reason: text, purgeAfter: null })) as Record<string, string>;
    expect([row['by'], row['reason']]).toEqual(['r\ufffd', 'r\ufffd']);
  });

  describe('from a job, an admin or a manifest', () => {
    let world: OddWorld;
    beforeAll(async () => { world = await startOddWorld(); });
    afterAll(async () => { await world.close(); });

    test.each([{ name: 'half a surrogate pair', run: HALF }, { name: 'NUL', run: 'r\0' }])('names a run whose token can be used, listed and revoked: $name', async ({ run }) => {
      const { mayfly } = world;
      const answer = await world.exchange({ subject_token: world.evidence({ run }), audience: API });
      expect(answer.status).toBe(200);
      expect((await mayfly.admin('GET', 'sessions')).status).toBe(200);
      expect((await mayfly.form('dev/revoke', { token: String(answer.body['access_token']) })).status).toBe(200);
      const leases = await mayfly.admin('GET', 'leases');
      expect(leases.body['items']).toContainEqual(expect.objectContaining({ status: 'revoked' }));
    });

    test('gives a reason that every start can read', async () => {
      const answer = await world.exchange({ audience: API });
      const [lease] = (await world.mayfly.admin('GET', 'leases')).body['items'] as readonly { readonly id: string }[];
      expect(answer.status).toBe(200);
      expect((await world.mayfly.admin('POST', 'revocations', { kind: 'lease', id: lease?.id, reason: HALF })).status).toBe(200);
      await world.mayfly.restart();
      expect((await world.exchange({ audience: API })).status).toBe(200);
    });

    test('is no owner', async () => {
      const put = (owner: string) => world.mayfly.admin('PUT', `resources/dev/${encodeURIComponent('https://new.acme.example')}`, { owner, expires: FAR });
      expect((await put(`${OWNER}\ud800`)).body['code']).toBe('manifest_invalid');
      expect((await put(`${OWNER}\u{1f41d}`)).body['applied']).toBe(true);
    });
  });
});
