import { expect, test } from '@jest/globals';
import { createSignalMetrics } from '../../src/signals/count.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { makeStream } from './outbox.ts';

test('a stream that is held up is logged once, and counted until it is held up or there no more', async () => {
  const lines: string[] = [];
  const metrics = createMetrics();
  const count = createSignalMetrics({ log: createLog('info', { write: (line) => { lines.push(line); } }), metrics, nameOf: (id) => id });
  const stream = makeStream();
  const shown = async () => (await metrics.signalHeldUp.get()).values.map(({ labels, value }) => [labels.stream, value]);
  for (const end of [() => { count.heldUp(stream, false); }, () => { count.gone(stream); }]) {
    lines.length = 0;
    for (let look = 0; look < 3; look += 1) count.heldUp(stream, true);
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([expect.objectContaining({ level: 'error', domain: stream.domainId, stream: stream.id })]);
    expect(await shown()).toEqual([[stream.id, 1]]);
    end();
    expect(await shown()).toEqual([]);
  }
  count.heldUp(stream, false);
  expect(lines).toHaveLength(1);
});
