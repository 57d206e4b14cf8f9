import { setImmediate } from 'node:timers/promises';

/** Members between two pauses where one costs tens of microseconds, as most entries do. */
const USUAL = 100;

/** The same items, with a pause after so many of them: work on very many must not keep whoever else waits for this process. */
export async function* gently<T>(items: Iterable<T>, every = USUAL): AsyncGenerator<T> {
  let since = 0;
  for (const item of items) {
    yield item;
    since += 1;
    if (since < every) continue;
    since = 0;
    await setImmediate();
  }
}
