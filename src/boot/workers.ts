import cluster from 'node:cluster';
import type { Worker as ClusterWorker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { SECOND } from '../core/duration.ts';
import type { DecisionId } from '../core/ids.ts';
import type { DenialRow } from '../store/rows.ts';
import type { Log } from '../telemetry/log.ts';
import { LONGEST_GOODBYE } from './listen.ts';
import { StartRefused } from './refused.ts';
import { openWorkerLine } from './worker-line.ts';
import type { MetricList, WorkerFault, WorkerLine, WorkerStart } from './worker-line.ts';

/** The serving processes of one server, as the primary holds them. */
export interface Workers {
  /** Where they listen, all at the same address. */
  readonly address: string;
  /** How many answer requests now. */
  serving(): number;
  /** Of every worker that answers. */
  metrics(): Promise<readonly MetricList[]>;
  /** A refusal that only the memory of one of them holds. */
  denial(id: DecisionId): Promise<DenialRow | undefined>;
  /** Lets each finish what it began. */
  readonly close: () => Promise<void>;
}

export interface WorkersDeps {
  readonly start: WorkerStart;
  readonly log: Log;
  /** From here on the worker hears of every change of the registry, and its writes are committed. */
  join(worker: ClusterWorker): void;
  readonly allMetrics: () => Promise<string>;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5 * SECOND;
/** A worker that served this long did not fall over its start. */
const PROVEN = 10 * SECOND;
/** Beyond what the worker itself gives its last requests. */
const LAST_WORD = LONGEST_GOODBYE + 10 * SECOND;

interface Running { readonly worker: ClusterWorker; readonly line: WorkerLine; readonly ended: Promise<void>; serving: boolean }

/** Starts as many serving processes as are configured, and one in place of each that dies. Resolves when all serve; rejects when one of the first cannot. */
export const startWorkers = async (deps: WorkersDeps): Promise<Workers> => {
  const running = new Set<Running>();
  const pauses = new Set<NodeJS.Timeout>();
  let closing = false;
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./worker.ts', import.meta.url)), args: [] });

  /** `place` stays when its process changes; `failures`: how often in a row it ended before it had proven itself. */
  const fork = (place: number, failures: number): Promise<string> => {
    const worker = cluster.fork();
    const line = openWorkerLine(worker);
    const ended = new Promise<void>((resolve) => { worker.once('exit', () => { resolve(); }); });
    const own: Running = { worker, line, ended, serving: false };
    running.add(own);
    line.answerBy({ 'all-metrics': deps.allMetrics });
    const served = new Promise<string>((resolve, reject) => {
      let proven = false;
      let proof: NodeJS.Timeout | undefined;
      let fault: WorkerFault | undefined;
      line.onWord((word) => {
        if (word.say === 'hello') line.tell({ say: 'start', start: deps.start });
        else if (word.say === 'failed') fault = word.fault;
        else if (word.say === 'join') {
          deps.join(worker);
          line.tell({ say: 'joined' });
        } else if (word.say === 'serving') {
          own.serving = true;
          deps.log.info({ worker: place, pid: worker.process.pid }, 'a serving process is ready');
          proof = setTimeout(() => { proven = true; }, PROVEN);
          resolve(word.address);
        }
      });
      worker.once('error', (cause) => { fault = { message: cause.message }; });
      worker.once('exit', (code, signal) => {
        running.delete(own);
        clearTimeout(proof);
        if (closing) return resolve('');
        const reason = fault ?? { message: `a serving process ended with ${signal ?? `code ${code}`}` };
        // The first of a place tells whether the server can start at all; whoever comes later is worth another try.
        if (failures === NEVER_SERVED && !own.serving) return reject(toError(reason));
        deps.log.error({ worker: place, code, signal, fault: reason.message }, 'a serving process ended; another takes its place');
        again(place, proven ? 0 : Math.max(failures, 0) + 1);
      });
    });
    return served;
  };

  const again = (place: number, failures: number): void => {
    const pause = setTimeout(() => {
      pauses.delete(pause);
      // Only the first process of a place rejects.
      void fork(place, failures);
    }, Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE));
    pauses.add(pause);
  };

  const close = async (): Promise<void> => {
    closing = true;
    pauses.forEach(clearTimeout);
    const deadline = setTimeout(() => { running.forEach(({ worker }) => { worker.process.kill('SIGKILL'); }); }, LAST_WORD);
    running.forEach(({ line }) => { line.tell({ say: 'stop' }); });
    await Promise.all([...running].map(({ ended }) => ended));
    clearTimeout(deadline);
  };

  try {
    const [address = ''] = await Promise.all(Array.from({ length: deps.start.config.workers }, (_, place) => fork(place + 1, NEVER_SERVED)));
    return {
      address,
      serving: () => [...running].filter(({ serving }) => serving).length,
      metrics: async () => (await Promise.all([...running].map(({ line }) => line.ask('own-metrics', undefined)))).filter((metrics) => metrics !== undefined),
      async denial(id) {
        const found = await Promise.all([...running].map(({ line }) => line.ask('denial', id)));
        return found.find((row) => row !== undefined && row !== null) ?? undefined;
      },
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
};

const NEVER_SERVED = -1;

const toError = ({ message, problems, ...rest }: WorkerFault): Error =>
  problems === undefined ? Object.assign(new Error(message), rest) : new StartRefused(problems);
