import type { Crossing } from '../attestation/attest-crossing.ts';
import { sha256 } from '../core/bytes.ts';
import { MINUTE } from '../core/duration.ts';
import { sessionIdFromHash } from '../core/ids.ts';
import type { HopId, LeaseId, PersonUrn, SessionId } from '../core/ids.ts';
import { canonicalJson } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { Person } from '../attestation/person.ts';
import type { AuthorityLimits, Domain, Workload } from '../registry/entries.ts';
import type { CeilingPair, ChainLink, ForeignLink, HopRow, SessionRow, Target } from '../store/rows.ts';
import { isOwn } from './chain.ts';

export type NewSession = Omit<SessionRow, 'beganVersion'>;

/** Ids hold no NUL and the anchor stands last, so no two different inputs give the same bytes. */
const digest = (...parts: readonly string[]): Buffer => sha256(parts.join('\0'));

/** The same on every node: the row is inserted-if-absent in the commit of the first lease (design section 5, Session identity). */
export const sessionId = (domain: string, issuer: string, subject: string, anchor: string): SessionId => sessionIdFromHash(digest(domain, issuer, subject, anchor));

/** A hop is one actor, known by one issuer, with one key and one ceiling under one parent, handed over once; asking the same again joins it. */
const hopId = (session: SessionId, parent: HopId | null, { workload, issuerId, jkt, ceiling }: NewHop, handover: LeaseId | undefined): HopId =>
  `hop_${digest(session, parent ?? '', workload.spiffeId, issuerId, jkt ?? '', canonicalJson(ceiling), ...(handover === undefined ? [] : [handover])).toString('hex').slice(0, 32)}` as HopId;

/** A run's session (bounded): the run that the evidence names; accountable is the workload's owner. */
export const openRun = (domain: Domain, workload: Workload, evidence: Evidence, now: number): NewSession => ({
  id: sessionId(domain.id, evidence.issuerId, workload.id, evidence.anchor),
  domainId: domain.id,
  issuerId: evidence.issuerId,
  holder: workload.id,
  model: 'bounded',
  principal: workload.owner,
  anchor: evidence.anchor,
  facts: {},
  startedAt: now,
  expiresAt: Math.min(now + domain.limits.sessionAge.bounded, workload.expires),
  endedAt: null,
  freshAt: null,
});

/** A person's login (delegated), whichever of their agents comes with it first. */
export const openLogin = (domain: Domain, person: Person, now: number): NewSession => ({
  id: sessionId(domain.id, person.issuerId, person.urn, person.anchor),
  domainId: domain.id,
  issuerId: person.issuerId,
  holder: person.urn,
  model: 'delegated',
  principal: person.urn,
  anchor: person.anchor,
  facts: loginFacts(person),
  startedAt: now,
  expiresAt: now + domain.limits.sessionAge.delegated,
  endedAt: null,
  freshAt: person.authTime,
});

/** What decisions see of a login; a later token of the same login may tell of other groups. */
export const loginFacts = ({ issuerName, subject, groups, acr }: Person): JsonObject => ({ issuer: issuerName, subject, groups, ...(acr === undefined ? {} : { acr }) });

/**
 * A chain that goes on from another trust domain. In one installation it is one exercise of authority there and one here, and
 * ends with that one; of another installation nobody would tell us when it ended, so it lives for minutes.
 */
export const openCrossing = (domain: Domain, crossing: Crossing, origin: { readonly session: Pick<SessionRow, 'id' | 'facts' | 'expiresAt'>; readonly hop: Pick<HopRow, 'expiresAt'> } | undefined, now: number): NewSession => {
  const anchor = origin === undefined ? `crossing.${crossing.lease}` : `crossing.${crossing.sid}`;
  const longest = now + domain.limits.sessionAge[crossing.model];
  return {
    id: sessionId(domain.id, crossing.issuerId, crossing.subject, anchor),
    domainId: domain.id,
    issuerId: crossing.issuerId,
    holder: crossing.subject,
    model: crossing.model,
    principal: crossing.principal,
    anchor,
    facts: { from: crossing.iss, session: crossing.sid, ...(origin === undefined ? {} : { charged: origin.session.facts['charged'] ?? origin.session.id }) },
    startedAt: now,
    expiresAt: origin === undefined ? Math.min(longest, now + UNWATCHED) : Math.min(longest, origin.session.expiresAt, origin.hop.expiresAt),
    endedAt: null,
    freshAt: crossing.model === 'delegated' ? crossing.authTime ?? now : crossing.model === 'autonomous' ? now : null,
  };
};

/** How long authority from another installation lasts without being shown anew. */
const UNWATCHED = 5 * MINUTE;

/** A session that is there already. Its workload may have been given an earlier end since, which nothing outlives either. */
export const joinSession = (stored: SessionRow, workload: Pick<Workload, 'id' | 'expires'>): SessionRow =>
  (stored.holder === workload.id ? { ...stored, expiresAt: Math.min(stored.expiresAt, workload.expires) } : stored);

/** A task of an autonomous workload that its own evidence opens; the anchor is that evidence, so nobody can open it twice. */
export const openTask = (domain: Domain, workload: Workload, principal: PersonUrn, evidence: Pick<Evidence, 'issuerId'>, anchor: string, purpose: string, now: number): NewSession => ({
  id: sessionId(domain.id, evidence.issuerId, workload.id, `task.${anchor}`),
  domainId: domain.id,
  issuerId: evidence.issuerId,
  holder: workload.id,
  model: 'autonomous',
  principal,
  anchor: `task.${anchor}`,
  facts: { purpose, opened_by: 'exchange' },
  startedAt: now,
  expiresAt: Math.min(now + domain.limits.sessionAge.autonomous, workload.expires),
  endedAt: null,
  freshAt: now,
});

/** What a session rests on: revoking any of these ends it. The person accountable is among them, whose session it is or not. */
export const sessionPath = (session: Pick<SessionRow, 'id' | 'domainId' | 'issuerId' | 'holder' | 'model' | 'principal'>): readonly Target[] => [
  `domain:${session.domainId}`, `issuer:${session.issuerId}`,
  ...(session.model === 'bounded' ? [`workload:${session.holder}` as const] : []),
  ...(session.model === 'autonomous' ? [`workload:${session.holder}` as const, `person:${session.principal}` as const] : []),
  ...(session.model === 'delegated' ? [`person:${session.holder as PersonUrn}` as const] : []),
  `session:${session.id}`,
];

/** What an actor rests on: itself, and of an instance its template. */
export const workloadPath = ({ id, instanceOf }: Pick<Workload, 'id' | 'instanceOf'>): readonly Target[] => [...(instanceOf === undefined ? [] : [`workload:${instanceOf.id}` as const]), `workload:${id}`];

export interface NewHop {
  readonly workload: Pick<Workload, 'id' | 'spiffeId' | 'expires' | 'instanceOf'>;
  /** Entry of the issuer whose evidence the actor showed. */
  readonly issuerId: string;
  readonly jkt: string | null;
  readonly ceiling: readonly CeilingPair[];
  readonly link: ChainLink;
  /** Of a chain that came from another domain: who was in it there, the token it came with, and what it rested on. */
  readonly crossed?: { readonly before: readonly ForeignLink[]; readonly lease: LeaseId; readonly path: readonly Target[] } | undefined;
}

/** The first actor of a session. */
export const openRootHop = (session: NewSession, made: NewHop, now: number): HopRow => {
  const { workload, issuerId, jkt, ceiling, link, crossed } = made;
  const id = hopId(session.id, null, made, crossed?.lease);
  const path = crossed?.path ?? sessionPath(session);
  const before = crossed?.before ?? [];
  return {
    id, sessionId: session.id, parentId: null, actor: workload.spiffeId, workloadId: workload.id, jkt, ceiling, depth: before.length, chain: [...before, unshown(link)],
    path: distinct([...path, `issuer:${issuerId}`, `workload:${workload.id}`, `hop:${id}`]),
    createdAt: now, expiresAt: Math.min(session.expiresAt, workload.expires),
  };
};

/** Its evidence is kept with each of its leases, where it is never older than what was decided by it. */
const unshown = (link: ChainLink): ChainLink => (isOwn(link) ? { iss: link.iss, sub: link.sub, workloadId: link.workloadId } : link);

/** An actor that another one handed authority on to: everything its parent rests on, and the token it was handed, it rests on as well. The parent's chain tells what the parent showed. */
export const openChildHop = (parent: HopRow, made: NewHop, handover: LeaseId, now: number): HopRow => {
  const { workload, issuerId, jkt, ceiling, link } = made;
  const id = hopId(parent.sessionId, parent.id, made, handover);
  return {
    id, sessionId: parent.sessionId, parentId: parent.id, actor: workload.spiffeId, workloadId: workload.id, jkt, ceiling, depth: parent.depth + 1, chain: [...parent.chain, unshown(link)],
    path: distinct([...parent.path, `lease:${handover}`, `issuer:${issuerId}`, ...workloadPath(workload), `hop:${id}`]),
    createdAt: now, expiresAt: Math.min(parent.expiresAt, workload.expires),
  };
};

/** What a session's life depends on being fresh, and for how long it is; undefined where nothing has to be. */
export const freshnessOf = ({ model, freshAt }: Pick<NewSession, 'model' | 'freshAt'>, limits: AuthorityLimits): { readonly at: number; readonly within: number } | undefined =>
  (freshAt === null || model === 'bounded' ? undefined : { at: freshAt, within: limits.freshness[model] });

/** Suspended until a fresh login of the same person, or fresh evidence of the workload, comes (design section 5, Renewal). */
export const isStale = (session: Pick<NewSession, 'model' | 'freshAt'>, limits: AuthorityLimits, now: number): boolean => {
  const freshness = freshnessOf(session, limits);
  return freshness !== undefined && freshness.at + freshness.within <= now;
};

/** When whatever rests on a hop ends at the latest: with the hop, with the session, and with what has to be fresh. */
export const endOf = (hop: Pick<HopRow, 'expiresAt'>, session: Pick<NewSession, 'expiresAt'>, freshness: { readonly at: number; readonly within: number } | undefined): number =>
  Math.min(hop.expiresAt, session.expiresAt, freshness === undefined ? Number.POSITIVE_INFINITY : freshness.at + freshness.within);

/** Asking the same again joins the hop that is there, with the end it was given. */
export const joinHop = (opened: HopRow, stored: readonly HopRow[]): HopRow => stored.find(({ id }) => id === opened.id) ?? opened;

const distinct = (targets: readonly Target[]): readonly Target[] => targets.filter((target, at) => targets.indexOf(target) === at);
