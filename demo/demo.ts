import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Children } from './children.ts';
import { freePort } from './free-port.ts';
import { startMayfly } from './mayfly.ts';
import { fillPlaces } from './ask.ts';
import type { Parties } from './ask.ts';
import { play } from './play.ts';
import { walk } from './walk.ts';

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

await play({
  opening: 'Mayfly demo: a CI job gets credentials that die within minutes, and stores no secret for it.\n\n    starting a CI platform, a stand-in for AWS, and Mayfly ...',
  ending: '\nEvery step held. Next: README.md, "Your own server in five minutes".',
  async work(children, folder, step) {
    const parties = await startParties(children, folder);
    await walk(parties, fillPlaces(readFileSync(manifestFile, 'utf8'), parties), step);
  },
});
