import type { Attributes } from '../attestation/attributes.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Question } from '../policy/decision.ts';
import type { Issuer, Workload } from '../registry/entries.ts';
import { nearestWorkloads } from '../registry/nearest-workloads.ts';
import type { NearWorkload } from '../registry/nearest-workloads.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { Admin, Authorize } from './access.ts';

export interface SimulateRequest {
  readonly domain: string;
  /** A platform's token, or attributes as if an issuer had proven them. */
  readonly shown: { readonly kind: 'token'; readonly token: string } | { readonly kind: 'attributes'; readonly issuer: string; readonly attributes: Attributes };
  readonly clientId: string | undefined;
  readonly audience: string;
  readonly scopes: readonly string[];
}

export interface ScopeAnswer { readonly scope: string | null; readonly allow: boolean; readonly policies: readonly string[]; readonly errors: readonly string[]; readonly nearest: readonly { readonly policy: string; readonly why: string }[] }

/** The decision the exchange would make, step by step as far as it gets; nothing is issued and nothing is consumed. */
export interface Simulation {
  readonly allow: boolean;
  readonly stoppedBy: Refusal | undefined;
  readonly attributes: Attributes | undefined;
  readonly workload: string | undefined;
  /** Where the evidence is no workload's: those whose rules came nearest. */
  readonly nearestWorkloads?: readonly NearWorkload[];
  readonly decisions: readonly ScopeAnswer[];
}

export interface SimulateDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domain' | 'revokedBy' | 'version'>;
  readonly authorize: Authorize;
  attest(token: string, candidates: (iss: string) => readonly Issuer[], view: DomainView): Promise<Result<Evidence, Refusal>>;
}

type Shown = Pick<Evidence, 'issuerName' | 'issuerId' | 'kind' | 'subject' | 'attributes' | 'proves'>;

export const createSimulate = (deps: SimulateDeps) => {
  const readShown = async (request: SimulateRequest, view: DomainView): Promise<Result<Shown, Refusal>> => {
    if (request.shown.kind === 'token') return deps.attest(request.shown.token, (iss) => view.issuersFor(iss, 'workloads'), view);
    const issuer = view.issuer(request.shown.issuer);
    if (issuer === undefined) return err(refusal('evidence_issuer_unknown', `no issuer ${request.shown.issuer} in ${view.domain.name}`));
    return ok({ issuerName: issuer.name, issuerId: issuer.id, kind: issuer.attestor, subject: 'simulated', attributes: request.shown.attributes, proves: issuer.proves });
  };

  const decide = (view: DomainView, workload: Workload, shown: Shown, request: SimulateRequest, now: number): Simulation => {
    const stopped = (code: Refusal['code'], detail: string): Simulation => ({ allow: false, stoppedBy: refusal(code, detail), attributes: shown.attributes, workload: workload.name, decisions: [] });
    const revoked = deps.snapshot.revokedBy([`domain:${view.domain.id}`, `issuer:${shown.issuerId}`, `workload:${workload.id}`], deps.snapshot.version);
    if (revoked !== undefined) return stopped('revoked', `${revoked} is revoked`);
    const resource = view.resource(request.audience);
    if (resource === undefined) return stopped('target_unknown', `${request.audience} is not registered`);
    const unknown = request.scopes.filter((scope) => !resource.scopes.includes(scope));
    if (unknown.length > 0) return stopped('scope_unknown', `not registered at ${request.audience}: ${unknown.join(' ')}`);
    const frame: Omit<Question, 'scope'> = {
      domain: view.domain, action: 'issue', workload, resource, chain: [workload.spiffeId],
      evidence: { kind: shown.kind, issuer: shown.issuerName, subject: shown.subject, attributes: shown.attributes },
      session: { model: workload.authority, principal: workload.owner, ageSeconds: 0, depth: 0 },
      request: { bound: workload.bound || resource.bound, time: now, lifetime: resource.lifetime ?? 300 },
    };
    const scopes: readonly (string | undefined)[] = request.scopes.length === 0 ? [undefined] : request.scopes;
    const decisions = scopes.map((scope): ScopeAnswer => {
      const answer = view.engine.decide({ ...frame, scope });
      return {
        scope: scope ?? null, allow: answer.allow, policies: answer.policies.map(({ name, version }) => `${name}@${version}`), errors: answer.errors,
        nearest: answer.allow ? [] : view.engine.nearMisses({ ...frame, scope }).map(({ policy, why }) => ({ policy: policy.name, why })),
      };
    });
    return { allow: decisions.some(({ allow }) => allow), stoppedBy: undefined, attributes: shown.attributes, workload: workload.name, decisions };
  };

  return async (request: SimulateRequest, admin: Admin): Promise<Result<Simulation, Refusal>> => {
    const view = deps.snapshot.domain(request.domain);
    const permitted = await deps.authorize(admin, 'simulate', view);
    if (!permitted.ok) return permitted;
    if (view === undefined) return err(refusal('not_found', `no domain ${request.domain}`));
    if (view.problems.length > 0) return ok({ allow: false, stoppedBy: refusal('domain_not_ready', view.problems.join('; ')), attributes: undefined, workload: undefined, decisions: [] });
    const now = deps.clock.now();
    const shown = await readShown(request, view);
    if (!shown.ok) return ok({ allow: false, stoppedBy: shown.error, attributes: undefined, workload: undefined, decisions: [] });
    const workload = view.identify(shown.value, request.clientId, now);
    if (!workload.ok) {
      const near = workload.error.code === 'workload_unknown' ? nearestWorkloads(view.entries().workloads, shown.value.issuerName, shown.value.attributes) : [];
      return ok({ allow: false, stoppedBy: workload.error, attributes: shown.value.attributes, workload: undefined, nearestWorkloads: near, decisions: [] });
    }
    return ok(decide(view, workload.value, shown.value, request, now));
  };
};
export type Simulate = ReturnType<typeof createSimulate>;
