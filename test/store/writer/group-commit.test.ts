import { describe, expect, test } from '@jest/globals';
import { createGroupCommit } from '../../../src/store/writer/group-commit.ts';
import type { GroupCommitLimits } from '../../../src/store/writer/group-commit.ts';
import type { Answer, Operation } from '../../../src/store/writer/operations.ts';
import { StoreUnavailable } from '../../../src/store/store.ts';

const LIMITS: GroupCommitLimits = { queued: 100, batched: 3, waitMs: 5_000 };
const consume = (key: string): Operation => ({ kind: 'consume', proofs: [{ key, row: '{}' }] });
const endSession = (id: string): Operation => ({ kind: 'end-session', id, at: 0, by: 'x', reason: 'x', revocation: '{}', event: { at: 0, action: 'x', domainId: 'x', text: '{}' } });
const release = (name: string): Operation => ({ kind: 'release-job', name, holder: 'x' });
const nameOf = (operation: Operation): string => (operation.kind === 'consume' ? operation.proofs.map((proof) => proof.key).join('') : operation.kind === 'end-session' ? operation.id : operation.kind === 'release-job' ? operation.name : '');

/** A committing side that answers when the test says so. */
const makeCommit = () => {
  const batches: { readonly names: readonly string[]; readonly answer: (answers?: readonly Answer[]) => void; readonly fail: () => void }[] = [];
  const commit = (operations: readonly Operation[]): Promise<readonly Answer[]> =>
    new Promise((resolve, reject) => {
      batches.push({
        names: operations.map(nameOf),
        answer: (answers) => { resolve(answers ?? operations.map(() => ({ reply: true }))); },
        fail: () => { reject(new Error('the thread died')); },
      });
    });
  return { batches, commit };
};

const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

describe('createGroupCommit', () => {
  test('lets what arrives during a commit share the next one, up to the limit', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, LIMITS);
    const all = ['a', 'b', 'c', 'd', 'e'].map((key) => perform(consume(key)));
    expect(batches.map(({ names }) => names)).toEqual([['a']]);
    batches[0]?.answer();
    await settled();
    expect(batches[1]?.names).toEqual(['b', 'c', 'd']);
    batches[1]?.answer();
    await settled();
    expect(batches[2]?.names).toEqual(['e']);
    batches[2]?.answer();
    expect(await Promise.all(all)).toEqual([true, true, true, true, true]);
  });

  test('keeps the order and never mixes what issues, what changes the registry, and what needs a transaction of its own', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, LIMITS);
    const operations = [consume('a'), consume('b'), endSession('s1'), endSession('s2'), consume('c'), release('j1'), release('j2')];
    const all = operations.map((operation) => perform(operation));
    for (let index = 0; index < 6; index += 1) {
      batches[index]?.answer();
      await settled();
    }
    await Promise.all(all);
    expect(batches.map(({ names }) => names)).toEqual([['a'], ['b'], ['s1', 's2'], ['c'], ['j1'], ['j2']]);
  });

  test('answers nobody before the transaction that holds their rows is confirmed', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, LIMITS);
    let answered = false;
    const one = perform(consume('a')).then(() => { answered = true; });
    await settled();
    expect(answered).toBe(false);
    batches[0]?.answer();
    await one;
  });

  test('gives each its own answer', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, LIMITS);
    const first = perform(consume('first'));
    const rest = ['a', 'b'].map((key) => perform(consume(key)));
    batches[0]?.answer();
    await first;
    await settled();
    batches[1]?.answer([{ reply: false }, { unavailable: 'disk full' }]);
    expect(await rest[0]).toBe(false);
    await expect(rest[1]).rejects.toThrow(new StoreUnavailable('disk full'));
  });

  test('fails what was in flight with a committing side that died, and goes on with the next', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, LIMITS);
    const lost = perform(consume('lost'));
    const next = perform(consume('next'));
    batches[0]?.fail();
    await expect(lost).rejects.toThrow(StoreUnavailable);
    await settled();
    batches[1]?.answer();
    expect(await next).toBe(true);
  });

  test('gives up waiting after its time, and never sends what was given up before it was sent', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, { ...LIMITS, waitMs: 30 });
    const sent = perform(consume('sent'));
    const queued = perform(consume('queued'));
    await expect(sent).rejects.toThrow('the database did not confirm in time');
    await expect(queued).rejects.toThrow('the database did not confirm in time');
    batches[0]?.answer();
    await settled();
    expect(batches).toHaveLength(1);
  });

  test('turns away what exceeds the queue, at once', async () => {
    const { batches, commit } = makeCommit();
    const { perform } = createGroupCommit(commit, { ...LIMITS, queued: 1 });
    const first = perform(consume('a'));
    const second = perform(consume('b'));
    await expect(perform(consume('c'))).rejects.toThrow('too many writes are waiting');
    batches[0]?.answer();
    await settled();
    batches[1]?.answer();
    await Promise.all([first, second]);
  });

  test('drains: answers what it accepted, refuses what comes after', async () => {
    const { batches, commit } = makeCommit();
    const { perform, drain } = createGroupCommit(commit, LIMITS);
    const accepted = [perform(consume('a')), perform(consume('b'))];
    const drained = drain();
    await expect(perform(consume('c'))).rejects.toThrow('the store is closed');
    batches[0]?.answer();
    await settled();
    batches[1]?.answer();
    await drained;
    expect(await Promise.all(accepted)).toEqual([true, true]);
  });
});
