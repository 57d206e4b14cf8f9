import { decodeJwt } from 'jose';
import { API } from '../support/world.ts';
import type { Answer } from '../support/mayfly.ts';
import type { Server } from './server.ts';
import type { Platform } from './platform.ts';

/** Requests without a pause, until told; what each of them came to. */
export interface Load {
  /** Leases of the tokens that reached the client. */
  readonly leases: readonly string[];
  /** Whole answers that were no token; a 503 among them used nothing up. */
  readonly refused: readonly Answer[];
  /** Requests that got no answer. */
  readonly unanswered: number;
  /** Begins nothing more and waits for what is under way. */
  stop(): Promise<void>;
}

export const leaseOf = (answer: Answer): string => String(decodeJwt(String(answer.body['access_token'])).jti);

export const startLoad = (server: Server, platform: Platform, url: string, callers = 8): Load => {
  const leases: string[] = [];
  const refused: Answer[] = [];
  let unanswered = 0;
  let stopped = false;
  const call = async (): Promise<void> => {
    let answer: Answer;
    try {
      answer = await server.exchangeOnce({ subject_token: platform.job(url), audience: API, scope: 'deploy:read' });
    } catch {
      unanswered += 1;
      // Nobody listens: the others of the event loop must get their turn.
      await new Promise((resolve) => setTimeout(resolve, 5));
      return;
    }
    if (answer.status === 200) leases.push(leaseOf(answer));
    else refused.push(answer);
  };
  const caller = async (): Promise<void> => { while (!stopped) await call(); };
  const callersDone = Promise.all(Array.from({ length: callers }, caller));
  return {
    leases, refused,
    get unanswered() { return unanswered; },
    async stop() {
      stopped = true;
      await callersDone;
    },
  };
};
