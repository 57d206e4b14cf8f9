import { describe, expect, jest, test } from '@jest/globals';
import { answering, readManifest, runDemo, stepsOf, without } from './support/demo.ts';

const manifest = readManifest('demo-agents.yaml');
const run = (change?: (manifest: string) => string) => runDemo({ demo: 'agents/demo.ts', manifest, ...(change === undefined ? {} : { change }) });
const STEPS = [
  'Running', 'Registered', 'Logged in', 'No impersonation', 'Delegated', 'Handed on', 'And on', 'Refused', 'Explained', 'To be approved', 'Waiting', 'Shown', 'Approved', 'Redeemed', 'Listening', 'Taken back', 'Inactive', 'Told',
  'Accounted for', 'Audited',
];

/** Six processes start for each run; on a busy machine each takes seconds. */
jest.setTimeout(240_000);

describe('npm run demo:agents', () => {
  test('walks from a login to the end of all that grew out of it, says each step, and leaves nothing behind', async () => {
    const played = await run();
    expect({ code: played.code, err: played.err }).toEqual({ code: 0, err: '' });
    expect(stepsOf(played)).toEqual(STEPS);
    expect(played.out).toContain('Inactive: all 4 API tokens of the chain');
    expect(played.leftBehind).toEqual([]);
    expect(await answering(played)).toEqual([]);
  });

  test.each([
    { name: 'what Alice may let agents do', change: without(/ {2}- domain: demo\n {4}name: engineers-delegate-docs\n[^]*?\};\n/), held: 4, reason: 'invalid_scope' },
    { name: 'who approves', change: without(/ {2}- domain: demo\n {4}name: docs-leads-approve\n[^]*?\};\n/), held: 12, reason: 'approval' },
    { name: 'whose events count', change: without(/ {4}signals: .*\n/), held: 15, reason: 'the event was answered with' },
  ])('stops with exit 1 and the reason when the manifest lacks $name', async ({ change, held, reason }) => {
    const played = await run(change);
    expect({ code: played.code, steps: stepsOf(played) }).toEqual({ code: 1, steps: STEPS.slice(0, held) });
    expect(played.err).toContain(reason);
    expect(played.leftBehind).toEqual([]);
    expect(await answering(played)).toEqual([]);
  });
});
