import { joinSession } from '../authority/session.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { StoreReads } from '../store/store.ts';
import type { Caller } from './caller.ts';

/** The caller within the session as the registry has it, read at most once. */
export type JoinStored = (caller: Caller) => Promise<Result<Caller, Refusal>>;

/**
 * A run's later evidence joins the session its first one opened, with that one's age and end, and with the hops opened in it.
 * The commit holds to the stored row in any case, so it is read only where something depends on it before.
 */
export const createJoinStored = ({ clock, store }: { readonly clock: Clock; readonly store: Pick<StoreReads, 'session'> }): JoinStored => async (caller) => {
  if (caller.hops !== undefined) return ok(caller);
  const running = await store.session(caller.session.id);
  if (running === undefined) return ok({ ...caller, hops: [] });
  const { session, hops, revokedBy, suspendedBy } = running;
  if (session.endedAt !== null) return err(refusal('session_ended', 'the session was ended'));
  if (revokedBy !== undefined) return err(refusal('revoked', `${revokedBy} is revoked`));
  if (suspendedBy !== undefined) return err(refusal('suspended', `${suspendedBy} is suspended`));
  if (session.expiresAt <= clock.now()) return err(refusal('session_ended', 'the session of this run is over'));
  return ok({ ...caller, session: joinSession(session, caller.workload), hops, beganVersion: session.beganVersion });
};
