import type { Refusal } from '../core/refusal.ts';
import { ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { SignalRow, StreamRow } from '../store/signal-rows.ts';
import { signSet } from '../tokens/set.ts';

/** The same for an event however often it is sent: what a receiver knows it by. */
export const jtiOf = ({ streamId, n }: Pick<SignalRow, 'streamId' | 'n'>): string => `${streamId}-${n}`;

/** The number of an event of this stream; undefined for every other text. */
export const numberIn = (stream: Pick<StreamRow, 'id'>, jti: string): number | undefined => {
  const n = jti.startsWith(`${stream.id}-`) ? jti.slice(stream.id.length + 1) : '';
  return /^[1-9]\d{0,14}$/.test(n) ? Number(n) : undefined;
};

/** Signed when it leaves: the key of the day signs, whatever the event waited for. */
export const composeSet = (view: Pick<DomainView, 'domain' | 'ring'>, stream: Pick<StreamRow, 'audience'>, event: SignalRow): Result<string, Refusal> => {
  const signed = signSet({
    issuer: view.domain.issuer, audience: stream.audience, jti: jtiOf(event), issuedAt: event.at, txn: event.txn, subject: event.subject, type: event.type, payload: event.payload,
  }, view.ring);
  return signed.ok ? ok(signed.value.token) : signed;
};
