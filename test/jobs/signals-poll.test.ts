import { describe, expect, test } from '@jest/globals';
import { MINUTE, SECOND } from '../../src/core/duration.ts';
import { err, ok } from '../../src/core/result.ts';
import type { IssuerId } from '../../src/core/ids.ts';
import { signalsPollJob } from '../../src/jobs/signals-poll.ts';
import type { Poll, PollFailure } from '../../src/signals/poll.ts';
import type { SignallingIssuer } from '../../src/signals/received-set.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { makeSignalling, viewNamed } from '../signals/world.ts';

const polling = (name: string, more: Partial<SignallingIssuer> = {}): SignallingIssuer => makeSignalling({ poll: { endpoint: `https://${name}.example/poll`, every: 10 * SECOND } }, { name, id: `iss_${name}` as IssuerId, ...more });
type Outcome = 'done' | PollFailure | Error;

/** A job over these issuers; each poll does what was told for its issuer, and is noted with the number it asked for. */
const makeJob = (issuers: readonly SignallingIssuer[], revoked: readonly string[] = []) => {
  const clock = { time: 1_000_000, now: () => clock.time };
  const metrics = createMetrics();
  const asked: string[] = [];
  const told = new Map<string, Outcome>();
  let registered = issuers;
  const poll: Poll = ({ issuer, endpoint, view, development }, most) => {
    asked.push(`${view.domain.name} ${issuer.name} ${endpoint} ${most}${development ? ' development' : ''}`);
    const outcome = told.get(issuer.name) ?? 'done';
    if (outcome instanceof Error) return Promise.reject(outcome);
    return Promise.resolve(outcome === 'done' ? ok({ taken: 0, refused: 0 }) : err(outcome));
  };
  const job = signalsPollJob({ clock, poll, log: silentLog, metrics, snapshot: { version: 1, domains: (): readonly DomainView[] => [viewNamed('prod', registered)], revokedBy: ([target]) => (target !== undefined && revoked.includes(target) ? target : undefined) } });
  return {
    job, asked, told, metrics,
    register: (next: readonly SignallingIssuer[]): void => { registered = next; },
    /** Turns, one each 5 seconds; gives what was asked in them. */
    turns: async (count: number): Promise<readonly string[]> => {
      asked.length = 0;
      for (let turn = 0; turn < count; turn += 1) {
        clock.time += 5 * SECOND;
        await job.run(1);
      }
      return [...asked];
    },
  };
};

describe('the job that polls transmitters', () => {
  test('is not even taken while there is none to poll', () => {
    expect(makeJob([makeSignalling()]).job.idle?.()).toBe(true);
    expect(makeJob([polling('a')]).job.idle?.()).toBe(false);
  });

  test('polls each as often as its entry says, and none that pushes', async () => {
    const { turns } = makeJob([polling('a'), makeSignalling(), { ...polling('b'), signals: { ...polling('b').signals, poll: { endpoint: 'https://b.example/poll', every: 20 * SECOND } } }]);
    expect(await turns(4)).toEqual(['prod a https://a.example/poll 50', 'prod b https://b.example/poll 50', 'prod a https://a.example/poll 50']);
  });

  test.each([
    { name: 'has expired', issuers: [polling('a', { expires: 1 })], revoked: [] },
    { name: 'is revoked', issuers: [polling('a')], revoked: ['issuer:iss_a'] },
  ])('polls none whose issuer $name', async ({ issuers, revoked }) => {
    const { job, turns } = makeJob(issuers, revoked);
    expect([job.idle?.(), await turns(3)]).toEqual([true, []]);
  });

  test('asks one that fails less and less often, up to five minutes, the others as before, and as before once it answers', async () => {
    const { turns, told } = makeJob([polling('a'), polling('b')]);
    const askedOf = async (name: string, count: number): Promise<number> => (await turns(count)).filter((line) => line.startsWith(`prod ${name} `)).length;
    told.set('a', { why: 'timed_out', tooLarge: false });
    // At 0, 10, 30, 70, 150 and 310 s, then every 300 s.
    expect(await askedOf('a', 64)).toBe(6);
    expect(await askedOf('b', 60)).toBe(30);
    expect(await askedOf('a', 600)).toBe(10);
    told.set('a', 'done');
    await turns(60);
    expect(await askedOf('a', 60)).toBe(30);
  });

  test('goes on with the others when one fault is the database\'s, and counts both', async () => {
    const { turns, told, metrics } = makeJob([polling('a'), polling('b')]);
    told.set('a', new StoreUnavailable('down'));
    expect(await turns(1)).toHaveLength(2);
    expect((await metrics.signalsPolls.get()).values.map(({ labels, value }) => [labels['issuer'], labels['outcome'], value])).toEqual([['b', 'done', 1], ['a', 'failed', 1]].sort());
  });

  test('asks for fewer at a time when the answer was too large, down to one, and for all again when it fits', async () => {
    const { turns, told } = makeJob([polling('a')]);
    told.set('a', { why: 'too_large', tooLarge: true });
    const numbers = async (count: number): Promise<readonly number[]> => (await turns(count)).map((line) => Number(line.split(' ')[3]));
    expect(await numbers(20 * MINUTE / (5 * SECOND))).toEqual([50, 25, 12, 6, 3, 1, 1, 1]);
    told.set('a', 'done');
    expect(new Set((await numbers(2 * MINUTE / SECOND)).slice(1))).toEqual(new Set([50]));
  });

  test('forgets what is registered no more, and what is registered again is asked at once', async () => {
    const { turns, told, register } = makeJob([polling('a')]);
    told.set('a', { why: 'timed_out', tooLarge: false });
    await turns(30);
    register([]);
    expect(await turns(1)).toEqual([]);
    register([polling('a')]);
    expect(await turns(1)).toHaveLength(1);
  });
});
