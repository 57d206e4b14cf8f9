import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLog } from '../../src/telemetry/log.ts';
import { apiOf, startPlane } from '../admin/plane.ts';
import type { Plane } from '../admin/plane.ts';

const lines: string[] = [];
let plane: Plane;
beforeAll(async () => { plane = await startPlane({ log: createLog('debug', { write: (line) => { lines.push(line); } }) }); });
afterAll(async () => { await plane.close(); });

test('nothing a caller or an admin shows or gets is in any log line, in no part', async () => {
  const evidence = plane.evidence();
  const forged = `${plane.evidence()}x`;
  const adminToken = plane.token({ sub: 'ada', groups: ['platform'] }, 'system');
  const granted = await plane.mayfly.exchange({ subject_token: evidence, audience: apiOf('dev'), scope: 'read' });
  const session = await plane.mayfly.exchange({ subject_token: plane.evidence(), authorization_details: JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: apiOf('dev'), scopes: ['read'] }]) });
  const replayed = await plane.mayfly.exchange({ subject_token: evidence, audience: apiOf('dev') });
  const refused = await plane.mayfly.exchange({ subject_token: forged, audience: apiOf('dev') }, { dpop: forged });
  await plane.mayfly.exchange({ subject_token: forged, audience: apiOf('dev') });
  await plane.call('GET', 'leases', { authorization: `Bearer ${adminToken}` });
  await plane.call('GET', 'leases', { authorization: `Bearer ${forged}` });
  await plane.mayfly.form('dev/introspect', { token: String(granted.body['access_token']) }, { authorization: `Bearer ${forged}` });
  await plane.mayfly.form('dev/revoke', { token: String(granted.body['access_token']) });
  expect([granted.status, session.status, replayed.status, refused.status]).toEqual([200, 200, 400, 400]);

  const log = lines.join('\n');
  expect(lines.length).toBeGreaterThan(10);
  // Headers are alike in all tokens of a key; payloads and signatures are each one's own.
  for (const token of [evidence, forged, adminToken, String(granted.body['access_token']), String(session.body['access_token'])]) {
    for (const part of token.split('.').slice(1)) expect(log.includes(part.slice(0, 40))).toBe(false);
  }
});
