import { firstIdAt } from '../core/ids.ts';
import type { HopId, LeaseId, SessionId } from '../core/ids.ts';
import type { CascadeReads, LeaseFall } from '../store/cascades.ts';
import type { CascadeProgress, CascadeRow } from '../store/rows.ts';
import type { CascadeStep } from '../store/store.ts';
import { LONGEST_LEASE } from './cascade-sources.ts';
import type { TakeBack } from './take-back.ts';

/** What a walk found and did, in the form a step adds it. */
export interface Walked extends Pick<CascadeStep, 'leases' | 'takenBack' | 'honoured' | 'honouredUntil' | 'handles'> {
  /** Leases whose target could not be reached. */
  readonly unreached: readonly LeaseId[];
  /** Of those whose target was asked, for the audit log. */
  readonly told: readonly { readonly lease: LeaseId; readonly until: number | null }[];
}
export interface SessionsWalked extends Walked {
  readonly finished: readonly SessionId[];
  /** Where the next step goes on; undefined: between two sessions. */
  readonly walk: CascadeProgress['walk'];
}

export interface WalkDeps {
  readonly store: Pick<CascadeReads, 'leasesOfSession' | 'hopFalls'>;
  readonly takeBack: TakeBack;
  /** Lets everybody else have their turn. */
  pause(): Promise<void>;
}

/** Leases of one reading, which on SQLite nobody else of the process can interrupt; and what one step looks at or asks targets about. */
const PAGE = 250;
const STEP_LEASES = 1000;
const STEP_CALLS = 100;

/** Walks through sessions, each from its oldest lease that can have been alive, until they are done or the step is full. */
export const walkSessions = async (deps: WalkDeps, row: CascadeRow, sessions: readonly SessionId[]): Promise<SessionsWalked> => {
  const finished: SessionId[] = [];
  const parts: Walked[] = [];
  const room = { leases: STEP_LEASES, calls: STEP_CALLS };
  for (const session of sessions) {
    const from = row.progress.walk?.session === session ? row.progress.walk.after : firstIdAt('lease', row.at - LONGEST_LEASE);
    const after = await walkSession(deps, row, { session, after: from }, room, parts);
    if (after !== undefined) return { ...sum(parts), finished, walk: { session, after } };
    finished.push(session);
  }
  return { ...sum(parts), finished, walk: undefined };
};

/** Where it came to if there was no more room; undefined once it is through. */
const walkSession = async (deps: WalkDeps, row: CascadeRow, { session, after: from }: NonNullable<CascadeProgress['walk']>, room: { leases: number; calls: number }, parts: Walked[]): Promise<string | undefined> => {
  const hops = new Map<HopId, number | undefined>();
  let after = from;
  while (room.leases > 0 && room.calls > 0) {
    const page = await deps.store.leasesOfSession(session, after, PAGE);
    await learnHops(deps.store, hops, page);
    const fallen = page.filter((lease) => lease.expiresAt > row.at && earliest(lease.fellUnder, hops.get(lease.hopId)) === row.seq);
    const part = await takeFallenBack(deps.takeBack, fallen);
    parts.push(part);
    room.leases -= page.length;
    room.calls -= part.told.length + part.unreached.length;
    await deps.pause();
    if (page.length < PAGE) return undefined;
    after = page.at(-1)?.id ?? after;
  }
  return after;
};

/** Of many leases each hop is asked about once. */
const learnHops = async (store: WalkDeps['store'], hops: Map<HopId, number | undefined>, page: readonly LeaseFall[]): Promise<void> => {
  const unknown = [...new Set(page.map(({ hopId }) => hopId))].filter((id) => !hops.has(id));
  if (unknown.length > 0) for (const [id, seq] of await store.hopFalls(unknown)) hops.set(id, seq);
};

/** What becomes of leases that fell, at their targets. */
export const takeFallenBack = async (takeBack: TakeBack, fallen: readonly LeaseFall[]): Promise<Walked> => {
  const outcomes = await takeBack(fallen);
  const each = fallen.map((lease, index) => ({ lease, outcome: outcomes[index] ?? { kind: 'unreached' as const } }));
  const honoured = each.flatMap(({ lease, outcome }) => (outcome.kind === 'honoured' ? [{ lease: lease.id, until: outcome.until }] : []));
  const takenBack = each.flatMap(({ lease, outcome }) => (outcome.kind === 'taken_back' ? [{ lease: lease.id, until: null }] : []));
  return {
    leases: fallen.length, takenBack: takenBack.length, honoured: honoured.length, honouredUntil: latest(honoured.map(({ until }) => until)),
    handles: each.flatMap(({ lease, outcome }) => (lease.handle !== null && outcome.kind !== 'unreached' ? [lease.id] : [])),
    unreached: each.flatMap(({ lease, outcome }) => (outcome.kind === 'unreached' ? [lease.id] : [])),
    told: [...takenBack, ...honoured],
  };
};

const sum = (parts: readonly Walked[]): Walked => ({
  leases: total(parts.map((part) => part.leases)), takenBack: total(parts.map((part) => part.takenBack)), honoured: total(parts.map((part) => part.honoured)),
  honouredUntil: latest(parts.flatMap((part) => part.honouredUntil ?? [])), handles: parts.flatMap((part) => part.handles), unreached: parts.flatMap((part) => part.unreached), told: parts.flatMap((part) => part.told),
});

const total = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const latest = (times: readonly number[]): number | null => (times.length === 0 ? null : Math.max(...times));

/** Of what it fell under by itself and with its hop: only the first took anything from it. */
export const earliest = (a: number | undefined, b: number | undefined): number | undefined => (a === undefined || b === undefined ? a ?? b : Math.min(a, b));
