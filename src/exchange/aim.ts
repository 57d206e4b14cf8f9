import type { DetailRules } from '../authority/details.ts';
import { mergePairs, narrowPairs } from '../authority/narrow.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Resource } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CeilingPair, Detail } from '../store/rows.ts';
import type { Caller } from './caller.ts';
import type { ExchangeRequest } from './request.ts';

/** One (resource, scopes) pair somebody asks to be decided, with details nobody has looked at yet. */
export interface Ask { readonly resource: Resource; readonly scopes: readonly string[]; readonly details?: readonly Detail[] | undefined }

/** What the request is for: one resource, or a session token whose ceiling is a list of pairs. */
export type Aim =
  | { readonly kind: 'resource'; readonly ask: Ask }
  /** `renews`: the ceiling is the one that is held, not one that was asked for. */
  | { readonly kind: 'session'; readonly asks: readonly Ask[]; readonly renews: boolean };

const findAsk = (view: DomainView, pair: CeilingPair, now: number): Result<Ask, Refusal> => {
  const resource = view.resource(pair.audience);
  if (resource === undefined) return err(refusal('target_unknown', `${pair.audience} is not registered`));
  if (resource.expires <= now) return err(refusal('target_expired', `the registration of ${pair.audience} has expired`));
  return ok({ resource, scopes: pair.scopes, ...(pair.details === undefined ? {} : { details: pair.details }) });
};

const aimAtSession = (request: ExchangeRequest, caller: AimingCaller, view: DomainView, now: number): Result<Aim, Refusal> => {
  const handsOn = request.requestedActor !== undefined;
  if (request.details !== undefined) return err(refusal('details_unsupported', 'without a target, details stand within those of type urn:mayfly:ceiling'));
  const renews = request.ceiling === undefined && caller.showedEvidence && caller.ceiling !== undefined;
  const ceiling = renews ? caller.ceiling : request.ceiling;
  if (ceiling === undefined) {
    return err(request.target === undefined && !handsOn ? refusal('target_missing', 'neither audience nor authorization_details') : refusal('details_malformed', 'a session token needs authorization_details of type urn:mayfly:ceiling'));
  }
  // A session token alone never begets another of its own: who holds one for minutes must not hold its authority for hours.
  if (!caller.showedEvidence && !handsOn) return err(refusal('actor_missing', 'a session token is obtained with evidence'));
  if (request.scopes.length > 0) return err(refusal('scope_malformed', 'a session token has no scope: the ceiling names the scopes'));
  const asks: Ask[] = [];
  for (const pair of mergePairs(ceiling)) {
    const ask = findAsk(view, pair, now);
    if (ask.ok) asks.push(ask.value);
    else if (!renews) return ask;
  }
  return asks.length === 0 ? err(refusal('target_unknown', 'nothing the session holds is registered any more')) : ok({ kind: 'session', asks, renews });
};

type AimingCaller = Pick<Caller, 'showedEvidence' | 'ceiling'>;

/** Exactly one target per exchange; our own issuer URL is reserved for session tokens (design section 5). */
export const aim = (request: ExchangeRequest, caller: AimingCaller, view: DomainView, now: number): Result<Aim, Refusal> => {
  if (request.target === undefined || request.target === view.domain.issuer) return aimAtSession(request, caller, view, now);
  if (request.ceiling !== undefined) return err(refusal('details_unsupported', 'authorization_details of type urn:mayfly:ceiling are for session tokens'));
  const { target: audience, scopes, details } = request;
  const ask = findAsk(view, { audience, scopes, ...(details === undefined ? {} : { details }) }, now);
  return ask.ok ? ok({ kind: 'resource', ask: ask.value }) : ask;
};

/** What the hop still holds of an ask; registered scopes it does not hold are left out, an audience it does not hold is refused. Details are compared once they are read (decide-details.ts). */
export const withinCeiling = (ask: Ask, held: readonly CeilingPair[]): Result<Ask, Refusal> => {
  const { audience } = ask.resource;
  const holds = held.some((pair) => pair.audience === audience && (ask.scopes.length > 0 || pair.scopes.length === 0));
  if (!holds) return err(refusal('ceiling_exceeded', `${audience} is outside the session token's ceiling`));
  const unknown = ask.scopes.filter((scope) => !ask.resource.scopes.includes(scope));
  if (unknown.length > 0) return err(refusal('scope_unknown', `not registered at ${audience}: ${unknown.join(' ')}`));
  const [kept] = narrowPairs([{ audience, scopes: ask.scopes }], held, () => NO_RULES);
  if (kept === undefined) return err(refusal('ceiling_exceeded', 'no asked scope is within the session token\'s ceiling'));
  return ok({ ...ask, scopes: ask.scopes.filter((scope) => kept.scopes.includes(scope)) });
};

const NO_RULES: DetailRules = new Map();
