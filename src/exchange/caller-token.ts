import { z } from 'zod';
import { actorsOf, isOwn, checkCircle, checkDepth, checkMayAct, checkPlace, withShown } from '../authority/chain.ts';
import { freshnessOf, isStale, joinSession, workloadPath } from '../authority/session.ts';
import type { Evidence } from '../attestation/evidence.ts';
import { sameSecret, sha256url } from '../core/bytes.ts';
import type { PersonUrn } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { ChainLink, HopRow, SessionRow } from '../store/rows.ts';
import type { LeaseStanding } from '../store/store.ts';
import { identifyActor, oneKey, replayOf } from './caller.ts';
import type { Actor, Asking, Caller, CallerPorts, PersonFacts } from './caller.ts';
import { parseEvidenceFacts } from './facts.ts';
import { HANDOVER_TOKEN, SESSION_TOKEN } from './session-token.ts';

/**
 * A session token of ours. Alone it buys what its ceiling names, or is narrowed for another actor; with the same actor's
 * evidence it is renewed; one that was handed on is taken up by the actor it names, with evidence of its own.
 */
export const bySessionToken = (ports: CallerPorts) => async (asking: Asking): Promise<Result<Caller, Refusal>> => {
  const { request, view, learnt } = asking;
  const token = await ports.verifySessionToken(request.subjectToken, view);
  if (!token.ok) return token;
  const standing = await ports.store.leaseStanding(token.value.jti);
  // The very token that was issued: an ECDSA signature has a twin, and a stolen signing key could put another ceiling under this jti.
  if (standing === undefined || !KINDS.has(standing.lease.kind) || !sameSecret(standing.lease.credentialHash, sha256url(request.subjectToken))) {
    return err(refusal('token_unknown', 'no lease of this session token'));
  }
  await knowAll(ports, view, standing.hop);
  const handedOn = standing.lease.kind === HANDOVER_TOKEN;
  const blocked = checkStanding(standing, view, ports.clock.now(), request.actorToken !== undefined && !handedOn);
  const proven = token.value.jkt ?? null;

  if (request.actorToken !== undefined) {
    const actor = await identifyActor(ports, request.actorToken, asking);
    if (!actor.ok) return actor;
    if (blocked !== undefined) return err(blocked);
    return handedOn ? takeUp(asking, standing, actor.value, token.value.claims.may_act, proven) : renew(asking, standing.session, standing.hop, actor.value, proven);
  }

  const workload = view.workloadById(standing.lease.workloadId);
  const facts = parseEvidenceFacts(standing.lease.decision['evidence']);
  learnt(workload, facts);
  if (request.clientId !== undefined && request.clientId !== token.value.clientId) return err(refusal('client_id_mismatch', 'client_id is not the workload the session token was issued to'));
  if (blocked !== undefined) return err(blocked);
  if (handedOn) return err(refusal('actor_missing', 'the token was handed on and is taken up with evidence of the actor it names'));
  const live = checkWorkload(workload, ports.clock.now());
  if (!live.ok) return live;
  return ok({
    ...common(view, standing.session, live.value),
    evidence: facts, issuerId: standing.lease.issuerId, hop: standing.hop, parent: undefined, hops: [standing.hop], ceiling: standing.lease.ceiling, chain: withShown(standing.hop.chain, facts),
    showedEvidence: false, path: [...standing.hop.path, `lease:${standing.lease.id}`], replayKey: null, replayUntil: null, jkt: proven,
  });
};

/** The id of a session whose tokens have expired, and fresh evidence of one of its actors (design section 5, Renewal). */
export const bySessionId = (ports: CallerPorts) => async (asking: Asking, actorToken: string): Promise<Result<Caller, Refusal>> => {
  const { request, view, binding } = asking;
  const actor = await identifyActor(ports, actorToken, asking);
  if (!actor.ok) return actor;
  const id = sessionIdSchema.safeParse(request.subjectToken);
  const found = id.success ? await ports.store.session(id.data as SessionRow['id']) : undefined;
  const jkt = binding?.jkt ?? null;
  // The newest of its hops with this key: what it asked for last is what it goes on with. One that only waits for people holds nothing.
  const own = found?.hops.filter((hop) => hop.workloadId === actor.value.workload.id && hop.ceiling.length > 0) ?? [];
  const hop = own.filter((each) => each.jkt === jkt).at(-1);
  // A session of another domain, or one this actor has no part in, is answered like one that does not exist.
  if (found === undefined || found.session.domainId !== view.domain.id || own.length === 0) return err(refusal('session_unknown', `no session in which ${actor.value.workload.name} acts`));
  if (hop === undefined) return err(refusal(jkt === null ? 'token_binding_required' : 'token_binding_mismatch', 'the actor\'s hop is bound to another key'));
  await knowAll(ports, view, hop);
  const blocked = checkStanding({ ...found, hop, ended: found.session.endedAt !== null || found.session.expiresAt <= ports.clock.now() || hop.expiresAt <= ports.clock.now() }, view, ports.clock.now(), true);
  return blocked === undefined ? renew(asking, found.session, hop, actor.value, jkt) : err(blocked);
};

/** Instances are told of like every change of the registry, and their tokens may be quicker from one node to the next. */
const knowAll = async (ports: CallerPorts, view: DomainView, { chain }: Pick<HopRow, 'chain'>): Promise<void> => {
  if (chain.some((link) => isOwn(link) && view.workloadById(link.workloadId) === undefined)) await ports.catchUp?.();
};

const KINDS: ReadonlySet<string> = new Set([SESSION_TOKEN, HANDOVER_TOKEN]);
const sessionIdSchema = z.string().regex(/^[A-Za-z0-9_-]{22}$/);

/** Why nothing may rest on this any more, or not now. `renews`: its own actor shows evidence with it. */
const checkStanding = ({ revokedBy, suspendedBy, session, hop, ended }: Pick<LeaseStanding, 'revokedBy' | 'suspendedBy' | 'session' | 'hop' | 'ended'>, { domain }: DomainView, now: number, renews: boolean): Refusal | undefined => {
  // What was ended is revoked as well; which of the two it was is told.
  if (session.endedAt !== null) return refusal('session_ended', 'the session was ended');
  if (revokedBy !== undefined) return refusal('revoked', `${revokedBy} is revoked`);
  if (ended) return refusal('session_ended', 'the session or hop is over');
  if (suspendedBy !== undefined) return refusal('suspended', `${suspendedBy} is suspended`);
  return isStale(session, domain.limits, now) && !(renews && refreshes(session, hop)) ? refusal('suspended', 'what the session rests on was shown too long ago') : undefined;
};

/** What an autonomous workload shows for its own first hop keeps the whole task fresh. */
const refreshes = ({ model }: Pick<SessionRow, 'model'>, { parentId }: Pick<HopRow, 'parentId'>): boolean => model === 'autonomous' && parentId === null;

const checkWorkload = (workload: Workload | undefined, now: number): Result<Workload, Refusal> => {
  if (workload === undefined) return err(refusal('workload_unknown', 'the workload is no longer registered'));
  return workload.expires <= now ? err(refusal('workload_expired', 'the workload registration has expired')) : ok(workload);
};

const loginSchema = z.object({ issuer: z.string(), groups: z.array(z.string()) });

const personOf = ({ model, holder, facts }: SessionRow): PersonFacts | undefined => {
  // Of a chain that came from another domain the person is known there, and only there.
  if (model !== 'delegated' || Object.hasOwn(facts, 'from')) return undefined;
  return { urn: holder as PersonUrn, ...loginSchema.parse(facts) };
};

const stored = (session: SessionRow, limits: DomainView['domain']['limits']): Caller['freshness'] => {
  const freshness = freshnessOf(session, limits);
  return freshness && { ...freshness, shown: false };
};

type Common = Pick<Caller, 'workload' | 'session' | 'person' | 'login' | 'freshness' | 'opensTask' | 'beganVersion' | 'proofs'>;
const common = ({ domain }: DomainView, session: SessionRow, workload: Workload): Common => ({
  workload, session: joinSession(session, workload), person: personOf(session), login: undefined, freshness: stored(session, domain.limits), opensTask: false, beganVersion: session.beganVersion, proofs: [],
});

const linkOf = ({ domain }: DomainView, { workload, facts }: Actor): ChainLink => ({ iss: domain.issuer, sub: workload.spiffeId, workloadId: workload.id, evidence: facts });

/** A run's session ends with the run: a later one of the same workload does not keep it going, where the platform tells them apart. */
const isOfAnotherRun = ({ model, anchor, facts }: SessionRow, { parentId }: Pick<HopRow, 'parentId'>, evidence: Evidence): boolean =>
  model === 'bounded' && parentId === null && !Object.hasOwn(facts, 'from') && evidence.anchor !== evidence.replayKey && evidence.anchor !== anchor;

/** The same actor with fresh evidence: the hop stays, and with it chain, ceiling and budget. */
const renew = ({ view }: Asking, session: SessionRow, hop: HopRow, actor: Actor, proven: string | null): Result<Caller, Refusal> => {
  const { workload, evidence, facts } = actor;
  if (workload.id !== hop.workloadId) return err(refusal('actor_mismatch', `the session token is ${hop.actor}'s, the evidence ${workload.spiffeId}'s`));
  // Its stored path says what the hop falls with: evidence of another issuer would keep alive what revoking that issuer does not reach.
  if (!hop.path.includes(`issuer:${evidence.issuerId}`)) return err(refusal('actor_mismatch', `evidence of issuer ${evidence.issuerName}, on which the hop does not rest`));
  if (isOfAnotherRun(session, hop, evidence)) return err(refusal('actor_mismatch', 'evidence of another run than the session is for'));
  const key = oneKey(hop.jkt, proven, evidence.boundTo);
  if (!key.ok) return key;
  const shown = refreshes(session, hop);
  const freshness = freshnessOf(session, view.domain.limits);
  return ok({
    ...common(view, session, workload),
    evidence: facts, issuerId: evidence.issuerId, hop, parent: undefined, hops: [hop], ceiling: hop.ceiling,
    chain: [...hop.chain.slice(0, -1), linkOf(view, actor)], showedEvidence: true, path: hop.path,
    ...(shown && freshness !== undefined ? { freshness: { ...freshness, at: evidence.issuedAt, shown: true } } : {}),
    ...replayOf(evidence), jkt: key.value,
  });
};

/** Another actor takes up what was handed on to it: a hop below the one it came from, within what the token holds. */
const takeUp = ({ view }: Asking, { lease, session, hop }: LeaseStanding, actor: Actor, mayAct: { readonly iss: string; readonly sub: string } | undefined, proven: string | null): Result<Caller, Refusal> => {
  const { workload, evidence, facts } = actor;
  if (mayAct === undefined) return err(refusal('actor_mismatch', 'the token names nobody who may act'));
  // The parent's evidence as it was when it handed on: a policy about it sees what the hand-over was decided by.
  const chain = [...withShown(hop.chain, parseEvidenceFacts(lease.decision['evidence'])), linkOf(view, actor)];
  // Authority can be handed to a template: to whichever of its instances comes.
  const named = workload.instanceOf?.spiffeId === mayAct.sub ? workload.instanceOf.spiffeId : workload.spiffeId;
  const refused = checkMayAct(mayAct, named, view.domain.issuer) ?? checkPlace(workload, session.model) ?? checkCircle(hop.chain, workload.spiffeId)
    ?? checkDepth(actorsOf(session, chain).length, view.domain.limits.depth);
  if (refused !== undefined) return err(refused);
  const key = oneKey(proven, evidence.boundTo);
  if (!key.ok) return key;
  return ok({
    ...common(view, session, workload),
    evidence: facts, issuerId: evidence.issuerId, hop: undefined, parent: { hop, handover: lease.id }, hops: [], ceiling: lease.ceiling, chain, showedEvidence: true,
    path: [...hop.path, `lease:${lease.id}`, `issuer:${evidence.issuerId}`, ...workloadPath(workload)],
    ...replayOf(evidence), jkt: key.value,
  });
};
