import pg from 'pg';
import { postgresOptions } from './connections.ts';

export interface RegistryListener { close(): Promise<void> }

const PAUSE_MS = 1_000;

/** LISTENs on a connection of its own and reconnects; calls back at every notice and after every gap. Polling stays the rule, so nothing here is fatal. */
export const listenForChanges = (url: string, changed: () => void): RegistryListener => {
  let client: pg.Client | undefined;
  let pause: NodeJS.Timeout | undefined;
  let closed = false;

  const again = (failed: pg.Client): void => {
    if (closed || client !== failed) return;
    client = undefined;
    void failed.end().catch(ignore);
    pause = setTimeout(connect, PAUSE_MS);
  };

  const connect = (): void => {
    const next = new pg.Client({ ...postgresOptions(url, 'listen') });
    client = next;
    next.on('error', () => { again(next); });
    next.on('end', () => { again(next); });
    next.on('notification', changed);
    next.connect().then(() => next.query('LISTEN mayfly_registry')).then(changed, () => { again(next); });
  };

  connect();
  return {
    async close() {
      closed = true;
      clearTimeout(pause);
      await client?.end().catch(ignore);
    },
  };
};

const ignore = (): void => undefined;
