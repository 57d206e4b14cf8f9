import { SECOND } from '../core/duration.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { ActingEvent } from '../registry/signals-schema.ts';
import type { ReceivedSet } from './received-set.ts';

/** Events by the last part of their URI. Those that are not here are acknowledged and do nothing. */
export type EventName = ActingEvent | 'account-enabled' | 'verification' | 'stream-updated';

/** What an event says: that something is over (`ends`), that it is no longer so (`opposite`), or something nothing follows from (`told`). */
export interface Happening {
  readonly name: EventName | 'other';
  readonly sense: 'ends' | 'opposite' | 'told';
  /** Milliseconds; never later than the token that tells of it. */
  readonly at: number;
}

/** The event of a token by CAEP 1.0, RISC 1.0 and SSF 1.0; a known event without what its standard requires is refused (RFC 8417 section 2.3). */
export const readEvent = ({ event, issuedAt, happenedAt }: ReceivedSet): Result<Happening, Refusal> => {
  const known = EVENTS.get(event.uri);
  if (known === undefined) return ok({ name: 'other', sense: 'told', at: issuedAt });
  const { event_timestamp: timestamp } = event.payload;
  if (timestamp !== undefined && (typeof timestamp !== 'number' || timestamp < 0)) return err(refusal('set_claim_invalid', 'event_timestamp is not a time'));
  const sense = known.read(event.payload);
  if (!sense.ok) return sense;
  return ok({ name: known.name, sense: sense.value, at: Math.min(issuedAt, timestamp === undefined ? happenedAt ?? issuedAt : timestamp * SECOND) });
};

type Payload = ReceivedSet['event']['payload'];
type Read = (payload: Payload) => Result<Happening['sense'], Refusal>;

const always = (sense: Happening['sense']): Read => () => ok(sense);

/** Requires members that hold one of these values, or any text. */
const requiring = (members: Readonly<Record<string, readonly string[] | 'text'>>, then: Read): Read => (payload) => {
  const wrong = Object.entries(members).find(([name, allowed]) => {
    const value = payload[name];
    return typeof value !== 'string' || value === '' || (allowed !== 'text' && !allowed.includes(value));
  });
  return wrong === undefined ? then(payload) : err(refusal('set_claim_invalid', `the event has no ${wrong[0]}, or one its standard does not know`));
};

const LEVELS = ['LOW', 'MEDIUM', 'HIGH'];
const COMPLIANCE = ['compliant', 'not-compliant'];
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

const EVENTS: ReadonlyMap<string, { readonly name: EventName; readonly read: Read }> = new Map<string, { readonly name: EventName; readonly read: Read }>([
  [`${CAEP}session-revoked`, { name: 'session-revoked', read: always('ends') }],
  // Deprecated by RISC 1.0 in favour of CAEP's, and still sent.
  [`${RISC}sessions-revoked`, { name: 'session-revoked', read: always('ends') }],
  [`${CAEP}risk-level-change`, { name: 'risk-level-change', read: requiring({ principal: 'text', current_level: LEVELS }, ({ current_level: level }) => ok(level === 'HIGH' ? 'ends' : 'opposite')) }],
  [`${CAEP}device-compliance-change`, { name: 'device-compliance-change', read: requiring({ previous_status: COMPLIANCE, current_status: COMPLIANCE }, ({ current_status: status }) => ok(status === 'compliant' ? 'opposite' : 'ends')) }],
  [`${RISC}account-disabled`, { name: 'account-disabled', read: always('ends') }],
  [`${RISC}account-purged`, { name: 'account-purged', read: always('ends') }],
  // RISC 1.0 section 2.6: an account that works again revives nothing that ended.
  [`${RISC}account-enabled`, { name: 'account-enabled', read: always('told') }],
  [`${RISC}credential-compromise`, { name: 'credential-compromise', read: requiring({ credential_type: 'text' }, always('ends')) }],
  [`${SSF}verification`, { name: 'verification', read: always('told') }],
  [`${SSF}stream-updated`, { name: 'stream-updated', read: always('told') }],
]);
