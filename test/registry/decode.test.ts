import { describe, expect, test } from '@jest/globals';
import { createEntryDecoder } from '../../src/registry/decode.ts';
import type { StoredRow } from '../../src/registry/decode.ts';
import type { Issuer, Workload } from '../../src/registry/entries.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { attestors, decoder, deps, errorOf, KEEP, manifest, providers, rowsAfter, valueOf, viewOf } from './world.ts';

const rows = rowsAfter(valueOf(await createPlanner(deps).plan(manifest(), viewOf([]), KEEP)));
const rowNamed = (name: string): StoredRow => {
  const row = rows.find((each) => each.name === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  return row;
};

describe('stored rows', () => {
  test('become the entries they were made from', () => {
    const { entries, problems } = decoder.decodeAll(rows);
    expect(problems).toEqual([]);
    expect(entries.map(({ kind }) => kind)).toEqual(['domain', 'issuer', 'resource', 'resource', 'workload', 'workload', 'policy']);
    expect(entries[1]).toMatchObject({ attestor: 'github-actions', options: { organization_id: '4711' }, expires: Date.parse('2027-11-22'), algorithms: undefined, allowAddresses: [] });
    expect(entries[2]).toMatchObject({ provider: 'access-token', scopes: ['deploy:read', 'deploy:write'], servedBy: ['svc/deploy'], bound: false, lifetime: undefined });
    expect(entries[6]).toMatchObject({ effect: 'permit', expires: Date.parse('2027-05-01') });
  });

  test('give match rules as lists under names without a prototype', () => {
    const workload = valueOf(decoder.decode(rowNamed('ci/deployer'))) as Workload;
    expect(workload.match.issuer).toBe('github');
    expect(Object.getPrototypeOf(workload.match.attributes)).toBeNull();
    expect({ ...workload.match.attributes }).toEqual({ repository_id: ['815'], ref: ['refs/heads/main'], event_name: ['push', 'workflow_dispatch'] });
  });

  test('are frozen', () => {
    const issuer = valueOf(decoder.decode(rowNamed('github'))) as Issuer;
    const workload = valueOf(decoder.decode(rowNamed('ci/deployer'))) as Workload;
    expect([issuer, issuer.options, issuer.allowAddresses, workload, workload.match, workload.match.attributes, workload.match.attributes['ref']].every((part) => Object.isFrozen(part))).toBe(true);
  });

  test('keep acceptances with their end in milliseconds', () => {
    const row = rowNamed('ci/deployer');
    const entry = valueOf(decoder.decode({ ...row, body: { ...row.body, accept: [{ rule: 'wildcard', reason: 'x', until: '2027-01-01' }] } }));
    expect(entry.accept).toEqual([{ rule: 'wildcard', reason: 'x', until: Date.parse('2027-01-01') }]);
  });

  test.each([
    { name: 'a missing owner', row: 'ci/deployer', body: { owner: undefined }, why: 'owner' },
    { name: 'an unknown field', row: 'ci/deployer', body: { admin: true }, why: 'admin' },
    { name: 'a missing SPIFFE ID', row: 'ci/deployer', body: { spiffe_id: undefined }, why: 'spiffe_id' },
    { name: 'a SPIFFE ID of the wrong form', row: 'ci/deployer', body: { spiffe_id: 'spiffe://prod/../x' }, why: 'SPIFFE' },
    { name: 'an attestor kind that is gone', row: 'github', body: { kind: 'travis' }, why: 'travis' },
    { name: 'an option that is gone', row: 'github', body: { organization_id: undefined }, why: 'organization_id' },
    { name: 'an unknown option', row: 'github', body: { organisation: 'x' }, why: 'organisation' },
    { name: 'a provider that is gone', row: 'https://deploy.acme.example', body: { provider: 'ftp' }, why: 'ftp' },
    { name: 'a permit without an end', row: 'deployer-deploys', body: { expires: undefined }, why: 'expires' },
    { name: 'a policy without effect', row: 'deployer-deploys', body: { effect: undefined }, why: 'effect' },
    { name: 'an unknown stage', row: 'prod', body: { stage: 'test' }, why: 'stage' },
  ])('with $name are a problem of their domain', ({ row: name, body, why }) => {
    const row = rowNamed(name);
    const problem = errorOf(decoder.decode({ ...row, body: JSON.parse(JSON.stringify({ ...row.body, ...body })) }));
    expect(problem).toMatchObject({ domainId: row.domainId, kind: row.kind, id: row.id, name, why: expect.stringContaining(why) });
  });

  test('of one kind do not pass as another', () => {
    const row = rowNamed('ci/deployer');
    expect(decoder.decode({ ...row, id: row.id.replace('wkl_', 'iss_') }).ok).toBe(false);
  });

  test('with a problem do not hide the others', () => {
    const broken = rows.map((row) => (row.name === 'github' ? { ...row, body: {} } : row));
    const { entries, problems } = decoder.decodeAll(broken);
    expect([entries.length, problems.map(({ name }) => name)]).toEqual([rows.length - 1, ['github']]);
  });

  test('need the catalogue they were written with', () => {
    const without = createEntryDecoder({ attestors: new Map(), providers });
    expect(without.decodeAll(rows).problems.map(({ name }) => name)).toEqual(['github']);
    expect(createEntryDecoder({ attestors, providers }).decodeAll(rows).problems).toEqual([]);
  });
});
