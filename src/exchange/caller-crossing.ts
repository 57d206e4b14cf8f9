import { actorsOf, checkCircle, checkDepth, checkMayAct, checkPlace } from '../authority/chain.ts';
import { isStale, openCrossing, sessionPath } from '../authority/session.ts';
import { HOUR } from '../core/duration.ts';
import { sameSecret, sha256url } from '../core/bytes.ts';
import type { PersonUrn } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Crossing } from '../attestation/attest-crossing.ts';
import type { Presented } from '../attestation/envelope.ts';
import { CROSSING_TOKEN } from '../credentials/providers/domain.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { LeaseStanding } from '../store/store.ts';
import { identifyActor, replayOf } from './caller.ts';
import type { Actor, Asking, Caller, CallerPorts } from './caller.ts';

/**
 * A chain that goes on from another trust domain. Its token says who was in it; who goes on shows evidence that is valid here, is
 * the one the token names, and gets what this domain's policies say, none of which the other domain decides (invariant 8).
 */
export const byCrossing = (ports: CallerPorts) => async (asking: Asking, actorToken: string, presented: Presented): Promise<Result<Caller, Refusal>> => {
  const { request, view } = asking;
  const actor = await identifyActor(ports, actorToken, asking);
  if (!actor.ok) return actor;
  const attested = await ports.attestCrossing(presented, view);
  if (!attested.ok) return attested;
  const crossing = attested.value;
  const chain = [...crossing.chain, { iss: view.domain.issuer, sub: actor.value.workload.spiffeId, workloadId: actor.value.workload.id, evidence: actor.value.facts }];
  const now = ports.clock.now();
  const refused = checkPlace(actor.value.workload, undefined) ?? checkMayAct(crossing.mayAct, actor.value.workload.spiffeId, view.domain.issuer) ?? checkCircle(crossing.chain, actor.value.workload.spiffeId)
    ?? checkDepth(actorsOf(crossing, chain).length, view.domain.limits.depth) ?? checkPerson(ports, crossing, view, now);
  if (refused !== undefined) return err(refused);

  const from = ports.domainByIssuer(crossing.iss);
  if (from === undefined) return ok(callerFor(asking, actor.value, crossing, chain, undefined, now));
  const standing = await ports.store.leaseStanding(crossing.lease);
  const fallen = checkOrigin(standing, from, request.subjectToken, now);
  return fallen.ok ? ok(callerFor(asking, actor.value, crossing, chain, fallen.value, now)) : fallen;
};

const checkPerson = (ports: Pick<CallerPorts, 'endsLogin'>, { model, subject, authTime }: Crossing, { domain }: DomainView, now: number): Refusal | undefined => {
  if (model !== 'delegated' || authTime === undefined) return undefined;
  if (ports.endsLogin(subject as PersonUrn, authTime)) return refusal('revoked', `person:${subject} was revoked after this login`);
  return authTime + domain.limits.freshness.delegated <= now ? refusal('login_too_old', 'the login is older than this domain allows') : undefined;
};

/** A domain of this installation: what its chain rests on is known here, and has to stand. */
const checkOrigin = (standing: LeaseStanding | undefined, { domain }: DomainView, token: string, now: number): Result<LeaseStanding, Refusal> => {
  if (standing === undefined || standing.lease.kind !== CROSSING_TOKEN || !sameSecret(standing.lease.credentialHash, sha256url(token))) return err(refusal('token_unknown', 'no lease of this crossing token'));
  if (standing.session.endedAt !== null) return err(refusal('session_ended', 'the session it comes from was ended'));
  if (standing.revokedBy !== undefined) return err(refusal('revoked', `${standing.revokedBy} is revoked`));
  if (standing.ended) return err(refusal('session_ended', 'the session or hop it comes from is over'));
  if (standing.suspendedBy !== undefined) return err(refusal('suspended', `${standing.suspendedBy} is suspended`));
  return isStale(standing.session, domain.limits, now) ? err(refusal('suspended', 'what the session rests on was shown too long ago')) : ok(standing);
};

const callerFor = ({ view, snapshotVersion }: Asking, { workload, evidence, facts }: Actor, crossing: Crossing, chain: Caller['chain'], origin: LeaseStanding | undefined, now: number): Caller => {
  const session = openCrossing(view.domain, crossing, origin, now);
  const { limits } = view.domain;
  return {
    workload, evidence: facts, issuerId: evidence.issuerId, session, hop: undefined, parent: undefined, hops: undefined, ceiling: undefined, chain, person: undefined,
    login: crossing.model === 'delegated' && crossing.authTime !== undefined ? { person: crossing.subject as PersonUrn, authTime: crossing.authTime } : undefined,
    freshness: session.freshAt === null || session.model === 'bounded' ? undefined : { at: session.freshAt, shown: true, within: limits.freshness[session.model] },
    showedEvidence: true, opensTask: false, crossing: crossing.lease,
    // Within one installation everything the chain rested on there, the token itself included, it goes on resting on here.
    path: [...(origin === undefined ? [] : [...origin.hop.path, `lease:${origin.lease.id}` as const]), ...sessionPath(session), `issuer:${evidence.issuerId}`, `workload:${workload.id}`],
    beganVersion: snapshotVersion, ...replayOf(evidence), proofs: [{ key: crossing.replayKey, until: crossing.expiresAt + HOUR }], jkt: evidence.boundTo ?? null,
  };
};
