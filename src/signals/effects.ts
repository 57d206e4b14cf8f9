import { DAY } from '../core/duration.ts';
import type { DomainId, SessionId } from '../core/ids.ts';
import type { SignalEffect } from '../registry/signals-schema.ts';
import type { Target } from '../store/rows.ts';
import type { RegistryChange } from '../store/store.ts';
import type { Happening } from './received-event.ts';
import type { Match } from './received-match.ts';
import type { ReceivedSet, SignallingIssuer } from './received-set.ts';
import type { Subject } from './received-subject.ts';

/** What became of an event. `repeated`: it was here before, and had its effect then. */
export type SignalOutcome = 'ended' | 'blocked' | 'suspended' | 'resumed' | 'ignored' | 'unmatched' | 'verified' | 'repeated';

export interface Effect {
  readonly outcome: SignalOutcome;
  /** Who makes the change, as revocations show it. */
  readonly by: string;
  readonly change: Pick<RegistryChange, 'revocations' | 'ends' | 'resume'>;
  readonly targets: readonly Target[];
}

/** One login of a person of whom the event says so. */
export interface Login { readonly session: SessionId; readonly expiresAt: number }

export interface Told { readonly set: ReceivedSet; readonly happening: Happening; readonly subject: Subject; readonly matches: readonly Match[]; readonly login: Login | undefined }

/** Longer than any login or task that began before it, and than any login that may still be shown: 30 days at most (registry/schemas.ts). */
const ENDED_KEPT = 31 * DAY;
/** As of sessions an admin revokes: as long as their rows. */
const SESSION_KEPT = 90 * DAY;

/** From what was told to what changes; decides and does nothing. */
export const decideEffect = ({ set, happening, subject, matches, login }: Told, { signals }: SignallingIssuer, domainId: DomainId, now: number): Effect => {
  const { name, sense } = happening;
  if (name === 'verification') return nothing('verified', signals.transmitter);
  const effect = name in signals.effects ? signals.effects[name as keyof typeof signals.effects] : 'ignore';
  if (sense === 'told' || effect === 'ignore') return nothing('ignored', signals.transmitter);
  if (matches.length === 0) return nothing('unmatched', signals.transmitter);
  const at = Math.min(happening.at, now);
  const reason = `${name} ${set.jti}`;
  if (sense === 'opposite') {
    if (effect !== 'suspend') return nothing('ignored', signals.transmitter);
    const by = suspender(signals.transmitter, happening, subject);
    return { outcome: 'resumed', by, change: { resume: matches.map(({ target }) => ({ target, by, until: at })) }, targets: matches.map(({ target }) => target) };
  }
  const rows = matches.map(({ target }) => ({ target, domainId, reason, purgeAfter: null }));
  return { targets: login === undefined ? rows.map(({ target }) => target) : [`session:${login.session}`], ...EFFECTS[effect]({ rows, login, domainId, reason, at, now, by: signals.transmitter, suspendedBy: suspender(signals.transmitter, happening, subject) }) };
};

interface Circumstances {
  readonly rows: readonly { readonly target: Target; readonly domainId: DomainId; readonly reason: string; readonly purgeAfter: null }[];
  readonly login: Login | undefined;
  readonly domainId: DomainId;
  readonly reason: string;
  readonly at: number;
  readonly now: number;
  readonly by: string;
  readonly suspendedBy: string;
}

const EFFECTS: Readonly<Record<Exclude<SignalEffect, 'ignore'>, (circumstances: Circumstances) => Omit<Effect, 'targets'>>> = {
  // Design section 7, in its two halves: what began before is over; and here a login that is later counts again at once.
  end_sessions: ({ rows, login, domainId, reason, now, by }) => ({
    outcome: 'ended', by,
    change: login === undefined
      ? { ends: rows.map((row) => ({ ...row, purgeAfter: now + ENDED_KEPT })) }
      : { revocations: [{ target: `session:${login.session}`, domainId, reason, purgeAfter: login.expiresAt + SESSION_KEPT }] },
  }),
  block: ({ rows, by }) => ({ outcome: 'blocked', by, change: { revocations: rows } }),
  suspend: ({ rows, at, suspendedBy }) => ({ outcome: 'suspended', by: suspendedBy, change: { revocations: rows.map((row) => ({ ...row, effect: 'suspended' as const, at })) } }),
};

const nothing = (outcome: SignalOutcome, by: string): Effect => ({ outcome, by, change: {}, targets: [] });

/** INVARIANT: the opposite event lifts what this transmitter suspended by the same event about the same device, and nobody else's. */
const suspender = (transmitter: string, { name }: Happening, { device }: Subject): string => [transmitter, name, ...(device === undefined ? [] : [`device ${device}`])].join(' ');
