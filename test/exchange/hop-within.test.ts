import { describe, expect, test } from '@jest/globals';
import type { HopId, LeaseId, SessionId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { Caller } from '../../src/exchange/caller.ts';
import { openHop } from '../../src/exchange/hop.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { CeilingPair, ChainLink, HopRow } from '../../src/store/rows.ts';

const API = 'https://pay.acme.example';
const view = {
  domain: { limits: { depth: 2 } },
  resource: (audience: string) => (audience === API ? { details: [{ type: 'payment', fields: { amount: { compare: 'max', values: undefined, optional: false } } }] } : undefined),
} as unknown as DomainView;
const link = (name: string): ChainLink => ({ iss: 'https://sts.acme.example/prod', sub: `spiffe://prod.acme.example/${name}` as SpiffeId, workloadId: `wkl_${name}` as WorkloadId, evidence: {} });
const pair = (amount: number, scopes: readonly string[] = ['pay']): readonly CeilingPair[] => [{ audience: API, scopes, details: [{ type: 'payment', amount }] }];
const parent: HopRow = {
  id: 'hop_parent' as HopId, sessionId: 'sid' as SessionId, parentId: null, actor: 'spiffe://prod.acme.example/planner', workloadId: 'wkl_planner' as WorkloadId, jkt: null, ceiling: pair(1000, ['pay', 'read']), depth: 0,
  chain: [link('planner')], path: [], createdAt: 0, expiresAt: 1000,
};
const child = (held: readonly CeilingPair[], change: Partial<HopRow> = {}): Caller => ({
  workload: { id: 'wkl_tool', spiffeId: 'spiffe://prod.acme.example/tool', expires: 5000 }, issuerId: 'iss_1', session: { id: 'sid', model: 'delegated', expiresAt: 2000 }, chain: [...(change.chain ?? parent.chain), link('tool')],
  parent: { hop: { ...parent, ...change }, handover: 'lse_1' as LeaseId }, ceiling: held,
}) as unknown as Caller;

describe('a hop below another', () => {
  test('has what was decided, ends with its parent, and stands one below', () => {
    expect(openHop(child(pair(100)), null, pair(99), 0, view)).toMatchObject({ parentId: parent.id, ceiling: pair(99), expiresAt: 1000, depth: 1 });
  });

  test.each([
    { name: 'a larger amount than was handed on', pairs: pair(101), held: pair(100) },
    { name: 'a scope that was not handed on, though the parent has it', pairs: pair(100, ['pay', 'read']), held: pair(100) },
    { name: 'details where none were handed on', pairs: pair(1), held: [{ audience: API, scopes: ['pay'] }] },
    { name: 'an audience that was not handed on', pairs: [{ audience: 'https://other.acme.example', scopes: [] }], held: pair(100) },
    { name: 'anything where nothing was handed on', pairs: pair(1), held: [] },
  ])('is never made with $name, whatever the steps before decided', ({ pairs, held }) => {
    expect(() => openHop(child(held), null, pairs, 0, view)).toThrow('would exceed its parent');
  });
});
