import { sha256 } from '../core/bytes.ts';
import { HOUR } from '../core/duration.ts';
import { sessionIdFromHash } from '../core/ids.ts';
import type { HopId, SessionId } from '../core/ids.ts';
import { canonicalJson } from '../core/json.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { AuthorityModel, Domain, Workload } from '../registry/entries.ts';
import type { CeilingPair, HopRow, SessionRow, Target } from '../store/rows.ts';

/** Longest exercise of authority per model; a session never outlives it, whatever is renewed. */
export const MAX_SESSION_AGE: Readonly<Record<AuthorityModel, number>> = { bounded: 12 * HOUR, delegated: 12 * HOUR, autonomous: 24 * HOUR };

/** Ids hold no NUL and the anchor stands last, so no two different inputs give the same bytes. */
const digest = (...parts: readonly string[]): Buffer => sha256(parts.join('\0'));

/** The same on every node: the row is inserted-if-absent in the commit of the first lease (design section 5, Session identity). */
export const sessionId = (domain: string, issuer: string, subject: string, anchor: string): SessionId => sessionIdFromHash(digest(domain, issuer, subject, anchor));

/** A hop is one actor with one key and one ceiling under one parent; asking the same again joins it. */
const hopId = (session: SessionId, parent: HopId | null, actor: string, jkt: string | null, ceiling: readonly CeilingPair[]): HopId =>
  `hop_${digest(session, parent ?? '', actor, jkt ?? '', canonicalJson(ceiling)).toString('hex').slice(0, 32)}` as HopId;

/** A run's session and who is accountable for it. Bounded: the run the evidence names; the principal is the workload's owner. */
export const openSession = (domain: Domain, workload: Workload, evidence: Evidence, now: number): Omit<SessionRow, 'beganVersion'> => ({
  id: sessionId(domain.id, evidence.issuerId, workload.id, evidence.anchor),
  domainId: domain.id,
  issuerId: evidence.issuerId,
  workloadId: workload.id,
  model: workload.authority,
  principal: workload.owner,
  anchor: evidence.anchor,
  startedAt: now,
  expiresAt: Math.min(now + MAX_SESSION_AGE[workload.authority], workload.expires),
  endedAt: null,
});

/** A session that is there already. Its workload may have been given an earlier end since, which nothing outlives either. */
export const joinSession = (stored: SessionRow, workload: Pick<Workload, 'expires'>): SessionRow => ({ ...stored, expiresAt: Math.min(stored.expiresAt, workload.expires) });

/** What a session rests on: revoking any of these ends it. */
export const sessionPath = (session: Pick<SessionRow, 'id' | 'domainId' | 'issuerId' | 'workloadId'>): readonly Target[] =>
  [`domain:${session.domainId}`, `issuer:${session.issuerId}`, `workload:${session.workloadId}`, `session:${session.id}`];

export const openRootHop = (session: Omit<SessionRow, 'beganVersion'>, workload: Workload, jkt: string | null, ceiling: readonly CeilingPair[], now: number): HopRow => {
  const id = hopId(session.id, null, workload.spiffeId, jkt, ceiling);
  return {
    id,
    sessionId: session.id,
    parentId: null,
    actor: workload.spiffeId,
    workloadId: workload.id,
    jkt,
    ceiling,
    depth: 0,
    path: [...sessionPath(session), `hop:${id}`],
    createdAt: now,
    expiresAt: session.expiresAt,
  };
};

/** Asking the same again joins the hop that is there, with the end it was given. */
export const joinHop = (opened: HopRow, stored: readonly HopRow[]): HopRow => stored.find(({ id }) => id === opened.id) ?? opened;
