import type { CeilingPair } from '../store/rows.ts';

/**
 * Ceilings are sets of (audience, scope) pairs. An empty scope list is the audience itself, without any scope, which is
 * a right of its own and no wildcard. Everything here can only shrink: no function returns what was not in `held`.
 */

const byAudience = (ceiling: readonly CeilingPair[]): ReadonlyMap<string, readonly string[]> => new Map(ceiling.map((pair) => [pair.audience, pair.scopes]));

/** One pair per audience, audiences and scopes sorted and once each: equal ceilings have equal bytes. */
export const normalise = (ceiling: readonly CeilingPair[]): readonly CeilingPair[] => {
  const merged = new Map<string, Set<string>>();
  for (const pair of ceiling) {
    const scopes = merged.get(pair.audience) ?? new Set<string>();
    for (const scope of pair.scopes) scopes.add(scope);
    merged.set(pair.audience, scopes);
  }
  return [...merged.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([audience, scopes]) => ({ audience, scopes: [...scopes].sort() }));
};

/** The part of `asked` that `held` covers; undefined when it does not cover the audience at all. */
export const narrow = (asked: CeilingPair, held: readonly CeilingPair[]): CeilingPair | undefined => {
  const heldScopes = byAudience(held).get(asked.audience);
  if (heldScopes === undefined) return undefined;
  if (asked.scopes.length === 0) return heldScopes.length === 0 ? asked : undefined;
  return { audience: asked.audience, scopes: asked.scopes.filter((scope) => heldScopes.includes(scope)) };
};

/** Whether every pair of `child` is a pair of `parent` (design section 3, invariant 3). */
export const isWithin = (child: readonly CeilingPair[], parent: readonly CeilingPair[]): boolean =>
  child.every((pair) => {
    const kept = narrow(pair, parent);
    return kept !== undefined && kept.scopes.length === pair.scopes.length;
  });
