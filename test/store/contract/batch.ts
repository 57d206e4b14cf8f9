import { expect } from '@jest/globals';
import type { OwnStore } from '../../../src/store/create-store.ts';
import { makeIssuance } from '../make-rows.ts';

/** What is asked while a commit is under way shares the next one. */
export const inOneBatch = async <T>(store: Pick<OwnStore, 'issue'>, name: string, acts: readonly (() => Promise<T>)[]): Promise<readonly T[]> => {
  const underWay = store.issue(makeIssuance(`before ${name}`));
  const outcomes = Promise.all(acts.map((act) => act()));
  expect(await underWay).toBe('committed');
  return outcomes;
};
