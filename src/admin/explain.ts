import { z } from 'zod';
import { detailFacts, detailRules, readDetail } from '../authority/details.ts';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { decisionOf, leaseOf, parseId } from '../core/ids.ts';
import type { DecisionId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { parseAuthority } from '../exchange/authority-facts.ts';
import { frameQuestions } from '../exchange/decide.ts';
import type { QuestionFrame } from '../exchange/decide.ts';
import { DEFERRAL } from '../exchange/deferral-code.ts';
import type { DetailFacts, NearMiss, PolicyCitation } from '../policy/decision.ts';
import type { Resource } from '../registry/entries.ts';
import { nearestWorkloads } from '../registry/nearest-workloads.ts';
import type { NearWorkload } from '../registry/nearest-workloads.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { DenialRow } from '../store/rows.ts';
import type { LeaseStanding, StoreReads } from '../store/store.ts';
import { domainMeant, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import { mendFor } from './mends.ts';
import { askEverybody } from './questions.ts';
import type { Answered } from './questions.ts';

const storedDetails = z.array(z.record(z.string(), z.unknown())).default([]);

/** What the exchange wrote of a request (exchange/trail.ts); older rows may lack members. */
const storedFacts = z.object({
  asked: z.object({
    target: z.string().nullish(), scopes: z.array(z.string()).default([]), bound: z.boolean().default(false), requested_actor: z.string().optional(),
    ceiling: z.array(z.object({ audience: z.string(), scopes: z.array(z.string()), details: storedDetails })).optional(), details: storedDetails,
  }).loose().optional(),
  evidence: z.object({ kind: z.string(), issuer: z.string(), subject: z.string(), attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])) }).optional(),
  authority: z.unknown().optional(),
});

export interface ExplainDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'denial' | 'leaseStanding'>;
  /** Refusals without a row, in the memory of whichever process of this server made them. */
  readonly denials: { recent(id: DecisionId): Promise<DenialRow | undefined> };
  readonly snapshot: Pick<Snapshot, 'domainById'>;
  readonly authorize: Authorize;
}

export const createExplain = (deps: ExplainDeps) => {
  /** The questions as they would be asked now, for each scope and detail of each pair; what is no longer, or never was, registered has none. */
  const rebuild = (view: DomainView, row: DenialRow): readonly { readonly resource: Resource; readonly scope: string | undefined; readonly detail?: DetailFacts; readonly frames: readonly QuestionFrame[] }[] => {
    const facts = storedFacts.safeParse(row.facts);
    if (!facts.success || facts.data.asked === undefined) return [];
    const { asked } = facts.data;
    // Without an authority that was recognised nobody was asked anything.
    const authority = parseAuthority(facts.data.authority, view);
    if (authority === undefined) return [];
    // A renewal asks for nothing but what it holds.
    const pairs = typeof asked.target === 'string' && asked.target !== view.domain.issuer ? [{ audience: asked.target, scopes: asked.scopes, details: asked.details }] : asked.ceiling ?? authority.ceiling ?? [];
    return pairs.flatMap(({ audience, scopes, details = [] }) => {
      const resource = view.resource(audience);
      if (resource === undefined) return [];
      const frames = frameQuestions(view, authority, { bound: asked.bound, time: row.at, lifetime: resource.lifetime ?? 300, actor: asked.requested_actor });
      const registered: readonly (string | undefined)[] = scopes.length === 0 ? [undefined] : scopes.filter((scope) => resource.scopes.includes(scope));
      if (!frames.ok) return [];
      const rules = detailRules(resource.details);
      const read = details.flatMap((raw) => {
        const known = readDetail(raw, rules);
        return known.ok ? [detailFacts(known.value)] : [];
      });
      return [...registered.map((scope) => ({ resource, scope, frames: frames.value })), ...read.map((detail) => ({ resource, scope: undefined, detail, frames: frames.value }))];
    });
  };

  /** Where no workload's rule fitted: those that came nearest now. */
  const nearestOf = (view: DomainView, row: DenialRow): readonly NearWorkload[] => {
    const facts = row.code === 'workload_unknown' ? storedFacts.safeParse(row.facts) : undefined;
    const evidence = facts?.success === true ? facts.data.evidence : undefined;
    return evidence === undefined ? [] : nearestWorkloads(view.entries().workloads, evidence.issuer, evidence.attributes);
  };

  const explainDenial = (row: DenialRow, view: DomainView | undefined): JsonObject => {
    const misses = view === undefined ? [] : rebuild(view, row).map(({ resource, scope, detail, frames }) => ({
      audience: resource.audience, scope: scope ?? null, ...(detail === undefined ? {} : { details: detail.type }), ...showAnswered(askEverybody(view, frames, resource, scope, detail)),
    }));
    const near = view === undefined ? [] : nearestOf(view, row);
    return {
      decision: row.id, outcome: 'denied', code: row.code, detail: row.detail, at: new Date(row.at).toISOString(), domain: view?.domain.name ?? row.domainId,
      mend: mendFor(row.code), facts: row.facts, ...(row.count > 1 ? { count: row.count } : {}), ...(near.length === 0 ? {} : { nearest_workloads: near.map(({ workload, why }) => ({ workload, why })) }), ...(misses.length === 0 ? {} : { policies_now: misses }),
    };
  };

  const explainLease = ({ lease, session, hop }: LeaseStanding, view: DomainView | undefined): JsonObject => ({
    decision: decisionOf(lease.id), outcome: lease.kind === DEFERRAL ? 'deferred' : 'issued', at: new Date(lease.issuedAt).toISOString(), domain: view?.domain.name ?? lease.domainId, lease: lease.id, kind: lease.kind,
    workload: view?.workloadById(lease.workloadId)?.name ?? lease.workloadId, audience: lease.audience, scope: lease.scope, expires: new Date(lease.expiresAt).toISOString(),
    seconds: seconds(lease.expiresAt - lease.issuedAt), model: session.model, ...(session.model === 'delegated' ? { person: session.holder } : {}), principal: session.principal,
    session: session.id, hop: hop.id, chain: hop.chain.map(({ sub }) => sub), facts: lease.decision,
  });

  return async (raw: string, admin: Admin): Promise<Result<JsonObject, Refusal>> => {
    const id = parseId('decision', raw);
    if (id === undefined) return err(refusal('not_found', `no decision ${raw}; an id is dec_ and 32 digits`));
    const denial = await deps.denials.recent(id) ?? await deps.store.denial(id);
    const issued = denial === undefined ? await deps.store.leaseStanding(leaseOf(id)) : undefined;
    const domainId = denial?.domainId ?? issued?.lease.domainId;
    const view = withinReach(admin, domainId === undefined ? undefined : deps.snapshot.domainById(domainId));
    const permitted = await deps.authorize(admin, 'explain', view ?? domainMeant(admin));
    if (!permitted.ok) return permitted;
    // Of a domain that is not loaded the installation's admins still learn.
    if (view === undefined && domainMeant(admin) !== undefined) return err(unknownDecision(raw));
    if (denial !== undefined) return ok(explainDenial(denial, view));
    return issued === undefined ? err(unknownDecision(raw)) : ok(explainLease(issued, view));
  };
};
export type Explain = ReturnType<typeof createExplain>;

const unknownDecision = (raw: string): Refusal => refusal('not_found', `no decision ${raw}; refusals of unverified requests are kept in the memory of the node that made them`);

const showAnswered = ({ allow, approval, refused, policies, questions }: Answered): JsonObject => ({
  permitted_now: allow, ...(approval.length === 0 ? {} : { on_approval_of: approval }), ...(refused === undefined ? {} : { refused: { principal: refused.principal, action: refused.action } }), policies: policies.map(showCitation), nearest: showNearest(refused?.nearest ?? []),
  questions: questions.map((each) => ({ principal: each.principal, action: each.action, permitted_now: each.allow, policies: each.policies.map(showCitation), ...(each.allow ? {} : { nearest: showNearest(each.nearest) }) })),
});
const showCitation = ({ name, version }: PolicyCitation): JsonObject => ({ name, version });
const showNearest = (nearest: readonly NearMiss[]): readonly JsonObject[] => nearest.map(({ policy, why }) => ({ policy: policy.name, version: policy.version, why }));
