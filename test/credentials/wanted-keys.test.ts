import { expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import { createProviders } from '../../src/credentials/catalogue.ts';
import type { ProviderPorts } from '../../src/credentials/catalogue.ts';
import { createWantedKeys } from '../../src/credentials/wanted-keys.ts';
import type { WantingResource } from '../../src/credentials/wanted-keys.ts';
import { DEFAULT_SCHEDULE } from '../../src/keys/key-plan.ts';
import { START } from '../keys/make-ring.ts';

const wantedKeys = createWantedKeys(createProviders({} as ProviderPorts));
const wanting = (algorithm: string, expires = START + HOUR): WantingResource => ({ provider: 'access-token', options: { algorithm }, expires });
const beside = (...resources: readonly WantingResource[]): string[] =>
  wantedKeys(resources, START).filter((kind) => !DEFAULT_SCHEDULE.wanted.some((each) => each.purpose === kind.purpose && each.algorithm === kind.algorithm)).map(({ purpose, algorithm }) => `${purpose} ${algorithm}`);

test('every domain wants the same keys, and no more while no resource asks', () => {
  expect(wantedKeys([], START)).toEqual(DEFAULT_SCHEDULE.wanted);
  expect(wantedKeys([wanting('ES256'), { provider: 'aws-sts', options: {}, expires: START + HOUR }], START)).toEqual(DEFAULT_SCHEDULE.wanted);
});

test('one live resource or many want one RS256 access key', () => {
  expect(beside(wanting('RS256'))).toEqual(['access RS256']);
  expect(beside(wanting('ES256'), wanting('RS256'), wanting('RS256'))).toEqual(['access RS256']);
});

test('an expired resource wants nothing, one that expires in a moment still does', () => {
  expect(beside(wanting('RS256', START))).toEqual([]);
  expect(beside(wanting('RS256', START + 1))).toEqual(['access RS256']);
});

test('a resource of a provider this version does not know wants nothing it could name', () => {
  expect(beside({ provider: 'from-tomorrow', options: { algorithm: 'RS256' }, expires: START + HOUR })).toEqual([]);
});
