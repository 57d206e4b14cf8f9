import { describe, expect, test } from '@jest/globals';
import { renderPlan } from '../../src/registry/render.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { deps, KEEP, manifest, rowsAfter, valueOf, viewOf, withChange } from './world.ts';

const planner = createPlanner(deps);
const first = valueOf(await planner.plan(manifest(), viewOf([]), KEEP));
const rows = rowsAfter(first);
const lines = async (document: unknown, prune = false) => renderPlan(valueOf(await planner.plan(document, viewOf(rows), { ...KEEP, prune })), { colour: false });

describe('a plan for people', () => {
  test('shows what comes, with its fields', () => {
    const shown = renderPlan(first, { colour: false });
    expect(shown).toContain('+ workload prod/ci/deployer');
    expect(shown).toContain('    spiffe_id: spiffe://prod.sts.acme.example/ci/deployer');
    expect(shown.at(-1)).toBe('7 to add, 0 to change, 0 to end, 0 unchanged');
  });

  test('shows what changes, field by field', async () => {
    expect(await lines(withChange(manifest(), ['workloads', 0, 'match', 'ref'], 'refs/heads/release'))).toEqual([
      '~ workload prod/ci/deployer', '    match.ref: refs/heads/main -> refs/heads/release', '0 to add, 1 to change, 0 to end, 6 unchanged',
    ]);
    expect(await lines(withChange(manifest(), ['resources', 0, 'lifetime'], 60))).toContain('    lifetime: (nothing) -> 60');
  });

  test('shows a policy of several lines as it is written, and its change as what goes and what comes', () => {
    const cedar = 'permit(\n  principal,\n  action == Action::"issue",\n  resource\n);\n';
    const before = { ...first, changes: first.changes.map((change) => ({ ...change, after: { cedar } })) };
    expect(renderPlan(before, { colour: false }).slice(1, 4)).toEqual(['    cedar:', '      permit(', '        principal,']);
    const changed = { changes: first.changes.slice(0, 1).map((change) => ({ ...change, action: 'update' as const, fields: [{ field: 'cedar', before: cedar, after: 'forbid(principal, action, resource);' }] })) };
    expect(renderPlan(changed, { colour: false }).slice(1, -1)).toEqual(['    cedar:', '      - permit(', '      -   principal,', '      -   action == Action::"issue",', '      -   resource', '      - );', '      + forbid(principal, action, resource);']);
  });

  test('shows what ends, and that its credentials fall', async () => {
    expect(await lines({ ...manifest(), workloads: manifest().workloads.slice(1), policies: [] }, true)).toEqual([
      '- workload prod/ci/deployer (ends, and everything issued through it is revoked)', '- policy prod/deployer-deploys (ends)', '0 to add, 0 to change, 2 to end, 5 unchanged',
    ]);
  });

  test('shows nothing but the count when nothing changes', async () => {
    expect(await lines(manifest())).toEqual(['0 to add, 0 to change, 0 to end, 7 unchanged']);
  });

  test('is coloured only when asked', () => {
    expect(renderPlan(first, { colour: true })[0]).toBe('\u001b[32m+ domain prod\u001b[0m');
    expect(renderPlan(first, { colour: false }).join('').includes('\u001b')).toBe(false);
  });

  test('cannot be used to move the cursor or turn the writing around', () => {
    const nasty = { ...first, changes: first.changes.map((change) => ({ ...change, after: { cedar: 'a\u001b[2J\u202eb\n\u009bc' } })) };
    expect(renderPlan(nasty, { colour: false })[1]).toBe('    cedar: "a\\u001b[2J\\u202eb\\n\\u009bc"');
  });
});
