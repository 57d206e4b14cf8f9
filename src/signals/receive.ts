import { sha256url } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR, MINUTE } from '../core/duration.ts';
import type { DecisionId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Denials } from '../exchange/denials.ts';
import type { Search } from '../exchange/falling.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { RegistryChange, RegistryOutcome, StoreReads, StoreWrites } from '../store/store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { decideEffect } from './effects.ts';
import type { Effect, Login, SignalOutcome, Told } from './effects.ts';
import { readEvent } from './received-event.ts';
import type { Happening } from './received-event.ts';
import { matchSubject } from './received-match.ts';
import type { Match } from './received-match.ts';
import { SET_AGE } from './received-set.ts';
import type { ReceivedSet, SetRefused, SignallingIssuer, VerifySet } from './received-set.ts';
import { readSubject } from './received-subject.ts';
import type { Subject } from './received-subject.ts';

/** What became of a token that was taken. Its effect is durable. */
export interface Received { readonly jti: string; readonly event: Happening['name']; readonly outcome: SignalOutcome }
/** Why one was not, and the id under which an admin can ask. */
export interface NotReceived { readonly refusal: Refusal; readonly decisionId: DecisionId }
/** `jti`: what the token has to be called by, where it came under a name. Throws StoreUnavailable when its effect could not be made durable. */
export type Receive = (token: string, issuer: SignallingIssuer, view: DomainView, jti?: string) => Promise<Result<Received, NotReceived>>;

export interface ReceiveDeps {
  readonly clock: Clock;
  readonly verify: VerifySet;
  readonly store: Pick<StoreReads, 'session' | 'sessions'> & Pick<StoreWrites, 'append'>;
  change(change: RegistryChange): Promise<RegistryOutcome>;
  /** What will fall and what its target keeps honouring, for the audit log (design section 3, invariant 9). */
  fall(searches: readonly Search[], now: number): Promise<JsonObject>;
  readonly denials: Pick<Denials, 'record'>;
  readonly metrics: Pick<Metrics, 'signalsReceived' | 'revocations'>;
}

/** Sessions of one person that are looked through for what falls; all fall. */
const MOST_SESSIONS = 100;
/** Tokens that come again are recorded so often in a minute: whoever caught one can send it as often as they like. */
const REPEATS_PER_MINUTE = 60;

/** One security event token, from bytes to a durable effect: verify, read, match, decide, commit. The same for what was pushed and what was fetched. */
export const createReceive = (deps: ReceiveDeps): Receive => {
  const { clock, metrics } = deps;
  const isWorthTelling = createMinuteCap(clock);

  const refuse = async ({ refusal, verified }: SetRefused, issuer: SignallingIssuer, view: DomainView): Promise<Result<never, NotReceived>> => {
    metrics.signalsReceived.inc({ domain: view.domain.name, issuer: issuer.name, event: '', outcome: refusal.code });
    const decisionId = await deps.denials.record(refusal, { domainId: view.domain.id, workloadId: null, verified, facts: { endpoint: 'ssf/events', issuer: issuer.name } });
    return err({ refusal, decisionId });
  };

  return async (token, issuer, view, jti) => {
    const verified = await deps.verify(token, issuer);
    if (!verified.ok) return refuse(verified.error, issuer, view);
    const set = verified.value;
    if (jti !== undefined && jti !== set.jti) return refuse({ refusal: { code: 'set_claim_invalid', detail: 'the token came under another jti than its own' }, verified: true }, issuer, view);
    const happening = readEvent(set);
    const subject = readSubject(set.subject);
    if (!happening.ok) return refuse({ refusal: happening.error, verified: true }, issuer, view);
    if (!subject.ok) return refuse({ refusal: subject.error, verified: true }, issuer, view);

    const now = clock.now();
    const matches = happening.value.sense === 'told' ? [] : matchSubject(subject.value, issuer, view);
    const login = await findLogin(deps, happening.value, subject.value, matches, issuer);
    const told: Told = { set, happening: happening.value, subject: subject.value, matches, login };
    const effect = decideEffect(told, issuer, view.domain.id, now);
    const fallen = effect.outcome === 'ended' || effect.outcome === 'blocked' ? await deps.fall(await searchesFor(deps, told, effect, view, now), now) : {};
    const body = describe(told, issuer, effect, fallen);
    // One commit: the effect, the audit entry, and the jti. Whoever dies before it has done nothing, and the token comes again (RFC 8935 section 2).
    const committed = await deps.change({
      at: now, by: effect.by, ...effect.change, once: [{ key: onceKey(issuer, set), until: set.issuedAt + SET_AGE + HOUR }],
      audit: [{ at: now, action: 'signal.received', domainId: view.domain.id, body }],
    });
    const outcome = committed.status === 'replayed' ? 'repeated' : effect.outcome;
    if (outcome === 'repeated' && isWorthTelling(issuer.id)) await deps.store.append({ at: now, action: 'signal.repeated', domainId: view.domain.id, body: { issuer: issuer.name, transmitter: issuer.signals.transmitter, jti: set.jti } });
    metrics.signalsReceived.inc({ domain: view.domain.name, issuer: issuer.name, event: happening.value.name, outcome });
    if (outcome === 'ended' || outcome === 'blocked') for (const target of effect.targets) metrics.revocations.inc({ kind: target.slice(0, target.indexOf(':')) });
    return ok({ jti: set.jti, event: happening.value.name, outcome });
  };
};

/** RFC 8417 section 2.2: `jti` is unique for its issuer. Each entry that receives it has its own effect to make. */
const onceKey = (issuer: SignallingIssuer, { jti }: ReceivedSet): string => `set.${sha256url(JSON.stringify([issuer.id, issuer.signals.transmitter, jti]))}`;

/** CAEP 1.0 section 3.1: about one session of a person only that one ends. One that is not known here as a login of theirs: all do. */
const findLogin = async ({ store }: ReceiveDeps, { name }: Happening, { session }: Subject, matches: readonly Match[], { signals }: SignallingIssuer): Promise<Login | undefined> => {
  const [only, ...others] = matches;
  if (name !== 'session-revoked' || signals.effects[name] !== 'end_sessions' || session === undefined || only?.login === undefined || others.length > 0) return undefined;
  const found = await store.session(only.login);
  return found === undefined || found.session.holder !== only.person ? undefined : { session: only.login, expiresAt: found.session.expiresAt };
};

const searchesFor = async ({ store }: ReceiveDeps, { matches, login }: Told, { targets }: Effect, view: DomainView, now: number): Promise<readonly Search[]> => {
  if (login !== undefined) return targets.map((target) => ({ target, filter: { sessionId: login.session } }));
  const searches: Search[] = [];
  for (const { target, person, workloads } of matches) {
    searches.push(...workloads.map(({ id }) => ({ target, filter: { domainId: view.domain.id, workloadId: id } })));
    const logins = person === undefined ? [] : (await store.sessions({ domainId: view.domain.id, holder: person }, { limit: MOST_SESSIONS, after: undefined })).items;
    for (const { session, revokedBy } of logins) if (session.expiresAt > now && session.endedAt === null && revokedBy === undefined) searches.push({ target, filter: { sessionId: session.id } });
  }
  return searches;
};

const describe = ({ set, happening, matches }: Told, { name, signals }: SignallingIssuer, { outcome, by, targets }: Effect, fallen: JsonObject): JsonObject => ({
  issuer: name, transmitter: signals.transmitter, by, jti: set.jti, event: set.event.uri.slice(0, 256), outcome, happened: happening.at,
  ...(set.txn === undefined ? {} : { txn: set.txn }), ...(matches.length === 0 ? {} : { about: matches.map(({ who }) => who) }), ...(targets.length === 0 ? {} : { targets }), ...fallen,
});

const createMinuteCap = (clock: Clock): ((key: string) => boolean) => {
  const windows = new Map<string, { readonly startedAt: number; told: number }>();
  return (key) => {
    const now = clock.now();
    const window = windows.get(key);
    if (window === undefined || window.startedAt + MINUTE <= now) windows.set(key, { startedAt: now, told: 1 });
    else window.told += 1;
    return (windows.get(key)?.told ?? 0) <= REPEATS_PER_MINUTE;
  };
};
