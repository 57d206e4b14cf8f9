import { afterEach, describe, expect, test } from '@jest/globals';
import { trace } from '@opentelemetry/api';
import type { Attributes, Span, Tracer, TracerProvider } from '@opentelemetry/api';
import { createInSpan } from '../../src/telemetry/trace.ts';

interface Seen { readonly name: string; readonly attributes: Attributes; ended: number; failed: boolean }

/** The least of a provider that shows what reaches an SDK. */
const recorder = (): { readonly seen: Seen[]; readonly provider: TracerProvider } => {
  const seen: Seen[] = [];
  const startActiveSpan = (name: string, options: { readonly attributes: Attributes }, work: (span: Span) => unknown): unknown => {
    const record: Seen = { name, attributes: { ...options.attributes }, ended: 0, failed: false };
    seen.push(record);
    return work({
      setAttribute: (key: string, value: string) => { record.attributes[key] = value; },
      setStatus: () => { record.failed = true; },
      end: () => { record.ended += 1; },
    } as unknown as Span);
  };
  return { seen, provider: { getTracer: () => ({ startActiveSpan } as unknown as Tracer) } };
};

describe('a span', () => {
  afterEach(() => { trace.disable(); });

  test('is around the work and ends with it', async () => {
    const { seen, provider } = recorder();
    trace.setGlobalTracerProvider(provider);
    expect(await createInSpan()('exchange', { 'mayfly.domain': 'prod' }, (span) => {
      span.setAttribute('mayfly.code', 'issued');
      return Promise.resolve(7);
    })).toBe(7);
    expect(seen).toEqual([{ name: 'exchange', attributes: { 'mayfly.domain': 'prod', 'mayfly.code': 'issued' }, ended: 1, failed: false }]);
  });

  test('shows a fault and lets it through', async () => {
    const { seen, provider } = recorder();
    trace.setGlobalTracerProvider(provider);
    await expect(createInSpan()('exchange', {}, () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(seen).toMatchObject([{ ended: 1, failed: true }]);
  });

  test('is nothing without an SDK', async () => {
    expect(await createInSpan()('exchange', {}, () => Promise.resolve('done'))).toBe('done');
  });
});
