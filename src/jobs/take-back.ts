import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import type { LeaseId } from '../core/ids.ts';
import type { Provider } from '../credentials/provider.ts';
import type { LeaseFall } from '../store/cascades.ts';

/** What became of a fallen lease at its target. `none`: there is nothing to call, introspection and this registry are all that honour it. */
export type TakenBack =
  | { readonly kind: 'none' | 'taken_back' | 'unreached' }
  /** The target knows no way: it honours the credential until then. */
  | { readonly kind: 'honoured'; readonly until: number };

export interface TakeBackDeps {
  readonly clock: Clock;
  /** How each kind of lease is revoked at its target; a kind that is missing has no target to call. */
  readonly revokers: ReadonlyMap<string, NonNullable<Provider['revoke']>>;
  readonly openHandle: (lease: LeaseId, sealed: { readonly sealed: string; readonly kekId: string }) => string;
}
export type TakeBack = (leases: readonly LeaseFall[]) => Promise<readonly TakenBack[]>;

/** How long one call may take, and all of them: the job's owner must not lose it to a target that hangs. */
export interface Patience { readonly call: number; readonly all: number }
const PATIENCE: Patience = { call: 5 * SECOND, all: 5 * SECOND };
const ABREAST = 8;

/** How each kind of lease is revoked at a target. Of the others, introspection and this registry are all that honours them. */
export const revokersOf = (providers: Iterable<Provider>): TakeBackDeps['revokers'] =>
  new Map([...providers].flatMap(({ leaseKind, callsTarget, revoke }) => (!callsTarget || revoke === undefined ? [] : [[leaseKind, revoke] as const])));

/**
 * Asks the targets to honour fallen leases no more. A target may be asked twice for the same lease: the answer can come and
 * the step that notes it fail.
 */
export const createTakeBack = (deps: TakeBackDeps, patience: Patience = PATIENCE): TakeBack => async (leases) => {
  const until = deps.clock.now() + patience.all;
  const outcomes = new Map<LeaseId, TakenBack>();
  const waiting = leases.filter(({ kind }) => deps.revokers.has(kind)).values();
  const caller = async (): Promise<void> => {
    for (const lease of waiting) outcomes.set(lease.id, deps.clock.now() < until ? await takeOne(deps, lease, patience.call) : { kind: 'unreached' });
  };
  await Promise.all(Array.from({ length: ABREAST }, caller));
  return leases.map(({ id }) => outcomes.get(id) ?? { kind: 'none' });
};

const takeOne = async ({ revokers, openHandle }: TakeBackDeps, { id, kind, handle, handleKekId, expiresAt }: LeaseFall, patience: number): Promise<TakenBack> => {
  const revoke = revokers.get(kind);
  if (revoke === undefined) return { kind: 'none' };
  try {
    const opened = handle === null ? undefined : openHandle(id, { sealed: handle, kekId: handleKekId ?? '' });
    const outcome = await within(patience, revoke(opened, { id, expiresAt }));
    return outcome.kind === 'revoked' ? { kind: 'taken_back' } : { kind: 'honoured', until: outcome.honouredUntil };
  } catch {
    // Whatever failed may say too much: the lease is tried again, and counted as not reached until then.
    return { kind: 'unreached' };
  }
};

const within = async <T>(milliseconds: number, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => { reject(new Error('the target did not answer in time')); }, milliseconds); });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};
