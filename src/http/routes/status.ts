import type { Request, Response } from 'express';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { DomainView } from '../../snapshot/domain-view.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import type { StatusLists } from '../../status/lists.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { findDomain, findUnready } from '../domain-endpoints.ts';
import { sendRefusal } from '../reply.ts';

export interface StatusRouteDeps {
  readonly snapshot: Pick<Snapshot, 'domain' | 'age'>;
  readonly statusLists: StatusLists;
}

const LIST_TYPE = 'application/statuslist+jwt';

/** Anybody may ask, also from a web page of another origin (Token Status List section 8.1); there is nothing here that depends on who does. */
const openToAll = (response: Response): void => { response.set({ 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' }); };

/** What is behind the registry says nothing: a list that misses the newest revocations would be believed for half a minute. */
const answering = (deps: StatusRouteDeps, answer: (view: DomainView, request: Request<{ domain: string; list: string }>, response: Response) => Promise<Refusal | undefined>) =>
  async (request: Request<{ domain: string; list: string }>, response: Response): Promise<void> => {
    openToAll(response);
    const found = findDomain(deps.snapshot, request.params.domain);
    if (!found.ok) return sendRefusal(response, found.error);
    const unready = findUnready(deps.snapshot, found.value);
    if (unready !== undefined) return sendRefusal(response, unready);
    try {
      const refused = await answer(found.value, request, response);
      if (refused !== undefined) sendRefusal(response, refused);
    } catch (cause) {
      if (!(cause instanceof StoreUnavailable)) throw cause;
      sendRefusal(response, refusal('store_unavailable', cause.message));
    }
  };

/** `GET {domain}/status/{list}`: the status list token (Token Status List section 8). */
export const createStatusListRoute = (deps: StatusRouteDeps) => answering(deps, async (view, request, response) => {
  // Section 8.4: what was is not kept.
  if (request.query['time'] !== undefined) return refusal('history_unsupported', 'time');
  if (request.accepts(LIST_TYPE) === false) return refusal('format_unsupported', 'Accept');
  const served = await deps.statusLists.serve(view, request.params.list);
  if (!served.ok) return served.error;
  const { token, gzipped, maxAge } = served.value;
  const packed = gzipped !== undefined && request.acceptsEncodings('gzip') !== false;
  response.set({ 'Cache-Control': `public, max-age=${maxAge}`, 'Content-Type': LIST_TYPE, Vary: 'Accept, Accept-Encoding', ...(packed ? { 'Content-Encoding': 'gzip' } : {}) });
  response.send(packed ? gzipped : Buffer.from(token));
  return undefined;
});

/** `GET {domain}/status`: where every list is whose tokens may still be in use (section 9), for who fetches them ahead. */
export const createStatusAggregationRoute = (deps: StatusRouteDeps) => answering(deps, async (view, _request, response) => {
  const lists = await deps.statusLists.all(view);
  response.set('Cache-Control', 'no-cache').type('application/json').send(JSON.stringify(lists));
  return undefined;
});
