import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Clock } from '../core/clock.ts';
import { MINUTE, SECOND } from '../core/duration.ts';
import { firstIdAt } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { judgeLease, targetsOf } from '../exchange/standing.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { StatusListRow } from '../store/rows.ts';
import type { ListedLease, StoreReads } from '../store/store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { MAX_TOKEN_SECONDS } from '../tokens/claims.ts';
import { packStatuses, statusListClaims, statusListUri, STATUS_LIST_TTL } from '../tokens/status-list.ts';
import type { Status } from '../tokens/status-list.ts';
import { BLOCK_ENTRIES } from './entries.ts';

/** A signed list as it is sent, and for how many seconds it may be kept. */
export interface ServedList { readonly token: string; readonly gzipped: Buffer | undefined; readonly maxAge: number }

export interface StatusListsDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'version' | 'blockedBy' | 'domainById'>;
  readonly store: Pick<StoreReads, 'listedLeases' | 'statusList' | 'statusLists'>;
  sign(claims: object, view: DomainView): Result<string, Refusal>;
  readonly metrics: Pick<Metrics, 'statusPassSeconds'>;
}

type Mark = readonly [index: number, status: Status];

/** One look at every lease that counts: which entries of which lists are not valid. All lists are made from it. */
interface Pass {
  readonly version: number;
  readonly at: number;
  readonly endedAt: number;
  readonly marks: ReadonlyMap<string, readonly Mark[]>;
  /** Lists that were asked for, made and signed once each. */
  readonly made: Map<string, { readonly row: StatusListRow; readonly list: Promise<Result<Omit<ServedList, 'maxAge'>, Refusal>> }>;
}

/** No token lives longer, so leases with older ids are over; ids are made some seconds before their commit, by clocks that differ. */
const OLDEST = MAX_TOKEN_SECONDS * SECOND + 5 * MINUTE;
/** Leases that are looked at before others get their turn: on SQLite reading them is all this process does meanwhile. */
const PAGE = 100;
/** After this nobody commits a lease any more whose id is so old. */
const SETTLED = 5 * MINUTE;
/** A pass shows every revocation this node knows; a session that was ended, and one that has become stale, shows in the next. */
const KEPT = STATUS_LIST_TTL / 3;
/** Where looking takes long, four parts of five are left to everything else, however often something is revoked. */
const REST = 4;

export const createStatusLists = (deps: StatusListsDeps) => {
  const { clock, snapshot, store, metrics } = deps;
  let last: Pass | undefined;
  /** Up to this id every lease is over, for good: where tokens live for minutes, nearly all of the last hour. */
  let over = '';
  let looking: { readonly version: number; readonly pass: Promise<Pass> } | undefined;

  const statusOf = ({ lease, session, hop, ended }: ListedLease, now: number): Status => {
    const view = snapshot.domainById(lease.domainId);
    // A domain that is not loaded serves no list either.
    if (view === undefined) return 'invalid';
    const blocked = snapshot.blockedBy(targetsOf(lease, hop), session.beganVersion);
    return judgeLease({ lease, session, ended, revokedBy: blocked?.effect === 'revoked' ? blocked.target : undefined, suspendedBy: blocked?.effect === 'suspended' ? blocked.target : undefined }, view, now);
  };

  const look = async (): Promise<Pass> => {
    // INVARIANT: both come first. What is revoked meanwhile makes another version, so this pass is not taken for one that shows it.
    const at = clock.now();
    const { version } = snapshot;
    const marks = new Map<string, Mark[]>();
    const settled = firstIdAt('lease', at - SETTLED);
    const oldest = firstIdAt('lease', at - OLDEST);
    let onlyOver = true;
    for (let after: string | undefined = oldest > over ? oldest : over; after !== undefined; ) {
      const page: Awaited<ReturnType<typeof store.listedLeases>> = await store.listedLeases(after, PAGE);
      const now = clock.now();
      for (const listed of page.items) {
        const status = statusOf(listed, now);
        if (status !== 'valid') note(marks, listed, status);
      }
      onlyOver &&= page.items.length === 0 && page.next !== undefined && page.next < settled;
      if (onlyOver) over = page.next ?? over;
      after = page.next;
      await setImmediate();
    }
    const endedAt = clock.now();
    metrics.statusPassSeconds.observe((endedAt - at) / SECOND);
    return { version, at, endedAt, marks, made: new Map() };
  };

  const start = (): Promise<Pass> => {
    const pass = look().then((done) => { last = done; return done; }).finally(() => { looking = undefined; });
    looking = { version: snapshot.version, pass };
    return pass;
  };

  const isFresh = ({ version, at, endedAt }: Pass): boolean => {
    const now = clock.now();
    if (now - at > STATUS_LIST_TTL) return false;
    return now - endedAt < (endedAt - at) * REST || (version === snapshot.version && now - at <= KEPT);
  };

  const current = async (): Promise<Pass> => {
    if (last !== undefined && isFresh(last)) return last;
    if (looking === undefined) return start();
    if (looking.version === snapshot.version) return looking.pass;
    await looking.pass.catch(() => undefined);
    return current();
  };

  const make = async (row: StatusListRow, { at, marks }: Pass, view: DomainView): Promise<Result<Omit<ServedList, 'maxAge'>, Refusal>> => {
    const { issuer } = view.domain;
    const claims = await statusListClaims({ issuer, uri: statusListUri(issuer, row.id), at }, packStatuses(row.blocks * BLOCK_ENTRIES, marks.get(row.id) ?? []));
    const signed = deps.sign(claims, view);
    return signed.ok ? ok({ token: signed.value, gzipped: signed.value.length < WORTH_GZIP ? undefined : await compress(signed.value) }) : signed;
  };

  const isServed = (row: StatusListRow | undefined, { domain }: DomainView): row is StatusListRow => row !== undefined && row.domainId === domain.id && row.until > clock.now();

  return {
    /** The list token as of now, for everybody who asks within a while the same. */
    async serve(view: DomainView, id: string): Promise<Result<ServedList, Refusal>> {
      const known = last !== undefined && isFresh(last) ? last.made.get(id)?.row : undefined;
      // Its time may have been prolonged since, by who claimed another block.
      const row = isServed(known, view) || !LIST_ID.test(id) ? known : await store.statusList(id);
      if (!isServed(row, view)) return err(refusal('not_found', `no status list ${id} in ${view.domain.name}`));
      const pass = await current();
      const made = pass.made.get(id) ?? { row, list: make(row, pass, view) };
      pass.made.set(id, made);
      const list = await made.list;
      if (!list.ok) return list;
      return ok({ ...list.value, maxAge: Math.max(0, Math.floor((pass.at + STATUS_LIST_TTL - clock.now()) / SECOND)) });
    },

    /** Every list whose tokens may still be in use (Token Status List section 9.3). */
    async all({ domain }: Pick<DomainView, 'domain'>): Promise<{ readonly status_lists: readonly string[] }> {
      return { status_lists: (await store.statusLists(domain.id)).map(({ id }) => statusListUri(domain.issuer, id)) };
    },
  };
};
export type StatusLists = ReturnType<typeof createStatusLists>;

const note = (marks: Map<string, Mark[]>, { lease }: ListedLease, status: Status): void => {
  const known = marks.get(lease.statusList);
  if (known === undefined) marks.set(lease.statusList, [[lease.statusIndex, status]]);
  else known.push([lease.statusIndex, status]);
};

const LIST_ID = /^[A-Za-z0-9_-]{22}$/;

const compress = promisify(gzip);
/** Below this a reply fits one packet anyway. */
const WORTH_GZIP = 1_024;
