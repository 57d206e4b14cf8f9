import { z } from 'zod';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { canonicalJson } from '../core/json.ts';
import { judgeAddress } from '../outbound/address.ts';
import { parseOutboundUrl } from '../outbound/url.ts';
import type { StreamRow } from '../store/signal-rows.ts';
import { deliveredOf, EVENTS_SUPPORTED } from './events.ts';
import { VERIFICATION_INTERVAL } from './limits.ts';

export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';

/** A configuration as its receiver wrote it; the authorization in clear, until it is sealed. */
export interface Wanted {
  readonly eventsRequested: readonly string[] | null;
  readonly method: StreamRow['method'];
  readonly endpointUrl: string | null;
  readonly authorization: string | undefined;
  readonly description: string | null;
}

/** What the receiver changes; undefined: stays as it is. */
export type Change = { readonly [K in keyof Omit<Wanted, 'method' | 'endpointUrl' | 'authorization'>]: Wanted[K] | undefined } & { readonly delivery: Pick<Wanted, 'method' | 'endpointUrl' | 'authorization'> | undefined };

/** The stream as its receiver reads it (SSF 1.0 section 8.1.1). INVARIANT: what it sends as Authorization is never among it. */
export const showStream = (stream: StreamRow, issuer: string): Readonly<Record<string, unknown>> => ({
  stream_id: stream.id, iss: issuer, aud: stream.audience,
  events_supported: EVENTS_SUPPORTED, ...(stream.eventsRequested === null ? {} : { events_requested: stream.eventsRequested }), events_delivered: deliveredOf(stream.eventsRequested),
  delivery: stream.method === 'push' ? { method: PUSH, endpoint_url: stream.endpointUrl } : { method: POLL, endpoint_url: pollUrl(issuer, stream.id) },
  min_verification_interval: VERIFICATION_INTERVAL, ...(stream.description === null ? {} : { description: stream.description }),
});

export const showStatus = ({ id, status, reason }: Pick<StreamRow, 'id' | 'status' | 'reason'>): Readonly<Record<string, unknown>> => ({ stream_id: id, status, ...(reason === null ? {} : { reason }) });

export const pollUrl = (issuer: string, id: string): string => `${issuer}/ssf/poll/${id}`;

/** `whole`: what is absent is taken away (PUT); the rest is where events may be pushed to, as for issuers. */
export interface ConfigurationRules { readonly whole: boolean; readonly loopbackHttp: boolean; readonly allowAddresses: readonly string[] }

/** A body of a create request, or of a change of `known`. */
export const readConfiguration = (body: unknown, known: { readonly stream: StreamRow; readonly issuer: string } | undefined, rules: ConfigurationRules): Result<Change, Refusal> => {
  const parsed = configuration.safeParse(body);
  if (!parsed.success) return err(refusal('stream_malformed', parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')));
  const foreign = known === undefined ? undefined : findForeign(parsed.data, showStream(known.stream, known.issuer));
  if (foreign !== undefined) return err(refusal('stream_malformed', `${foreign} is the transmitter's, and is something else`));
  const { delivery, events_requested: requested, description } = parsed.data;
  const read = delivery === undefined ? (rules.whole ? ok(BY_POLL) : ok(undefined)) : readDelivery(delivery, rules);
  if (!read.ok) return read;
  const absent = rules.whole ? null : undefined;
  return ok({ delivery: read.value, eventsRequested: requested === undefined ? absent : [...new Set(requested)], description: description ?? absent });
};

const text = (most: number): z.ZodString => z.string().min(1).max(most);
const configuration = z.looseObject({
  events_requested: z.array(text(512)).max(64).optional(),
  delivery: z.looseObject({ method: z.enum([PUSH, POLL]), endpoint_url: text(2048).optional(), authorization_header: z.string().regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?$/).optional() }).optional(),
  description: text(500).optional(),
});

/** Members that are the transmitter's may come back as they were read, and not otherwise (SSF 1.0 section 8.1.1.3, 8.1.1.4). */
const TRANSMITTERS = ['iss', 'aud', 'events_supported', 'events_delivered', 'min_verification_interval'] as const;

const findForeign = (body: Readonly<Record<string, unknown>>, shown: Readonly<Record<string, unknown>>): string | undefined =>
  TRANSMITTERS.find((name) => body[name] !== undefined && canonicalJson(body[name]) !== canonicalJson(shown[name]));

const BY_POLL = { method: 'poll', endpointUrl: null, authorization: undefined } as const;

/** Written whole or not at all: an authorization never goes to an endpoint it was not given with. */
const readDelivery = (delivery: NonNullable<z.infer<typeof configuration>['delivery']>, rules: ConfigurationRules): Result<Change['delivery'], Refusal> => {
  const { method, endpoint_url: url, authorization_header: authorization } = delivery;
  // Where to poll is ours to say.
  if (method === POLL) return authorization === undefined ? ok(BY_POLL) : err(refusal('stream_malformed', 'delivery.authorization_header: only for push'));
  if (url === undefined) return err(refusal('stream_malformed', 'delivery.endpoint_url: is needed for push'));
  const endpoint = parseOutboundUrl(url, rules.loopbackHttp);
  if (!endpoint.ok) return err(refusal('stream_endpoint_refused', endpoint.error));
  // A name is judged by what it resolves to when something is sent there; an address can be judged now.
  const literal = endpoint.value.hostname.replace(/^\[(.*)\]$/, '$1');
  const verdict = judgeAddress(literal, { allowAddresses: rules.allowAddresses, loopback: endpoint.value.protocol === 'http:' });
  if (verdict !== 'allowed' && verdict !== 'address_malformed') return err(refusal('stream_endpoint_refused', verdict));
  return ok({ method: 'push', endpointUrl: url, authorization });
};
