import { randomFillSync } from 'node:crypto';

/** Randomness is an argument; the real one is the operating system's CSPRNG. */
export interface Random {
  bytes(count: number): Uint8Array;
}

const POOL_SIZE = 4096;

/** Draws from a pool that is refilled in one call: a system call per id would be the larger part of making it. */
const createSystemRandom = (): Random => {
  const pool = Buffer.alloc(POOL_SIZE);
  let used = POOL_SIZE;
  return {
    bytes(count) {
      if (count > POOL_SIZE) return randomFillSync(Buffer.alloc(count));
      if (used + count > POOL_SIZE) {
        randomFillSync(pool);
        used = 0;
      }
      const drawn = Uint8Array.prototype.slice.call(pool, used, used + count);
      pool.fill(0, used, used + count);
      used += count;
      return drawn;
    },
  };
};

export const systemRandom: Random = createSystemRandom();
