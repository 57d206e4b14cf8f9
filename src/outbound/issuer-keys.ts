import { createLocalJWKSet, errors } from 'jose';
import type { CompactVerifyGetKey, JSONWebKeySet } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { HOUR, MINUTE, SECOND } from '../core/duration.ts';
import { RefusalError, refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { discoverKeys } from './discovery.ts';
import type { DiscoverySource } from './discovery.ts';
import type { GuardedFetch } from './fetch.ts';
import { readKeySet } from './key-set.ts';

/** The part of a trusted issuer's registry entry that its keys depend on. */
export interface KeySource extends DiscoverySource {
  readonly id: string;
  readonly version: number;
  readonly domainId: string;
  /** Pinned: no network is used. */
  readonly jwks: JSONWebKeySet | undefined;
}

/** Looks a key up by header among one issuer entry's own, never among another's (evidence.md A0, rule 4). */
export type IssuerKeys = (issuer: KeySource) => Promise<Result<CompactVerifyGetKey, Refusal>>;

export interface IssuerKeysDeps {
  readonly fetch: GuardedFetch;
  readonly clock: Clock;
  /** Whether the domain's stage is `development`: there alone an issuer may be plain http on loopback. */
  readonly isDevelopment: (domainId: string) => boolean;
  /** How long keys outlive their freshness while the issuer cannot be reached. A key taken back there is believed as long. */
  readonly staleIfError?: number;
}

/** standards.md H3. */
const FRESH_FOR = 10 * MINUTE;
const REFRESH_AHEAD = 2 * MINUTE;
const STALE_IF_ERROR = HOUR;
const UNKNOWN_KID_COOLDOWN = 30 * SECOND;
const RETRY_COOLDOWN = 5 * SECOND;
const MAX_ISSUERS = 1000;
/** Anyone can send a token that names an issuer: when it does not answer, its callers must not take all places of the server. */
const MAX_WAITING = 200;

/** What is known of one entry's keys. A new version of the entry starts afresh: address rules or the issuer may differ. */
interface Slot {
  readonly source: KeySource;
  keys: { readonly lookup: CompactVerifyGetKey; readonly text: string; readonly fetchedAt: number } | undefined;
  triedAt: number;
  failure: string | undefined;
  flight: Promise<void> | undefined;
  waiting: number;
}

/** Keys of trusted issuers: pinned, or discovered and cached; one fetch at a time per issuer, ahead of expiry where there is traffic. */
export const createIssuerKeys = ({ fetch, clock, isDevelopment, staleIfError = STALE_IF_ERROR }: IssuerKeysDeps): IssuerKeys => {
  const slots = new LRUCache<string, Slot>({ max: MAX_ISSUERS });
  const pinned = new WeakMap<JSONWebKeySet, CompactVerifyGetKey>();

  const slotOf = (source: KeySource): Slot => {
    const known = slots.get(source.id);
    if (known !== undefined && isSame(known.source, source)) return known;
    const fresh: Slot = { source, keys: undefined, triedAt: Number.NEGATIVE_INFINITY, failure: undefined, flight: undefined, waiting: 0 };
    slots.set(source.id, fresh);
    return fresh;
  };

  const fill = async (slot: Slot): Promise<void> => {
    const found = await discoverKeys(slot.source, fetch, isDevelopment(slot.source.domainId));
    slot.failure = found.ok ? undefined : found.error;
    if (!found.ok) return;
    const text = JSON.stringify(found.value);
    // Unchanged keys keep their lookup, and with it the keys it has imported already.
    const lookup = slot.keys?.text === text ? slot.keys.lookup : createLocalJWKSet(found.value);
    slot.keys = { lookup, text, fetchedAt: clock.now() };
  };
  const refresh = (slot: Slot): Promise<void> => {
    if (slot.flight !== undefined) return slot.flight;
    slot.triedAt = clock.now();
    slot.flight = fill(slot).finally(() => {
      slot.flight = undefined;
      // The pause begins when the issuer has kept us waiting, not before.
      slot.triedAt = clock.now();
    });
    return slot.flight;
  };
  /** False at once when as many wait for this issuer already as may. */
  const waitFor = async (slot: Slot): Promise<boolean> => {
    if (slot.waiting >= MAX_WAITING) return false;
    slot.waiting += 1;
    await refresh(slot).finally(() => { slot.waiting -= 1; });
    return true;
  };
  /** A fault is recorded for those who find no keys later; nobody waits for this run. */
  const refreshBehind = (slot: Slot): void => {
    refresh(slot).catch(() => { slot.failure = 'fault while fetching keys'; });
  };
  const mayTry = (slot: Slot, cooldown: number): boolean => slot.flight === undefined && clock.now() - slot.triedAt >= cooldown;
  const ageOf = (slot: Slot): number => (slot.keys === undefined ? Number.POSITIVE_INFINITY : clock.now() - slot.keys.fetchedAt);
  const unavailable = (slot: Slot): Refusal => refusal('issuer_keys_unavailable', `keys of ${slot.source.issuer} cannot be had: ${slot.failure ?? 'no answer yet'}`, RETRY_COOLDOWN / SECOND);

  const ensure = async (slot: Slot): Promise<void> => {
    const age = ageOf(slot);
    if (age < FRESH_FOR - REFRESH_AHEAD) return;
    const usable = age < FRESH_FOR || (slot.failure !== undefined && age < FRESH_FOR + staleIfError);
    // Known to be failing, or not yet due: nobody waits. Otherwise the first to come after expiry waits, and all with it.
    if (usable && mayTry(slot, RETRY_COOLDOWN)) refreshBehind(slot);
    else if (!usable && (slot.flight !== undefined || mayTry(slot, RETRY_COOLDOWN))) await waitFor(slot);
  };

  const lookupIn = (slot: Slot): CompactVerifyGetKey => async (header, token) => {
    const find = (): ReturnType<CompactVerifyGetKey> => {
      if (slot.keys === undefined) throw new RefusalError(unavailable(slot));
      return slot.keys.lookup(header, token);
    };
    try {
      return await find();
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    // The issuer may have rotated. Anyone can make up a kid, hence at most one fetch per cooldown.
    const looked = slot.flight === undefined && !mayTry(slot, UNKNOWN_KID_COOLDOWN) ? true : await waitFor(slot);
    // A key we could not look for is not an unknown key: the answer says to come back.
    if (!looked || slot.failure !== undefined) throw new RefusalError(unavailable(slot));
    return find();
  };

  const pinnedLookup = (source: KeySource, jwks: JSONWebKeySet): Result<CompactVerifyGetKey, Refusal> => {
    const known = pinned.get(jwks);
    if (known !== undefined) return ok(known);
    const keys = readKeySet(jwks);
    if (keys === undefined || keys.keys.length === 0) return err(refusal('issuer_keys_unavailable', `the pinned keys of ${source.issuer} hold no usable key`));
    const lookup = createLocalJWKSet(keys);
    pinned.set(jwks, lookup);
    return ok(lookup);
  };

  return async (source) => {
    if (source.jwks !== undefined) return pinnedLookup(source, source.jwks);
    const slot = slotOf(source);
    await ensure(slot);
    return ageOf(slot) < FRESH_FOR + staleIfError ? ok(lookupIn(slot)) : err(unavailable(slot));
  };
};

/** The version alone does not tell: a database that was put back gives the same numbers out again. */
const isSame = (a: KeySource, b: KeySource): boolean => a.version === b.version && a.issuer === b.issuer && a.jwksUri === b.jwksUri && a.metadata === b.metadata && a.allowAddresses.join() === b.allowAddresses.join();
