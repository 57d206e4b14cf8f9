import { randomUUID } from 'node:crypto';
import { DEPLOY_JOB } from '../../demo/foreign-issuer.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import { manifestFor } from '../support/world.ts';

/** A platform that hands out as many job tokens as wanted: each of another run, so each opens a session of its own. */
export interface Platform {
  /** Trusts this platform, in the domain `dev`. */
  readonly manifest: ReturnType<typeof manifestFor>;
  /** Evidence of the deployer for a server known as `url`. */
  job(url: string, claims?: Readonly<Record<string, unknown>>): string;
  /** Evidence of the service that may introspect. */
  service(url: string): string;
  close(): Promise<void>;
}

/** Seconds. */
const LIFETIME = 900;

export const startPlatform = async (): Promise<Platform> => {
  const issuer = await startForeignIssuer();
  const mint = (url: string, claims: Readonly<Record<string, unknown>>): string =>
    issuer.mint({ ...DEPLOY_JOB, run_id: String(runs += 1), sub: 'repo:acme/shop:ref:refs/heads/main', aud: `${url}/dev`, jti: randomUUID(), ...claims });
  let runs = 100_000;
  const manifest = manifestFor(issuer.issuer);
  return {
    // A test file that starts servers again and again may look at its first tokens last.
    manifest: { ...manifest, resources: manifest.resources.map((resource) => ({ ...resource, lifetime: LIFETIME })) },
    job: (url, claims = {}) => mint(url, claims),
    service: (url) => mint(url, { repository: 'acme/deploy-service', repository_id: '900', sub: 'repo:acme/deploy-service:ref:refs/heads/main' }),
    close: () => issuer.close(),
  };
};
