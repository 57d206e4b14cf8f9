import { describe, expect, jest, test } from '@jest/globals';
import { answering, readManifest, runDemo, stepsOf, without } from './support/demo.ts';
import type { Played, Run } from './support/demo.ts';

const manifest = readManifest('demo.yaml');
const run = (played: Partial<Played>): Promise<Run> => runDemo({ demo: 'demo.ts', manifest, ...played });
const STEPS = ['Running', 'Registered', 'Evidence obtained', 'Workload recognised', 'Decided', 'Token issued', 'Verified', 'AWS keys obtained', 'Denied', 'Explained', 'Asked', 'Revoked', 'Listed', 'Audited'];

/** Three processes start for each run; on a busy machine each takes seconds. */
jest.setTimeout(240_000);

describe('npm run demo', () => {
  test('walks the main job, says each step, and leaves nothing behind', async () => {
    // A database the user has set for something else is not the demo's.
    const played = await run({ env: { DATABASE_URL: 'postgresql://127.0.0.1:1/somebody-elses', MAYFLY_EXTERNAL_URL: 'https://sts.acme.example' } });
    expect({ code: played.code, err: played.err }).toEqual({ code: 0, err: '' });
    expect(stepsOf(played)).toEqual(STEPS);
    expect(played.out).toContain('policy deployer-deploys (version 1) permits deploy:write');
    expect(played.out).toContain('resource.name is "deploy:admin"');
    expect(played.leftBehind).toEqual([]);
    expect(await answering(played)).toEqual([]);
  });

  test.each([
    { name: 'the policy that permits the token', change: without(/ {2}- domain: demo\n {4}name: deployer-deploys\n[^]*?\};\n/), held: STEPS.slice(0, 3), reason: 'no policy permits' },
    { name: 'the workload that serves the API', change: without(/ {4}served_by: \[svc\/deploy-api\]\n/), held: STEPS.slice(0, 10), reason: 'before its revocation, introspection says 200 {"active":false}' },
  ])('stops with exit 1 and the reason when the manifest lacks $name', async ({ change, held, reason }) => {
    const played = await run({ change });
    expect(played.code).toBe(1);
    expect(played.err).toContain(reason);
    expect(stepsOf(played)).toEqual(held);
    expect(played.leftBehind).toEqual([]);
    expect(await answering(played)).toEqual([]);
  });

  test('ends what it started when it is interrupted', async () => {
    const played = await run({ until: 'Running:' });
    expect(played.code).toBe(1);
    expect(played.err).toContain('interrupted by SIGTERM');
    expect(played.leftBehind).toEqual([]);
    expect(await answering(played)).toEqual([]);
  });
});
