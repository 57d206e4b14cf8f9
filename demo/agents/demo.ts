import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Children } from '../children.ts';
import { freePort } from '../free-port.ts';
import { startMayfly } from '../mayfly.ts';
import { play } from '../play.ts';
import type { IdentityProvider } from './log-in.ts';
import { startReceiver } from './receiver.ts';
import type { Receiver } from './receiver.ts';
import { spiffe } from './scene.ts';
import type { Scene } from './scene.ts';
import { walk } from './walk.ts';

/**
 * `npm run demo:agents`: a person's assistant with two sub-agents and a tool, against real parties, each in a process of its own: an
 * OpenID provider people log in at, who transmits its security events, the platform agents run on, and Mayfly. Exit 0 if every
 * step held, 1 with the reason if one did not. Another manifest than config/demo-agents.yaml may be named as argument.
 */
const DOMAIN = 'demo';
const SOME_MONTHS = 180 * 86_400_000;
const manifestFile = process.argv[2] ?? join(import.meta.dirname, '..', '..', 'config', 'demo-agents.yaml');
const receivers: Receiver[] = [];

const startScene = async (children: Children, folder: string): Promise<Scene> => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}/${DOMAIN}`;
  const start = async <T>(name: string, file: string, ...args: readonly string[]): Promise<T> =>
    JSON.parse(await children.start(name, [join(import.meta.dirname, file), ...args], { wanted: (line) => line.startsWith('{') })) as T;
  const [mayfly, people, cluster] = await Promise.all([
    startMayfly(children, folder, port, DOMAIN), start<IdentityProvider>('the identity provider', 'people.ts'), start<Scene['cluster']>('the platform of the agents', 'cluster.ts'),
  ]);
  const transmitter = await start<Scene['transmitter']>('the transmitter', 'transmitter.ts', people.issuer, `${issuer}/ssf/events/corp`);
  const listening: Scene['receivers'][number][] = [];
  for (const name of ['docs', 'siem'] as const) {
    const receiver = await startReceiver(issuer, spiffe(name));
    receivers.push(receiver);
    listening.push({ name, receiver });
  }
  return { mayfly, people, cluster, transmitter, receivers: listening, folder };
};

const fillPlaces = (manifest: string, { mayfly, people, transmitter, cluster }: Scene): string => {
  const places: Readonly<Record<string, string>> = {
    DEMO_URL: mayfly.url, DEMO_PEOPLE: people.issuer, DEMO_TRANSMITTER: transmitter.issuer, DEMO_CLUSTER: cluster.issuer, DEMO_EXPIRES: new Date(Date.now() + SOME_MONTHS).toISOString().slice(0, 10),
  };
  return manifest.replaceAll(/\$\{([A-Z_]+)\}/g, (whole, name: string) => places[name] ?? whole);
};

await play({
  opening: 'Mayfly demo: a person lets agents work for them, and takes it back.\n\n    starting an identity provider, its transmitter, a platform for agents, and Mayfly ...',
  ending: '\nEvery step held. Next: docs/authority.md.',
  async work(children, folder, step) {
    const scene = await startScene(children, folder);
    await walk(scene, fillPlaces(readFileSync(manifestFile, 'utf8'), scene), step);
  },
  close: async () => { await Promise.all(receivers.map((receiver) => receiver.close())); },
});
