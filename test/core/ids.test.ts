import { expect, test } from '@jest/globals';
import { parseSessionId, sessionIdFromHash } from '../../src/core/ids.ts';

test('a session id never begins with a dash, which a command line takes for an option', () => {
  const ids = Array.from({ length: 256 }, (_, first) => sessionIdFromHash(new Uint8Array(32).fill(first)));
  expect(ids.filter((id) => id.startsWith('-'))).toEqual([]);
  expect(ids.map(parseSessionId)).toEqual(ids);
});
