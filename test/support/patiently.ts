import { PUBLIC_REFUSALS } from '../../src/http/problem.ts';

const TRIES = 300;
const PAUSE_MS = 100;

/** As a client that heeds Retry-After: on a machine with more to do than it can, a node may not see the registry in time, says so, and uses nothing up. */
export const patiently = async <A extends { readonly status: number; readonly body: Record<string, unknown> }>(ask: () => Promise<A>): Promise<A> => {
  for (let left = TRIES; left > 1; left -= 1) {
    const answer = await ask();
    if (answer.status !== 503 || answer.body['error_description'] !== PUBLIC_REFUSALS.snapshot_stale.sentence) return answer;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return ask();
};
