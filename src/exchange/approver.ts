import { namesIn } from '../authority/approval.ts';
import type { Frozen, KnownPerson } from '../authority/approval.ts';
import { isForeign } from '../authority/chain.ts';
import { detailFacts } from '../authority/details.ts';
import { secondsSince } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import type { PersonUrn } from '../core/ids.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ApprovalVote } from '../store/rows.ts';

/** A person who looks at a request: how an issuer of the domain knows them. */
export interface Approver extends KnownPerson {
  readonly person: PersonUrn;
  /** Entry name of that issuer. */
  readonly issuer: string;
  readonly groups: readonly string[];
}

/** What somebody would agree to under one name, decided by the domain's policies: action `approve` on each thing that needs it. */
export const mayApprove = (view: DomainView, frozen: Frozen, { person: urn, issuer, groups }: Approver, name: string, now: number): Refusal | undefined => {
  const workload = view.workloadById(frozen.workload);
  if (workload === undefined) return refusal('workload_unknown', `${frozen.actor} is no longer registered`);
  const things = frozen.needs.filter(({ names }) => names.includes(name));
  for (const { audience, scope, detail } of things) {
    const resource = view.resource(audience);
    if (resource === undefined) return refusal('target_unknown', `${audience} is no longer registered`);
    const answer = view.engine.decide({
      domain: view.domain, action: 'approve', workload, person: { urn, issuer, groups }, resource, scope: scope ?? undefined, detail: detail && detailFacts(detail), evidence: frozen.evidence, chain: frozen.chain.map(({ sub }) => sub), passed: frozen.chain.filter(isForeign),
      session: {
        model: frozen.model, principal: frozen.principal, ageSeconds: secondsSince(frozen.startedAt, now), depth: frozen.chain.length - 1, purpose: frozen.purpose ?? undefined,
        freshSeconds: frozen.freshAt === null ? undefined : secondsSince(frozen.freshAt, now),
      },
      request: { bound: true, time: now, lifetime: frozen.lifetime, approval: name, actor: frozen.asked.handOnTo ?? undefined },
    });
    if (answer.errors.length > 0) return refusal('policy_error', answer.errors.join('; '));
    if (!answer.allow) return refusal('approver_denied', `no policy permits ${urn} to approve ${audience}${scope === null && detail === undefined ? '' : `#${scope ?? detail?.type ?? ''}`} as ${name}`);
  }
  // A name nothing needs is none that anybody could agree to.
  return things.length === 0 ? refusal('approver_denied', `the request needs nobody's word as ${name}`) : undefined;
};

/** Whether what people agreed to still is: nobody among them was revoked since, and each may still say it (design section 5: decided anew). */
export const judgeVotes = (view: DomainView, snapshot: Pick<Snapshot, 'endsLogin'>, frozen: Frozen, votes: readonly ApprovalVote[], now: number): Refusal | undefined => {
  for (const name of namesIn(frozen.needs)) {
    const standing = votes.filter((vote) => vote.name === name).map((vote) => (snapshot.endsLogin(vote.person, vote.at) ? refusal('approval_changed', `${vote.person} was revoked after approving`) : mayApprove(view, frozen, vote, name, now)));
    if (standing.includes(undefined)) continue;
    const [why] = standing;
    return why?.code === 'policy_error' ? why : refusal('approval_changed', why?.detail ?? `nobody approved as ${name}`);
  }
  return undefined;
};

/** Names under which somebody may agree to a request. */
export const namesFor = (view: DomainView, frozen: Frozen, approver: Approver, now: number): readonly string[] =>
  namesIn(frozen.needs).filter((name) => mayApprove(view, frozen, approver, name, now) === undefined);

