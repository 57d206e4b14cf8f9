import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { err } from '../../src/core/result.ts';
import { refusal } from '../../src/core/refusal.ts';
import { PROVIDERS, createProviders } from '../../src/credentials/catalogue.ts';
import type { ProviderPorts } from '../../src/credentials/catalogue.ts';
import { createGuardedFetch } from '../../src/outbound/fetch.ts';
import { START } from '../keys/make-ring.ts';

const noKey = () => err(refusal('domain_not_ready', 'no key'));
const ports: ProviderPorts = { clock: { now: () => START }, fetch: createGuardedFetch(), signAccessToken: noKey, takeStatusEntry: () => Promise.reject(new Error('not asked for')), signAwsToken: noKey };

test('holds every provider under its own name', () => {
  expect([...createProviders(ports)].map(([kind, provider]) => [kind, provider.kind])).toEqual(PROVIDERS.map(({ kind }) => [kind, kind]));
});

test('stops the boot when a kind is listed twice', () => {
  expect(() => createProviders(ports, [...PROVIDERS, PROVIDERS[0]])).toThrow('listed twice: access-token');
});

test('stops the boot when a provider is listed under another name', () => {
  expect(() => createProviders(ports, [{ kind: 'aws', create: PROVIDERS[1].create }])).toThrow('aws-sts is listed as aws');
});

test('stops the boot when two kinds issue leases of one kind, of which nobody could say who revokes them', () => {
  expect(() => createProviders(ports, [PROVIDERS[0], { kind: 'twin', create: (given) => ({ ...PROVIDERS[0].create(given), kind: 'twin' }) }])).toThrow('leases of kind access_token');
});

test.each(PROVIDERS.map(({ kind }) => ({ kind })))('$kind has a test and a page', ({ kind }) => {
  expect(existsSync(`test/credentials/providers/${kind}.test.ts`)).toBe(true);
  expect(existsSync(`docs/providers/${kind}.md`)).toBe(true);
});
