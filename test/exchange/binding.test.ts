import { describe, expect, test } from '@jest/globals';
import { checkCallerBinding, checkTargetTerms } from '../../src/exchange/binding.ts';
import type { Aim } from '../../src/exchange/aim.ts';
import type { DpopBinding } from '../../src/tokens/proof.ts';
import type { SpiffeId } from '../../src/core/ids.ts';
import { NOW, api, caller, resource, secret, workload } from './world.ts';

const CHILD = 'spiffe://prod.acme.example/agents/child' as SpiffeId;
const away = resource({ audience: 'https://sts.acme.example/lab', provider: 'domain', scopes: [] });

const proof = (jkt: string): DpopBinding => ({ jkt, replayKey: `proof ${jkt}`, replayUntil: NOW });
const bound = caller({ workload: workload({ bound: true }) });

describe('what a caller owes', () => {
  test.each([
    { name: 'nothing, unbound and without a proof', of: caller(), binding: undefined, code: undefined },
    { name: 'nothing, unbound and with a proof', of: caller(), binding: proof('key'), code: undefined },
    { name: 'a proof for a bound token', of: caller({ jkt: 'key' }), binding: undefined, code: 'token_binding_required' },
    { name: 'a proof by that very key', of: caller({ jkt: 'key' }), binding: proof('other'), code: 'token_binding_mismatch' },
    { name: 'no more than that', of: caller({ jkt: 'key' }), binding: proof('key'), code: undefined },
    { name: 'a proof, registered as bound', of: bound, binding: undefined, code: 'dpop_required' },
    { name: 'a proof by any key, registered as bound', of: bound, binding: proof('any'), code: undefined },
    { name: 'a proof by the token\'s key, bound twice over', of: { ...bound, jkt: 'key' }, binding: proof('any'), code: 'token_binding_mismatch' },
  ])('is $name', ({ of, binding, code }) => {
    expect(checkCallerBinding(of, binding)?.code).toBe(code);
  });
});

describe('what a target demands', () => {
  const TYPES = { tokenTypes: ['a', 'b'] };
  const one = (resource: typeof api): Aim => ({ kind: 'resource', ask: { resource, scopes: [] } });
  const some = (...resources: readonly (typeof api)[]): Aim => ({ kind: 'session', asks: resources.map((resource) => ({ resource, scopes: [] })), renews: false });
  test.each([
    { name: 'nothing of an unbound one', aimed: one(api), asked: { binding: undefined, tokenType: undefined, actor: undefined }, code: undefined },
    { name: 'a proof, of a bound one', aimed: one(secret), asked: { binding: undefined, tokenType: undefined, actor: undefined }, code: 'dpop_required' },
    { name: 'any proof, of a bound one', aimed: one(secret), asked: { binding: proof('any'), tokenType: undefined, actor: undefined }, code: undefined },
    { name: 'a proof, of a ceiling that holds a bound one', aimed: some(api, secret), asked: { binding: undefined, tokenType: undefined, actor: undefined }, code: 'dpop_required' },
    { name: 'any proof, of a ceiling that holds a bound one', aimed: some(api, secret), asked: { binding: proof('any'), tokenType: undefined, actor: undefined }, code: undefined },
    { name: 'no proof, of a ceiling of unbound ones', aimed: some(api, api), asked: { binding: undefined, tokenType: undefined, actor: undefined }, code: undefined },
    { name: 'a token type it issues', aimed: one(api), asked: { binding: undefined, tokenType: 'b', actor: undefined }, code: undefined },
    { name: 'nobody who goes on, of a resource', aimed: one(api), asked: { binding: undefined, tokenType: undefined, actor: CHILD }, code: 'actor_unexpected' },
    { name: 'who goes on, of another domain', aimed: one(away), asked: { binding: undefined, tokenType: undefined, actor: undefined }, code: 'crossing_unnamed' },
    { name: 'no more than who goes on, of another domain', aimed: one(away), asked: { binding: undefined, tokenType: undefined, actor: CHILD }, code: undefined },
    { name: 'no token type it does not issue', aimed: one(api), asked: { binding: undefined, tokenType: 'c', actor: undefined }, code: 'token_type_unsupported' },
  ])('is $name', ({ aimed, asked, code }) => {
    expect(checkTargetTerms(aimed, TYPES, asked)?.code).toBe(code);
  });
});
