import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import type { Channel, StoreMessage } from '../../src/store/writer/channel.ts';
import { ipcChannel } from '../../src/store/writer/channel.ts';
import { createRemoteWrites, serveRemoteWrites } from '../../src/store/writer/remote.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { ClaimedBlock } from '../../src/store/store.ts';
import { DOMAIN, NOW, makeEvent, makeIssuance } from './make-rows.ts';
import { codes, makeSealer, openStore } from './place.ts';

const startWorker = async (url: string, store: OwnStore): Promise<ChildProcess> => {
  const child = fork(fileURLToPath(new URL('worker-process.ts', import.meta.url)), [url]);
  store.serve(ipcChannel(child));
  await answerTo(child, 'start');
  return child;
};

const answerTo = (child: ChildProcess, task: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const listen = (message: { readonly done?: string; readonly result?: unknown }): void => {
      if (message.done !== task) return;
      child.off('message', listen);
      resolve(message.result);
    };
    child.on('message', listen);
    child.once('exit', () => { reject(new Error(`the worker ended before it answered ${task}`)); });
  });

const ask = (child: ChildProcess, task: string, name = ''): Promise<unknown> => {
  const answer = answerTo(child, task);
  child.send({ task, name });
  return answer;
};

describe('worker processes beside a primary', () => {
  let folder: string;
  let url: string;
  let store: OwnStore;
  let workers: ChildProcess[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mayfly-workers-'));
    url = `file:${join(folder, 'mayfly.db')}`;
    store = await openStore({ url });
    workers = await Promise.all([startWorker(url, store), startWorker(url, store)]);
  });
  afterEach(async () => {
    for (const worker of workers) {
      if (worker.exitCode !== null || worker.signalCode !== null) continue;
      worker.disconnect();
      await once(worker, 'exit');
    }
    await store.close();
    await rm(folder, { recursive: true });
  });
  const [first, second] = [() => workers[0] as ChildProcess, () => workers[1] as ChildProcess];

  test('commit through the primary, read what the others wrote, and share one chain', async () => {
    const [one, two] = await Promise.all([ask(first(), 'issue', 'one'), ask(second(), 'issue', 'two'), store.issue(makeIssuance('own'))]);
    expect(one).toEqual(['committed', 'committed', 'replayed']);
    expect(two).toEqual(['committed', 'committed', 'replayed']);
    expect(await ask(first(), 'standing', 'two-1')).toBe(makeIssuance('two-1').lease.id);
    const { verify } = await makeSealer();
    expect(await verifyAudit({ reads: store, verifyCheckpoint: verify, codes, outside: [], now: NOW })).toMatchObject({ ok: true, entries: 6, chains: [{ entries: 6 }] });
  });

  test('have taken a revocation in by the time it is confirmed, whoever made it, and slow as they may be', async () => {
    // Well within what a worker is given; a message that was sent would be answered sooner.
    await ask(second(), 'lag', '100');
    const own = await store.change({ at: NOW, by: 'primary', revocations: [{ target: 'session:a', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [makeEvent('revocation.made')] });
    expect(await ask(first(), 'seen')).toBe(own.version);
    expect(await ask(second(), 'seen')).toBe(own.version);
    const told = new Promise<void>((resolve) => { store.onRegistryChange(resolve); });
    const theirs = (await ask(first(), 'revoke', 'b')) as { readonly version: number };
    expect(await ask(second(), 'seen')).toBe(theirs.version);
    await told;
  });

  test('admit instances through the primary, counted together, and all know of one by the time it acts', async () => {
    const from = await store.registryVersion();
    const told = new Promise<void>((resolve) => { store.onRegistryChange(resolve); });
    expect(await ask(first(), 'admit', 'p-1')).toBe('committed');
    await told;
    expect([await ask(first(), 'seen'), await ask(second(), 'seen')]).toEqual([from + 1, from + 1]);
    expect([await ask(second(), 'admit', 'p-2'), await ask(second(), 'admit', 'p-1')]).toEqual(['full', 'replayed']);
    expect((await store.registryDelta(from)).instances.map(({ name }) => name)).toEqual(['tools/p-1']);
    expect(store.unsealed()).toBe(1);
  });

  test('do not hold a change up when they are gone', async () => {
    workers.forEach((worker) => worker.kill('SIGKILL'));
    await Promise.all(workers.map((worker) => once(worker, 'exit')));
    const outcome = await store.change({ at: NOW, by: 'primary', revocations: [{ target: 'session:c', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [] });
    expect(outcome.status).toBe('committed');
  });

  test('are never given a block of a status list that another process was given', async () => {
    const own = Promise.all(Array.from({ length: 50 }, (_, index) => store.claimStatusBlock({ domainId: DOMAIN, list: `own-${index}`, order: [2, 0, 1], until: NOW })));
    const given = (await Promise.all([ask(first(), 'claim', 'one'), ask(second(), 'claim', 'two'), own])).flat() as readonly ClaimedBlock[];
    expect(given).toHaveLength(150);
    expect(new Set(given.map(({ list, block }) => `${list}/${block}`)).size).toBe(150);
    expect(Map.groupBy(given, ({ list }) => list).size).toBe(50);
  });

  test('leave sealing to the primary', async () => {
    await ask(first(), 'issue', 'sealed');
    expect(await ask(first(), 'checkpoint')).toBeNull();
    expect(await store.checkpoint((await makeSealer()).sign, NOW)).toMatchObject({ n: 3 });
  });
});

describe('the line to the primary', () => {
  const never = (): Promise<never> => new Promise(() => undefined);
  const makeLine = (): { readonly near: Channel; readonly far: Channel; readonly cut: () => void } => {
    const ends = [0, 1].map(() => ({ messages: [] as ((message: StoreMessage) => void)[], closes: [] as (() => void)[] }));
    const end = (own: number): Channel => ({
      send(message) { queueMicrotask(() => { ends[1 - own]?.messages.forEach((listener) => { listener(message); }); }); },
      onMessage(listener) { ends[own]?.messages.push(listener); },
      onClose(listener) { ends[own]?.closes.push(listener); },
    });
    return { near: end(0), far: end(1), cut() { ends.forEach(({ closes }) => { closes.forEach((listener) => { listener(); }); }); } };
  };

  test('makes what is under way and what comes after unavailable when it is cut', async () => {
    const { near, far, cut } = makeLine();
    serveRemoteWrites(far, never);
    const { writes } = createRemoteWrites(near);
    const waiting = writes.issue(makeIssuance('waiting'));
    cut();
    await expect(waiting).rejects.toThrow(StoreUnavailable);
    await expect(writes.issue(makeIssuance('later'))).rejects.toThrow('the primary process is gone');
  });

  test('gives up on a primary that does not answer, and turns away what exceeds the queue', async () => {
    const { near } = makeLine();
    const { writes } = createRemoteWrites(near, { queued: 1, waitMs: 50 });
    const waiting = writes.issue(makeIssuance('waiting'));
    await expect(writes.issue(makeIssuance('second'))).rejects.toThrow('too many writes are waiting');
    await expect(waiting).rejects.toThrow('the primary process did not answer in time');
  });

  /** A change that is announced over it: whether it is confirmed by now, once all that was sent has been heard. */
  const announceOver = ({ near, far }: { readonly near: Channel; readonly far: Channel }, taken: () => Promise<void>, limits?: { readonly announceMs: number }) => {
    createRemoteWrites(near).onRegistryChange(taken);
    let isConfirmed = false;
    const confirmed = serveRemoteWrites(far, never, limits).announce(7).then(() => { isConfirmed = true; });
    return {
      confirmed,
      async isConfirmed() {
        await new Promise((resolve) => { setImmediate(resolve); });
        return isConfirmed;
      },
    };
  };
  const PATIENT = { announceMs: 600_000 };

  test('holds a change up until the worker has taken it in', async () => {
    const taken = Promise.withResolvers<undefined>();
    const change = announceOver(makeLine(), () => taken.promise, PATIENT);
    expect(await change.isConfirmed()).toBe(false);
    taken.resolve(undefined);
    await change.confirmed;
  });

  test('holds a change up that the worker could not take in, until it is cut', async () => {
    const line = makeLine();
    const change = announceOver(line, () => Promise.reject(new Error('it cannot be read')), PATIENT);
    expect(await change.isConfirmed()).toBe(false);
    line.cut();
    await change.confirmed;
  });

  test('holds a change up no longer than a worker may answer from what it knew', async () => {
    await announceOver(makeLine(), never, { announceMs: 20 }).confirmed;
  });

  test('passes the primary\'s refusal on, and does not let a worker seal', async () => {
    const { near, far } = makeLine();
    serveRemoteWrites(far, () => Promise.reject(new StoreUnavailable('disk full')));
    const { writes } = createRemoteWrites(near);
    await expect(writes.issue(makeIssuance('x'))).rejects.toThrow('disk full');
    const answered = new Promise<StoreMessage>((resolve) => { near.onMessage(resolve); });
    near.send({ mayfly: 'write', id: 99, operation: { kind: 'seal', row: '{}' } });
    expect(await answered).toEqual({ mayfly: 'written', id: 99, answer: { unavailable: 'only the primary seals' } });
  });
});
