import type { Answer, PolicyCitation } from '../policy/decision.ts';

/** Each policy once, in the order in which it was first cited. */
export const addCitations = (policies: PolicyCitation[], answer: Pick<Answer, 'policies'>): void => {
  for (const cited of answer.policies) if (!policies.some((known) => known.name === cited.name)) policies.push(cited);
};
