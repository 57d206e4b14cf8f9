import { detailFacts, detailRules, narrowDetails, normaliseDetails, readDetail } from '../authority/details.ts';
import type { DetailRules } from '../authority/details.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { uniteNeeds } from '../authority/approval.ts';
import type { Needs } from '../authority/approval.ts';
import { uniteDemands } from '../policy/approval.ts';
import type { ApprovalDemand, PolicyCitation } from '../policy/decision.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CeilingPair, Detail } from '../store/rows.ts';
import type { Ask } from './aim.ts';
import { addCitations } from './citations.ts';
import type { QuestionFrame } from './decide.ts';

/** What was permitted of the details of one ask; `denied` as `<audience>#<type>`. */
export interface DetailVerdict { readonly granted: readonly Detail[]; readonly denied: readonly string[]; readonly policies: readonly PolicyCitation[]; readonly approval: Needs | undefined }

/**
 * Decides the details of an ask whose scopes were decided: each is read by its type's rule, lies within one that the caller's token
 * holds, and is permitted to everybody the exchange rests on. Other than scopes none is left out or shortened in silence (RFC 9396
 * section 6): who asks for more than there is gets nothing. Where a ceiling is only renewed, it goes on with what is left of it.
 */
export const decideDetails = (view: DomainView, frames: readonly QuestionFrame[], ask: Ask, held: readonly CeilingPair[] | undefined, renews: boolean): Result<DetailVerdict, Refusal> => {
  const granted: Detail[] = [];
  const denied: string[] = [];
  const policies: PolicyCitation[] = [];
  let approval: Needs | undefined;
  if (ask.details === undefined) return ok({ granted, denied, policies, approval });
  const rules = detailRules(ask.resource.details);
  const heldHere = held?.filter(({ audience }) => audience === ask.resource.audience).flatMap(({ details = [] }) => details);
  const read: Detail[] = [];
  for (const raw of ask.details) {
    const known = readWithin(raw, heldHere, rules, ask.resource.audience);
    if (known.ok) read.push(known.value);
    else if (!renews) return known;
    else denied.push(`${ask.resource.audience}#${raw.type}`);
  }
  for (const detail of normaliseDetails(read, rules)) {
    const permitted = permit(view, frames, ask, detail);
    if (!permitted.ok) {
      if (!renews || permitted.error.code === 'policy_error') return permitted;
      denied.push(`${ask.resource.audience}#${detail.type}`);
      continue;
    }
    granted.push(detail);
    addCitations(policies, permitted.value);
    approval = uniteNeeds(approval, permitted.value.approval);
  }
  return ok({ granted, denied, policies, approval });
};

const readWithin = (raw: Detail, held: readonly Detail[] | undefined, rules: DetailRules, audience: string): Result<Detail, Refusal> => {
  const read = readDetail(raw, rules);
  if (!read.ok) return err(refusal(read.error.unknown ? 'details_unknown' : 'details_malformed', `${audience}: ${read.error.why}`));
  if (held !== undefined && narrowDetails([read.value], held, rules).length === 0) return err(refusal('details_exceeded', `${audience}: what is held of ${read.value.type} does not cover it`));
  return read;
};

/** Every frame has to permit, on the word of people perhaps; the policies that did, or the first that did not. */
const permit = (view: DomainView, frames: readonly QuestionFrame[], { resource }: Ask, detail: Detail): Result<Pick<DetailVerdict, 'policies' | 'approval'>, Refusal> => {
  const policies: PolicyCitation[] = [];
  const asked: ApprovalDemand[] = [];
  for (const frame of frames) {
    const answer = view.engine.decide({ ...frame, resource, scope: undefined, detail: detailFacts(detail) });
    if (answer.errors.length > 0) return err(refusal('policy_error', answer.errors.join('; ')));
    if (answer.approval !== undefined) asked.push(answer.approval);
    else if (!answer.allow) return err(refusal('details_denied', `${resource.audience}: no policy permits ${frame.action} with these details of ${detail.type}`));
    addCitations(policies, answer);
  }
  const demand = uniteDemands(asked);
  const approval = demand && { things: [{ audience: resource.audience, scope: null, detail, names: demand.names }], ttl: demand.ttl, byPrincipal: demand.byPrincipal };
  return frames.length > 0 ? ok({ policies, approval }) : err(refusal('details_denied', 'nobody asks'));
};
