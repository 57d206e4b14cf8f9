import { describe, expect, test } from '@jest/globals';
import type { Issued } from '../../src/cli/exchange-client.ts';
import { keepFresh } from '../../src/cli/keep-fresh.ts';

/** A clock that moves only when told, and timers on it. */
const createTime = () => {
  let now = 1_800_000_000_000;
  let timers: { readonly at: number; readonly work: () => void }[] = [];
  return {
    clock: { now: () => now },
    schedule: (milliseconds: number, work: () => void) => {
      const timer = { at: now + milliseconds, work };
      timers.push(timer);
      return () => { timers = timers.filter((other) => other !== timer); };
    },
    async advance(seconds: number) {
      now += seconds * 1000;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { work } of due) work();
      await new Promise<void>((resolve) => { setImmediate(resolve); });
    },
    planned: () => timers.length,
  };
};

const start = async ({ expiresIn = 300, fails = () => false }: { readonly expiresIn?: number; readonly fails?: (n: number) => boolean } = {}) => {
  const time = createTime();
  const [handed, discarded, troubles]: [string[], string[], string[]] = [[], [], []];
  let n = 0;
  const obtain = (): Promise<Issued> => {
    n += 1;
    return fails(n) ? Promise.reject(new Error(`no ${n}`)) : Promise.resolve({ credential: `c${n}`, expiresIn, response: { access_token: `c${n}`, token_type: 'bearer' } });
  };
  const fresh = await keepFresh({
    clock: time.clock, schedule: time.schedule, renewAfter: 1 / 2, obtain,
    onFresh: ({ credential }) => { handed.push(credential); },
    discard: ({ credential }) => { discarded.push(credential); return Promise.resolve(); },
    onTrouble: (fault) => { troubles.push(fault instanceof Error ? fault.message : ''); },
  });
  return { time, fresh, handed, discarded, troubles };
};

describe('a credential that is kept fresh', () => {
  test('is renewed at its half, again and again', async () => {
    const { time, fresh, handed } = await start();
    await time.advance(149);
    expect(handed).toEqual(['c1']);
    await time.advance(1);
    expect(handed).toEqual(['c1', 'c2']);
    await time.advance(150);
    expect(handed).toEqual(['c1', 'c2', 'c3']);
    expect(fresh.current()?.credential).toBe('c3');
  });

  test('is tried again after a failure, and is nobody\'s once it has ended', async () => {
    const { time, fresh, troubles } = await start({ fails: (n) => n > 1 && n < 12 });
    await time.advance(150);
    expect(troubles).toEqual(['no 2']);
    expect(fresh.current()?.credential).toBe('c1');
    for (let round = 0; round < 10; round += 1) await time.advance(15);
    expect(troubles).toHaveLength(10);
    expect(fresh.current()?.credential).toBe('c12');
  });

  test('has ended when every renewal failed', async () => {
    const { time, fresh } = await start({ fails: (n) => n > 1 });
    await time.advance(299);
    expect(fresh.current()?.credential).toBe('c1');
    await time.advance(1);
    expect(fresh.current()).toBeUndefined();
  });

  test('leaves everything that has not ended to be revoked', async () => {
    const { time, fresh } = await start();
    await time.advance(150);
    await time.advance(149);
    expect((await fresh.stop()).map(({ credential }) => credential)).toEqual(['c1', 'c2']);
    expect(time.planned()).toBe(0);
  });

  test('leaves out what has ended', async () => {
    const { time, fresh } = await start();
    await time.advance(150);
    await time.advance(150);
    expect((await fresh.stop()).map(({ credential }) => credential)).toEqual(['c2', 'c3']);
  });

  test('that is renewed while it is stopped is among what is left', async () => {
    const time = createTime();
    let release: (issued: Issued) => void = () => undefined;
    const issued = (credential: string): Issued => ({ credential, expiresIn: 300, response: { access_token: credential, token_type: 'bearer' } });
    const answers = [Promise.resolve(issued('c1')), new Promise<Issued>((resolve) => { release = resolve; })];
    const fresh = await keepFresh({
      clock: time.clock, schedule: time.schedule, renewAfter: 1 / 2, obtain: () => answers.shift() ?? Promise.reject(new Error('asked too often')),
      onFresh: () => undefined, discard: () => Promise.resolve(), onTrouble: () => undefined,
    });
    await time.advance(150);
    const left = fresh.stop();
    release(issued('c2'));
    expect((await left).map(({ credential }) => credential)).toEqual(['c1', 'c2']);
    expect(time.planned()).toBe(0);
  });

  test('that cannot be handed out is given back', async () => {
    const time = createTime();
    const discarded: string[] = [];
    const starting = keepFresh({
      clock: time.clock, schedule: time.schedule, renewAfter: 1 / 2,
      obtain: () => Promise.resolve({ credential: 'c1', expiresIn: 300, response: { access_token: 'c1', token_type: 'bearer' } }),
      onFresh: () => Promise.reject(new Error('disk full')), discard: ({ credential }) => { discarded.push(credential); return Promise.resolve(); }, onTrouble: () => undefined,
    });
    await expect(starting).rejects.toThrow('disk full');
    expect({ discarded, planned: time.planned() }).toEqual({ discarded: ['c1'], planned: 0 });
  });
});
