import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createChildren } from './children.ts';
import type { Children } from './children.ts';
import { freePort, startMayfly } from './mayfly.ts';
import { fillPlaces } from './ask.ts';
import type { Parties } from './ask.ts';
import { walk } from './walk.ts';
import type { Step } from './walk.ts';

/**
 * `npm run demo`: the main job, start to end, against real parties: a CI platform that is not ours, a strict stand-in for
 * AWS STS and Mayfly, each in a process of its own. Exit 0 if every step held, 1 with the reason if one did not. Another
 * manifest than config/demo.yaml may be named as argument.
 */
const ROLE = 'arn:aws:iam::123456789012:role/deploy';
const DOMAIN = 'demo';
const DEPLOYER = 'spiffe://demo.mayfly.example/ci/deployer';
const manifestFile = process.argv[2] ?? join(import.meta.dirname, '..', 'config', 'demo.yaml');

const startParties = async (children: Children, folder: string): Promise<Parties> => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}/${DOMAIN}`;
  const here = (file: string): string => join(import.meta.dirname, file);
  const [mayfly, platform, aws] = await Promise.all([
    startMayfly(children, folder, port, DOMAIN),
    children.start('the CI platform', [here('foreign-issuer.ts')], { wanted: (line) => line.startsWith('{') }),
    children.start('the stand-in for AWS', [here('aws.ts'), issuer, ROLE, DEPLOYER], { wanted: (line) => line.startsWith('{') }),
  ]);
  return { mayfly, platform: JSON.parse(platform) as Parties['platform'], stsUrl: (JSON.parse(aws) as { readonly url: string }).url, role: ROLE, deployer: DEPLOYER };
};

const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => reject(new Error(`interrupted by ${signal}`)));
});

const children = createChildren();
const folder = mkdtempSync(join(tmpdir(), 'mayfly-demo-'));
let steps = 0;
const step: Step = (sentence, ...details) => {
  steps += 1;
  console.log([`${String(steps).padStart(2)}. ${sentence}`, ...details.map((line) => `      ${line}`)].join('\n'));
};
try {
  console.log('Mayfly demo: a CI job gets credentials that die within minutes, and stores no secret for it.\n\n    starting a CI platform, a stand-in for AWS, and Mayfly ...');
  const work = async (): Promise<void> => {
    const parties = await startParties(children, folder);
    await walk(parties, fillPlaces(readFileSync(manifestFile, 'utf8'), parties), step);
  };
  await Promise.race([work(), interrupted]);
  console.log('\nEvery step held. Next: README.md, "Your own server in five minutes".');
} catch (fault) {
  console.error(`\nThe demo stopped after step ${steps}: ${fault instanceof Error ? fault.message : String(fault)}`);
  process.exitCode = 1;
} finally {
  await children.endAll();
  rmSync(folder, { recursive: true, force: true });
}
