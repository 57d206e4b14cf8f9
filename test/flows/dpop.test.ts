import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { MINUTE } from '../../src/core/duration.ts';
import { createSigningKey, hmacTexts } from '../support/foreign-issuer.ts';
import { GRANT, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { API, BOUND_CLAIMS, DEPLOYER, VAULT, ceilingOf, claimsOf, issued, startLab, startTimedLab } from './lab.ts';
import type { CeilingPair, Lab } from './lab.ts';
import { bare, createProver } from './prover.ts';
import type { Prover } from './prover.ts';

let lab: Lab;
let prover: Prover;
let htu: string;
let nonce: string;
beforeAll(async () => {
  lab = await startLab();
  prover = await createProver();
  htu = `${lab.issuer}/token`;
  nonce = await nonceFrom(lab, 'dev');
});
afterAll(async () => { await lab.close(); });

/** What the token endpoint of a domain hands out when a proof has none. */
const nonceFrom = async ({ mayfly }: Lab, domain: string): Promise<string> => {
  const { headers } = await mayfly.exchange({ subject_token: 'x', audience: API }, { dpop: prover.prove({ htu: `${mayfly.url}/${domain}/token` }) }, domain);
  return String(headers['dpop-nonce']);
};
const proof = (): string => prover.prove({ htu, nonce });
const withProof = (evidence: string, dpop: string | string[], values: Readonly<Record<string, string>> = {}): Promise<Answer> => lab.exchange({ subject_token: evidence, ...values }, { dpop });

describe('a standard client', () => {
  test('finds the domain, sends a proof, takes the nonce and gets a bound token', async () => {
    const options = { [oauth.allowInsecureRequests]: true };
    const server = await oauth.processDiscoveryResponse(new URL(lab.issuer), await oauth.discoveryRequest(new URL(lab.issuer), { algorithm: 'oauth2', ...options }));
    const client: oauth.Client = { client_id: DEPLOYER };
    const keys = await oauth.generateKeyPair('ES256');
    const DPoP = oauth.DPoP(client, keys);
    const evidence = lab.job();
    const exchange = async (): Promise<oauth.TokenEndpointResponse> => oauth.processGenericTokenEndpointResponse(server, client,
      await oauth.genericTokenEndpointRequest(server, client, oauth.None(), GRANT, { subject_token: evidence, subject_token_type: JWT_TYPE, audience: API, scope: 'deploy:read' }, { DPoP, ...options }));
    await expect(exchange()).rejects.toMatchObject({ error: 'use_dpop_nonce' });
    const answer = await exchange();
    expect(answer).toMatchObject({ token_type: 'dpop', expires_in: 300, scope: 'deploy:read' });
    const thumbprint = await DPoP.calculateThumbprint();
    expect(claimsOf(answer.access_token)).toMatchObject({ cnf: { jkt: thumbprint } });
    const lease = await lab.mayfly.admin('GET', `leases/${String(claimsOf(answer.access_token)['jti'])}`);
    expect(lease.body).toMatchObject({ bound_to: thumbprint });
  });
});

describe('a proof at the token endpoint', () => {
  const otherKey = createSigningKey('ES256');
  interface Row { readonly name: string; readonly code: string; readonly error?: string; readonly dpop: () => string | string[] | Promise<string | string[]> }
  const ROWS: readonly Row[] = [
    { name: 'two proofs in two headers', code: 'dpop_repeated', dpop: () => [proof(), proof()] },
    { name: 'two proofs in one header', code: 'dpop_repeated', dpop: () => `${proof()}, ${proof()}` },
    { name: 'no JWS', code: 'dpop_malformed', dpop: () => 'proof' },
    { name: 'an empty header', code: 'dpop_malformed', dpop: () => '' },
    { name: 'a proof of 8 KiB', code: 'dpop_malformed', dpop: () => prover.prove({ htu, nonce, padding: 'x'.repeat(8192) }) },
    { name: 'the typ of a token', code: 'dpop_typ_wrong', dpop: () => prover.prove({ htu, nonce }, { typ: 'JWT' }) },
    { name: 'no typ', code: 'dpop_typ_wrong', dpop: () => prover.prove({ htu, nonce }, { typ: undefined }) },
    { name: 'alg none', code: 'dpop_alg_not_allowed', dpop: () => prover.prove({ htu, nonce }, { alg: 'none' }) },
    { name: 'an HMAC', code: 'dpop_alg_not_allowed', dpop: () => hmacTexts(JSON.stringify({ typ: 'dpop+jwt', alg: 'HS256', jwk: bare(prover.key.publicJwk) }), JSON.stringify({ jti: 'a', htm: 'POST', htu, iat: 1, nonce }), 'secret') },
    { name: 'an algorithm its key is not for', code: 'dpop_key_invalid', dpop: () => prover.prove({ htu, nonce }, { alg: 'ES384' }) },
    { name: 'its private key', code: 'dpop_key_invalid', dpop: () => prover.prove({ htu, nonce }, { jwk: { ...bare(prover.key.publicJwk), d: prover.key.privateJwk.d } }) },
    { name: 'no key', code: 'dpop_key_invalid', dpop: () => prover.prove({ htu, nonce }, { jwk: undefined }) },
    { name: 'another signer', code: 'dpop_signature_invalid', dpop: async () => prover.prove({ htu, nonce }, {}, await otherKey) },
    { name: 'crit', code: 'dpop_malformed', dpop: () => prover.prove({ htu, nonce }, { crit: ['exp'] }) },
    { name: 'no jti', code: 'dpop_claim_missing', dpop: () => prover.prove({ htu, nonce, jti: undefined }) },
    { name: 'no iat', code: 'dpop_claim_missing', dpop: () => prover.prove({ htu, nonce, iat: undefined }) },
    { name: 'another method', code: 'dpop_htm_mismatch', dpop: () => prover.prove({ htu, nonce, htm: 'GET' }) },
    { name: 'another host', code: 'dpop_htu_mismatch', dpop: () => prover.prove({ htu: 'https://sts.example/dev/token', nonce }) },
    { name: 'another domain', code: 'dpop_htu_mismatch', dpop: () => prover.prove({ htu: `${lab.mayfly.url}/prod/token`, nonce }) },
    { name: 'a trailing slash', code: 'dpop_htu_mismatch', dpop: () => prover.prove({ htu: `${htu}/`, nonce }) },
    { name: 'another endpoint', code: 'dpop_htu_mismatch', dpop: () => prover.prove({ htu: `${lab.issuer}/introspect`, nonce }) },
    { name: 'no nonce', code: 'dpop_nonce_missing', error: 'use_dpop_nonce', dpop: () => prover.prove({ htu }) },
    { name: 'a nonce of its own making', code: 'dpop_nonce_stale', error: 'use_dpop_nonce', dpop: () => prover.prove({ htu, nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }) },
    { name: 'the nonce of the introspection endpoint', code: 'dpop_nonce_stale', error: 'use_dpop_nonce', dpop: async () => prover.prove({ htu, nonce: await introspectionNonce() }) },
  ];
  test.each(ROWS)('is refused with $name, and the evidence is not spent', async ({ code, error = 'invalid_dpop_proof', dpop }) => {
    const evidence = lab.job();
    const header = await dpop();
    const answer = await lab.refused({ code, error }, () => withProof(evidence, header));
    expect(answer.headers['dpop-nonce']).toEqual(error === 'use_dpop_nonce' ? expect.stringMatching(/^[\w-]{22}$/) : undefined);
    expect((await withProof(evidence, proof())).body).toMatchObject({ token_type: 'DPoP' });
  });

  test.each([
    { name: 'a scheme in upper case', form: () => htu.replace('http:', 'HTTP:') },
    { name: 'a query and a fragment, which do not count', form: () => `${htu}?a=b#c` },
  ])('may write its URL with $name', async ({ form }) => {
    expect((await withProof(lab.job(), prover.prove({ htu: form(), nonce }))).status).toBe(200);
  });

  test('is used once, with whatever evidence and by whichever grant', async () => {
    const once = proof();
    expect((await withProof(lab.job(), once)).status).toBe(200);
    const evidence = lab.job();
    await lab.refused({ code: 'dpop_replayed', error: 'invalid_dpop_proof' }, () => withProof(evidence, once));
    const session = await lab.session([{ audience: API, scopes: ['deploy:read'] }]);
    await lab.refused({ code: 'dpop_replayed', error: 'invalid_dpop_proof' }, () => lab.spend(session, { scope: 'deploy:read' }, { dpop: once }));
    expect((await withProof(evidence, proof())).status).toBe(200);
  });

  test('is not used up by a refusal', async () => {
    const [evidence, once] = [lab.job(), proof()];
    await lab.refused({ code: 'target_unknown', error: 'invalid_target' }, () => withProof(evidence, once, { audience: 'https://nowhere.example' }));
    expect((await withProof(evidence, once)).status).toBe(200);
  });

  test('wins once when sent many times at once', async () => {
    const once = proof();
    const answers = await Promise.all(Array.from({ length: 8 }, () => withProof(lab.job(), once)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const codes = await Promise.all(answers.filter(({ status }) => status !== 200).map((answer) => lab.mayfly.reason(answer)));
    expect(new Set(codes)).toEqual(new Set(['dpop_replayed']));
  });
});

const introspectionNonce = async (): Promise<string> => {
  const audience = `${lab.issuer}/introspect`;
  const token = issued(await lab.exchange({ subject_token: lab.service(), audience }, { dpop: proof() }));
  const answer = await lab.mayfly.form('dev/introspect', { token }, { authorization: `DPoP ${token}`, dpop: prover.prove({ htu: audience, ath: 'x' }) });
  return String(answer.headers['dpop-nonce']);
};

describe('what is registered as bound', () => {
  test('a workload gets nothing without a proof', async () => {
    const evidence = lab.job(BOUND_CLAIMS);
    await lab.refused({ code: 'dpop_required', error: 'invalid_request' }, () => lab.exchange({ subject_token: evidence }));
    await lab.refused({ code: 'dpop_required', error: 'invalid_request' }, () => lab.mayfly.exchange({ subject_token: evidence, authorization_details: ceilingOf([{ audience: API, scopes: ['deploy:read'] }]) }));
    expect(claimsOf(issued(await withProof(evidence, proof())))).toMatchObject({ cnf: { jkt: prover.jkt } });
  });

  test('a resource is given to nobody without a proof', async () => {
    const evidence = lab.job();
    await lab.refused({ code: 'dpop_required', error: 'invalid_request' }, () => lab.exchange({ subject_token: evidence, audience: VAULT, scope: 'secrets:read' }));
    expect(claimsOf(issued(await withProof(evidence, proof(), { audience: VAULT, scope: 'secrets:read' })))).toMatchObject({ cnf: { jkt: prover.jkt }, aud: VAULT });
  });
});

describe('a bound session token', () => {
  const CEILING: readonly CeilingPair[] = [{ audience: API, scopes: ['deploy:read'] }, { audience: VAULT, scopes: ['secrets:read'] }];
  const spend = (session: string, dpop?: string, values: Readonly<Record<string, string>> = {}): Promise<Answer> => lab.spend(session, { scope: 'deploy:read', ...values }, dpop === undefined ? {} : { dpop });

  test('is spent with a proof by its own key and no other way', async () => {
    const session = await lab.session(CEILING, { headers: { dpop: proof() } });
    expect(claimsOf(session)).toMatchObject({ cnf: { jkt: prover.jkt } });
    await lab.refused({ code: 'token_binding_required', error: 'invalid_request' }, () => spend(session));
    const thief = await createProver();
    await lab.refused({ code: 'token_binding_mismatch', error: 'invalid_request' }, () => spend(session, thief.prove({ htu, nonce })));
    await lab.refused({ code: 'dpop_nonce_missing', error: 'use_dpop_nonce' }, () => spend(session, prover.prove({ htu })));
    const answer = await spend(session, proof());
    expect(answer.body).toMatchObject({ token_type: 'DPoP' });
    expect(claimsOf(issued(answer))).toMatchObject({ cnf: { jkt: prover.jkt }, scope: 'deploy:read' });
    expect((await spend(session, proof(), { audience: VAULT, scope: 'secrets:read' })).status).toBe(200);
  });

  test('cannot be got for a bound resource without a proof, and an unbound one cannot buy there without', async () => {
    const evidence = lab.job();
    await lab.refused({ code: 'dpop_required', error: 'invalid_request' }, () => lab.mayfly.exchange({ subject_token: evidence, authorization_details: ceilingOf(CEILING) }));
    const session = await lab.session([{ audience: API, scopes: ['deploy:read'] }], { evidence });
    const answer = await spend(session, proof());
    expect(claimsOf(issued(answer))).toMatchObject({ cnf: { jkt: prover.jkt } });
    expect((await spend(session)).body).toMatchObject({ token_type: 'Bearer' });
  });
});

describe('evidence that its platform bound to a key', () => {
  test('is spent with a proof by that key', async () => {
    const evidence = lab.job({ cnf: { jkt: prover.jkt } });
    await lab.refused({ code: 'token_binding_required', error: 'invalid_request' }, () => lab.exchange({ subject_token: evidence }));
    const thief = await createProver();
    await lab.refused({ code: 'token_binding_mismatch', error: 'invalid_request' }, () => withProof(evidence, thief.prove({ htu, nonce })));
    expect(claimsOf(issued(await withProof(evidence, proof())))).toMatchObject({ cnf: { jkt: prover.jkt } });
  });
});

describe('a nonce', () => {
  let later: Lab;
  beforeAll(async () => { later = await startTimedLab(); });
  afterAll(async () => { await later.close(); });

  test('is good for its five minutes and the next, and a fresh one comes with every answer', async () => {
    const url = `${later.issuer}/token`;
    const exchange = (with_: string): Promise<Answer> => later.exchange({ subject_token: later.job() }, { dpop: prover.prove({ htu: url, nonce: with_, iat: 0 }) });
    const first = await nonceFrom(later, 'dev');
    const answer = await exchange(first);
    expect([answer.status, answer.headers['dpop-nonce']]).toEqual([200, first]);
    await later.pass(5 * MINUTE);
    const next = await exchange(first);
    expect(next.status).toBe(200);
    const second = String(next.headers['dpop-nonce']);
    expect(second).not.toBe(first);
    await later.pass(5 * MINUTE);
    await later.refused({ code: 'dpop_nonce_stale', error: 'use_dpop_nonce' }, () => exchange(first));
    expect((await exchange(second)).status).toBe(200);
  });
});
