import { canonicalJson } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { CeilingPair, Detail } from '../store/rows.ts';
import { narrowDetails, normaliseDetails, readDetail } from './details.ts';
import type { DetailRules } from './details.ts';

/**
 * What a hop may still use or give away: (audience, scope) pairs with details, until when, and how many actors may follow below
 * (design section 1). An empty scope list is the audience itself, without any scope, which is a right of its own and no wildcard.
 */
export interface Ceiling {
  readonly pairs: readonly CeilingPair[];
  /** Milliseconds. */
  readonly endsAt: number;
  readonly depth: number;
}

/** The types of details that an audience understands. */
export type RulesAt = (audience: string) => DetailRules;

/**
 * Attenuation, the one place where a ceiling is held against another: the part of `asked` that `held` covers. It can only shrink,
 * in every dimension: nothing is returned that was not in both. The order of two narrowings does not matter.
 */
export const narrow = (asked: Ceiling, held: Ceiling, rulesAt: RulesAt): Ceiling => ({
  pairs: narrowPairs(asked.pairs, held.pairs, rulesAt),
  endsAt: Math.min(asked.endsAt, held.endsAt),
  depth: Math.min(asked.depth, held.depth),
});

/** Whether narrowing by `parent` takes nothing away from `child` (design section 3, invariant 3). */
export const isWithin = (child: Ceiling, parent: Ceiling, rulesAt: RulesAt): boolean => {
  const kept = narrow(child, parent, rulesAt);
  return kept.endsAt === child.endsAt && kept.depth === child.depth && canonicalJson(kept.pairs) === canonicalJson(normalise(child.pairs, rulesAt))
    && child.pairs.every(({ details = [], audience }) => details.every((detail) => readDetail(detail, rulesAt(audience)).ok));
};

/** The same of pairs alone, for a question that has neither end nor depth of its own. */
export const narrowPairs = (asked: readonly CeilingPair[], held: readonly CeilingPair[], rulesAt: RulesAt): readonly CeilingPair[] => {
  const parents = new Map(normalise(held, rulesAt).map((pair) => [pair.audience, pair]));
  return normalise(asked, rulesAt).flatMap((pair) => {
    const parent = parents.get(pair.audience);
    if (parent === undefined || (pair.scopes.length === 0) !== (parent.scopes.length === 0)) return [];
    const scopes = pair.scopes.filter((scope) => parent.scopes.includes(scope));
    // INVARIANT: a pair of which no scope is left is gone; without scopes it would be the audience itself, which nobody held.
    if (pair.scopes.length > 0 && scopes.length === 0) return [];
    return [pairOf(pair.audience, scopes, narrowDetails(pair.details ?? [], parent.details ?? [], rulesAt(pair.audience)))];
  });
};

/** One pair per audience; audiences, scopes and details sorted and once each: equal ceilings have equal bytes. Details that nothing here understands are gone. */
export const normalise = (pairs: readonly CeilingPair[], rulesAt: RulesAt): readonly CeilingPair[] =>
  mergePairs(pairs).map(({ audience, scopes, details = [] }) => pairOf(audience, scopes, normaliseDetails(details, rulesAt(audience))));

/** One pair per audience, audiences and scopes sorted and once each; details as they stand, whoever may understand them. */
export const mergePairs = (pairs: readonly CeilingPair[]): readonly CeilingPair[] =>
  [...Map.groupBy(pairs, ({ audience }) => audience).entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([audience, same]) =>
    pairOf(audience, [...new Set(same.flatMap(({ scopes }) => scopes))].sort(), same.flatMap(({ details }) => details ?? [])));

/** A pair as it stands in answers and records. */
export const pairJson = ({ audience, scopes, details }: CeilingPair): JsonObject => ({ audience, scopes, ...(details === undefined ? {} : { details }) });

const pairOf = (audience: string, scopes: readonly string[], details: readonly Detail[]): CeilingPair => ({ audience, scopes, ...(details.length === 0 ? {} : { details }) });
