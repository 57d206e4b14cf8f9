import { sha256url } from '../core/bytes.ts';
import { canonicalJson } from '../core/json.ts';
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
  // A person is no entry: their groups come with each login.
  const principalOf = ({ workload, person }: Question): string => (person === undefined ? String(serialOf(workload)) : JSON.stringify([person.urn, person.issuer, person.groups]));
  return (question) => ('verb' in question
    ? JSON.stringify([serialOf(question.on), question.verb, question.admin.id, question.admin.issuer, question.admin.groups])
    : `${serialOf(question.domain)}.${principalOf(question)}.${serialOf(question.resource)}.${question.action}.${question.scope ?? ''}${question.scope === undefined ? '' : '#'}${detailOf(question)}`);
};

/** Hashed: identities are kept, and details are as large as whoever asks makes them. A scope ends in `#`, and this does not. */
const detailOf = ({ detail }: Question): string => (detail === undefined ? '' : `!${sha256url(canonicalJson(detail))}`);
