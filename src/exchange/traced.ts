import type { InSpan } from '../telemetry/trace.ts';
import type { Exchange } from './exchange.ts';

/** The exchange with a span around it: which domain, and how it ended. */
export const traceExchange = (exchange: Exchange, inSpan: InSpan): Exchange => (input) =>
  inSpan('exchange', { 'mayfly.domain': input.view.domain.name, 'mayfly.request': input.requestId }, async (span) => {
    const outcome = await exchange(input);
    span.setAttribute('mayfly.outcome', outcome.ok ? 'issued' : outcome.error.refusal.code);
    span.setAttribute('mayfly.decision', outcome.ok ? outcome.value.decisionId : outcome.error.decisionId);
    return outcome;
  });
