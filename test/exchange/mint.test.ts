import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { ok } from '../../src/core/result.ts';
import type { IssuedCredential, Order, Provider } from '../../src/credentials/provider.ts';
import type { Aim } from '../../src/exchange/aim.ts';
import { createMint } from '../../src/exchange/mint.ts';
import type { Ticket } from '../../src/exchange/mint.ts';
import { makeOrder } from '../credentials/make-order.ts';
import { API, BILLING, api, billing, codeOf, resource } from './world.ts';

const credential: IssuedCredential = { kind: 'k', issuedTokenType: 't', tokenType: 'Bearer', credential: 'c', kid: undefined, expiresAt: 1, handle: undefined };
/** Providers that keep what they are ordered. */
const start = () => {
  const orders: (readonly [string, Order, unknown])[] = [];
  const tickets: unknown[] = [];
  const provider = (kind: string, callsTarget: boolean): Provider => ({
    kind, leaseKind: kind, callsTarget, tokenTypes: [`${kind}-type`, 'other-type'], options: z.unknown(), lifetime: { default: 300, minimum: 1, maximum: 3600 }, check: () => undefined,
    issue: (order, options) => { orders.push([kind, order, options]); return Promise.resolve(ok(credential)); },
  });
  const mint = createMint({
    providers: new Map([['access-token', provider('access-token', false)], ['aws-sts', provider('aws-sts', true)]]), sessionTokenLifetime: 60,
    signSessionToken: (ticket, ceiling) => { tickets.push([ticket, ceiling]); return ok(credential); },
  });
  return { mint, orders, tickets };
};
const forOne = (of: typeof api, scopes: readonly string[] = []): Aim => ({ kind: 'resource', ask: { resource: of, scopes } });
const forSession: Aim = { kind: 'session', asks: [{ resource: api, scopes: ['deploy:read'] }], renews: false };
const { resource: _resource, scopes: _scopes, ...ticket } = makeOrder();
const TICKET: Ticket = { ...ticket, handsOnTo: undefined };

describe('the terms', () => {
  test.each([
    { name: 'the provider\'s default', of: api, terms: { lifetime: 300, tokenTypes: ['access-token-type', 'other-type'], callsTarget: false } },
    { name: 'the resource\'s own', of: resource({ lifetime: 120 }), terms: { lifetime: 120, tokenTypes: ['access-token-type', 'other-type'], callsTarget: false } },
    { name: 'the provider\'s most, should the resource say more', of: resource({ lifetime: 7200 }), terms: { lifetime: 3600, tokenTypes: ['access-token-type', 'other-type'], callsTarget: false } },
    { name: 'that its target is called', of: resource({ provider: 'aws-sts' }), terms: { lifetime: 300, tokenTypes: ['aws-sts-type', 'other-type'], callsTarget: true } },
    { name: 'none at all, of a provider nobody has', of: resource({ provider: 'nobody' }), terms: { lifetime: 0, tokenTypes: [], callsTarget: false } },
  ])('of a resource are $name', ({ of, terms }) => {
    expect(start().mint.terms(forOne(of))).toEqual(terms);
  });

  test('of a session token are our own', () => {
    expect(start().mint.terms(forSession)).toEqual({ lifetime: 60, tokenTypes: ['urn:ietf:params:oauth:token-type:access_token'], callsTarget: false });
  });
});

describe('issuing', () => {
  test('orders what was decided, not what was asked, from the resource\'s own provider with its own options', async () => {
    const { mint, orders, tickets } = start();
    const options = { region: 'eu-central-1' };
    const target = resource({ provider: 'aws-sts', options });
    await mint.issue(TICKET, forOne(target, ['deploy:read', 'deploy:admin']), [{ audience: API, scopes: ['deploy:read'] }]);
    expect(orders).toEqual([['aws-sts', { ...TICKET, resource: target, scopes: ['deploy:read'] }, options]]);
    expect(tickets).toEqual([]);
  });

  test('a session token is signed here, over the decided pairs, and asks no provider', async () => {
    const { mint, orders, tickets } = start();
    const pairs = [{ audience: BILLING, scopes: [] }];
    await mint.issue(TICKET, { kind: 'session', asks: [{ resource: billing, scopes: [] }], renews: false }, pairs);
    expect([orders, tickets]).toEqual([[], [[TICKET, pairs]]]);
  });

  test('of nothing that was decided orders no scope', async () => {
    const { mint, orders } = start();
    await mint.issue(TICKET, forOne(api, ['deploy:read']), []);
    expect(orders[0]?.[1].scopes).toEqual([]);
  });

  test('is refused for a provider nobody has', async () => {
    const { mint, orders } = start();
    expect(codeOf(await mint.issue(TICKET, forOne(resource({ provider: 'nobody' })), []))).toBe('provider_misconfigured');
    expect([orders, codeOf(await mint.issue(TICKET, forOne(api), []))]).toEqual([[expect.anything()], 'accepted']);
  });
});
