import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Mayfly } from '../support/mayfly.ts';

const page = readFileSync(new URL('../../docs/admin-api.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = ''], at) => ({ number: at + 1, text }));

let mayfly: Mayfly;
beforeAll(async () => { mayfly = await startMayfly(); });
afterAll(() => mayfly.close());

const apply = (text: string): Promise<Outcome> => runCli(['apply', '-f', '-', '--server', mayfly.server.adminSocket], { stdin: text });

describe('docs/admin-api.md', () => {
  test('has examples', () => { expect(examples.length).toBeGreaterThan(0); });

  test.each(examples)('example $number is applied as it is written, and once', async ({ text }) => {
    const first = await apply(text);
    expect([first.code, first.err]).toEqual([0, expect.stringContaining('applied: registry version')]);
    expect(await apply(text)).toMatchObject({ code: 0, err: expect.stringContaining('nothing to change') });
  });
});
