import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { AnswerMode } from '../support/foreign-issuer.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, SPIFFE, startTimedLab } from './lab.ts';
import type { Lab } from './lab.ts';

let lab: Lab;
beforeEach(async () => { lab = await startTimedLab({ overrides: { issuer_stale_seconds: 3600 } }); });
afterEach(async () => { await lab.close(); });

const exchange = (): Promise<Answer> => lab.exchange({ subject_token: lab.job() });
/** The outage is told as such: try again, with when. */
const unavailable = async (act: () => Promise<Answer>): Promise<void> => {
  const answer = await lab.refused({ code: 'issuer_keys_unavailable', error: 'temporarily_unavailable', status: 503 }, act);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
};

const OUTAGES: readonly { readonly mode: AnswerMode }[] = [{ mode: 'error' }, { mode: 'redirect' }, { mode: 'huge' }, { mode: 'empty' }, { mode: 'not-json' }, { mode: 'foreign' }];

describe('a platform whose keys cannot be had', () => {
  test.each(OUTAGES)('from the first ($mode): nothing is accepted, nothing is spent, and it works once the keys are there', async ({ mode }) => {
    lab.platform.answer(mode);
    const evidence = lab.job();
    await unavailable(() => lab.exchange({ subject_token: evidence }));
    lab.platform.answer('normal');
    await lab.pass(MINUTE);
    expect((await lab.exchange({ subject_token: evidence })).status).toBe(200);
  });

  test.each(OUTAGES)('later on ($mode): known keys serve until the bound, then nothing does', async ({ mode }) => {
    expect((await exchange()).status).toBe(200);
    lab.platform.answer(mode);
    await lab.pass(30 * MINUTE);
    expect((await exchange()).status).toBe(200);
    await lab.pass(29 * MINUTE);
    expect((await exchange()).status).toBe(200);
    await lab.pass(HOUR);
    await unavailable(exchange);
    lab.platform.answer('normal');
    await lab.pass(MINUTE);
    expect((await exchange()).status).toBe(200);
  });

  test('does not stop those whose keys are pinned, who use no network', async () => {
    await lab.mayfly.apply({
      issuers: [{ domain: 'dev', name: 'pinned', kind: 'oidc', issuer: 'https://pinned.example', owner: OWNER, expires: FAR, jwks: lab.platform.jwks(), claims: { project: { claim: 'project', immutable: true } } }],
      workloads: [{ domain: 'dev', name: 'ci/pinned', kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'pinned', project: 'shop' } }],
      policies: [{ domain: 'dev', name: 'pinned-deploys', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${SPIFFE}/ci/pinned", action == Action::"issue", resource in Resource::"${API}");` }],
    });
    lab.platform.answer('error');
    const pinned = (): Promise<Answer> => lab.exchange({ subject_token: lab.platform.mint({ iss: 'https://pinned.example', aud: lab.issuer, sub: 'job', project: 'shop' }) });
    const asked = { ...lab.platform.fetches };
    expect((await pinned()).status).toBe(200);
    await lab.pass(24 * HOUR);
    expect((await pinned()).status).toBe(200);
    expect(lab.platform.fetches).toEqual(asked);
    await lab.platform.rotate();
    await lab.refused({ code: 'evidence_key_unknown', error: 'invalid_request' }, pinned);
  });

  test('is not asked by strangers: an issuer nobody registered and a wrong header cost no request', async () => {
    const asked = { ...lab.platform.fetches };
    await lab.refused({ code: 'evidence_issuer_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job({ iss: `${lab.platform.issuer}/` }) }));
    await lab.refused({ code: 'evidence_alg_not_allowed', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job({}, { header: { alg: 'ES256' } }) }));
    expect(lab.platform.fetches).toEqual(asked);
  });
});

describe('a platform that changes its keys', () => {
  test('is believed with the new key as soon as it is published, and asked at most every 30 seconds for unknown ones', async () => {
    expect((await exchange()).status).toBe(200);
    await lab.platform.rotate();
    await lab.pass(31 * SECOND);
    expect((await exchange()).status).toBe(200);
    const { jwks } = lab.platform.fetches;
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await lab.refused({ code: 'evidence_key_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job({}, { header: { kid: `unknown-${attempt}` } }) }));
    }
    expect(lab.platform.fetches.jwks - jwks).toBeLessThanOrEqual(1);
    expect((await exchange()).status).toBe(200);
  });

  test('is no longer believed with a key it withdrew, once the cached set is over', async () => {
    expect((await exchange()).status).toBe(200);
    const old = lab.platform.key();
    await lab.platform.rotate({ dropOld: true });
    await lab.pass(HOUR);
    await lab.refused({ code: 'evidence_key_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job({}, { key: old }) }));
    expect((await exchange()).status).toBe(200);
  });

  test('while it is down: known keys serve, the new one is refused and not spent', async () => {
    expect((await exchange()).status).toBe(200);
    lab.platform.answer('error');
    const old = lab.platform.key();
    await lab.platform.rotate();
    await lab.pass(31 * SECOND);
    const evidence = lab.job();
    await unavailable(() => lab.exchange({ subject_token: evidence }));
    expect((await lab.exchange({ subject_token: lab.job({}, { key: old }) })).status).toBe(200);
    lab.platform.answer('normal');
    await lab.pass(31 * SECOND);
    expect((await lab.exchange({ subject_token: evidence })).status).toBe(200);
  });
});

test('a registered platform that is not to be reached from here is never connected to', async () => {
  const answer = await lab.mayfly.admin('POST', 'apply', { manifest: { issuers: [
    { domain: 'dev', name: 'metadata', kind: 'oidc', issuer: 'http://169.254.169.254', owner: OWNER, expires: FAR },
    { domain: 'dev', name: 'wide', kind: 'oidc', issuer: 'https://wide.example', allow_addresses: ['169.254.0.0/16'], owner: OWNER, expires: FAR },
  ] } });
  expect([answer.status, answer.body['code']]).toEqual([422, 'manifest_invalid']);
  await lab.mayfly.apply({
    issuers: [{ domain: 'dev', name: 'inner', kind: 'oidc', issuer: 'https://10.255.255.1', owner: OWNER, expires: FAR, claims: { project: { claim: 'project', immutable: true } } }],
  });
  await unavailable(() => lab.exchange({ subject_token: lab.platform.mint({ iss: 'https://10.255.255.1', aud: lab.issuer, sub: 'job', project: 'shop' }) }));
});
