import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { API, askPlatform, hold, listOf, object, pick, textOf } from './ask.ts';
import type { Parties } from './ask.ts';

/** Prints one step: a line of plain words, and what may be looked at below it. */
export type Step = (sentence: string, ...details: readonly string[]) => void;

/** The main job, step by step; throws at the first step that does not hold. */
export const walk = async (parties: Parties, manifest: string, step: Step): Promise<void> => {
  await register(parties, manifest, step);
  const token = await obtainToken(parties, step);
  await verifyToken(parties, token, step);
  await obtainAwsKeys(parties, step);
  await overreach(parties, step);
  await takeBack(parties, token, step);
  await lookBack(parties, step);
};

const register = async ({ mayfly, platform, stsUrl }: Parties, manifest: string, step: Step): Promise<void> => {
  step(`Running: Mayfly at ${mayfly.url} on SQLite in a temporary folder, a CI platform at ${platform.issuer}, a stand-in for AWS STS at ${stsUrl}.`);
  const apply = async (): Promise<number> => listOf(await mayfly.ask(['apply', '-f', '-'], { stdin: manifest }), 'changes').length;
  const [first, second] = [await apply(), await apply()];
  hold(first > 0 && second === 0, `the manifest made ${first} changes, and ${second} when it was applied again`);
  step(`Registered: the manifest made ${first} entries, each with an owner; applied again it changes nothing.`);
};

const obtainToken = async (parties: Parties, step: Step): Promise<string> => {
  const { mayfly, deployer } = parties;
  const evidence = await askPlatform(parties, 'deploy');
  const shown = decodeJwt(evidence);
  step(`Evidence obtained: the job's own platform made out a token to ${String(shown.aud)}; the job stores no secret.`, pick(shown, 'iss', 'sub', 'repository_id', 'ref', 'event_name'));

  const grant = await mayfly.issue(evidence, { audience: API, scope: 'deploy:write' });
  const token = textOf(grant, 'access_token');
  const claims = decodeJwt(token);
  const lease = await mayfly.ask(['lease', 'show', String(claims.jti)]);
  hold(lease['spiffe_id'] === deployer && claims.sub === deployer, `the workload is ${String(lease['spiffe_id'])}`);
  step(`Workload recognised: what the platform says of the job makes it ${deployer}, owned by ${textOf(lease, 'owner')}.`);

  const decision = await mayfly.ask(['explain', textOf(lease, 'decision')]);
  const policies = listOf(object(decision, 'facts'), 'policies').map((policy) => `${textOf(policy, 'name')} (version ${String(policy['version'])})`);
  hold(policies.length > 0, 'the decision cites no policy');
  step(`Decided: policy ${policies.join(', ')} permits deploy:write at ${API}; this is decision ${textOf(lease, 'decision')}.`);
  step(`Token issued: for this audience and scope alone, good for ${String(grant['expires_in'])} seconds; its lease is ${textOf(lease, 'id')}.`, JSON.stringify(claims));
  return token;
};

/** As any resource server does it: nothing but the issuer's URL is known beforehand. */
const verifyToken = async ({ mayfly }: Parties, token: string, step: Step): Promise<void> => {
  const discovered = await fetch(`${mayfly.url}/.well-known/oauth-authorization-server${new URL(mayfly.issuer).pathname}`, { signal: AbortSignal.timeout(15_000) });
  const metadata = await discovered.json() as { readonly issuer: string; readonly jwks_uri: string };
  const { protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(metadata.jwks_uri)), { issuer: mayfly.issuer, audience: API, typ: 'at+jwt' });
  hold(metadata.issuer === mayfly.issuer, `discovery names the issuer ${metadata.issuer}`);
  step(`Verified: the library jose checked its ${protectedHeader.alg} signature, issuer and audience, with the keys it found through discovery.`);
};

const obtainAwsKeys = async (parties: Parties, step: Step): Promise<void> => {
  const { mayfly, role } = parties;
  const keys = JSON.parse(await mayfly.command(['token', '--audience', role, '--subject-token-env', 'JOB_TOKEN'], { env: { JOB_TOKEN: await askPlatform(parties, 'deploy') } })) as Readonly<Record<string, unknown>>;
  const minutes = (Date.parse(textOf(keys, 'Expiration')) - Date.now()) / 60_000;
  hold(keys['Version'] === 1 && textOf(keys, 'SecretAccessKey') !== '' && textOf(keys, 'SessionToken') !== '' && minutes > 0 && minutes <= 60, `the keys are not what credential_process promises: ${Object.keys(keys).join(', ')}`);
  step(`AWS keys obtained: STS verified a token of Mayfly's and gave ${textOf(keys, 'AccessKeyId')} for ${role}, ending in ${Math.round(minutes)} minutes; no AWS secret is stored.`);
};

const overreach = async (parties: Parties, step: Step): Promise<void> => {
  const { mayfly } = parties;
  const { status, body } = await mayfly.exchange(await askPlatform(parties, 'deploy'), { audience: API, scope: 'deploy:admin' });
  hold(status === 400 && body['error'] === 'invalid_scope' && body['access_token'] === undefined, `asking for deploy:admin got ${status} ${JSON.stringify(body)}`);
  step(`Denied: the same job asks for deploy:admin and gets ${textOf(body, 'error')}, "${textOf(body, 'error_description')}"`);
  const explained = await mayfly.ask(['explain', textOf(body, 'decision_id')]);
  const misses = listOf(explained, 'policies_now').flatMap((question) => listOf(question, 'nearest'));
  hold(explained['code'] === 'scope_denied' && misses.length > 0, `decision ${textOf(body, 'decision_id')} is not explained: ${JSON.stringify(explained)}`);
  step(`Explained: an admin asks about decision ${textOf(body, 'decision_id')} and sees which policies came nearest, and what they missed.`, ...misses.slice(0, 2).map((miss) => `policy ${textOf(miss, 'policy')}: ${textOf(miss, 'why')}`));
};

const takeBack = async (parties: Parties, token: string, step: Step): Promise<void> => {
  const { mayfly } = parties;
  const own = textOf(await mayfly.issue(await askPlatform(parties, 'deploy-api'), { audience: `${mayfly.issuer}/introspect` }), 'access_token');
  const before = await mayfly.introspect(token, own);
  hold(before.status === 200 && before.body['active'] === true, `before its revocation, introspection says ${before.status} ${JSON.stringify(before.body)}`);
  step(`Asked: the API that received the token shows evidence of its own, asks introspection, and hears active, scope ${textOf(before.body, 'scope')}.`);
  await mayfly.command(['revoke', 'lease', String(decodeJwt(token).jti), '--reason', 'the demo takes it back']);
  const after = await mayfly.introspect(token, own);
  hold(after.status === 200 && after.body['active'] === false, `after its revocation, introspection says ${after.status} ${JSON.stringify(after.body)}`);
  step('Revoked: an admin takes the token back, and the next answer to the API is: not active.');
};

const lookBack = async ({ mayfly }: Parties, step: Step): Promise<void> => {
  const leases = listOf(await mayfly.ask(['lease', 'list']), 'items');
  hold(leases.length === 3 && leases.every((lease) => ['issuer', 'owner', 'expires_at'].every((member) => textOf(lease, member) !== '')), `the registry holds ${leases.length} leases instead of 3, or one without issuer, owner or expiry`);
  step(`Listed: the registry knows all ${leases.length} credentials that were issued.`, ...leases.map((lease) =>
    `${textOf(lease, 'kind')} for ${textOf(lease, 'audience')}: workload ${textOf(lease, 'workload')}, issuer ${textOf(lease, 'issuer')}, owner ${textOf(lease, 'owner')}, expires ${textOf(lease, 'expires_at')}, ${textOf(lease, 'status')}`));
  const audit = await mayfly.ask(['audit', 'verify']);
  hold(audit['ok'] === true, `the audit chain does not hold: ${JSON.stringify(audit)}`);
  step(`Audited: each of the ${String(audit['entries'])} entries of the audit log holds the hash of the one before it; the chain was verified.`);
};
