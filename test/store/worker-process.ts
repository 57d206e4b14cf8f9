import { createWorkerStore } from '../../src/store/create-store.ts';
import { ipcChannel } from '../../src/store/writer/channel.ts';
import { NOW, DOMAIN, makeAdmission, makeEvent, makeIssuance } from './make-rows.ts';

/** A worker process beside the test, which is its primary. Answers what it is asked over the same line the store uses. */
const store = await createWorkerStore({ url: process.argv[2] ?? '', clock: { now: () => NOW }, primary: ipcChannel(process) });
let seen = 0;
let lag = 0;
store.onRegistryChange(async () => {
  await new Promise((resolve) => { setTimeout(resolve, lag); });
  seen = await store.registryVersion();
});

const tasks: Record<string, (name: string) => Promise<unknown>> = {
  issue: (name) => Promise.all([`${name}-1`, `${name}-2`, `${name}-1-again`].map((lease) => store.issue(makeIssuance(lease, name, { lease: { replayKey: lease.replace('-again', '') } })).catch((cause: Error) => `${cause.name}: ${cause.message}`))),
  standing: async (name) => (await store.leaseStanding(makeIssuance(name).lease.id))?.lease.id,
  revoke: (name) => store.change({ at: NOW, by: 'worker', revocations: [{ target: `session:${name}`, domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [makeEvent('revocation.made')] }),
  claim: (name) => Promise.all(Array.from({ length: 50 }, (_, index) => store.claimStatusBlock({ domainId: DOMAIN, list: `${name}-${index}`, order: [2, 0, 1], until: NOW }))),
  admit: (name) => store.issue(makeAdmission(name, 1)),
  seen: () => Promise.resolve(seen),
  lag: (milliseconds) => {
    lag = Number(milliseconds);
    return Promise.resolve();
  },
  checkpoint: async () => (await store.checkpoint(() => Promise.reject(new Error('must not be asked')), NOW)) ?? null,
};

process.on('message', (message: { readonly task?: string; readonly name?: string }) => {
  const task = tasks[message.task ?? ''];
  if (task === undefined) return;
  void task(message.name ?? '').then((result) => process.send?.({ done: message.task, result }));
});
process.on('disconnect', () => { void store.close(); });
process.send?.({ done: 'start', result: null });
