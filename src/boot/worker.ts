import { isObject } from '../core/json.ts';
import { StartRefused } from './refused.ts';
import { serveAsWorker } from './serve-worker.ts';
import { openWorkerLine } from './worker-line.ts';
import type { WorkerFault, WorkerStart } from './worker-line.ts';

/**
 * Entry of a serving process (see workers.ts). The primary says when to begin and when to end; a terminal or a service
 * manager sends its signals to every process of the group, and they are the primary's to act on. When the primary is
 * gone, node ends this process by itself: on SQLite nothing could be committed, and nobody would start it again.
 */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined);

const line = openWorkerLine(process);
const started = new Promise<WorkerStart>((resolve) => { line.onWord((word) => { if (word.say === 'start') resolve(word.start); }); });
const stopped = new Promise<void>((resolve) => { line.onWord((word) => { if (word.say === 'stop') resolve(); }); });

const describeFault = (cause: unknown): WorkerFault => {
  if (cause instanceof StartRefused) return { message: cause.message, problems: cause.problems };
  const message = cause instanceof Error ? cause.message : 'unknown fault';
  if (!isObject(cause)) return { message };
  const { code, address, port } = cause;
  return { message, ...(typeof code === 'string' ? { code } : {}), ...(typeof address === 'string' ? { address } : {}), ...(typeof port === 'number' ? { port } : {}) };
};

line.tell({ say: 'hello' });
try {
  const serving = await serveAsWorker(await started, line);
  line.tell({ say: 'serving', address: serving.address });
  await stopped;
  await serving.close();
  process.exit(0);
} catch (cause) {
  await line.tellLast({ say: 'failed', fault: describeFault(cause) });
  process.exit(1);
}
