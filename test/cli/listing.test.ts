import { describe, expect, test } from '@jest/globals';
import { runCli, startPeer } from './harness.ts';
import type { Reply } from './harness.ts';

const env = { MAYFLY_ADMIN_TOKEN: 't' };
const LEASES = ['a', 'b', 'c'].map((id) => ({ id: `lse_${id}`, kind: 'access_token', issuer: 'github', owner: 'x@acme.example', expires_at: '2027-01-15T08:00:00.000Z' }));
/** Pages of one. */
const page = (after: string | undefined): Reply => {
  const at = after === undefined ? 0 : Number(after);
  return { body: { items: LEASES.slice(at, at + 1), ...(at + 1 < LEASES.length ? { next: String(at + 1) } : {}) } };
};
const listing = async (args: readonly string[]) => {
  const peer = await startPeer(({ query }) => page(query['after']));
  const outcome = await runCli(['lease', 'list', '--server', peer.url, ...args], { env });
  await peer.close();
  return { ...outcome, received: peer.received };
};

describe('a listing', () => {
  test('shows one page as a table and says how to go on', async () => {
    const { out, err, received } = await listing(['--limit', '1']);
    expect(out).toMatch(/^LEASE .*ISSUER.*OWNER.*EXPIRES/);
    expect(out).toMatch(/\nlse_a .*github.*x@acme.example.*2027-01-15T08:00:00.000Z/);
    expect(out).not.toContain('lse_b');
    expect(err).toContain('--after 1');
    expect(received).toHaveLength(1);
  });

  test('fits the terminal it is shown in', async () => {
    const peer = await startPeer(() => page('0'));
    const { out } = await runCli(['lease', 'list', '--server', peer.url], { env, columns: 60 });
    await peer.close();
    expect(out.trimEnd().split('\n').filter((line) => line.length > 60)).toEqual([]);
    for (const shown of ['lease: lse_a', 'issuer: github', 'owner: x@acme.example', 'expires: 2027-01-15T08:00:00.000Z']) expect(out).toContain(shown);
  });

  test('says that there is more behind a page without anything', async () => {
    const peer = await startPeer(() => ({ body: { items: [], next: '7' } }));
    const { out, err } = await runCli(['lease', 'list', '--server', peer.url], { env });
    await peer.close();
    expect([out, err]).toEqual(['', expect.stringMatching(/nothing found so far\nmore: --after 7, or --all/)]);
  });

  test('goes through every page on demand', async () => {
    const { out, err, received } = await listing(['--limit', '1', '--all', '--json']);
    expect(JSON.parse(out)).toEqual({ items: LEASES });
    expect(err).toBe('');
    expect(received.map(({ query }) => query['after'])).toEqual([undefined, '1', '2']);
  });

  test('gives the cursor of the next page in JSON', async () => {
    expect(JSON.parse((await listing(['--after', '1', '--json'])).out)).toEqual({ items: [LEASES[1]], next: '2' });
  });

  test('asks the server for what it is narrowed to', async () => {
    const { received } = await listing(['--domain', 'prod', '--workload', 'ci/deployer', '--session', 's', '--active']);
    expect(received[0]?.query).toEqual({ domain: 'prod', workload: 'ci/deployer', session: 's', active: 'true', limit: '100' });
  });

  test('of nothing says so where no program reads it', async () => {
    const peer = await startPeer(() => ({ body: { items: [] } }));
    const outcome = await runCli(['session', 'list', '--server', peer.url], { env });
    await peer.close();
    expect(outcome).toEqual({ code: 0, out: '', err: 'nothing found\n' });
  });

  test('in an unknown shape is told as another version', async () => {
    const peer = await startPeer(() => ({ body: { entries: [] } }));
    const { code, err } = await runCli(['session', 'list', '--server', peer.url], { env });
    await peer.close();
    expect(code).toBe(1);
    expect(err).toContain('same version');
  });
});
