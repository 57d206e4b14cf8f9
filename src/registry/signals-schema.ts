import { z } from 'zod';
import { ALGORITHMS, jwks, url } from './fields.ts';

/** What an event does here. `end_sessions`: a later login works again; `block`: nothing does until an admin's `enable`; `suspend`: until the opposite event, or `enable`. */
export const SIGNAL_EFFECTS = ['end_sessions', 'block', 'suspend', 'ignore'] as const;
export type SignalEffect = (typeof SIGNAL_EFFECTS)[number];

/** Events that can do something (CAEP 1.0, RISC 1.0), by the last part of their URI, and what they do unless the entry says otherwise. */
export const SIGNAL_DEFAULTS = {
  'session-revoked': 'end_sessions',
  'credential-compromise': 'end_sessions',
  'risk-level-change': 'end_sessions',
  'account-disabled': 'block',
  'account-purged': 'block',
  'device-compliance-change': 'suspend',
} as const satisfies Record<string, SignalEffect>;
export type ActingEvent = keyof typeof SIGNAL_DEFAULTS;
export const ACTING_EVENTS = Object.keys(SIGNAL_DEFAULTS) as readonly ActingEvent[];

const effect = z.enum(SIGNAL_EFFECTS).optional();

/** How a trusted issuer tells that something ended: security event tokens (RFC 8417) of a Shared Signals transmitter. */
export const signalsSchema = z.strictObject({
  transmitter: url('Exact `iss` of its events; that of the issuer entry', 'https://idp.acme.example').optional(),
  audience: z.string().min(1).max(1024).regex(/^[!-~]+$/).optional().meta({ description: 'The one `aud` its events must have; the URL events are pushed to', examples: ['https://sts.acme.example/prod/ssf/events/corp'] }),
  jwks_uri: url('Where its keys are; else what `/.well-known/ssf-configuration` of the transmitter names', 'https://idp.acme.example/ssf/jwks.json').optional(),
  jwks,
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).optional().meta({ description: 'JWS algorithms; RS256 and ES256', examples: [['RS256']] }),
  poll: z.strictObject({
    endpoint: url('Where its events are fetched (RFC 8936)', 'https://idp.acme.example/ssf/poll'),
    every: z.int().min(5).max(3600).optional().meta({ description: 'Seconds between two polls; 10', examples: [10] }),
  }).optional().meta({ description: 'Fetch events instead of having them pushed', examples: [{ endpoint: 'https://idp.acme.example/ssf/poll' }] }),
  authorization: z.enum(['secret', 'none']).optional().meta({ description: 'Whether a request carries the secret of `signals.secrets` in the server\'s configuration: for polls `secret`, for pushes `none`', examples: ['secret'] }),
  events: z.strictObject(Object.fromEntries(ACTING_EVENTS.map((name) => [name, effect])) as Record<ActingEvent, typeof effect>).optional()
    .meta({ description: 'What each event does, where that is not the default', examples: [{ 'risk-level-change': 'suspend' }] }),
}).optional().meta({ description: 'Security events this issuer\'s transmitter sends: sessions end when it says so', examples: [{ jwks_uri: 'https://idp.acme.example/ssf/jwks.json' }] });
export type SignalsBlock = NonNullable<z.output<typeof signalsSchema>>;

/** As it is stored: what was settled at registration written out. */
export const storedSignals = signalsSchema.unwrap().extend({ transmitter: z.string().min(1), audience: z.string().min(1), authorization: z.enum(['secret', 'none']) }).optional();
