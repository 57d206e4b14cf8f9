import express from 'express';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import helmet from 'helmet';
import type { Clock } from '../core/clock.ts';
import { newId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { refusal } from '../core/refusal.ts';
import type { RefusalCode } from '../core/refusal.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { FORM_LIMIT, isPlainForm, isPlainSet } from './form.ts';
import { limitKeyOf } from './limits.ts';
import type { RateLimit } from './limits.ts';
import { sendRefusal } from './reply.ts';
import type { Route } from './route.ts';

export interface AppDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'http'>;
  /** Ranges whose X-Forwarded-For counts; empty: forwarded headers are ignored. */
  readonly trustedProxies: readonly string[];
  readonly limitByAddress: RateLimit;
  /** Requests served at once. */
  readonly inFlight: number;
  readonly jsonLimit: number;
}

const readJson = (limit: number): RequestHandler => express.json({ limit, strict: true, inflate: false, type: 'application/json' });
const readBytes: RequestHandler = express.raw({ limit: FORM_LIMIT, inflate: false, type: isPlainForm });
const readSet: RequestHandler = express.raw({ limit: FORM_LIMIT, inflate: false, type: isPlainSet });

/** One Express application over a table of routes; whatever is not in the table is 404, whatever is thrown is one fixed sentence. */
export const createApp = (routes: readonly Route[], deps: AppDeps): Express => {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.set('trust proxy', deps.trustedProxies.length === 0 ? false : [...deps.trustedProxies]);
  app.use(helmet({ contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] }, useDefaults: false }, xDownloadOptions: false, xDnsPrefetchControl: false }));

  app.use((request, response, next) => {
    const id = newId('request', deps.clock, deps.random);
    response.setHeader('X-Request-Id', id);
    const startedAt = performance.now();
    // 'close' comes once on every way out, also when the peer goes away.
    response.once('close', () => {
      const elapsed = performance.now() - startedAt;
      const route = response.locals['route'] as string | undefined ?? 'none';
      deps.metrics.http.observe({ route, status: String(response.statusCode) }, elapsed / 1000);
      deps.log.info({ request: id, route, method: request.method, status: response.statusCode, ms: Math.round(elapsed * 10) / 10, decision: response.locals['decision'] as string | undefined }, 'request');
    });
    next();
  });

  let inFlight = 0;
  const admit: RequestHandler = (_request, response, next) => {
    // Who went away while the body came is told by nobody any more.
    if (response.closed) return;
    if (inFlight >= deps.inFlight) return sendRefusal(response, refusal('overloaded', 'too many requests in flight'));
    inFlight += 1;
    response.once('close', () => {
      // Whoever goes away early leaves work behind: its place is free when that is done too.
      const work = response.locals['work'] as Promise<unknown> | undefined ?? Promise.resolve();
      work.then(release, release);
    });
    next();
  };
  const release = (): void => { inFlight -= 1; };
  const work = (route: Route): RequestHandler => (request, response, next) => {
    const done = Promise.resolve(route.handle(request, response, next));
    response.locals['work'] = done;
    return done;
  };
  /** Before the body is read: a stranger's costs no memory and no more time than the answer. Node throws the rest of it away. */
  const identify = ({ identify: find }: Route): readonly RequestHandler[] => (find === undefined ? [] : [async (request, response, next) => {
    const found = find(request, response);
    response.locals['work'] = found;
    if (await found && !response.closed) next();
  }]);

  const byAddress: RequestHandler = (request, response, next) => {
    const wait = deps.limitByAddress(limitKeyOf(request.ip));
    if (wait === undefined) return next();
    sendRefusal(response, refusal('rate_limited', 'by address', wait));
  };

  const json = readJson(deps.jsonLimit);
  for (const route of routes) {
    const name: RequestHandler = (_request, response, next) => {
      response.locals['route'] = route.name;
      next();
    };
    // A form is small and counts once it is here: a thousand senders that never finish theirs must not shut everybody out.
    const reading = route.body === 'form' ? [readBytes, admit] : route.body === 'set' ? [readSet, admit] : [admit, ...identify(route), ...(route.body === 'json' ? [json] : [])];
    const steps = [name, ...(route.limit === 'address' ? [byAddress] : []), ...reading, work(route)];
    app[route.method](route.path, ...steps);
  }
  const methods = new Map<string, Set<string>>();
  for (const route of routes) methods.set(route.path, (methods.get(route.path) ?? new Set()).add(route.method.toUpperCase()));
  for (const [path, allowed] of methods) {
    app.all(path, (_request, response) => {
      response.set('Allow', [...allowed].join(', ')).status(405).json({ error: 'invalid_request', error_description: `Use ${[...allowed].join(' or ')}.` });
    });
  }
  app.use((_request, response) => sendRefusal(response, refusal('not_found', 'no such path')));
  app.use(createErrorHandler(deps.log));
  return app;
};

const CODE_OF_STATUS: ReadonlyMap<number, RefusalCode> = new Map([[400, 'request_malformed'], [413, 'request_too_large'], [415, 'request_malformed']]);

/** Body-parser errors have a status below 500 and are the caller's; all else is ours, and is told in the log alone. */
const createErrorHandler = (log: Log): ErrorRequestHandler => (error: unknown, _request, response, next) => {
  if (response.headersSent) {
    next(error);
    return;
  }
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  const code = typeof status === 'number' ? CODE_OF_STATUS.get(status) : undefined;
  if (code !== undefined) {
    sendRefusal(response, refusal(code, 'the body could not be read'));
    return;
  }
  log.error({ err: error, request: response.getHeader('X-Request-Id') }, 'unexpected fault');
  response.set('Cache-Control', 'no-store').status(500).json({ error: 'server_error', error_description: 'Something went wrong here. An admin finds it in the log by the request id.', request_id: response.getHeader('X-Request-Id') });
};
