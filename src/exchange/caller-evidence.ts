import type { Presented } from '../attestation/envelope.ts';
import { checkPlace } from '../authority/chain.ts';
import { openRun, openTask, sessionPath } from '../authority/session.ts';
import { personUrn } from '../attestation/person.ts';
import type { PersonUrn } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import { identifyActor, replayOf } from './caller.ts';
import type { Actor, Asking, Caller, CallerPorts } from './caller.ts';

/** A workload that shows its own evidence and acts for nobody else: for its run (bounded), or on a task (autonomous). */
export const byEvidence = (ports: CallerPorts) => async (asking: Asking, presented: Presented): Promise<Result<Caller, Refusal>> => {
  const { request, view } = asking;
  const actor = await identifyActor(ports, presented, asking);
  if (!actor.ok) return actor;
  const misplaced = checkPlace(actor.value.workload, undefined);
  if (misplaced !== undefined) return err(misplaced);
  const { authority } = actor.value.workload;
  const names = request.session !== undefined || request.purpose !== undefined;
  if (authority === 'delegated') return err(refusal('model_delegated', `${actor.value.workload.name} acts for people and showed nobody's token`));
  if (authority === 'autonomous') return names ? onTask(ports, asking, actor.value) : err(refusal('model_autonomous', `${actor.value.workload.name} named no task`));
  if (names) return err(refusal('model_bounded', `${actor.value.workload.name} acts for its run alone`));
  const caller = ownCaller(asking, actor.value, { session: openRun(view.domain, actor.value.workload, actor.value.evidence, ports.clock.now()), mayBeStored: mayJoin(actor.value) });
  // A policy that asks for the session's age must see the true one; all others are decided without a query.
  return view.engine.readsSessionAge ? ports.join(caller) : ok(caller);
};

/** Evidence that is its own anchor and is used once opens a session nobody else can name: no need to look for it. */
const mayJoin = ({ evidence: { anchor, replayKey } }: Actor): boolean => anchor !== replayKey;

/** A task opened beforehand, or by this very request where a policy permits `open`. */
const onTask = async (ports: CallerPorts, asking: Asking, actor: Actor): Promise<Result<Caller, Refusal>> => {
  const { request, view } = asking;
  const now = ports.clock.now();
  const principal = principalOf(view, actor.workload);
  const freshness = { at: now, shown: true, within: view.domain.limits.freshness.autonomous };
  if (request.session === undefined) {
    const anchor = actor.evidence.replayKey ?? actor.evidence.anchor;
    const session = openTask(view.domain, actor.workload, principal, actor.evidence, anchor, request.purpose ?? '', now);
    return ok({ ...ownCaller(asking, actor, { session, mayBeStored: false }), freshness, opensTask: true });
  }
  const running = await ports.store.session(request.session);
  // Somebody else's task is answered like one that does not exist.
  if (running === undefined || running.session.model !== 'autonomous' || running.session.holder !== actor.workload.id || running.session.domainId !== view.domain.id) {
    return err(refusal('session_unknown', `no task ${request.session} of ${actor.workload.name}`));
  }
  const { session, hops, revokedBy, suspendedBy } = running;
  if (session.endedAt !== null) return err(refusal('session_ended', 'the task was ended'));
  if (revokedBy !== undefined) return err(refusal('revoked', `${revokedBy} is revoked`));
  if (suspendedBy !== undefined) return err(refusal('suspended', `${suspendedBy} is suspended`));
  if (session.expiresAt <= now) return err(refusal('session_ended', 'the task is over'));
  // A request that waits for people has its session already; nothing is open before something was granted in it.
  const opensTask = session.facts['opened_by'] === 'exchange' && !hops.some(({ ceiling }) => ceiling.length > 0);
  return ok({ ...ownCaller(asking, actor, { session, mayBeStored: true }), hops, beganVersion: session.beganVersion, freshness, opensTask });
};

export const principalOf = ({ domain }: Pick<DomainView, 'domain'>, { principal, name }: Workload): PersonUrn => {
  if (principal === undefined) throw new Error(`autonomous workload ${name} has no principal`);
  return personUrn(domain.name, principal.issuer, principal.sub);
};

const ownCaller = ({ view, snapshotVersion }: Asking, { workload, evidence, facts }: Actor, { session, mayBeStored }: { readonly session: Caller['session']; readonly mayBeStored: boolean }): Caller => {
  const { replayKey, replayUntil } = replayOf(evidence);
  return {
    workload,
    evidence: facts,
    issuerId: evidence.issuerId,
    session,
    hop: undefined,
    parent: undefined,
    hops: mayBeStored ? undefined : [],
    ceiling: undefined,
    chain: [{ iss: view.domain.issuer, sub: workload.spiffeId, workloadId: workload.id, evidence: facts }],
    person: undefined,
    login: undefined,
    freshness: undefined,
    showedEvidence: true,
    opensTask: false,
    path: sessionPath(session),
    beganVersion: snapshotVersion,
    replayKey,
    replayUntil,
    proofs: [],
    jkt: evidence.boundTo ?? null,
  };
};
