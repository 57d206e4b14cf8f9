import type { SpiffeId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { HopRow, LeaseRow, SessionRow, Target } from '../store/rows.ts';
import type { SignalRow, StreamRow } from '../store/signal-rows.ts';
import type { EncodedSignal } from '../store/signals.ts';
import { CREDENTIAL_CHANGE, deliveredOf, RISK_LEVEL_CHANGE, SESSION_REVOKED } from './events.ts';
import { complex, excludes, issSub, jwtId, opaque } from './subjects.ts';

/** A session, and what its tokens say in `sub`; undefined where nobody got one yet. */
export interface ToldSession { readonly session: Pick<SessionRow, 'id' | 'domainId'>; readonly sub: string | undefined }

/** What happened, in the words of the registry. */
export type Fall =
  /** All of a session is over. */
  | ({ readonly kind: 'session' } & ToldSession)
  /** One actor's place in a session is; the session goes on without it. */
  | ({ readonly kind: 'actor'; readonly actor: SpiffeId } & ToldSession)
  /** One credential is: a token of ours, or something else. */
  | ({ readonly kind: 'token' | 'credential'; readonly lease: Pick<LeaseRow, 'id' | 'kind'>; readonly actor: SpiffeId } & ToldSession)
  /** Authority rests until it is lifted, or no longer does. */
  | { readonly kind: 'suspended' | 'lifted'; readonly domainId: string; readonly of: Suspended };
export type Suspended =
  | ({ readonly what: 'session' } & ToldSession)
  | ({ readonly what: 'actor'; readonly actor: SpiffeId } & ToldSession)
  | { readonly what: 'person' | 'workload'; readonly sub: string };

/** Why, when and by whom. `seq`: registry version of the revocation. */
export interface Cause { readonly seq: number; readonly domainId: string; readonly target: Target; readonly at: number; readonly by: string; readonly reason: string | undefined }

/** A stream, as far as it decides what it is told. */
export interface Listener extends Pick<StreamRow, 'id' | 'domainId' | 'eventsRequested' | 'beganSeq' | 'createdAt' | 'status'> {
  /** Issuer of its domain: of all subjects. */
  readonly issuer: string;
  readonly excluded: readonly { readonly subject: JsonObject; readonly since: number }[];
}

export interface Drafting {
  /** Encodes an event for the outbox (store/writer/outbox.ts). */
  readonly encode: (event: Omit<SignalRow, 'n'>) => string;
  /** When it is put in line, from which on it waits. */
  readonly now: number;
}

/**
 * The events that a revocation, or the end of a session, means for each stream of its domain: pure, so that whoever walks
 * what fell can put them into the same commit. Drafted again they are the same events, and an outbox takes each once.
 */
export const draftEvents = (cause: Cause, falls: readonly Fall[], listeners: readonly Listener[], { encode, now }: Drafting): readonly EncodedSignal[] =>
  listeners.flatMap((listener) => {
    if (listener.status === 'disabled' || !hears(listener, cause)) return [];
    const delivered = deliveredOf(listener.eventsRequested);
    return falls.filter((fall) => domainOf(fall) === listener.domainId).flatMap((fall) => {
      const { type, subject, payload, dedupeKey } = describe(fall, cause, listener.issuer);
      if (!delivered.includes(type) || listener.excluded.some((each) => each.since <= cause.at && excludes(each.subject, subject))) return [];
      const row = encode({ streamId: listener.id, dedupeKey, type, subject, payload: { ...payload, ...commonOf(cause, listener) }, txn: txnOf(cause), at: now, doneAt: null, error: null });
      return [{ streamId: listener.id, dedupeKey, row }];
    });
  });

/** What a session's tokens say in `sub`: the person it is for, or the workload that its first actor is. */
export const subOf = (session: Pick<SessionRow, 'model' | 'holder'>, hops: readonly Pick<HopRow, 'parentId' | 'actor'>[]): string | undefined =>
  (session.model === 'delegated' ? session.holder : hops.find(({ parentId }) => parentId === null)?.actor);

const hears = ({ beganSeq }: Listener, { seq }: Cause): boolean => seq > beganSeq;

const domainOf = (fall: Fall): string => ('session' in fall ? fall.session.domainId : fall.domainId);

interface Described { readonly type: string; readonly subject: JsonObject; readonly payload: JsonObject; readonly dedupeKey: string }

const describe = (fall: Fall, cause: Cause, issuer: string): Described => {
  switch (fall.kind) {
    case 'session':
      // Whatever ends it, a session ends once.
      return { type: SESSION_REVOKED, subject: sessionSubject(fall, issuer), payload: {}, dedupeKey: `session/${fall.session.id}` };
    case 'actor':
      return { type: SESSION_REVOKED, subject: actorSubject(fall, issuer), payload: {}, dedupeKey: `actor/${fall.session.id}/${fall.actor}/${cause.seq}` };
    case 'token':
      return { type: SESSION_REVOKED, subject: jwtId(issuer, fall.lease.id), payload: {}, dedupeKey: `lease/${fall.lease.id}` };
    case 'credential':
      // It has no `jti` that anybody could compare: a credential of its workload changed.
      return { type: CREDENTIAL_CHANGE, subject: actorSubject(fall, issuer), payload: { credential_type: fall.lease.kind, change_type: 'revoke', friendly_name: fall.lease.id }, dedupeKey: `lease/${fall.lease.id}` };
    case 'suspended':
    case 'lifted': {
      const levels = fall.kind === 'suspended' ? { current_level: 'HIGH' } : { current_level: 'LOW', previous_level: 'HIGH' };
      return { type: RISK_LEVEL_CHANGE, ...suspendedSubject(fall.of, issuer, levels), dedupeKey: `${fall.kind}/${cause.seq}` };
    }
  }
};

const sessionSubject = ({ session, sub }: ToldSession, issuer: string): JsonObject => complex({ session: opaque(session.id), user: sub === undefined ? undefined : issSub(issuer, sub) });
const actorSubject = ({ session, sub, actor }: ToldSession & { readonly actor: SpiffeId }, issuer: string): JsonObject =>
  complex({ session: opaque(session.id), user: sub === undefined ? undefined : issSub(issuer, sub), application: issSub(issuer, actor) });

const suspendedSubject = (of: Suspended, issuer: string, levels: JsonObject): Pick<Described, 'subject' | 'payload'> => {
  if (of.what === 'session') return { subject: sessionSubject(of, issuer), payload: { principal: 'SESSION', ...levels } };
  if (of.what === 'actor') return { subject: actorSubject(of, issuer), payload: { principal: 'SESSION', ...levels } };
  return { subject: issSub(issuer, of.sub), payload: { principal: of.what === 'person' ? 'USER' : 'APPLICATION', ...levels } };
};

/** CAEP 1.0 section 2. Why it happened is told in the domain in which it did; elsewhere only that it did. */
const commonOf = ({ at, by, reason, domainId }: Cause, listener: Listener): JsonObject => ({
  event_timestamp: Math.floor(at / 1000), initiating_entity: initiatorOf(by), ...(reason === undefined || reason === '' || domainId !== listener.domainId ? {} : { reason_admin: { en: reason } }),
});

/** Who holds a credential ends it under its own name; signals of others come under that of their transmitter; all else an admin did. */
const initiatorOf = (by: string): string => {
  if (by.startsWith('spiffe://')) return 'user';
  return /^(?:https?|signal|ssf|system)[:/]/.test(by) ? 'system' : 'admin';
};

/** What one occurrence meant in several places can be put together again. */
const txnOf = ({ seq }: Cause): string => `revocation/${seq}`;
