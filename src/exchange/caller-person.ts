import type { Presented } from '../attestation/envelope.ts';
import type { Person } from '../attestation/person.ts';
import { checkMayAct, checkPlace } from '../authority/chain.ts';
import { openLogin, sessionPath } from '../authority/session.ts';
import { HOUR } from '../core/duration.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { identifyActor, oneKey, replayOf } from './caller.ts';
import type { Actor, Asking, Caller, CallerPorts } from './caller.ts';

/**
 * An agent that acts for a person (delegated): the person's token says for whom, the agent's own evidence who acts. Neither is
 * worth anything without the other: no impersonation, and no agent with a person's token that was not made for it.
 */
export const byPerson = (ports: CallerPorts) => async (asking: Asking, actorToken: string, presented: Presented): Promise<Result<Caller, Refusal>> => {
  const { view } = asking;
  const actor = await identifyActor(ports, actorToken, asking);
  if (!actor.ok) return actor;
  const { workload } = actor.value;
  const misplaced = checkPlace(workload, undefined);
  if (misplaced !== undefined) return err(misplaced);
  const person = await ports.attestPerson(presented, view);
  if (!person.ok) return person;
  const refused = checkPresenter(person.value, actor.value, view.domain.issuer) ?? checkLogin(ports, person.value, view.domain.limits.freshness.delegated);
  if (refused !== undefined) return err(refused);
  if (workload.authority !== 'delegated') return err(refusal(workload.authority === 'bounded' ? 'model_bounded' : 'model_autonomous', `${workload.name} does not act for people`));
  const caller = callerFor(asking, actor.value, person.value, ports.clock.now());
  if (!caller.ok) return caller;
  return view.engine.readsSessionAge ? ports.join(caller.value) : caller;
};

const checkPresenter = ({ presenters, clientId, mayAct }: Person, { workload }: Actor, issuer: string): Refusal | undefined =>
  (presenters.includes(workload.name) ? checkMayAct(mayAct, workload.spiffeId, issuer) : refusal('presenter_not_listed', `${workload.name} is no presenter of application ${clientId}`));

/** A login ends with a revocation of the person, and counts only so long (design section 5, People). */
const checkLogin = ({ clock, endsLogin }: CallerPorts, { urn, authTime }: Person, within: number): Refusal | undefined => {
  if (endsLogin(urn, authTime)) return refusal('revoked', `person:${urn} was revoked after this login`);
  return authTime + within <= clock.now() ? refusal('login_too_old', `the login is older than ${Math.floor(within / 1000)} s`) : undefined;
};

const callerFor = ({ view, snapshotVersion }: Asking, { workload, evidence, facts }: Actor, person: Person, now: number): Result<Caller, Refusal> => {
  const key = oneKey(person.boundTo, evidence.boundTo);
  if (!key.ok) return key;
  const session = openLogin(view.domain, person, now);
  return ok({
    workload,
    evidence: facts,
    issuerId: evidence.issuerId,
    session,
    hop: undefined,
    parent: undefined,
    hops: undefined,
    ceiling: undefined,
    chain: [{ iss: view.domain.issuer, sub: workload.spiffeId, workloadId: workload.id, evidence: facts }],
    person: { urn: person.urn, issuer: person.issuerName, groups: person.groups },
    login: { person: person.urn, authTime: person.authTime },
    freshness: { at: person.authTime, shown: true, within: view.domain.limits.freshness.delegated },
    showedEvidence: true,
    opensTask: false,
    path: [...sessionPath(session), `issuer:${evidence.issuerId}`, `workload:${workload.id}`],
    beganVersion: snapshotVersion,
    ...replayOf(evidence),
    proofs: person.replayKey === undefined ? [] : [{ key: person.replayKey, until: person.expiresAt + HOUR }],
    jkt: key.value,
  });
};
