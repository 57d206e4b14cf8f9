import { expect, test } from '@jest/globals';
import type { DecisionId } from '../../src/core/ids.ts';
import { refusal } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import type { Exchange, ExchangeInput } from '../../src/exchange/exchange.ts';
import { traceExchange } from '../../src/exchange/traced.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { request, viewOf } from './world.ts';

const DECISION = 'dec_1' as DecisionId;
const input: ExchangeInput = { request: request({ subjectToken: 'a.secret.token' }), view: viewOf(), binding: undefined, requestId: 'req_1' };
const granted = ok({ credential: { credential: 'another.secret.token' }, decisionId: DECISION }) as Awaited<ReturnType<Exchange>>;
const denied: Awaited<ReturnType<Exchange>> = err({ refusal: refusal('scope_denied', 'of one named prod'), decisionId: DECISION });

/** What a span around this exchange is told, and what comes out. */
const traced = async (exchange: Exchange) => {
  const told: Record<string, unknown> = {};
  const outcome = await traceExchange(exchange, (name, attributes, work) => {
    Object.assign(told, { name, ...attributes });
    return work({ setAttribute(key, value) { told[key] = value; return this as never; } });
  })(input).catch((cause: unknown) => cause);
  return { told, outcome };
};
const BEFORE = { name: 'exchange', 'mayfly.domain': 'prod', 'mayfly.request': 'req_1' };

test.each([
  { name: 'was issued', result: granted, outcome: 'issued' }, { name: 'was refused', result: denied, outcome: 'scope_denied' },
])('the span around an exchange says that it $name and under which decision, and nothing of tokens and details', async ({ result, outcome }) => {
  expect(await traced(() => Promise.resolve(result))).toEqual({ outcome: result, told: { ...BEFORE, 'mayfly.outcome': outcome, 'mayfly.decision': DECISION } });
});

test('a fault goes through as it is', async () => {
  const down = new StoreUnavailable('down');
  expect(await traced(() => Promise.reject(down))).toEqual({ outcome: down, told: BEFORE });
});
