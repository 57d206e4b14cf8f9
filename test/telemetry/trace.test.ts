import { afterEach, describe, expect, test } from '@jest/globals';
import { ROOT_CONTEXT, context, trace } from '@opentelemetry/api';
import type { Attributes, Context, ContextManager, Span, Tracer, TracerProvider } from '@opentelemetry/api';
import { createInSpan } from '../../src/telemetry/trace.ts';

interface Seen { readonly name: string; readonly attributes: Attributes; ended: number; failed: boolean }

/** The least of a provider that shows what reaches an SDK. */
const recorder = (): { readonly seen: Seen[]; readonly provider: TracerProvider } => {
  const seen: Seen[] = [];
  const startSpan = (name: string, options: { readonly attributes: Attributes }): Span => {
    const record: Seen = { name, attributes: { ...options.attributes }, ended: 0, failed: false };
    seen.push(record);
    return {
      spanContext: () => ({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }),
      setAttribute: (key: string, value: string) => { record.attributes[key] = value; },
      setStatus: () => { record.failed = true; },
      end: () => { record.ended += 1; },
    } as unknown as Span;
  };
  return { seen, provider: { getTracer: () => ({ startSpan } as unknown as Tracer) } };
};

/** The least of a context manager: what is active while something synchronous runs. */
const holder = (): ContextManager => {
  let active = ROOT_CONTEXT;
  return {
    active: () => active,
    with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(within: Context, work: F, self?: ThisParameterType<F>, ...args: A): ReturnType<F> {
      const before = active;
      active = within;
      try {
        return work.call(self, ...args);
      } finally {
        active = before;
      }
    },
    bind: (_within, target) => target,
    enable() { return this; },
    disable() { return this; },
  };
};

describe('a span', () => {
  afterEach(() => {
    trace.disable();
    context.disable();
  });

  test('is around the work and ends with it', async () => {
    const { seen, provider } = recorder();
    trace.setGlobalTracerProvider(provider);
    expect(await createInSpan()('exchange', { 'mayfly.domain': 'prod' }, (span) => {
      span.setAttribute('mayfly.code', 'issued');
      return Promise.resolve(7);
    })).toBe(7);
    expect(seen).toEqual([{ name: 'exchange', attributes: { 'mayfly.domain': 'prod', 'mayfly.code': 'issued' }, ended: 1, failed: false }]);
  });

  test('is what is active within, and no longer behind it', async () => {
    trace.setGlobalTracerProvider(recorder().provider);
    context.setGlobalContextManager(holder());
    expect(await createInSpan()('exchange', {}, () => Promise.resolve(trace.getActiveSpan()?.spanContext().spanId))).toBe('b7ad6b7169203331');
    expect(trace.getActiveSpan()).toBeUndefined();
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
