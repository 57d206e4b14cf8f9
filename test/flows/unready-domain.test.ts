import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { alterDatabase } from './database.ts';
import { API, issued, startLab } from './lab.ts';
import type { Lab, Refused } from './lab.ts';

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

describe('a domain of which a stored policy no longer validates', () => {
  const UNREADY: Refused = { code: 'domain_not_ready', error: 'temporarily_unavailable', status: 503 };

  test('issues nothing and confirms nothing, uses nothing up, and is itself again once the policy is mended', async () => {
    const name = 'deployer-bills';
    const audience = `${lab.issuer}/introspect`;
    const token = await lab.token();
    const caller = issued(await lab.exchange({ subject_token: lab.service(), audience }));
    const introspect = (): Promise<Answer> => lab.mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${caller}` });
    const cedar = (await lab.mayfly.admin('GET', `policies/dev/${name}`)).body['cedar'];
    alterDatabase(lab, `UPDATE entry SET body = replace(body, 'action == Action', 'action == Deed') WHERE name = '${name}'`);
    await lab.mayfly.restart();

    const evidence = lab.job();
    const answers = [await lab.refused(UNREADY, () => lab.exchange({ subject_token: evidence })), await lab.refused(UNREADY, introspect)];
    expect(answers.map(({ headers }) => headers['retry-after'])).toEqual(['5', '5']);
    expect((await fetch(`${lab.mayfly.url}/readyz`)).status).toBe(503);

    await lab.mayfly.apply({ policies: [{ domain: 'dev', name, owner: OWNER, expires: FAR, cedar }] });
    expect((await lab.exchange({ subject_token: evidence, audience: API })).status).toBe(200);
    expect((await introspect()).body['active']).toBe(true);
  });
});
