/**
 * Makes evidence ahead of the load, in a process of its own: GitHub-shaped tokens, RS256, each for one run, as form bodies,
 * one a line. `node bench/evidence.ts` reads {@link MintOrder} from standard input.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { createWriteStream, readFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { ISSUER, ORGANIZATION, PLATFORM, SCOPE, apiOf, repositoryIdOf } from './scenery.ts';

export interface MintOrder {
  readonly privateKeyPem: string;
  readonly kid: string;
  readonly file: string;
  readonly count: number;
  /** Workloads are taken at even steps over this many. */
  readonly workloads: number;
  /** Run ids of one order begin with it: digits, as GitHub writes them. */
  readonly series: string;
}

/** GitHub allows itself less; ours is the longest that is accepted. */
const LIFETIME = 890;

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Claims as GitHub Actions gives them to a push to main. */
export const claimsOf = (workload: number, run: string, issuedAt: number, repositoryId = repositoryIdOf(workload)) => ({
  iss: PLATFORM, aud: ISSUER, sub: `repo:acme/repo-${workload}:ref:refs/heads/main`, jti: run, iat: issuedAt, nbf: issuedAt - 600, exp: issuedAt + LIFETIME,
  actor: 'octocat', actor_id: '583231', base_ref: '', head_ref: '', check_run_id: '90210', event_name: 'push',
  job_workflow_ref: `acme/repo-${workload}/.github/workflows/deploy.yml@refs/heads/main`, job_workflow_sha: 'aa218f56b14c9653891f9e74264a383fa43fefbd',
  ref: 'refs/heads/main', ref_protected: 'true', ref_type: 'branch', repository: `acme/repo-${workload}`, repository_id: repositoryId, repository_owner: 'acme', repository_owner_id: ORGANIZATION,
  repository_visibility: 'private', run_attempt: '1', run_id: run, run_number: '12', runner_environment: 'github-hosted', sha: 'aa218f56b14c9653891f9e74264a383fa43fefbd',
  workflow: 'deploy', workflow_ref: `acme/repo-${workload}/.github/workflows/deploy.yml@refs/heads/main`, workflow_sha: 'aa218f56b14c9653891f9e74264a383fa43fefbd',
});

export const signEvidence = (claims: object, key: { readonly privateKeyPem: string; readonly kid: string }): string => createSigner(key)(claims);

const createSigner = ({ privateKeyPem, kid }: { readonly privateKeyPem: string; readonly kid: string }) => {
  const key = createPrivateKey(privateKeyPem);
  const header = encode({ alg: 'RS256', typ: 'JWT', kid, x5t: kid });
  return (claims: object): string => {
    const input = `${header}.${encode(claims)}`;
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  };
};

/** The form of RFC 8693 section 2.1. */
export const exchangeForm = (token: string, audience: string, scope: string): string => new URLSearchParams({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', audience, ...(scope === '' ? {} : { scope }), subject_token: token,
}).toString();

const mint = async (order: MintOrder): Promise<void> => {
  const signEach = createSigner(order);
  const out = createWriteStream(order.file);
  const issuedAt = Math.floor(Date.now() / 1000);
  // A step prime to any round number visits all of them before one comes again.
  const step = 7919;
  for (let at = 0; at < order.count; at += 1) {
    const workload = (at * step) % order.workloads;
    const token = signEach(claimsOf(workload, `${order.series}${String(at).padStart(7, '0')}`, issuedAt));
    if (!out.write(`${exchangeForm(token, apiOf(workload), SCOPE)}\n`)) await new Promise((resolve) => out.once('drain', resolve));
  }
  out.end();
  await finished(out);
};

if (import.meta.main) await mint(JSON.parse(readFileSync(0, 'utf8')) as MintOrder);
