import type { Attributes } from '../attestation/attributes.ts';
import { personUrn } from '../attestation/person.ts';
import { actorsOf, checkCircle, checkDepth, checkPlace } from '../authority/chain.ts';
import type { IssuerId, PersonUrn } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { principalOf } from '../exchange/caller-evidence.ts';
import type { Framing } from '../exchange/decide.ts';
import type { EvidenceFacts } from '../exchange/facts.ts';
import type { Workload } from '../registry/entries.ts';
import { isGlob } from '../registry/glob.ts';
import { compileRule, matchesRule } from '../registry/match.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { ChainLink, Target } from '../store/rows.ts';

/** A person as if they had logged in just now. */
export interface SimulatedPerson { readonly issuer: string; readonly sub: string; readonly groups: readonly string[] }
/** A workload, by name or SPIFFE ID, as if it had shown evidence just now; attributes beyond those its match rule says. */
export interface SimulatedActor { readonly workload: string; readonly attributes: Attributes }

/** From the first actor to the one that acts now. */
export interface SimulatedChain { readonly person: SimulatedPerson | undefined; readonly actors: readonly SimulatedActor[]; readonly purpose: string | undefined }

export interface BuiltChain { readonly framing: Framing; readonly path: readonly Target[] }
interface Shown { readonly workload: Workload; readonly facts: EvidenceFacts; readonly issuerId: IssuerId }

/** A chain as the exchange would have built it, one hand-over after the other, or the refusal at which it would have stopped. */
export const buildChain = (view: DomainView, { person: named, actors, purpose }: SimulatedChain, now: number): Result<BuiltChain, Refusal> => {
  const shown: Shown[] = [];
  for (const actor of actors) {
    const one = showActor(view, actor, now);
    if (!one.ok) return one;
    shown.push(one.value);
  }
  const [first] = shown;
  if (first === undefined) return err(refusal('actor_missing', 'a chain without an actor'));
  const person = named === undefined ? undefined : findPerson(view, named, first.workload);
  if (person?.ok === false) return person;
  return frameChain(view, shown, person?.value, purpose, now);
};

/** What is asked of a chain whose actors showed this evidence. */
export const frameChain = (view: DomainView, shown: readonly Shown[], person: Framing['person'], purpose: string | undefined, now: number): Result<BuiltChain, Refusal> => {
  const [first] = shown;
  const last = shown.at(-1);
  if (first === undefined || last === undefined) return err(refusal('actor_missing', 'a chain without an actor'));
  const model = person === undefined ? first.workload.authority : 'delegated';
  if (person === undefined && model === 'delegated') return err(refusal('model_delegated', `${first.workload.name} acts for people: name the person`));
  const chain: ChainLink[] = [];
  for (const { workload, facts } of shown) {
    chain.push({ iss: view.domain.issuer, sub: workload.spiffeId, workloadId: workload.id, evidence: facts });
    const refused = checkPlace(workload, chain.length === 1 ? undefined : model) ?? checkCircle(chain.slice(0, -1), workload.spiffeId) ?? (chain.length === 1 ? undefined : checkDepth(actorsOf({ model }, chain).length, view.domain.limits.depth));
    if (refused !== undefined) return err(refused);
  }
  const principal = person?.urn ?? (model === 'autonomous' ? principalOf(view, first.workload) : first.workload.owner);
  const facts: JsonObject = purpose === undefined ? {} : { purpose };
  return ok({
    framing: {
      workload: last.workload, evidence: last.facts, chain, person, session: { model, principal, startedAt: now, facts }, opensTask: model === 'autonomous' && shown.length === 1 && purpose !== undefined,
      freshness: model === 'bounded' ? undefined : { at: now, shown: true, within: view.domain.limits.freshness[model] },
    },
    path: [`domain:${view.domain.id}`, ...(model === 'bounded' ? [] : [`person:${principal}` as const]), ...shown.flatMap(({ workload, issuerId }) => [`issuer:${issuerId}` as const, `workload:${workload.id}` as const])],
  });
};

const showActor = (view: DomainView, { workload: name, attributes: more }: SimulatedActor, now: number): Result<Shown, Refusal> => {
  const workload = view.workloadByName(name) ?? view.workloadBySpiffeId(name);
  if (workload === undefined) return err(refusal('workload_unknown', `no workload ${name} in ${view.domain.name}`));
  if (workload.expires <= now) return err(refusal('workload_expired', `the registration of ${workload.name} has expired`));
  const issuer = view.issuer(workload.match.issuer);
  if (issuer === undefined) return err(refusal('evidence_issuer_unknown', `issuer ${workload.match.issuer} of ${workload.name} is not registered`));
  const attributes = { ...saidByRule(workload), ...more };
  if (!matchesRule(compileRule(workload.match), attributes)) return err(refusal('workload_unknown', `these attributes are not ${workload.name}: its match rule asks for ${JSON.stringify(workload.match.attributes)}`));
  return ok({ workload, issuerId: issuer.id, facts: { kind: issuer.attestor, issuer: issuer.name, subject: 'simulated', attributes } });
};

/** What a match rule fixes; where it has a pattern or a choice, only whoever asks can say what the evidence would be. */
const saidByRule = ({ match }: Workload): Attributes => Object.fromEntries(Object.entries(match.attributes).flatMap(([name, allowed]) => {
  const [only, ...others] = allowed;
  return only === undefined || others.length > 0 || isGlob(only) ? [] : [[name, only]];
}));

/** The person's application must have named the agent that comes with the login (design section 5, People). */
const findPerson = (view: DomainView, { issuer: name, sub, groups }: SimulatedPerson, { name: presenter, authority }: Workload): Result<Framing['person'] & { readonly urn: PersonUrn }, Refusal> => {
  const issuer = view.issuer(name);
  if (issuer?.proves !== 'people') return err(refusal('evidence_issuer_unknown', `no issuer ${name} in ${view.domain.name} that proves people`));
  if (issuer.audiences?.some(({ presenters }) => presenters.includes(presenter)) !== true) return err(refusal('presenter_not_listed', `${presenter} is no presenter of any application of issuer ${name}`));
  if (authority !== 'delegated') return err(refusal(authority === 'bounded' ? 'model_bounded' : 'model_autonomous', `${presenter} does not act for people`));
  return ok({ urn: personUrn(view.domain.name, name, sub), issuer: name, groups });
};
