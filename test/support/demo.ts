import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { withFolder } from '../cli/harness.ts';

export interface Run { readonly code: number | null; readonly out: string; readonly err: string; readonly leftBehind: readonly string[] }

export interface Played {
  /** Below demo/. */
  readonly demo: string;
  readonly manifest: string;
  readonly change?: (manifest: string) => string;
  /** It is interrupted once it has said this. */
  readonly until?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const readManifest = (name: string): string => readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8');

/** A demo as its user runs it, with a temporary folder of its own to see what it leaves there. */
export const runDemo = ({ demo, manifest, change = (text) => text, until, env = {} }: Played): Promise<Run> =>
  withFolder(async (folder) => {
    const changed = join(folder, 'demo.yaml');
    writeFileSync(changed, change(manifest));
    const child = spawn(process.execPath, [fileURLToPath(new URL(`../../demo/${demo}`, import.meta.url)), changed], { env: { ...process.env, TMPDIR: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
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

export const stepsOf = ({ out }: Run): readonly string[] => [...out.matchAll(/^ ?\d+\. ([^:]+):/gm)].map(([, name]) => String(name));

/** Every server the demo told of is gone. */
export const answering = async ({ out }: Run): Promise<readonly string[]> => {
  const urls = [...new Set(out.match(/http:\/\/127\.0\.0\.1:\d+/g) ?? [])];
  const tries = await Promise.all(urls.map(async (url) => ((await fetch(url).catch(() => undefined)) === undefined ? [] : [url])));
  return tries.flat();
};

/** Takes a part out of a manifest; throws where there is none. */
export const without = (section: RegExp) => (text: string): string => {
  const left = text.replace(section, '');
  if (left === text) throw new Error('nothing was taken out');
  return left;
};
