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
    ...['domain', 'issuer', 'resource', 'workload', 'policy'].flatMap((noun) => ['list', 'show', 'add', 'rm'].map((verb) => ({ args: [noun, verb] }))),
    ...['session', 'lease'].flatMap((noun) => ['list', 'show'].map((verb) => ({ args: [noun, verb] }))),
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
