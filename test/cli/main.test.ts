import { describe, expect, test } from '@jest/globals';
import { runCli } from './harness.ts';

describe('mayfly', () => {
  test.each([
    { name: 'an unknown command', args: ['leese'], nearest: 'lease' },
    { name: 'an unknown subcommand', args: ['lease', 'lst'], nearest: 'list' },
    { name: 'an unknown flag', args: ['lease', 'list', '--jsn'], nearest: '--json' },
    { name: 'an unknown flag of the program', args: ['--servr', 'x'], nearest: '--server' },
  ])('answers $name with usage and the nearest match', async ({ args, nearest }) => {
    const { code, out, err } = await runCli(args);
    expect(code).toBe(2);
    expect(err).toContain(`(Did you mean ${nearest}?)`);
    expect(err).toContain('Usage: mayfly');
    expect(out).toBe('');
  });

  test.each([
    { name: 'a missing argument', args: ['explain'] },
    { name: 'a missing required flag', args: ['revoke', 'lease', 'lse_x'] },
    { name: 'a kind that cannot be revoked', args: ['revoke', 'policy', 'p', '--reason', 'r'] },
    { name: 'a page size of nothing', args: ['lease', 'list', '--limit', '0'] },
    { name: 'no command', args: [] },
  ])('calls $name bad input', async ({ args }) => {
    const { code, err } = await runCli(args);
    expect(code).toBe(2);
    expect(err).toContain('Usage: mayfly');
  });

  test('has no way to remove a domain, whose name is in all it issued, and says what ends one', async () => {
    expect(await runCli(['domain', 'rm', 'dev', '--reason', 'r'])).toMatchObject({ code: 2, err: expect.stringContaining('unknown command') });
    expect((await runCli(['domain', '--help'])).out).toContain('mayfly revoke domain');
  });

  test('tells after an error the usage of the command alone, and where the rest is', async () => {
    const { err } = await runCli(['exec', '--audience', 'a', 'ls', '-la']);
    expect(err).toBe('error: unknown option \'-la\'\nUsage: mayfly exec [options] -- <command...>\n  next: see `mayfly exec --help`\n');
    expect((await runCli(['lease', 'show'])).err).toContain('next: see `mayfly lease show --help`\n');
    expect((await runCli(['leese'])).err).toContain('next: see `mayfly --help`\n');
  });

  test('tells exit codes and variables in its help', async () => {
    const { out } = await runCli(['--help']);
    for (const told of ['Exit codes:', 'MAYFLY_SERVER', 'MAYFLY_ISSUER', 'MAYFLY_DOMAIN', 'MAYFLY_ID_TOKEN', 'MAYFLY_ADMIN_TOKEN']) expect(out).toContain(told);
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test.each([
    { args: ['token', '--token-file', 'jwt', '--issuer', 'https://sts.acme.example/prod', '--audience', 'a'], mend: '--subject-token-file' },
    { args: ['exec', '--server', 'https://sts.acme.example/prod', '--audience', 'a', '--', 'true'], mend: '--issuer' },
    { args: ['--server', 'https://sts.acme.example', 'serve'], mend: '--listen' },
    { args: ['token', '--dpop-key', 'key.pem', '--issuer', 'https://sts.acme.example/prod', '--audience', 'a'], mend: '--subject-token-file' },
    { args: ['keys', 'init', '--token-file', 'x'], mend: 'no server is asked' },
  ])('refuses flags of the admin API where there is no admin: $args', async ({ args, mend }) => {
    const { code, err } = await runCli(args, { env: { MAYFLY_ID_TOKEN: 'e.y.J' } });
    expect(code).toBe(2);
    expect(err).toMatch(/is for commands that ask the admin API\n {2}next: /);
    expect(err).toContain(mend);
    const path = args.filter((word) => ['token', 'exec', 'serve', 'keys', 'init'].includes(word));
    expect((await runCli([...path, '--help'])).out).not.toContain('admin');
  });

  test('gives help and version on standard output', async () => {
    const help = await runCli(['revoke', '--help']);
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toContain('--server');
    const version = await runCli(['--version']);
    expect(version).toMatchObject({ code: 0, err: '' });
    expect(version.out.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test.each([
    ...['serve', 'apply', 'token', 'exec', 'explain', 'simulate', 'lint', 'revoke', 'enable'].map((name) => ({ args: [name] })),
    ...['issuer', 'resource', 'workload', 'policy'].flatMap((noun) => ['list', 'show', 'add', 'rm'].map((verb) => ({ args: [noun, verb] }))),
    ...['list', 'show', 'add'].map((verb) => ({ args: ['domain', verb] })),
    ...['session', 'lease'].flatMap((noun) => ['list', 'show'].map((verb) => ({ args: [noun, verb] }))),
    ...['open', 'end'].map((verb) => ({ args: ['session', verb] })),
    ...['verify', 'export'].map((verb) => ({ args: ['audit', verb] })),
    ...['list', 'rotate', 'rewrap', 'revoke', 'init'].map((verb) => ({ args: ['keys', verb] })),
  ])('has the command $args', async ({ args }) => {
    const { code, out } = await runCli([...args, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: mayfly ${args.join(' ')}`);
  });

  test.each(['domain', 'issuer', 'resource', 'workload', 'policy', 'session', 'lease', 'keys'])('lists %s as JSON on demand', async (noun) => {
    const { out } = await runCli([noun, 'list', '--help']);
    expect(out).toContain('--json');
  });
});
