import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { MINUTE, SECOND } from '../core/duration.ts';
import type { LeaseId, SessionId } from '../core/ids.ts';
import type { CascadeReads } from '../store/cascades.ts';
import type { CascadeProgress, CascadeRow, CascadeTaskRow } from '../store/rows.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { CascadeStep, StoreReads, StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { scopeOf } from './cascade-sources.ts';
import type { Scope, ScopeReads } from './cascade-sources.ts';
import { earliest, takeFallenBack, walkSessions } from './cascade-walk.ts';
import type { Walked } from './cascade-walk.ts';
import type { Job } from './run.ts';
import type { TakeBack } from './take-back.ts';

export interface CascadeDeps {
  readonly clock: Clock;
  readonly store: CascadeReads & ScopeReads & Pick<StoreReads, 'ping'> & Pick<StoreWrites, 'cascadeStep'>;
  readonly takeBack: TakeBack;
  readonly log: Log;
}

const NAME = 'cascade';
const CARRIED_OUT = 'revocation.carried_out';
/** One run, and the most steps of it: a run ends well before its owner could lose the job. */
const RUN_MS = 5 * SECOND;
const STEPS = 500;
/** Sessions found with one reading, walked through in one step; leases whose target is tried again in one. */
const FOUND = 500;
const WALKED = 100;
const RETRIED = 50;
/** From the first attempt to reach a target to the next, doubled each time. */
const FIRST_PAUSE = 30 * SECOND;
const LONGEST_PAUSE = 15 * MINUTE;

/**
 * Carries out what follows a revocation (design section 7): counts what fell, takes it back at its target where that can be
 * done, and erases handles. Whether a credential is active is never judged from it: a cascade that is late leaves nothing active.
 */
export const cascadeJob = (deps: CascadeDeps): Job => ({
  name: NAME,
  every: SECOND,
  lease: 20 * SECOND,
  idle: async () => (await deps.store.dueCascades(deps.clock.now(), 1)).length === 0,
  async run(fence, stopping = () => false) {
    const until = deps.clock.now() + RUN_MS;
    const pause = gentle(deps.clock);
    for (let steps = 0; steps < STEPS && deps.clock.now() < until && !stopping(); steps += 1) {
      const now = deps.clock.now();
      const [row] = await deps.store.dueCascades(now, 1);
      if (row === undefined) return;
      if (row.progress.damaged === true) deps.log.error({ revocation: row.seq, target: row.target }, 'how far what follows a revocation came cannot be read: it begins anew, and its figures may count twice');
      const step = await takeStep({ ...deps, pause }, row, now).catch((cause: unknown) => postpone(deps, row, now, cause));
      if (!(await deps.store.cascadeStep(step, deps.clock.now(), { name: NAME, fence }))) return;
      const unreached = step.tasks.filter(({ kind }) => kind === 'lease').length;
      if (unreached > 0) deps.log.warn({ target: row.target, leases: unreached }, 'targets of revoked credentials could not be reached; they are tried again');
      await pause();
    }
  },
});

interface StepDeps extends CascadeDeps { pause(): Promise<void> }

/** One that cannot be carried out must not keep others waiting. Without the database none can: a row it cannot read fails alike, so it is asked for something else. */
const postpone = async ({ store, log }: Pick<CascadeDeps, 'store' | 'log'>, row: CascadeRow, now: number, cause: unknown): Promise<CascadeStep> => {
  if (cause instanceof StoreUnavailable && !(await store.ping().then(() => true, () => false))) throw cause;
  log.error({ revocation: row.seq, target: row.target, err: cause }, 'what follows a revocation could not be carried out; it will be tried again');
  return { ...nothing(row), due: now + MINUTE, progress: row.progress };
};

/** Pauses for as long as was worked since the last pause, so that at most half of a process goes into this. */
const gentle = (clock: Clock): (() => Promise<void>) => {
  let since = clock.now();
  return async () => {
    await wait(Math.min(Math.max(clock.now() - since, 0), SECOND));
    since = clock.now();
  };
};

const takeStep = async (deps: StepDeps, row: CascadeRow, now: number): Promise<CascadeStep> => {
  const { progress } = row;
  if (progress.walked === true) return retry(deps, row, now);
  const scope = await scopeOf(deps.store, row);
  if (scope.kind === 'sources' && progress.named !== true) return find(deps, row, scope, progress.find?.source ?? 0, now);
  if (scope.kind !== 'session' || progress.named === true) return walk(deps, row, scope, now);
  // As a rule it is one session, of which no list has to be kept.
  const sessions = await withCrossings(deps, [scope.id]);
  return sessions.length === 1 ? walk(deps, row, scope, now) : { ...nothing(row), due: now, progress: { named: true }, tasks: toWalk(sessions, now) };
};

/** Names the sessions that rest on the target: each once, however many leases of it say so. */
const find = async (deps: StepDeps, row: CascadeRow, { sources }: Extract<Scope, { kind: 'sources' }>, index: number, now: number): Promise<CascadeStep> => {
  const source = sources[index];
  if (source === undefined) return { ...nothing(row), due: now, progress: { named: true } };
  const page = await deps.store.sourcePage(source, row.at, FOUND, row.progress.find?.after);
  const progress: CascadeProgress = page.next !== undefined ? { find: { source: index, after: page.next } } : index + 1 < sources.length ? { find: { source: index + 1 } } : { named: true };
  return { ...nothing(row), due: now, progress, tasks: toWalk(await withCrossings(deps, page.sessions), now) };
};

const toWalk = (sessions: readonly SessionId[], now: number): CascadeStep['tasks'] => sessions.map((ref) => ({ kind: 'session', ref, attempts: 0, due: now }));

/** With the sessions of other domains in which their chains go on, and on from there. */
const withCrossings = async ({ store }: StepDeps, sessions: readonly SessionId[]): Promise<readonly SessionId[]> => {
  const all = new Set(sessions);
  for (let from = sessions; from.length > 0; ) {
    from = (await store.crossings(from)).filter((id) => !all.has(id));
    for (const id of from) all.add(id);
  }
  return [...all];
};

/** Walks through sessions that were named, and ends once all are walked through and every target was reached. */
const walk = async (deps: StepDeps, row: CascadeRow, scope: Scope, now: number): Promise<CascadeStep> => {
  if (scope.kind === 'lease') {
    const step = conclude(row, now, true, await walkLease(deps, row, scope.id), [], []);
    // Of one lease the entry of its revocation tells as much, and who gives back what they hold does so all the time.
    return { ...step, audit: step.audit.filter(({ action }) => action !== CARRIED_OUT) };
  }
  const alone = scope.kind === 'session' && row.progress.named !== true;
  const sessions = alone ? [scope.id] : (await deps.store.cascadeTasks(row.seq, 'session', WALKED)).map(({ ref }) => ref as SessionId);
  const falls = (await deps.store.sessionFalls(sessions)).filter((session) => session.fellUnder === row.seq);
  const walked = await walkSessions(deps, row, sessions);
  const done = new Set<string>(walked.finished);
  const last = walked.walk === undefined && (alone || sessions.length < WALKED);
  // A session that is walked through in several steps is counted with the last of them.
  const step = conclude(row, now, last, walked, falls.filter(({ id }) => done.has(id)).map(({ id }) => id), walked.finished);
  return { ...step, progress: { ...step.progress, ...(alone ? {} : { named: true }), ...(walked.walk === undefined ? {} : { walk: walked.walk }) } };
};

const walkLease = async ({ store, takeBack }: StepDeps, row: CascadeRow, id: LeaseId): Promise<Walked> => {
  const found = await store.leaseFalls([id]);
  const hops = await store.hopFalls(found.map(({ hopId }) => hopId));
  return takeFallenBack(takeBack, found.filter((lease) => lease.expiresAt > row.at && earliest(lease.fellUnder, hops.get(lease.hopId)) === row.seq));
};

/** Tries again what could not be reached. What expired meanwhile was honoured until then. */
const retry = async ({ store, takeBack }: StepDeps, row: CascadeRow, now: number): Promise<CascadeStep> => {
  const { due, next } = await store.dueTasks(row.seq, now, RETRIED);
  if (due.length === 0) return { ...nothing(row), due: next ?? null, progress: row.progress, audit: next === undefined ? [carriedOut(row, nothing(row), now)] : [] };
  const leases = await store.leaseFalls(due.map(({ ref }) => ref as LeaseId));
  const over = leases.filter(({ expiresAt }) => expiresAt <= now);
  const walked = await takeFallenBack(takeBack, leases.filter(({ expiresAt }) => expiresAt > now));
  const unreached = new Set<string>(walked.unreached);
  const overEnds = over.map(({ expiresAt }) => expiresAt);
  const told = [...walked.told, ...over.map(({ id, expiresAt }) => ({ lease: id, until: expiresAt }))];
  return {
    ...nothing(row), due: now, progress: row.progress, takenBack: walked.takenBack, honoured: walked.honoured + over.length,
    honouredUntil: [walked.honouredUntil, ...overEnds].reduce<number | null>((most, end) => (end === null || (most !== null && most > end) ? most : end), null),
    handles: [...walked.handles, ...over.filter(({ handle }) => handle !== null).map(({ id }) => id)],
    tasks: due.filter(({ ref }) => unreached.has(ref)).map((task) => again(task, leases.find(({ id }) => id === task.ref)?.expiresAt ?? now, now)),
    finished: due.filter(({ ref }) => !unreached.has(ref)).map(({ ref }) => ({ kind: 'lease', ref })),
    audit: asked(row, told, now),
  };
};

const again = ({ ref, attempts }: Pick<CascadeTaskRow, 'ref' | 'attempts'>, expiresAt: number, now: number): CascadeStep['tasks'][number] =>
  ({ kind: 'lease', ref, attempts: attempts + 1, due: Math.max(now + SECOND, Math.min(expiresAt, now + Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts + 1)))) });

const conclude = (row: CascadeRow, now: number, last: boolean, walked: Walked, whole: readonly SessionId[], finished: readonly SessionId[]): CascadeStep => {
  const unreached = row.progress.unreached === true || walked.unreached.length > 0;
  const done = last && !unreached;
  const step: CascadeStep = {
    ...nothing(row), due: done ? null : now, progress: { ...(last ? { walked: true } : {}), ...(unreached ? { unreached } : {}) },
    sessions: whole.length, leases: walked.leases, takenBack: walked.takenBack, honoured: walked.honoured, honouredUntil: walked.honouredUntil, handles: walked.handles,
    tasks: walked.unreached.map((ref) => ({ kind: 'lease', ref, attempts: 0, due: now + FIRST_PAUSE })),
    finished: finished.map((ref) => ({ kind: 'session', ref })),
  };
  return { ...step, audit: [...asked(row, walked.told, now), ...(done ? [carriedOut(row, step, now)] : [])] };
};

const nothing = (row: CascadeRow): CascadeStep => ({
  cascade: row, due: null, progress: {}, sessions: 0, leases: 0, takenBack: 0, honoured: 0, honouredUntil: null, tasks: [], finished: [], handles: [], audit: [],
});

/** Which credentials were taken back at their target, and which it goes on honouring (design section 3, invariant 9). */
const asked = (row: CascadeRow, told: Walked['told'], now: number): CascadeStep['audit'] => {
  if (told.length === 0) return [];
  const takenBack = told.filter(({ until }) => until === null).map(({ lease }) => lease);
  const honoured = told.flatMap(({ lease, until }) => (until === null ? [] : [{ lease, until }]));
  return [{ at: now, action: 'revocation.at_targets', domainId: row.domainId, body: { revocation: row.seq, target: row.target, ...(takenBack.length === 0 ? {} : { taken_back: takenBack }), ...(honoured.length === 0 ? {} : { honoured }) } }];
};

const carriedOut = (row: CascadeRow, last: Pick<CascadeStep, 'sessions' | 'leases' | 'takenBack' | 'honoured'>, now: number): CascadeStep['audit'][number] => ({
  at: now, action: CARRIED_OUT, domainId: row.domainId,
  body: { revocation: row.seq, target: row.target, sessions: row.sessions + last.sessions, leases: row.leases + last.leases, taken_back: row.takenBack + last.takenBack, honoured: row.honoured + last.honoured },
});
