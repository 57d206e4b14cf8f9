import { z } from 'zod';
import { SECOND } from '../../src/core/duration.ts';
import type { DecisionId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { refusal } from '../../src/core/refusal.ts';
import type { Refusal, RefusalCode } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import type { Order, Provider } from '../../src/credentials/provider.ts';
import type { Caller } from '../../src/exchange/caller.ts';
import type { DenialContext } from '../../src/exchange/denials.ts';
import { createExchange } from '../../src/exchange/exchange.ts';
import type { ExchangeInput } from '../../src/exchange/exchange.ts';
import { createMint } from '../../src/exchange/mint.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import { createJoinStored } from '../../src/exchange/stored-session.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { HopRow, SessionRow, Target } from '../../src/store/rows.ts';
import type { Issuance, IssuanceOutcome } from '../../src/store/store.ts';
import { NOW, caller, request, viewOf } from './world.ts';

/** What each step is to do, where it is not the usual. */
export interface Setting {
  readonly caller?: Caller | RefusalCode;
  readonly limited?: RefusalCode;
  readonly revoked?: readonly Target[];
  readonly suspended?: readonly Target[];
  readonly view?: DomainView;
  /** The run's session as it is stored; the commit holds every lease to its end. */
  readonly stored?: { readonly session: SessionRow; readonly hops?: readonly HopRow[]; readonly revokedBy?: Target; readonly suspendedBy?: Target };
  /** What the provider says, if not a credential. */
  readonly provider?: RefusalCode;
  readonly handle?: string;
  /** What the commits say, one after the other, before they judge for themselves. */
  readonly commits?: readonly (IssuanceOutcome | Error)[];
}

/** The exchange over real decisions, terms and rows, with a store, providers and denials that keep what was done, in order. */
export const startRig = (setting: Setting = {}) => {
  const log: string[] = [];
  const orders: Order[] = [];
  const issued: Issuance[] = [];
  const denied: { readonly code: string; readonly detail: string; readonly context: DenialContext }[] = [];
  const sealed: (readonly [string, string])[] = [];
  const commits = [...setting.commits ?? []];
  const used = new Set<string>();
  const credentials: string[] = [];

  const makeProvider = (kind: string, callsTarget: boolean): Provider => ({
    kind, leaseKind: kind, callsTarget, tokenTypes: [`${kind}-type`], options: z.unknown(), lifetime: { default: 300, minimum: 1, maximum: 3600 }, check: () => undefined,
    issue(order) {
      log.push(`provider ${kind}`);
      orders.push(order);
      if (setting.provider !== undefined) return Promise.resolve(err(refusal(setting.provider, 'as told')));
      const credential = `credential-${credentials.length + 1}`;
      credentials.push(credential);
      return Promise.resolve(ok({ kind, issuedTokenType: `${kind}-type`, tokenType: 'Bearer' as const, credential, kid: 'kid-1', expiresAt: order.expiresAt, handle: setting.handle }));
    },
  });

  /** As the store's: judged by the stored session first, then the evidence is used up; a loser leaves nothing behind. */
  const commit = (issuance: Issuance): IssuanceOutcome => {
    const { stored } = setting;
    if (stored !== undefined && (stored.session.endedAt !== null || stored.session.expiresAt < issuance.lease.expiresAt)) return 'ended';
    const hopEnd = stored?.hops?.find(({ id }) => id === issuance.hop.id)?.expiresAt ?? issuance.hop.expiresAt;
    if (hopEnd < issuance.lease.expiresAt) return 'ended';
    if (issuance.lease.replayKey !== null && used.has(issuance.lease.replayKey)) return 'replayed';
    if (issuance.lease.replayKey !== null) used.add(issuance.lease.replayKey);
    issued.push(issuance);
    return 'committed';
  };

  const view = setting.view ?? viewOf();
  const engine: DomainView['engine'] = { ...view.engine, decide(question) { log.push(`decide ${question.scope ?? question.resource.audience}`); return view.engine.decide(question); } };
  const exchange = createExchange({
    clock: { now: () => NOW }, random: systemRandom,
    snapshot: { version: 11, blockedBy: (path, began) => {
      log.push(`blocked? ${began}`);
      const [revoked, suspended] = [setting.revoked, setting.suspended].map((targets) => path.find((target) => targets?.includes(target)));
      if (revoked !== undefined) return { target: revoked, effect: 'revoked' };
      return suspended === undefined ? undefined : { target: suspended, effect: 'suspended' };
    } },
    authenticate({ request: asked, snapshotVersion, learnt }) {
      log.push(`authenticate ${asked.subjectToken} at ${snapshotVersion}`);
      const given = setting.caller ?? caller();
      if (typeof given === 'string') return Promise.resolve(err(refusal(given, 'as told')));
      learnt(given.workload, given.evidence);
      return Promise.resolve(ok(given));
    },
    join: createJoinStored({ clock: { now: () => NOW }, store: { session: () => {
      log.push('read session');
      return Promise.resolve(setting.stored === undefined ? undefined : { hops: [], budgets: [], revokedBy: undefined, suspendedBy: undefined, ...setting.stored });
    } } }),
    // What waits for people has tests of its own, with a store: none of these requests does.
    resume: () => Promise.reject(new Error('no request was put off')),
    agree: () => Promise.reject(new Error('nobody has to agree')),
    defer: () => Promise.reject(new Error('nothing is put off')),
    admit(): Refusal | undefined { log.push('admit'); return setting.limited === undefined ? undefined : refusal(setting.limited, 'as told'); },
    mint: createMint({
      providers: new Map([['access-token', makeProvider('access-token', false)], ['aws-sts', makeProvider('aws-sts', true)]]), sessionTokenLifetime: 300,
      signSessionToken: (ticket) => {
        log.push('sign session token');
        return ok({ kind: 'session_token', issuedTokenType: 'access_token', tokenType: 'Bearer', credential: 'session-token', kid: 'kid-1', expiresAt: ticket.expiresAt, handle: undefined });
      },
    }),
    sealHandle: (lease, handle) => { sealed.push([lease, handle]); return { sealed: `sealed ${handle}`, kekId: 'kek-1' }; },
    store: { issue(issuance) {
      log.push('commit');
      const told = commits.shift();
      return told instanceof Error ? Promise.reject(told) : Promise.resolve(told ?? commit(issuance));
    } },
    denials: {
      record: (refused, context) => { log.push('deny'); denied.push({ ...refused, context }); return Promise.resolve(`dec_${'9'.repeat(32)}` as DecisionId); },
      recent: () => undefined, flush: () => Promise.resolve(),
    },
  });
  return {
    log, orders, issued, denied, sealed, credentials,
    run: (change: Partial<ExchangeRequest> = {}, binding?: ExchangeInput['binding']) => exchange({ request: request(change), view: { ...view, engine }, binding, requestId: 'req_1' }),
  };
};

/** The session of the usual caller, as one that began earlier and has so much left. */
export const storedFor = (left: number, change: Partial<SessionRow> = {}): NonNullable<Setting['stored']> =>
  ({ session: { ...caller().session, beganVersion: 3, startedAt: NOW - 1000 * SECOND, expiresAt: NOW + left, ...change } });
