import { SpanStatusCode, context, isSpanContextValid, trace } from '@opentelemetry/api';
import type { Attributes, Span } from '@opentelemetry/api';

/** Runs `work` in a span. Without an OpenTelemetry SDK in the process this is a call and nothing more. */
export type InSpan = <T>(name: string, attributes: Attributes, work: (span: Pick<Span, 'setAttribute'>) => Promise<T>) => Promise<T>;

/** Attributes hold names from the registry and codes from closed lists, as metrics do: no token, no claim, nothing a caller chose. */
export const createInSpan = (): InSpan => {
  const tracer = trace.getTracer('mayfly');
  return (name, attributes, work) => {
    const span = tracer.startSpan(name, { attributes });
    // Nobody traces: there is nothing to hand on to what runs within, and nothing to end.
    if (!isSpanContextValid(span.spanContext())) return work(span);
    return context.with(trace.setSpan(context.active(), span), async () => {
      try {
        return await work(span);
      } catch (cause) {
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw cause;
      } finally {
        span.end();
      }
    });
  };
};
