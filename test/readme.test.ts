import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { withFolder } from './cli/harness.ts';
import { freePort } from '../demo/free-port.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const [, section = ''] = /^## Your own server in five minutes$([^]*?)^## /m.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];

/** What a user types: in which terminal (the third unless said), in order. */
const typed = [...section.matchAll(/^```sh(?: terminal=(\d))?\n([^]*?)^```$/gm)].map(([, terminal = '3', commands = '']) => ({ terminal, commands }));

const said = (child: ChildProcess, wanted: RegExp): Promise<void> => new Promise((resolve, reject) => {
  let heard = '';
  const hear = (chunk: Buffer): void => {
    heard += chunk.toString();
    if (wanted.test(heard)) resolve();
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  child.once('exit', (code) => reject(new Error(`ended with ${code ?? 'a signal'}:\n${heard}`)));
});

/** A checkout as far as commands can tell, whose examples use free ports and whose data go with it. */
const prepareCheckout = (folder: string, ported: (commands: string) => string): void => {
  for (const name of readdirSync(root).filter((entry) => !['config', 'data', 'dist', 'job-token'].includes(entry) && !entry.startsWith('.git'))) symlinkSync(join(root, name), join(folder, name));
  mkdirSync(join(folder, 'config', 'examples'), { recursive: true });
  writeFileSync(join(folder, 'config', 'examples', 'first.yaml'), ported(readFileSync(join(root, 'config', 'examples', 'first.yaml'), 'utf8')));
};

/** Ten processes start one after the other; on a busy machine each takes seconds. */
const SLOW = 240_000;

interface Step { readonly code: number; readonly out: string; readonly err: string }

/** All blocks in one shell, as in a terminal; an id to fill in comes from what the block before said. */
const runTerminal = async (blocks: readonly string[], folder: string, env: NodeJS.ProcessEnv): Promise<readonly Step[]> => {
  const script = blocks.map((block, at) => `exec >"out-${at}" 2>"err-${at}"\n${block.replaceAll('dec_...', `"$(grep -oh 'dec_[0-9a-f]\\{32\\}' err-${at - 1} | head -n 1)"`)}\necho $? >"code-${at}"\n`).join('');
  writeFileSync(join(folder, 'terminal.sh'), `shopt -s expand_aliases\n${script}`);
  const shell = spawn('bash', ['terminal.sh'], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
  await Promise.all([text(shell.stderr), new Promise((resolve) => { shell.once('exit', resolve); })]);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  return blocks.map((_, at) => ({ code: Number(read(`code-${at}`)), out: read(`out-${at}`), err: read(`err-${at}`) }));
};

test('what the README tells a newcomer to type works, in the order it is told', async () => {
  const [server, platform] = [await freePort(), await freePort()];
  const ported = (commands: string): string => commands.replaceAll(/842[01]/g, (port) => String(port === '8420' ? server : platform));
  const of = (terminal: string): readonly string[] => typed.filter((block) => block.terminal === terminal).map(({ commands }) => ported(commands));
  const env: NodeJS.ProcessEnv = { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|MAYFLY_|DATABASE_URL$|NODE_OPTIONS$)/i.test(name))), MAYFLY_LISTEN: `127.0.0.1:${server}` };

  await withFolder(async (folder) => {
    prepareCheckout(folder, ported);
    const started: ChildProcess[] = [];
    const start = async (terminal: string, ready: RegExp): Promise<void> => {
      const child = spawn('bash', ['-c', of(terminal).join('\n')], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      started.push(child);
      await said(child, ready);
    };
    try {
      await Promise.all([start('1', /mayfly is ready at .*\n {2}next: node bin\/mayfly\.js domain list/), start('2', /"token_endpoint"/)]);
      const [applied, curled, token, denied, explained, looked, ...more] = await runTerminal(of('3'), folder, env);
      expect(more).toEqual([]);
      expect([applied, curled, token, denied, explained, looked].map((step) => step?.code)).toEqual([0, 0, 0, 1, 0, 0]);
      expect(applied?.out).toContain('4 to add');
      expect(JSON.parse(curled?.out ?? '')).toMatchObject({ token_type: 'Bearer', scope: 'deploy:read', expires_in: 300 });
      expect(token?.out).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
      expect(denied?.err).toContain('refused (invalid_scope)');
      expect(explained?.out).toContain('code: scope_denied');
      expect(looked?.out).toMatch(/ci\/deployer +github +https:\/\/deploy\.acme\.example +deploy:read[^]*2 active leases ended[^]*ok: true/);
    } finally {
      await Promise.all(started.filter(({ exitCode }) => exitCode === null).map((child) => new Promise((resolve) => {
        child.once('exit', resolve);
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
      })));
    }
  });
}, SLOW);
