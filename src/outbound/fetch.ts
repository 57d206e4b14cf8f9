import { lookup as systemLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import { Agent, errors } from 'undici';
import type { Dispatcher } from 'undici';
import { SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { judgeAddress } from './address.ts';
import type { AddressRules } from './address.ts';
import { parseOutboundUrl } from './url.ts';
import type { UrlFault } from './url.ts';

/** Why nothing came back. Internal: callers turn it into their own refusal, with the text as its detail. */
export type OutboundReason =
  | UrlFault | 'address_malformed' | 'address_metadata' | 'address_not_public' | 'name_not_resolved'
  | 'redirected' | 'too_large' | 'encoded' | 'timed_out' | 'unreachable';
export interface OutboundFailure { readonly reason: OutboundReason; readonly detail: string }

export interface OutboundRequest {
  /** CIDRs beside public addresses that this call may reach. */
  readonly allowAddresses: readonly string[];
  /** Plain http to loopback: for `development` domains only. */
  readonly allowLoopbackHttp: boolean;
  readonly maxBytes: number;
  /** For everything together: resolving, connecting, sending, receiving. */
  readonly timeoutMs: number;
  readonly accept: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}
export interface OutboundResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** All addresses of a name; the default asks the operating system, as every other program on the host would. */
export type Lookup = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface GuardedFetch {
  (url: string, request: OutboundRequest): Promise<Result<OutboundResponse, OutboundFailure>>;
  /** Ends all connections; calls still running fail. For shutdown, when nobody waits for them any more. */
  close(): Promise<void>;
}

/**
 * The one way out (OWASP SSRF; RFC 6890): https only, no redirects, no proxies, size and time caps, and a connection goes only
 * to an address that was judged for this very connection. `ca` adds trust anchors (PEM) for issuers with a private CA.
 */
export const createGuardedFetch = (deps: { readonly lookup?: Lookup; readonly ca?: string } = {}): GuardedFetch => {
  const lookup = deps.lookup ?? ((hostname) => systemLookup(hostname, { all: true }));
  // INVARIANT: one pool per set of rules. A connection opened under an allowance is never reused by a call without it.
  const agents = new LRUCache<string, Agent>({ max: 100, dispose: (agent) => void agent.close() });
  const agentFor = (rules: AddressRules): Agent => {
    const key = JSON.stringify([rules.loopback, [...rules.allowAddresses].sort()]);
    const known = agents.get(key);
    if (known !== undefined) return known;
    const made = createAgent(rules, lookup, deps.ca);
    agents.set(key, made);
    return made;
  };
  const call = async (raw: string, request: OutboundRequest): Promise<Result<OutboundResponse, OutboundFailure>> => {
    const url = parseOutboundUrl(raw, request.allowLoopbackHttp);
    if (!url.ok) return err({ reason: url.error, detail: `${url.error}: ${hostOf(raw)}` });
    // Only http needs the loopback rule: https to this host must be allowed by its range.
    const rules: AddressRules = { allowAddresses: request.allowAddresses, loopback: url.value.protocol === 'http:' };
    const literal = judgeLiteral(url.value.hostname, rules);
    if (literal !== undefined) return err(literal);
    const signal = AbortSignal.timeout(request.timeoutMs);
    try {
      return await exchange(agentFor(rules), url.value, request, signal);
    } catch (error) {
      return err(translate(error, url.value, signal));
    }
  };
  const close = async (): Promise<void> => {
    const open = [...agents.values()];
    await Promise.all(open.map((agent) => agent.destroy()));
  };
  return Object.assign(call, { close });
};

/** Carries a verdict through the connector, which can only fail with an Error. */
class LookupRefused extends Error {
  readonly failure: OutboundFailure;
  constructor(failure: OutboundFailure) {
    super(failure.detail);
    this.name = 'LookupRefused';
    this.failure = failure;
  }
}

const createAgent = (rules: AddressRules, lookup: Lookup, ca: string | undefined): Agent =>
  new Agent({
    connect: { lookup: pinnedLookup(rules, lookup), timeout: 5 * SECOND, ...(ca === undefined ? {} : { ca }) },
    allowH2: false,
    connections: 16,
    pipelining: 1,
    maxHeaderSize: 16 * 1024,
    keepAliveTimeout: 10 * SECOND,
    keepAliveMaxTimeout: 60 * SECOND,
  });

/**
 * Resolves once per connection and hands `node:net` only what was judged, so that no second answer of the name can be
 * connected to. The certificate is still checked against the name.
 */
const pinnedLookup = (rules: AddressRules, lookup: Lookup): LookupFunction => (hostname, options, callback) => {
  resolve(hostname, rules, lookup).then(
    (addresses) => {
      const [first] = addresses;
      if (options.all === true || first === undefined) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    },
    (error: unknown) => callback(error instanceof Error ? error : new Error('lookup failed'), []),
  );
};

const resolve = async (hostname: string, rules: AddressRules, lookup: Lookup): Promise<readonly LookupAddress[]> => {
  const addresses = await lookup(hostname).catch(() => []);
  if (addresses.length === 0) throw new LookupRefused({ reason: 'name_not_resolved', detail: `name_not_resolved: ${hostname}` });
  for (const { address } of addresses) {
    const verdict = judgeAddress(address, rules);
    // One bad address refuses all: a name that also points inward is not one to talk to.
    if (verdict !== 'allowed') throw new LookupRefused({ reason: verdict, detail: `${verdict}: ${hostname} resolves to ${address}` });
  }
  return addresses;
};

/** `node:net` does not look up literals, so they are judged before. */
const judgeLiteral = (hostname: string, rules: AddressRules): OutboundFailure | undefined => {
  const literal = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(literal) === 0) return undefined;
  const verdict = judgeAddress(literal, rules);
  return verdict === 'allowed' ? undefined : { reason: verdict, detail: `${verdict}: ${literal}` };
};

const exchange = async (agent: Agent, url: URL, request: OutboundRequest, signal: AbortSignal): Promise<Result<OutboundResponse, OutboundFailure>> => {
  const sent = agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: request.method ?? 'GET',
    // Identity, so that the cap counts what is parsed: no small reply that unpacks to a large one.
    headers: { ...request.headers, accept: request.accept, 'accept-encoding': 'identity' },
    body: request.body ?? null,
    signal,
  });
  const reply = await Promise.race([sent, rejectAt(signal)]);
  const fault = faultOf(reply, request.maxBytes);
  if (fault !== undefined) {
    reply.body.on('error', () => undefined).destroy();
    return err({ reason: fault, detail: `${fault}: http ${reply.statusCode} from ${url.host}` });
  }
  const body = await readCapped(reply.body, request.maxBytes);
  if (body === undefined) return err({ reason: 'too_large', detail: `too_large: more than ${request.maxBytes} bytes from ${url.host}` });
  return ok({ status: reply.statusCode, headers: flatten(reply.headers), body });
};

/** undici looks at the signal only once connected; a name server that does not answer must not hold a caller longer. */
const rejectAt = (signal: AbortSignal): Promise<never> => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new errors.RequestAbortedError()), { once: true }));

const faultOf = (reply: Dispatcher.ResponseData, maxBytes: number): 'redirected' | 'encoded' | 'too_large' | undefined => {
  const headers = flatten(reply.headers);
  if (reply.statusCode >= 300 && reply.statusCode < 400) return 'redirected';
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') return 'encoded';
  return Number(headers['content-length'] ?? 0) > maxBytes ? 'too_large' : undefined;
};

const readCapped = async (body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer | undefined> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) return undefined; // leaving the loop destroys the body and its connection
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

const flatten = (headers: Record<string, string | string[] | undefined>): Record<string, string> => {
  const flat: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
};

/** Network failures are expected here and become values; texts of others' libraries stay behind, only their codes pass. */
const translate = (error: unknown, url: URL, signal: AbortSignal): OutboundFailure => {
  if (error instanceof LookupRefused) return error.failure;
  if (signal.aborted || error instanceof errors.ConnectTimeoutError) return { reason: 'timed_out', detail: `timed_out: ${url.host}` };
  if (isObject(error) && typeof error['code'] === 'string') return { reason: 'unreachable', detail: `unreachable: ${url.host} (${error['code']})` };
  throw error;
};

const hostOf = (raw: string): string => (URL.canParse(raw) ? new URL(raw).host : 'not a url');
