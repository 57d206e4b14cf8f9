import type { Random } from './random.ts';

const DRAW_BYTES = 6;

/** In an order of which each is as likely: by a key of 48 random bits each. */
export const shuffle = <T>(items: readonly T[], random: Random): T[] => {
  const draws = Buffer.from(random.bytes(DRAW_BYTES * items.length));
  return items.map((item, index) => ({ item, key: draws.readUIntBE(DRAW_BYTES * index, DRAW_BYTES) })).sort((a, b) => a.key - b.key).map(({ item }) => item);
};
