import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FAR, OWNER } from '../support/world.ts';
import { startOddWorld } from './odd-world.ts';
import type { OddWorld } from './odd-world.ts';

const ROLE = 'arn:aws:iam::123456789012:role/deploy';
const reply = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>example</SecretAccessKey><SessionToken>example</SessionToken><Expiration>${new Date(Date.now() + 900_000).toISOString()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;

describe('evidence that is used up', () => {
  let world: OddWorld;
  let calls = 0;
  const sts = createServer((request, response) => {
    calls += 1;
    request.resume().once('end', () => response.setHeader('content-type', 'text/xml').end(reply));
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => { sts.listen(0, '127.0.0.1', resolve); });
    world = await startOddWorld();
    const of = { domain: 'dev', owner: OWNER, expires: FAR };
    await world.mayfly.apply({
      resources: [{ ...of, audience: ROLE, provider: 'aws-sts', endpoint: `http://127.0.0.1:${(sts.address() as AddressInfo).port}` }],
      policies: [{ ...of, name: 'aws', cedar: `permit(principal == Workload::"spiffe://dev.127.0.0.1/odd", action == Action::"issue", resource == Resource::"${ROLE}");` }],
    });
  });
  afterAll(async () => {
    await world.close();
    sts.closeAllConnections();
    sts.close();
  });

  test('makes no further call to a provider, and so no keys that no lease knows', async () => {
    const subject_token = world.evidence();
    expect((await world.exchange({ subject_token, audience: ROLE })).status).toBe(200);
    expect(calls).toBe(1);
    for (let turn = 0; turn < 3; turn += 1) expect(await world.mayfly.reason(await world.exchange({ subject_token, audience: ROLE }))).toBe('evidence_replayed');
    expect(calls).toBe(1);
    expect((await world.exchange({ audience: ROLE })).status).toBe(200);
    expect(calls).toBe(2);
  });
});
