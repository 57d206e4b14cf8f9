import { describe, expect, test } from '@jest/globals';
import type { Issuer } from '../../src/registry/entries.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { decoder, deps, entriesOf, errorOf, KEEP, manifest, rowsAfter, systemRow, valueOf, viewOf, withChange } from './world.ts';

const planner = createPlanner(deps);
const KEY = { kty: 'EC', crv: 'P-256', kid: '1', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' };
const OWNER = { owner: 'iam@acme.example', expires: '2027-05-01' };
const withSignals = (signals: unknown, more: object = {}): Record<string, unknown> => ({
  ...manifest(),
  issuers: [...manifest().issuers, { domain: 'prod', name: 'corp', kind: 'oidc', proves: 'people', issuer: 'https://idp.acme.example', audiences: [{ client_id: 'app', presenters: ['ci/deployer'] }], ...OWNER, signals, ...more }],
});
const plan = (document: unknown) => planner.plan(document, viewOf([systemRow()]), KEEP);
const settled = async (signals: unknown, more?: object) => {
  const body = valueOf(await plan(withSignals(signals, more))).entries.find(({ name }) => name === 'corp')?.body;
  return body?.['signals'];
};
const problems = async (document: unknown): Promise<readonly string[]> => errorOf(await plan(document)).map(({ path }) => path);
const decoded = async (signals: unknown): Promise<Issuer['signals']> => {
  const entry = entriesOf(valueOf(await plan(withSignals(signals)))).find((each): each is Issuer => each.kind === 'issuer' && each.name === 'corp');
  return entry?.signals;
};

describe('the signals of an issuer', () => {
  test('settle whose they are, for whom they are made out and how they come', async () => {
    expect(await settled({})).toEqual({ transmitter: 'https://idp.acme.example', audience: 'https://sts.acme.example/prod/ssf/events/corp', authorization: 'none' });
    expect(await settled({ transmitter: 'https://tx.acme.example/1', audience: 'corp-stream', poll: { endpoint: 'https://tx.acme.example/1/poll' } })).toEqual({
      transmitter: 'https://tx.acme.example/1', audience: 'corp-stream', poll: { endpoint: 'https://tx.acme.example/1/poll' }, authorization: 'secret',
    });
    expect(await settled({ authorization: 'secret' })).toMatchObject({ authorization: 'secret' });
    expect(await settled({ poll: { endpoint: 'https://tx.acme.example/poll', every: 30 }, authorization: 'none' })).toMatchObject({ authorization: 'none' });
  });

  test('are read back with what their events do, defaults and all', async () => {
    expect(await decoded({ jwks: { keys: [KEY] }, poll: { endpoint: 'https://tx.acme.example/poll' }, algorithms: ['RS256', 'PS256'], events: { 'risk-level-change': 'suspend', 'account-disabled': 'end_sessions' } })).toEqual({
      transmitter: 'https://idp.acme.example', audience: 'https://sts.acme.example/prod/ssf/events/corp', jwksUri: undefined, jwks: { keys: [KEY] }, algorithms: ['PS256', 'RS256'],
      poll: { endpoint: 'https://tx.acme.example/poll', every: 10_000 }, authorized: true,
      effects: { 'session-revoked': 'end_sessions', 'credential-compromise': 'end_sessions', 'risk-level-change': 'suspend', 'account-disabled': 'end_sessions', 'account-purged': 'block', 'device-compliance-change': 'suspend' },
    });
    expect(await decoded({ jwks_uri: 'https://idp.acme.example/jwks' })).toMatchObject({ jwksUri: 'https://idp.acme.example/jwks', algorithms: ['RS256', 'ES256'], poll: undefined, authorized: false });
    expect(await decoded(undefined)).toBeUndefined();
  });

  test('are part of the entry\'s version: a change of them is one, writing out what was settled is none', async () => {
    const rows = rowsAfter(valueOf(await plan(withSignals({}))), [systemRow()]);
    const again = async (signals: unknown) => valueOf(await planner.plan(withSignals(signals), viewOf(rows), KEEP)).entries.map(({ name, version }) => [name, version]);
    expect(await again({ transmitter: 'https://idp.acme.example', audience: 'https://sts.acme.example/prod/ssf/events/corp', authorization: 'none' })).toEqual([]);
    expect(await again({ events: { 'session-revoked': 'block' } })).toEqual([['corp', 2]]);
    expect(await again(undefined)).toEqual([['corp', 2]]);
    expect(rows.map((row) => decoder.decode(row).ok)).toEqual(rows.map(() => true));
  });

  test.each([
    { name: 'an unknown field', signals: { transmiter: 'https://idp.acme.example' }, at: 'transmiter' },
    { name: 'an unknown event', signals: { events: { 'session-revoked ': 'ignore' } }, at: 'events.session-revoked ' },
    { name: 'an event that only revives', signals: { events: { 'account-enabled': 'end_sessions' } }, at: 'events.account-enabled' },
    { name: 'an unknown effect', signals: { events: { 'session-revoked': 'warn' } }, at: 'events.session-revoked' },
    { name: 'a secret in the registry', signals: { authorization: 'Bearer hunter2' }, at: 'authorization' },
    { name: 'a plain http transmitter in production', signals: { transmitter: 'http://127.0.0.1:9000' }, at: 'transmitter' },
    { name: 'a transmitter with a query', signals: { transmitter: 'https://idp.acme.example/?x' }, at: 'transmitter' },
    { name: 'plain http keys in production', signals: { jwks_uri: 'http://127.0.0.1/jwks' }, at: 'jwks_uri' },
    { name: 'keys with user information', signals: { jwks_uri: 'https://a:b@idp.acme.example/jwks' }, at: 'jwks_uri' },
    { name: 'a plain http endpoint in production', signals: { poll: { endpoint: 'http://127.0.0.1/poll' } }, at: 'poll.endpoint' },
    { name: 'an endpoint that a parser would mend', signals: { poll: { endpoint: 'https://idp.acme.example/a/../poll' } }, at: 'poll.endpoint' },
    { name: 'a poll each second', signals: { poll: { endpoint: 'https://idp.acme.example/poll', every: 1 } }, at: 'poll.every' },
    { name: 'two sources of keys', signals: { jwks_uri: 'https://idp.acme.example/jwks', jwks: { keys: [KEY] } }, at: 'jwks_uri' },
    { name: 'a private key', signals: { jwks: { keys: [{ ...KEY, d: 'x' }] } }, at: 'jwks.keys[0]' },
    { name: 'a symmetric algorithm', signals: { algorithms: ['HS256'] }, at: 'algorithms[0]' },
    { name: 'the audience of evidence', signals: { audience: 'https://sts.acme.example/prod' }, at: 'audience' },
    { name: 'the audience of admins', signals: { audience: 'https://sts.acme.example/prod/admin' }, at: 'audience' },
    { name: 'the receiver of another issuer', signals: { audience: 'https://sts.acme.example/prod/ssf/events/github' }, at: 'audience' },
  ])('refuse $name', async ({ signals, at }) => {
    expect(await problems(withSignals(signals))).toEqual([`issuers[1].signals.${at}`]);
  });

  test('take in development what stays on this machine; a stage that does not allow it is refused then', async () => {
    const local = { transmitter: 'http://127.0.0.1:9000', jwks_uri: 'http://127.0.0.1:9000/jwks', poll: { endpoint: 'http://127.0.0.1:9000/poll' } };
    const development = withChange(withSignals(local), ['domains', 0, 'stage'], 'development');
    const rows = rowsAfter(valueOf(await plan(development)), [systemRow()]);
    expect(errorOf(await planner.plan({ domains: manifest().domains }, viewOf(rows), KEEP)).map(({ path }) => path)).toEqual(['transmitter', 'jwks_uri', 'poll.endpoint'].map((field) => `registry: issuer prod/corp.signals.${field}`));
  });

  test('may be those of workloads, and are never those of admins', async () => {
    expect((await plan(withChange(manifest(), ['issuers', 0, 'signals'], {}))).ok).toBe(true);
    const admins = { proves: 'admins', audiences: undefined };
    expect(await problems(JSON.parse(JSON.stringify(withSignals({}, admins))))).toEqual(['issuers[1].signals']);
  });
});
