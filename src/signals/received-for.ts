import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { SignallingIssuer } from './received-set.ts';

/** How events come. */
export type Delivery = 'push' | 'poll';

/** The issuer entry whose transmitter may deliver in this way: registered for it, not expired, not revoked. */
export const findReceiver = (view: DomainView, name: string, delivery: Delivery, snapshot: Pick<Snapshot, 'revokedBy' | 'version'>, now: number): Result<SignallingIssuer, Refusal> => {
  const issuer = view.issuer(name);
  if (issuer === undefined || !isSignalling(issuer)) return unknown('no issuer of this name has a transmitter');
  if ((issuer.signals.poll === undefined ? 'push' : 'poll') !== delivery) return unknown(`events of ${issuer.name} are not delivered by ${delivery}`);
  if (issuer.expires <= now) return unknown(`trusted issuer ${issuer.name} has expired`);
  const revoked = snapshot.revokedBy([`issuer:${issuer.id}`, `domain:${view.domain.id}`], snapshot.version);
  return revoked === undefined ? ok(issuer) : unknown(`${revoked} is revoked`);
};

export const isSignalling = (issuer: Issuer): issuer is SignallingIssuer => issuer.signals !== undefined;

const unknown = (detail: string): Result<never, Refusal> => err(refusal('set_receiver_unknown', detail));
