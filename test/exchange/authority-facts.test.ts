import { describe, expect, test } from '@jest/globals';
import type { PersonUrn, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { authorityJson, parseAuthority } from '../../src/exchange/authority-facts.ts';
import type { Authority } from '../../src/exchange/authority-facts.ts';
import type { Workload } from '../../src/registry/entries.ts';

const evidence = (subject: string) => ({ kind: 'oidc', issuer: 'platform', subject, attributes: { tier: 1, teams: ['a', 'b'] } });
const link = (name: string) => ({ iss: 'https://sts.acme.example/prod', sub: `spiffe://prod.acme.example/${name}` as SpiffeId, workloadId: `wkl_${name}` as WorkloadId, evidence: evidence(name) });
const workload = (id: string): Workload => ({ kind: 'workload', id, name: id }) as unknown as Workload;
const registered = { workloadById: (id: WorkloadId) => (id.startsWith('wkl_') ? workload(id) : undefined) };

const delegated: Authority = {
  workload: workload('wkl_second'), evidence: evidence('second'), chain: [link('first'), link('second')], opensTask: false, ceiling: [{ audience: 'https://a.example', scopes: ['read'] }],
  person: { urn: 'urn:mayfly:prod:person:corp:ada' as PersonUrn, issuer: 'corp', groups: ['engineering'] }, freshness: { at: 5, shown: false, within: 10 },
  session: { model: 'delegated', principal: 'urn:mayfly:prod:person:corp:ada', startedAt: 7, facts: { groups: ['engineering'], acr: 'mfa' } },
};
const bounded: Authority = { ...delegated, workload: workload('wkl_first'), evidence: evidence('first'), chain: [link('first')], person: undefined, freshness: undefined, ceiling: undefined, session: { model: 'bounded', principal: 'team@acme.example', startedAt: 7, facts: {} } };
const kept = (authority: Authority): unknown => JSON.parse(JSON.stringify(authorityJson(authority)));

describe('on whose authority something was asked', () => {
  test.each<{ name: string; authority: Authority }>([
    { name: 'a person, through a chain', authority: delegated }, { name: 'a run', authority: bounded },
    { name: 'a task that was to be opened', authority: { ...bounded, opensTask: true, session: { ...bounded.session, model: 'autonomous', facts: { purpose: 'mend' } } } },
  ])('is read back from a refusal as it was: $name', ({ authority }) => {
    expect(parseAuthority(kept(authority), registered)).toEqual(authority);
  });

  test.each<{ name: string; value: unknown }>([
    { name: 'nothing', value: undefined }, { name: 'a chain of nobody', value: { ...kept(bounded) as object, chain: [] } }, { name: 'an unknown model', value: { ...kept(bounded) as object, model: 'free' } },
    { name: 'a person without groups', value: { ...kept(delegated) as object, person: { urn: 'x', issuer: 'corp' } } },
    { name: 'an actor that is no longer registered', value: kept({ ...bounded, chain: [{ ...link('gone'), workloadId: 'gone' as WorkloadId }] }) },
  ])('is not made up from $name', ({ value }) => {
    expect(parseAuthority(value, registered)).toBeUndefined();
  });
});
