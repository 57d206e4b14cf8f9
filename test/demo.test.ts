import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, jest, test } from '@jest/globals';
import { withFolder } from './cli/harness.ts';

const demo = fileURLToPath(new URL('../demo/demo.ts', import.meta.url));
const manifest = readFileSync(new URL('../config/demo.yaml', import.meta.url), 'utf8');

interface Run { readonly code: number | null; readonly out: string; readonly err: string; readonly leftBehind: readonly string[] }

/** The demo as its user runs it, with a temporary folder of its own to see what it leaves there. `until`: it is interrupted once it has said this. */
const runDemo = ({ change = (text) => text, until, env = {} }: { readonly change?: (manifest: string) => string; readonly until?: string; readonly env?: Readonly<Record<string, string>> }): Promise<Run> =>
  withFolder(async (folder) => {
    const changed = join(folder, 'demo.yaml');
    writeFileSync(changed, change(manifest));
    const child = spawn(process.execPath, [demo, changed], { env: { ...process.env, TMPDIR: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    if (until !== undefined) {
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes(until)) child.kill('SIGTERM');
      });
    }
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>((resolve) => { child.once('exit', resolve); })]);
    return { code, out, err, leftBehind: readdirSync(folder).filter((name) => name.startsWith('mayfly-demo')) };
  });

const stepsOf = ({ out }: Run): readonly string[] => [...out.matchAll(/^ ?\d+\. ([^:]+):/gm)].map(([, name]) => String(name));
const STEPS = ['Running', 'Registered', 'Evidence obtained', 'Workload recognised', 'Decided', 'Token issued', 'Verified', 'AWS keys obtained', 'Denied', 'Explained', 'Asked', 'Revoked', 'Listed', 'Audited'];

/** Every server the demo told of is gone. */
const answering = async ({ out }: Run): Promise<readonly string[]> => {
  const urls = [...new Set(out.match(/http:\/\/127\.0\.0\.1:\d+/g) ?? [])];
  const tries = await Promise.all(urls.map(async (url) => ((await fetch(url).catch(() => undefined)) === undefined ? [] : [url])));
  return tries.flat();
};

const without = (section: RegExp) => (text: string): string => {
  const left = text.replace(section, '');
  if (left === text) throw new Error('nothing was taken out');
  return left;
};

/** Three processes start for each run; on a busy machine each takes seconds. */
jest.setTimeout(240_000);

describe('npm run demo', () => {
  test('walks the main job, says each step, and leaves nothing behind', async () => {
    // A database the user has set for something else is not the demo's.
    const run = await runDemo({ env: { DATABASE_URL: 'postgresql://127.0.0.1:1/somebody-elses', MAYFLY_EXTERNAL_URL: 'https://sts.acme.example' } });
    expect({ code: run.code, err: run.err }).toEqual({ code: 0, err: '' });
    expect(stepsOf(run)).toEqual(STEPS);
    expect(run.out).toContain('policy deployer-deploys (version 1) permits deploy:write');
    expect(run.out).toContain('resource.name is "deploy:admin"');
    expect(run.leftBehind).toEqual([]);
    expect(await answering(run)).toEqual([]);
  });

  test.each([
    { name: 'the policy that permits the token', change: without(/ {2}- domain: demo\n {4}name: deployer-deploys\n[^]*?\};\n/), held: STEPS.slice(0, 3), reason: 'no policy permits' },
    { name: 'the workload that serves the API', change: without(/ {4}served_by: \[svc\/deploy-api\]\n/), held: STEPS.slice(0, 10), reason: 'before its revocation, introspection says 200 {"active":false}' },
  ])('stops with exit 1 and the reason when the manifest lacks $name', async ({ change, held, reason }) => {
    const run = await runDemo({ change });
    expect(run.code).toBe(1);
    expect(run.err).toContain(reason);
    expect(stepsOf(run)).toEqual(held);
    expect(run.leftBehind).toEqual([]);
    expect(await answering(run)).toEqual([]);
  });

  test('ends what it started when it is interrupted', async () => {
    const run = await runDemo({ until: 'Running:' });
    expect(run.code).toBe(1);
    expect(run.err).toContain('interrupted by SIGTERM');
    expect(run.leftBehind).toEqual([]);
    expect(await answering(run)).toEqual([]);
  });
});
