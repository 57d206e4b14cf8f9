import type { Attributes } from '../attestation/attributes.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { frameQuestions } from '../exchange/decide.ts';
import type { NearMiss, PolicyCitation } from '../policy/decision.ts';
import type { Issuer } from '../registry/entries.ts';
import { nearestWorkloads } from '../registry/nearest-workloads.ts';
import type { NearWorkload } from '../registry/nearest-workloads.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { Admin, Authorize } from './access.ts';
import { askEverybody } from './questions.ts';
import type { Answered } from './questions.ts';
import { buildChain, frameChain } from './simulate-chain.ts';
import type { BuiltChain, SimulatedChain } from './simulate-chain.ts';

export interface SimulateRequest {
  readonly domain: string;
  /** A platform's token, attributes as if an issuer had proven them, or a whole chain of registered actors. */
  readonly shown: { readonly kind: 'token'; readonly token: string } | { readonly kind: 'attributes'; readonly issuer: string; readonly attributes: Attributes } | ({ readonly kind: 'chain' } & Omit<SimulatedChain, 'purpose'>);
  readonly clientId: string | undefined;
  readonly audience: string;
  readonly scopes: readonly string[];
  /** Of an autonomous workload: what the task is for; its first actor opens it. */
  readonly purpose: string | undefined;
  /** Workload, by name or SPIFFE ID, that the last actor hands on to. */
  readonly handsOnTo: string | undefined;
}

type Near = readonly { readonly policy: string; readonly why: string }[];
/** Whose question was refused first, if one was; with several to ask, each question with its answer. */
/** `approval`: it would be a yes on the word of somebody for each of these names. */
export interface ScopeAnswer {
  readonly scope: string | null; readonly allow: boolean; readonly approval?: readonly string[]; readonly policies: readonly string[]; readonly errors: readonly string[]; readonly nearest: Near;
  readonly refused?: { readonly principal: string; readonly action: string };
  readonly questions?: readonly { readonly principal: string; readonly action: string; readonly allow: boolean; readonly policies: readonly string[]; readonly nearest: Near }[];
}

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
  readonly snapshot: Pick<Snapshot, 'domain' | 'blockedBy' | 'version'>;
  readonly authorize: Authorize;
  attest(token: string, candidates: (iss: string) => readonly Issuer[], view: DomainView): Promise<Result<Evidence, Refusal>>;
}

type Shown = Pick<Evidence, 'issuerName' | 'issuerId' | 'kind' | 'subject' | 'attributes' | 'proves'>;
type Single = Exclude<SimulateRequest['shown'], { readonly kind: 'chain' }>;

export const createSimulate = (deps: SimulateDeps) => {
  const readShown = async (single: Single, view: DomainView): Promise<Result<Shown, Refusal>> => {
    if (single.kind === 'token') return deps.attest(single.token, (iss) => view.issuersFor(iss, 'workloads'), view);
    const issuer = view.issuer(single.issuer);
    if (issuer === undefined) return err(refusal('evidence_issuer_unknown', `no issuer ${single.issuer} in ${view.domain.name}`));
    return ok({ issuerName: issuer.name, issuerId: issuer.id, kind: issuer.attestor, subject: 'simulated', attributes: single.attributes, proves: issuer.proves });
  };

  const decide = (view: DomainView, built: Result<BuiltChain, Refusal>, request: SimulateRequest, known: Known, now: number): Simulation => {
    const stopped = (refused: Refusal): Simulation => ({ allow: false, stoppedBy: refused, ...known, decisions: [] });
    if (!built.ok) return stopped(built.error);
    const { framing, path } = built.value;
    const blocked = deps.snapshot.blockedBy(path, deps.snapshot.version);
    if (blocked !== undefined) return stopped(refusal(blocked.effect, `${blocked.target} is ${blocked.effect}`));
    const resource = view.resource(request.audience);
    if (resource === undefined) return stopped(refusal('target_unknown', `${request.audience} is not registered`));
    const unknown = request.scopes.filter((scope) => !resource.scopes.includes(scope));
    if (unknown.length > 0) return stopped(refusal('scope_unknown', `not registered at ${request.audience}: ${unknown.join(' ')}`));
    const next = request.handsOnTo === undefined ? undefined : view.workloadByName(request.handsOnTo) ?? view.workloadBySpiffeId(request.handsOnTo);
    if (request.handsOnTo !== undefined && next === undefined) return stopped(refusal('workload_unknown', `no workload ${request.handsOnTo} in ${view.domain.name}`));
    const frames = frameQuestions(view, framing, { bound: framing.workload.bound || resource.bound, time: now, lifetime: resource.lifetime ?? 300, actor: next?.spiffeId });
    if (!frames.ok) return stopped(frames.error);
    const scopes: readonly (string | undefined)[] = request.scopes.length === 0 ? [undefined] : request.scopes;
    const decisions = scopes.map((scope): ScopeAnswer => showAnswer(scope, askEverybody(view, frames.value, resource, scope)));
    return { allow: decisions.some(({ allow }) => allow), stoppedBy: undefined, ...known, decisions };
  };

  return async (request: SimulateRequest, admin: Admin): Promise<Result<Simulation, Refusal>> => {
    const view = deps.snapshot.domain(request.domain);
    const permitted = await deps.authorize(admin, 'simulate', view);
    if (!permitted.ok) return permitted;
    if (view === undefined) return err(refusal('not_found', `no domain ${request.domain}`));
    if (view.problems.length > 0) return ok({ allow: false, stoppedBy: refusal('domain_not_ready', view.problems.join('; ')), attributes: undefined, workload: undefined, decisions: [] });
    const now = deps.clock.now();
    if (request.shown.kind === 'chain') {
      const built = buildChain(view, { ...request.shown, purpose: request.purpose }, now);
      return ok(decide(view, built, request, { attributes: built.ok ? built.value.framing.evidence.attributes : undefined, workload: built.ok ? built.value.framing.workload.name : undefined }, now));
    }
    const shown = await readShown(request.shown, view);
    if (!shown.ok) return ok({ allow: false, stoppedBy: shown.error, attributes: undefined, workload: undefined, decisions: [] });
    const { kind, issuerName, issuerId, subject, attributes } = shown.value;
    const workload = view.identify(shown.value, request.clientId, now);
    if (!workload.ok) {
      const near = workload.error.code === 'workload_unknown' ? nearestWorkloads(view.entries().workloads, issuerName, attributes) : [];
      return ok({ allow: false, stoppedBy: workload.error, attributes, workload: undefined, nearestWorkloads: near, decisions: [] });
    }
    const built = frameChain(view, [{ workload: workload.value, issuerId, facts: { kind, issuer: issuerName, subject, attributes } }], undefined, request.purpose, now);
    return ok(decide(view, built, request, { attributes, workload: workload.value.name }, now));
  };
};
export type Simulate = ReturnType<typeof createSimulate>;

interface Known { readonly attributes: Attributes | undefined; readonly workload: string | undefined }

const showAnswer = (scope: string | undefined, { allow, approval, refused, policies, errors, questions }: Answered): ScopeAnswer => ({
  scope: scope ?? null, allow, ...(approval.length === 0 ? {} : { approval }), ...(refused === undefined ? {} : { refused: { principal: refused.principal, action: refused.action } }),
  policies: policies.map(cite), errors, nearest: showNear(refused?.nearest ?? []),
  ...(questions.length === 1 ? {} : { questions: questions.map((each) => ({ principal: each.principal, action: each.action, allow: each.allow, policies: each.policies.map(cite), nearest: showNear(each.nearest) })) }),
});
const cite = ({ name, version }: PolicyCitation): string => `${name}@${version}`;
const showNear = (nearest: readonly NearMiss[]): Near => nearest.map(({ policy, why }) => ({ policy: policy.name, why }));
