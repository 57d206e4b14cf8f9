import { LRUCache } from 'lru-cache';

/** Evidence of which this process knows that it was used up. Forgetting is harmless: the commit asks the database in any case. */
export interface Spent {
  has(replayKey: string | null): boolean;
  add(replayKey: string | null): void;
}

export const createSpent = (max = 20_000): Spent => {
  const keys = new LRUCache<string, true>({ max });
  return {
    // `get`, which keeps what is shown again from being forgotten.
    has: (replayKey) => replayKey !== null && keys.get(replayKey) === true,
    add(replayKey) { if (replayKey !== null) keys.set(replayKey, true); },
  };
};
