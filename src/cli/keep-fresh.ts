import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import type { Schedule } from './context.ts';
import type { Issued } from './exchange-client.ts';

export interface FreshDeps {
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** One whole exchange. */
  readonly obtain: () => Promise<Issued>;
  /** Hands out what was obtained, before the one before it ends. */
  readonly onFresh: (issued: Issued) => Promise<void> | void;
  /** Gives back what was obtained and could not be handed out. */
  readonly discard: (issued: Issued) => Promise<void>;
  /** A renewal failed; it is tried again. `until` is when the credential in use ends. */
  readonly onTrouble: (fault: unknown, until: number) => void;
  /** Share of its life after which a credential is renewed. */
  readonly renewAfter: number;
}

/** A credential that is renewed until it is stopped. */
export interface Fresh {
  readonly first: Issued;
  /** The one in use, unless it has ended. */
  current(): Issued | undefined;
  /** Ends renewing, waits for a renewal under way, and gives everything obtained that has not ended. */
  readonly stop: () => Promise<readonly Issued[]>;
}

/** Evidence is fetched anew for each try, so a try after a failure is a new exchange and not a repeated one; what a lost answer held ends within minutes. */
const RETRY_AFTER = 15 * SECOND;

/** Obtains a credential, then keeps it fresh. Rejects if the first exchange is refused. */
export const keepFresh = async ({ clock, schedule, obtain, onFresh, discard, onTrouble, renewAfter }: FreshDeps): Promise<Fresh> => {
  interface Held { readonly issued: Issued; readonly until: number }
  const take = async (): Promise<Held> => {
    const issued = await obtain();
    return { issued, until: clock.now() + issued.expiresIn * SECOND };
  };
  const lifeOf = ({ issued }: Held): number => Math.max(issued.expiresIn * SECOND * renewAfter, SECOND);

  const first = await take();
  let held = [first];
  let latest = first;
  let stopped = false;
  let underWay: Promise<void> = Promise.resolve();
  try {
    await onFresh(first.issued);
  } catch (fault) {
    await discard(first.issued);
    throw fault;
  }

  const renew = async (): Promise<void> => {
    try {
      const next = await take();
      held = [...held.filter(({ until }) => until > clock.now()), next];
      latest = next;
      await onFresh(next.issued);
      planNext(lifeOf(next));
    } catch (fault) {
      onTrouble(fault, latest.until);
      planNext(RETRY_AFTER);
    }
  };
  const planNext = (milliseconds: number): void => {
    if (!stopped) cancel = schedule(milliseconds, () => { underWay = renew(); });
  };
  let cancel = schedule(lifeOf(first), () => { underWay = renew(); });

  return {
    first: first.issued,
    current: () => (latest.until > clock.now() ? latest.issued : undefined),
    async stop() {
      stopped = true;
      cancel();
      await underWay;
      return held.filter(({ until }) => until > clock.now()).map(({ issued }) => issued);
    },
  };
};
