import type { AdminQuestion, Question } from './decision.ts';

/** A string that is equal only for questions with the same action and the same entities, told by entry and not by content. */
export type Identify = (question: Question | AdminQuestion) => string;

/** INVARIANT: registry entries never change, a new version is a new object; so an entry met again has the attributes it had. */
export const createIdentify = (): Identify => {
  const serials = new WeakMap<object, number>();
  let last = 0;
  const serialOf = (entry: object): number => {
    const known = serials.get(entry);
    if (known !== undefined) return known;
    last += 1;
    serials.set(entry, last);
    return last;
  };
  return (question) => ('verb' in question
    ? JSON.stringify([serialOf(question.on), question.verb, question.admin.id, question.admin.issuer, question.admin.groups])
    : `${serialOf(question.domain)}.${serialOf(question.workload)}.${serialOf(question.resource)}.${question.action}.${question.scope ?? ''}${question.scope === undefined ? '' : '#'}`);
};
