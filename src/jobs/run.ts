import type { Clock } from '../core/clock.ts';
import type { StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** A background job of the whole installation: at most one node runs it at a time. */
export interface Job {
  readonly name: string;
  /** Milliseconds between runs, and how long a holder keeps the job without word. */
  readonly every: number;
  readonly lease: number;
  /** Nothing to do for anybody: asked first, so that a job which seldom has anything is not even taken, which would be a write each time. */
  idle?(): boolean | Promise<boolean>;
  /** `fence` goes with each write that checks it. A long run ends early once `stopping`. */
  run(fence: number, stopping?: () => boolean): Promise<void>;
}

/** A timer that waits for its work, and stops when told. */
export interface Loop { stop(): Promise<void> }

interface LoopDeps { readonly log: Log; readonly metrics: Pick<Metrics, 'jobRuns'> }

/** Runs `work` every `every` milliseconds, never twice at once; a failure is logged and the next turn tries again. */
export const startLoop = (name: string, every: number, work: () => Promise<void>, deps: LoopDeps): Loop => {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  const schedule = (): NodeJS.Timeout => setTimeout(() => {
    running = runTurn(name, work, deps).finally(() => {
      if (!stopped) timer = schedule();
    });
  }, every);
  let timer = schedule();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
};

/** One turn, begun now. */
export const startOnce = (name: string, work: () => Promise<void>, deps: LoopDeps): Loop => {
  const running = runTurn(name, work, deps);
  return { stop: () => running };
};

/**
 * Takes the job by conditional update before each run; who does not get it does nothing (design section 10). Who fails lets it go:
 * another node may be able to do what this one is not.
 */
export const startJob = (job: Job, deps: { readonly clock: Clock; readonly holder: string; readonly store: Pick<StoreWrites, 'takeJob' | 'releaseJob'>; readonly log: Log; readonly metrics: Pick<Metrics, 'jobRuns'> }): Loop => {
  const release = (): Promise<void> =>
    deps.store.releaseJob(job.name, deps.holder).catch((cause: unknown) => { deps.log.warn({ job: job.name, err: cause }, 'job could not be released; its lease runs out'); });
  let stopping = false;
  const loop = startLoop(job.name, job.every, async () => {
    if (await job.idle?.() === true) return;
    const now = deps.clock.now();
    const taken = await deps.store.takeJob(job.name, deps.holder, now + job.lease, now);
    if (taken === undefined) return;
    try {
      await job.run(taken.fence, () => stopping);
    } catch (cause) {
      await release();
      throw cause;
    }
  }, deps);
  return {
    async stop() {
      stopping = true;
      await loop.stop();
      await release();
    },
  };
};

const runTurn = async (name: string, work: () => Promise<void>, deps: LoopDeps): Promise<void> => {
  try {
    await work();
    deps.metrics.jobRuns.inc({ job: name, outcome: 'done' });
  } catch (cause) {
    deps.metrics.jobRuns.inc({ job: name, outcome: 'failed' });
    deps.log.warn({ job: name, err: cause }, 'background job failed; it will be tried again');
  }
};
