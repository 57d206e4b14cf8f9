import { describe, expect, test } from '@jest/globals';
import { createPlanner } from '../../src/registry/resolve.ts';
import { deps, errorOf, KEEP, manifest, rowsAfter, systemRow, valueOf, viewOf, withChange } from './world.ts';

const planner = createPlanner(deps);
const FEW = ['all domain', 'all issuer'];
const [, issuer] = [manifest().domains[0], manifest().issuers[0]];
const [resource] = manifest().resources;
const [deployer] = manifest().workloads;
const workload = (name: string, more: object = {}) => ({ ...deployer, name, match: { issuer: 'github', repository_id: String(name.length) + name.slice(-1) }, ...more });
/** Beside the manifest: more workloads than a page holds, and a second domain with one of its own. */
const large = {
  ...manifest(),
  domains: [...manifest().domains, { name: 'staging', stage: 'staging', owner: 'x' }],
  issuers: [...manifest().issuers, { ...issuer, domain: 'staging', organization_id: '4712' }],
  workloads: [...manifest().workloads, ...['a', 'b', 'c', 'd', 'e'].map((letter) => workload(`ci/many-${letter}`)), workload('ci/staged', { domain: 'staging' })],
};
const rows = rowsAfter(valueOf(await planner.plan(large, viewOf([systemRow()]), KEEP)), [systemRow()]);
const asked = async (document: unknown, prune = false) => {
  const view = viewOf(rows);
  const planned = await planner.plan(document, view, { ...KEEP, prune });
  return { asked: view.asked, planned };
};

describe('a plan reads', () => {
  test.each([
    { name: 'the workload that is put', document: { workloads: [workload('ci/many-a')] }, reads: ['workload ci/many-a'] },
    { name: 'the policy that is put', document: { policies: manifest().policies }, reads: ['policy deployer-deploys'] },
    { name: 'the resource that is put and the workloads it names', document: { resources: [resource] }, reads: ['resource https://deploy.acme.example', 'workload svc/deploy'] },
    { name: 'nothing of a domain that comes with the manifest', document: { domains: [{ name: 'new', stage: 'staging', owner: 'x' }], issuers: [{ ...issuer, domain: 'new', organization_id: '1' }], workloads: [{ ...deployer, domain: 'new' }] }, reads: [] },
    { name: 'nothing of a domain that is not there', document: { workloads: [workload('ci/many-a', { domain: 'prd' })] }, reads: [] },
    { name: 'nothing but what is named when an issuer stays as it is', document: { issuers: [issuer], workloads: [workload('ci/many-a')] }, reads: ['workload ci/many-a'] },
  ])('every domain and issuer, and $name', async ({ document, reads }) => {
    const first = await asked(document);
    // For lint: whether a resource has the audience of an issuer of the manifest.
    expect(first.asked.filter((each) => each !== 'resource https://sts.acme.example/prod' && each !== 'resource https://sts.acme.example/new')).toEqual([...FEW, ...reads]);
  });

  test('one entry to end it', async () => {
    const view = viewOf(rows);
    expect(valueOf(await planner.remove([{ kind: 'workload', domain: 'prod', name: 'ci/many-b' }], view, KEEP)).entries).toEqual([expect.objectContaining({ name: 'ci/many-b', version: 2, ended: true })]);
    expect(view.asked).toEqual([...FEW, 'workload ci/many-b']);
  });

  test('all names only to tell which was meant', async () => {
    const { asked: reads, planned } = await asked({ resources: [{ ...resource, served_by: ['ci/manye', 'svc/deploy'] }] });
    expect(errorOf(planned)).toEqual([expect.objectContaining({ path: 'resources[0].served_by[0]', mend: 'did you mean "ci/many-e"?' })]);
    expect(reads.filter((each) => each.startsWith('page'))).toEqual(Array(4).fill('page of workload'));
    const view = viewOf(rows);
    expect(errorOf(await planner.remove([{ kind: 'workload', domain: 'prod', name: 'ci/mani-e' }], view, KEEP))).toEqual([expect.objectContaining({ mend: 'did you mean "ci/many-e"?' })]);
    expect(view.asked.filter((each) => each.startsWith('page'))).toEqual(Array(4).fill('page of workload'));
  });

  test('a whole domain where it prunes, and no other', async () => {
    const { asked: reads, planned } = await asked({ ...manifest(), workloads: [...manifest().workloads, workload('ci/many-c')] }, true);
    expect(valueOf(planned).entries.map(({ name, ended }) => [name, ended])).toEqual(['a', 'b', 'd', 'e'].map((letter) => [`ci/many-${letter}`, true]));
    expect(reads.filter((each) => !each.startsWith('page') && !each.includes('https:'))).toEqual(FEW);
    expect(reads.filter((each) => each === 'page of workload')).toHaveLength(4);
  });

  test('all workloads of a domain when an issuer of theirs changes, page by page', async () => {
    const { asked: reads, planned } = await asked({ issuers: [{ ...issuer, owner: 'other@acme.example' }] });
    expect(planned.ok).toBe(true);
    expect(reads.filter((each) => each === 'page of workload')).toHaveLength(4);
    const other = await asked({ issuers: [JSON.parse(JSON.stringify({ ...issuer, kind: 'gitlab-ci', organization_id: undefined })) as object] });
    expect(errorOf(other.planned).map(({ path }) => path)).toEqual(expect.arrayContaining(['a', 'b', 'c', 'd', 'e'].map((letter) => `registry: workload prod/ci/many-${letter}.match.repository_id`)));
  });

  test('all resources of a domain when its stage changes', async () => {
    const { asked: reads, planned } = await asked({ domains: [{ name: 'prod', stage: 'staging', owner: 'platform@acme.example' }] });
    expect(planned.ok).toBe(true);
    expect(reads).toEqual([...FEW, 'page of resource']);
    expect((await asked({ domains: [{ name: 'prod', stage: 'production', owner: 'other@acme.example' }] })).asked).toEqual(FEW);
  });
});

describe('what a plan did not read is missed by none of its rules', () => {
  test('an entry of the manifest keeps its id and goes on from its version', async () => {
    const changed = valueOf((await asked({ workloads: [workload('ci/many-a', { owner: 'other@acme.example' })] })).planned);
    expect(changed.entries).toEqual([expect.objectContaining({ id: rows.find(({ name }) => name === 'ci/many-a')?.id, version: 2 })]);
  });

  test('a resource may name a stored workload, one of the manifest, and none that the same apply ends', async () => {
    const serving = (name: string) => ({ resources: [{ ...resource, served_by: [name] }] });
    expect((await asked(serving('ci/many-a'))).planned.ok).toBe(true);
    expect((await asked({ ...serving('ci/new'), workloads: [workload('ci/new')] })).planned.ok).toBe(true);
    const pruned = await asked({ ...withChange(manifest(), ['resources', 0, 'served_by'], ['ci/many-a']) as object }, true);
    expect(errorOf(pruned.planned)).toEqual([expect.objectContaining({ path: 'resources[0].served_by[0]', message: 'there is no workload ci/many-a in domain prod', mend: 'add it under workloads, or remove it here' })]);
    const kept = await asked({ ...withChange(manifest(), ['resources', 0, 'served_by'], ['ci/many-a']) as object, workloads: [...manifest().workloads, workload('ci/many-a')] }, true);
    expect(kept.planned.ok).toBe(true);
  });

  test('a stored resource with the audience of an issuer of the manifest is there for lint', async () => {
    const plan = valueOf((await asked({ issuers: [{ ...issuer, audience: 'https://deploy.acme.example' }] })).planned);
    expect(plan.context.filter(({ kind }) => kind === 'resource')).toEqual([expect.objectContaining({ audience: 'https://deploy.acme.example' })]);
  });
});
