import type { Clock } from '../core/clock.ts';
import { MINUTE, SECOND } from '../core/duration.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Poll, PollFailure } from '../signals/poll.ts';
import { findReceiver, isSignalling } from '../signals/received-for.ts';
import type { SignallingIssuer } from '../signals/received-set.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Job } from './run.ts';

export interface SignalsPollDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domains' | 'revokedBy' | 'version'>;
  readonly poll: Poll;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'signalsPolls'>;
}

/** Tokens asked for at once. */
const MOST = 50;
/** Transmitters polled at once. */
const TOGETHER = 16;
const LONGEST_BACKOFF = 5 * MINUTE;

/** What is remembered of a transmitter between two turns; lost with the process, which then asks at once. */
interface Standing { readonly next: number; readonly failures: number; readonly most: number }

/**
 * Fetches events of transmitters that are polled, by one node at a time. Another that takes over while this one still runs does no
 * harm: the effect of a token is one commit with its jti in it, whoever gets there first.
 */
export const signalsPollJob = (deps: SignalsPollDeps): Job => {
  let standings: ReadonlyMap<string, Standing> = new Map();

  const pollOne = async (issuer: SignallingIssuer, view: DomainView): Promise<Standing> => {
    const { failures, most } = standings.get(issuer.id) ?? { failures: 0, most: MOST };
    const polled = issuer.signals.poll;
    const every = polled?.every ?? MINUTE;
    const outcome = await deps.poll({ issuer, endpoint: polled?.endpoint ?? '', view, development: view.domain.stage === 'development' }, most).catch((cause: unknown) => {
      if (!(cause instanceof StoreUnavailable)) throw cause;
      return { ok: false as const, error: { why: cause.message, tooLarge: false } satisfies PollFailure };
    });
    const now = deps.clock.now();
    deps.metrics.signalsPolls.inc({ domain: view.domain.name, issuer: issuer.name, outcome: outcome.ok ? 'done' : 'failed' });
    if (outcome.ok) return { next: now + every, failures: 0, most: MOST };
    deps.log.warn({ domain: view.domain.name, issuer: issuer.name, why: outcome.error.why, failures: failures + 1 }, 'events could not be fetched from a transmitter; it is tried again');
    return { next: now + Math.min(every * 2 ** Math.min(failures, 10), Math.max(every, LONGEST_BACKOFF)), failures: failures + 1, most: outcome.error.tooLarge ? Math.max(1, Math.floor(most / 2)) : most };
  };

  return {
    name: 'signals-poll',
    every: 5 * SECOND,
    lease: 2 * MINUTE,
    idle: () => polledIssuers(deps).length === 0,
    async run() {
      const polled = polledIssuers(deps);
      // What is registered no more is forgotten.
      const kept = new Map(polled.flatMap(({ issuer }) => { const standing = standings.get(issuer.id); return standing === undefined ? [] : [[issuer.id, standing] as const]; }));
      standings = kept;
      const due = polled.filter(({ issuer }) => (kept.get(issuer.id)?.next ?? 0) <= deps.clock.now());
      for (let from = 0; from < due.length; from += TOGETHER) {
        await Promise.all(due.slice(from, from + TOGETHER).map(async ({ issuer, view }) => { kept.set(issuer.id, await pollOne(issuer, view)); }));
      }
    },
  };
};

const polledIssuers = ({ snapshot, clock }: SignalsPollDeps): readonly { readonly issuer: SignallingIssuer; readonly view: DomainView }[] =>
  snapshot.domains().flatMap((view) => view.entries().issuers.filter(isSignalling).flatMap(({ name }) => {
    const found = findReceiver(view, name, 'poll', snapshot, clock.now());
    return found.ok ? [{ issuer: found.value, view }] : [];
  }));
