import { personUrn } from '../attestation/person.ts';
import { namesIn } from '../authority/approval.ts';
import type { Frozen, KnownPerson } from '../authority/approval.ts';
import { isForeign } from '../authority/chain.ts';
import { detailFacts } from '../authority/details.ts';
import { secondsSince } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { IssuerId, PersonUrn } from '../core/ids.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ApprovalVote } from '../store/approval-rows.ts';
import type { Target } from '../store/rows.ts';
import type { Word } from '../store/store.ts';

/** A person who looks at a request: how an issuer of the domain knows them. */
export interface Approver extends KnownPerson {
  readonly person: PersonUrn;
  /** Entry name of that issuer, and its id. */
  readonly issuer: string;
  readonly issuerId: IssuerId;
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

/** What the word of somebody rests on: their domain, the issuer that knows them, and every name under which its entries know the same human. */
export const approverTargets = (view: Pick<DomainView, 'domain' | 'issuersFor'>, { person, issuerId, iss, sub }: Pick<Approver, 'person' | 'issuerId' | 'iss' | 'sub'>): readonly Target[] => {
  const others = [...view.issuersFor(iss, 'people'), ...view.issuersFor(iss, 'admins')].map(({ name }) => `person:${personUrn(view.domain.name, name, sub)}` as const);
  return [...new Set<Target>([`domain:${view.domain.id}`, `issuer:${issuerId}`, `person:${person}`, ...others])];
};

/** Why the word of somebody does not count: one of its targets is blocked now, or was revoked at `since` or later, lifted or not. */
export const approverRevoked = (snapshot: ApproverSnapshot, targets: readonly Target[], since?: number): Refusal | undefined => {
  const blocked = snapshot.blockedBy(targets, snapshot.version);
  if (blocked !== undefined) return refusal('revoked', `${blocked.target} is ${blocked.effect}`);
  const ended = since === undefined ? undefined : targets.find((target) => snapshot.revokedSince(target, since));
  return ended === undefined ? undefined : refusal('revoked', `${ended} was revoked after this login or word`);
};
export type ApproverSnapshot = Pick<Snapshot, 'blockedBy' | 'revokedSince' | 'version'>;

/**
 * Whether what people agreed to still is: nobody among them was revoked since, nor what proved who they are, and each may still say
 * it (design section 5: decided anew). Tells the words it counts, one for each name, for the commit to ask the same of them.
 */
export const judgeVotes = (view: DomainView, snapshot: ApproverSnapshot, frozen: Frozen, votes: readonly ApprovalVote[], now: number): Result<readonly Word[], Refusal> => {
  const words: Word[] = [];
  for (const name of namesIn(frozen.needs)) {
    const judged = votes.filter((vote) => vote.name === name).map((vote) => judgeVote(view, snapshot, frozen, vote, now));
    const counted = judged.find((each) => each.ok);
    if (counted?.ok === true) {
      words.push(counted.value);
      continue;
    }
    const [first] = judged;
    const why = first?.ok === false ? first.error : undefined;
    return err(why?.code === 'policy_error' ? why : refusal('approval_changed', why?.detail ?? `nobody approved as ${name}`));
  }
  return ok(words);
};

const judgeVote = (view: DomainView, snapshot: ApproverSnapshot, frozen: Frozen, vote: ApprovalVote, now: number): Result<Word, Refusal> => {
  // By its id: ids are never given again, and an entry that has the name by now never knew this person.
  const entry = view.issuerById(vote.issuerId);
  if (entry === undefined || entry.expires <= now || entry.issuer !== vote.iss || (entry.proves !== 'people' && entry.proves !== 'admins')) return err(refusal('approval_changed', `issuer ${vote.issuer}, which proved ${vote.person}, is gone, over or another`));
  const targets = approverTargets(view, vote);
  const refused = approverRevoked(snapshot, targets, vote.at) ?? mayApprove(view, frozen, vote, vote.name, now);
  return refused === undefined ? ok({ targets, at: vote.at }) : err(refused);
};

/** Names under which somebody may agree to a request. */
export const namesFor = (view: DomainView, frozen: Frozen, approver: Approver, now: number): readonly string[] =>
  namesIn(frozen.needs).filter((name) => mayApprove(view, frozen, approver, name, now) === undefined);

