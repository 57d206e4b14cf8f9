import { whoIsAsked } from '../exchange/decide.ts';
import type { QuestionFrame } from '../exchange/decide.ts';
import type { DetailFacts, NearMiss, PolicyCitation } from '../policy/decision.ts';
import type { Resource } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';

/** One question of a decision with its answer: whose authority was asked about, to do what. `approval`: a yes, on the word of somebody for each of these names. */
export interface AnsweredQuestion { readonly principal: string; readonly action: string; readonly allow: boolean; readonly approval: readonly string[]; readonly policies: readonly PolicyCitation[]; readonly errors: readonly string[]; readonly nearest: readonly NearMiss[] }

/** All of one resource or scope: everybody it rests on is asked, and one "no" is enough. */
export interface Answered {
  readonly allow: boolean;
  /** Under which names somebody has to agree, where nobody says no. */
  readonly approval: readonly string[];
  /** The first that was refused; its nearest policies are those to look at. */
  readonly refused: AnsweredQuestion | undefined;
  readonly policies: readonly PolicyCitation[];
  readonly errors: readonly string[];
  readonly questions: readonly AnsweredQuestion[];
}

/** The exchange stops at the first "no"; an admin is told all of them. */
export const askEverybody = (view: Pick<DomainView, 'engine'>, frames: readonly QuestionFrame[], resource: Resource, scope: string | undefined, detail?: DetailFacts): Answered => {
  const questions = frames.map((frame): AnsweredQuestion => {
    const question = { ...frame, resource, scope, detail };
    const { allow, approval, policies, errors } = view.engine.decide(question);
    return { ...whoIsAsked(frame), allow, approval: approval?.names ?? [], policies, errors, nearest: allow || approval !== undefined ? [] : view.engine.nearMisses(question) };
  });
  const policies = new Map(questions.flatMap((each) => each.policies).map((cited) => [cited.name, cited]));
  const refused = questions.find(({ allow, approval }) => !allow && approval.length === 0);
  const approval = refused === undefined ? [...new Set(questions.flatMap((each) => each.approval))].sort() : [];
  return { allow: questions.length > 0 && questions.every(({ allow }) => allow), approval, refused, policies: [...policies.values()], errors: questions.flatMap(({ errors }) => errors), questions };
};
