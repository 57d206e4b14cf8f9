import { describe, expect, test } from '@jest/globals';
import { MINUTE } from '../../src/core/duration.ts';
import { startJob, startLoop } from '../../src/jobs/run.ts';
import type { Job, Loop } from '../../src/jobs/run.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const NOW = 1_000_000;
/** Work that a test waits for turn by turn, and holds back where it likes. */
const makeWork = () => {
  const waiting: (() => void)[] = [];
  let turns = 0;
  let seen = 0;
  return {
    begin(): void {
      turns += 1;
      waiting.splice(0).forEach((wake) => { wake(); });
    },
    get turns() { return turns; },
    /** Resolves at the next turn nobody has waited for. */
    async next(): Promise<void> {
      while (turns <= seen) await new Promise<void>((resolve) => { waiting.push(resolve); });
      seen += 1;
    },
  };
};
const runsOf = async (metrics: ReturnType<typeof createMetrics>, job: string): Promise<Record<string, number>> =>
  Object.fromEntries((await metrics.jobRuns.get()).values.filter(({ labels }) => labels.job === job).map(({ labels, value }) => [String(labels.outcome), value]));

/** Timers of 1 ms: what is waited for is the work itself. */
const withLoop = async (work: () => Promise<void>, use: (loop: Loop, metrics: ReturnType<typeof createMetrics>) => Promise<void>): Promise<void> => {
  const metrics = createMetrics();
  const loop = startLoop('loop', 1, work, { log: silentLog, metrics });
  try {
    await use(loop, metrics);
  } finally {
    await loop.stop();
  }
};

/** Time enough for three turns of any loop: another of the same pace has had them. */
const threeTurns = async (): Promise<void> => {
  const other = makeWork();
  await withLoop(() => { other.begin(); return Promise.resolve(); }, async () => { for (const _turn of [1, 2, 3]) await other.next(); });
};

describe('a loop', () => {
  test('does its work again and again, and counts each turn', async () => {
    const work = makeWork();
    await withLoop(() => { work.begin(); return Promise.resolve(); }, async (loop, metrics) => {
      for (const _turn of [1, 2, 3]) await work.next();
      await loop.stop();
      expect(await runsOf(metrics, 'loop')).toEqual({ done: work.turns });
    });
  });

  test('goes on after a failure, which is counted as one', async () => {
    const work = makeWork();
    const failing = (): Promise<void> => { work.begin(); return work.turns === 1 ? Promise.reject(new Error('once')) : Promise.resolve(); };
    await withLoop(failing, async (loop, metrics) => {
      await work.next();
      await work.next();
      await loop.stop();
      expect(await runsOf(metrics, 'loop')).toEqual({ failed: 1, done: work.turns - 1 });
    });
  });

  test('goes on after work that throws before it waits', async () => {
    const work = makeWork();
    await withLoop(() => { work.begin(); throw new Error('at once'); }, async () => {
      await work.next();
      await work.next();
    });
  });

  test('never does it twice at once, and stopping waits for what is under way', async () => {
    const work = makeWork();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => { release = resolve; });
    let [running, most, finished] = [0, 0, false];
    await withLoop(async () => {
      running += 1;
      most = Math.max(most, running);
      work.begin();
      await held;
      running -= 1;
      finished = true;
    }, async (loop) => {
      await work.next();
      const stopped = loop.stop().then(() => finished);
      release();
      expect([await stopped, most, work.turns]).toEqual([true, 1, 1]);
      await threeTurns();
      expect(work.turns).toBe(1);
    });
  });

  test('that was stopped does nothing any more, also when it never began', async () => {
    const work = makeWork();
    await withLoop(() => { work.begin(); return Promise.resolve(); }, async (loop) => {
      await loop.stop();
      const before = work.turns;
      await threeTurns();
      expect(work.turns).toBe(before);
    });
  });
});

describe('a job of the installation', () => {
  /** A store that says what is taken: one answer after the other, the last for good. */
  const makeJob = (taken: ({ readonly fence: number } | undefined | Error)[], release: () => Promise<void> = () => Promise.resolve(), more: Partial<Job> = {}) => {
    const asked = makeWork();
    const [asks, fences, released]: [unknown[], number[], unknown[]] = [[], [], []];
    const job: Job = { name: 'tidy', every: 1, lease: 5 * MINUTE, run: (fence) => { fences.push(fence); return Promise.resolve(); }, ...more };
    const metrics = createMetrics();
    const loop = startJob(job, {
      clock: { now: () => NOW }, holder: 'node-1', log: silentLog, metrics,
      store: {
        takeJob(...args) {
          asks.push(args);
          asked.begin();
          const answer = taken.length > 1 ? taken.shift() : taken[0];
          return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
        },
        releaseJob(...args) { released.push(args); return release(); },
      },
    });
    return { asked, asks, fences, released, metrics, loop };
  };
  /** After so many askings, of which the last may still be under way; stopped in any case. */
  const afterAsking = async (times: number, it: ReturnType<typeof makeJob>): Promise<ReturnType<typeof makeJob>> => {
    try {
      for (let asked = 0; asked < times; asked += 1) await it.asked.next();
    } finally {
      await it.loop.stop();
    }
    return it;
  };

  test('is taken for its lease before each run, and runs under the fence it was given', async () => {
    const it = await afterAsking(3, makeJob([{ fence: 3 }, { fence: 4 }]));
    expect(it.asks[0]).toEqual(['tidy', 'node-1', NOW + 5 * MINUTE, NOW]);
    expect(it.fences.slice(0, 2)).toEqual([3, 4]);
  });

  test('does not run where another holds it, and does once that one lets go', async () => {
    expect((await afterAsking(3, makeJob([undefined]))).fences).toEqual([]);
    expect((await afterAsking(4, makeJob([undefined, undefined, { fence: 9 }]))).fences[0]).toBe(9);
  });

  test('does not run when the database cannot say whose it is, and is tried again', async () => {
    const it = await afterAsking(3, makeJob([new StoreUnavailable('down'), { fence: 1 }]));
    expect(await runsOf(it.metrics, 'tidy')).toMatchObject({ failed: 1 });
    expect(it.fences[0]).toBe(1);
  });

  test('is not even asked for while nobody has anything for it to do', async () => {
    let asked = 0;
    const looked = makeWork();
    const loop = startJob({ name: 'idle', every: 1, lease: MINUTE, run: () => Promise.resolve(), idle: () => { looked.begin(); return looked.turns < 3; } }, {
      clock: { now: () => NOW }, holder: 'node-1', log: silentLog, metrics: createMetrics(),
      store: { takeJob: () => { asked += 1; expect(looked.turns).toBeGreaterThanOrEqual(3); return Promise.resolve({ fence: 1 }); }, releaseJob: () => Promise.resolve() },
    });
    for (const _turn of [1, 2, 3, 4]) await looked.next();
    await loop.stop();
    expect(asked).toBeGreaterThanOrEqual(1);
  });

  test('that has nothing to do is not even taken', async () => {
    let times = 0;
    const questions = makeWork();
    const it = makeJob([{ fence: 5 }], undefined, { idle: () => { questions.begin(); return Promise.resolve((times += 1) <= 3); } });
    try {
      for (const _time of [1, 2, 3]) await questions.next();
      expect(it.asks).toEqual([]);
      await it.asked.next();
    } finally {
      await it.loop.stop();
    }
    expect(it.fences[0]).toBe(5);
  });

  test('that runs for long is told when the node stops, and is waited for', async () => {
    const heard: boolean[] = [];
    const begun = makeWork();
    const run: Job['run'] = async (_fence, stopping = () => false) => {
      heard.push(stopping());
      begun.begin();
      while (!stopping()) await new Promise((resolve) => { setImmediate(resolve); });
      heard.push(stopping());
    };
    const it = makeJob([{ fence: 1 }], undefined, { run });
    await begun.next();
    await it.loop.stop();
    expect(heard).toEqual([false, true]);
    expect(it.released).toEqual([['tidy', 'node-1']]);
  });

  test('is let go of when the node stops, so that another need not wait; a failure to do so stops nobody', async () => {
    for (const release of [() => Promise.resolve(), () => Promise.reject(new StoreUnavailable('down'))]) {
      expect((await afterAsking(1, makeJob([{ fence: 1 }], release))).released).toEqual([['tidy', 'node-1']]);
    }
  });
});
