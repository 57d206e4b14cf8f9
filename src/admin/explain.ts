import { z } from 'zod';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { decisionOf, parseId } from '../core/ids.ts';
import type { DecisionId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Question } from '../policy/decision.ts';
import { nearestWorkloads } from '../registry/nearest-workloads.ts';
import type { NearWorkload } from '../registry/nearest-workloads.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { DenialRow, LeaseRow } from '../store/rows.ts';
import type { StoreReads } from '../store/store.ts';
import { domainMeant, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import { mendFor } from './mends.ts';

/** What the exchange wrote of a request (exchange/trail.ts); older rows may lack members. */
const storedFacts = z.object({
  asked: z.object({
    target: z.string().nullish(), scopes: z.array(z.string()).default([]), bound: z.boolean().default(false),
    ceiling: z.array(z.object({ audience: z.string(), scopes: z.array(z.string()) })).default([]),
  }).loose().optional(),
  workload: z.string().nullish(),
  evidence: z.object({ kind: z.string(), issuer: z.string(), subject: z.string(), attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])) }).optional(),
});

export interface ExplainDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'denial' | 'leaseByDecision'>;
  /** Refusals without a row, in the memory of whichever process of this server made them. */
  readonly denials: { recent(id: DecisionId): Promise<DenialRow | undefined> };
  readonly snapshot: Pick<Snapshot, 'domainById'>;
  readonly authorize: Authorize;
}

export const createExplain = (deps: ExplainDeps) => {
  /** The questions as they would be asked now, one per scope of each pair; what is no longer, or never was, registered has none. */
  const rebuild = (view: DomainView, row: DenialRow): readonly Question[] => {
    const facts = storedFacts.safeParse(row.facts);
    const workload = row.workloadId === null ? undefined : view.workloadById(row.workloadId);
    if (!facts.success || facts.data.evidence === undefined || facts.data.asked === undefined || workload === undefined) return [];
    const { evidence, asked } = facts.data;
    const pairs = typeof asked.target === 'string' ? [{ audience: asked.target, scopes: asked.scopes }] : asked.ceiling;
    return pairs.flatMap(({ audience, scopes }): readonly Question[] => {
      const resource = view.resource(audience);
      if (resource === undefined) return [];
      const registered: readonly (string | undefined)[] = scopes.length === 0 ? [undefined] : scopes.filter((scope) => resource.scopes.includes(scope));
      return registered.map((scope) => ({
        domain: view.domain, action: 'issue', workload, resource, scope, evidence, chain: [workload.spiffeId],
        session: { model: workload.authority, principal: workload.owner, ageSeconds: 0, depth: 0 },
        request: { bound: asked.bound, time: row.at, lifetime: resource.lifetime ?? 300 },
      }));
    });
  };

  /** Where no workload's rule fitted: those that came nearest now. */
  const nearestOf = (view: DomainView, row: DenialRow): readonly NearWorkload[] => {
    const facts = row.code === 'workload_unknown' ? storedFacts.safeParse(row.facts) : undefined;
    const evidence = facts?.success === true ? facts.data.evidence : undefined;
    return evidence === undefined ? [] : nearestWorkloads(view.entries().workloads, evidence.issuer, evidence.attributes);
  };

  const explainDenial = (row: DenialRow, view: DomainView | undefined): JsonObject => {
    const misses = view === undefined ? [] : rebuild(view, row).flatMap((question) => {
      const answer = view.engine.decide(question);
      return [{
        audience: question.resource.audience, scope: question.scope ?? null, permitted_now: answer.allow, policies: answer.policies.map(({ name, version }) => ({ name, version })),
        nearest: view.engine.nearMisses(question).map(({ policy, why }) => ({ policy: policy.name, version: policy.version, why })),
      }];
    });
    const near = view === undefined ? [] : nearestOf(view, row);
    return {
      decision: row.id, outcome: 'denied', code: row.code, detail: row.detail, at: new Date(row.at).toISOString(), domain: view?.domain.name ?? row.domainId,
      mend: mendFor(row.code), facts: row.facts, ...(row.count > 1 ? { count: row.count } : {}), ...(near.length === 0 ? {} : { nearest_workloads: near.map(({ workload, why }) => ({ workload, why })) }), ...(misses.length === 0 ? {} : { policies_now: misses }),
    };
  };

  const explainLease = (lease: LeaseRow, view: DomainView | undefined): JsonObject => ({
    decision: decisionOf(lease.id), outcome: 'issued', at: new Date(lease.issuedAt).toISOString(), domain: view?.domain.name ?? lease.domainId, lease: lease.id, kind: lease.kind,
    workload: view?.workloadById(lease.workloadId)?.name ?? lease.workloadId, audience: lease.audience, scope: lease.scope, expires: new Date(lease.expiresAt).toISOString(),
    seconds: seconds(lease.expiresAt - lease.issuedAt), facts: lease.decision,
  });

  return async (raw: string, admin: Admin): Promise<Result<JsonObject, Refusal>> => {
    const id = parseId('decision', raw);
    if (id === undefined) return err(refusal('not_found', `no decision ${raw}; an id is dec_ and 32 digits`));
    const denial = await deps.denials.recent(id) ?? await deps.store.denial(id);
    const lease = denial === undefined ? await deps.store.leaseByDecision(id) : undefined;
    const domainId = denial?.domainId ?? lease?.domainId;
    const view = withinReach(admin, domainId === undefined ? undefined : deps.snapshot.domainById(domainId));
    const permitted = await deps.authorize(admin, 'explain', view ?? domainMeant(admin));
    if (!permitted.ok) return permitted;
    // Of a domain that is not loaded the installation's admins still learn.
    if (view === undefined && domainMeant(admin) !== undefined) return err(unknownDecision(raw));
    if (denial !== undefined) return ok(explainDenial(denial, view));
    return lease === undefined ? err(unknownDecision(raw)) : ok(explainLease(lease, view));
  };
};
export type Explain = ReturnType<typeof createExplain>;

const unknownDecision = (raw: string): Refusal => refusal('not_found', `no decision ${raw}; refusals of unverified requests are kept in the memory of the node that made them`);
