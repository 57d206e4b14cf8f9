import { DAY, HOUR, MINUTE } from '../core/duration.ts';
import type { DomainId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { KeyPurpose, KeyRow } from '../store/rows.ts';
import type { KeyEncryption } from './kek.ts';
import { newestVersions } from './key-ring.ts';
import { changeKeyRow, generateSigningKey, rewrapSigningKey } from './signing-key.ts';
import type { KeySpec, NewKeyRow } from './signing-key.ts';

/** What a key is for, and how it signs: of each kind one key signs at a time. */
export type KeyKind = Pick<KeySpec, 'purpose' | 'algorithm'>;

/** What shall be done to one domain's keys: data, carried out by {@link carryOut} and one registry change. */
export interface KeyPlan {
  readonly change: readonly NewKeyRow[];
  readonly create: readonly KeySpec[];
}

export interface KeySchedule {
  /** The keys a domain has. */
  readonly wanted: readonly KeyKind[];
  /** How long a key signs. */
  readonly period: number;
  /** How long a key is published before it signs: at least what verifiers cache JWKS for. */
  readonly lead: number;
  /** How long a key stays published after it last signed: the longest life of what it signed, and a margin for nodes that lag behind. */
  readonly retention: Readonly<Record<KeyPurpose, number>>;
}

const TOKENS_ARE_OVER = 60 * MINUTE + 10 * MINUTE;

/** What every domain has; resources may want more. Checkpoints are verified as long as audit entries are kept (400 days). */
export const DEFAULT_SCHEDULE: KeySchedule = {
  wanted: [{ purpose: 'access', algorithm: 'ES256' }, { purpose: 'aws', algorithm: 'ES256' }, { purpose: 'set', algorithm: 'ES256' }, { purpose: 'checkpoint', algorithm: 'ES256' }, { purpose: 'status', algorithm: 'ES256' }],
  period: 30 * DAY,
  lead: HOUR,
  retention: { access: TOKENS_ARE_OVER, aws: TOKENS_ARE_OVER, status: TOKENS_ARE_OVER, set: DAY, checkpoint: 430 * DAY },
};

/** What is due now: first keys, publishing the next one, promoting it, retiring what nobody wants, and erasing what nothing rests on any more. Calling it often changes nothing. */
export const planRotation = (domainId: DomainId, rows: readonly KeyRow[], now: number, schedule: KeySchedule): KeyPlan => {
  const own = ownRows(domainId, rows);
  const over = own.filter((row) => row.status === 'retired' && row.notAfter !== null && row.notAfter <= now);
  const unwanted = own.filter((row) => !schedule.wanted.some((kind) => isOf(kind)(row)));
  return join([
    ...schedule.wanted.map((kind) => rotateOne({ domainId, ...kind }, own.filter(isOf(kind)), now, schedule)),
    { change: [...unwanted.flatMap((row) => endUnwanted(row, now, schedule) ?? []), ...over.map(erase)], create: [] },
  ]);
};

/** First keys of the kinds that have none which signs. */
export const planMissingKeys = (domainId: DomainId, rows: readonly KeyRow[], now: number, wanted: readonly KeyKind[]): KeyPlan => {
  const own = ownRows(domainId, rows);
  const missing = wanted.filter((kind) => !own.some((row) => row.status === 'current' && isOf(kind)(row)));
  return join(missing.map((kind) => rotateOne({ domainId, ...kind }, own.filter(isOf(kind)), now, DEFAULT_SCHEDULE)));
};

/** The rotation of one kind as if its period were over; keys of other kinds are left alone. */
export const planEarlyRotation = (domainId: DomainId, rows: readonly KeyRow[], now: number, schedule: KeySchedule, kind: KeyKind): KeyPlan =>
  rotateOne({ domainId, ...kind }, ownRows(domainId, rows).filter(isOf(kind)), now, { ...schedule, period: 0 });

/** Takes a key out at once and erases it. The next key signs in its place, or a new one does where one is wanted: waiting would mean not issuing. */
export const planKeyRevocation = (domainId: DomainId, rows: readonly KeyRow[], kid: string, now: number, wanted: readonly KeyKind[]): Result<KeyPlan, Refusal> => {
  const own = ownRows(domainId, rows);
  const row = own.find((candidate) => candidate.kid === kid);
  if (row === undefined) return err(refusal('not_found', 'no such key in this domain'));
  if (row.status === 'gone' || row.status === 'revoked') return err(refusal('conflict', `the key is ${row.status} already`));
  const revoked = changeKeyRow(row, { status: 'revoked', sealed: '', notAfter: now });
  if (row.status !== 'current' || !wanted.some((kind) => isOf(kind)(row))) return ok({ change: [revoked], create: [] });
  const { purpose, algorithm } = row;
  const replacement = own.find((candidate) => candidate.status === 'next' && isOf(row)(candidate));
  if (replacement === undefined) return ok({ change: [revoked], create: [{ domainId, purpose, algorithm, status: 'current', notBefore: now }] });
  return ok({ change: [revoked, promote(replacement, now)], create: [] });
};

/**
 * Why no key may be made or rewrapped here, or undefined. A node that lacks the KEK of the keys that are there has the wrong one:
 * what it sealed, the nodes with the right one could not open, and their domains would not be ready either.
 */
export const findForeignKek = (rows: readonly KeyRow[], encryption: Pick<KeyEncryption, 'has'>): string | undefined => {
  const foreign = newestVersions(rows).find((row) => row.sealed !== '' && !encryption.has(row.kekId));
  return foreign && `key ${foreign.kid} is sealed under key-encryption key ${foreign.kekId}, which is not loaded here: name its file in kek.previous_files and restart this node`;
};

/** Seals every private key anew that is not under the current KEK. */
export const planRewrap = (rows: readonly KeyRow[], encryption: KeyEncryption): KeyPlan => ({
  change: newestVersions(rows).flatMap((row) => rewrapSigningKey(row, encryption) ?? []),
  create: [],
});

/** The kinds that have a key which signs. */
export const signingKinds = (rows: readonly KeyRow[]): readonly KeyKind[] => rows.filter(({ status }) => status === 'current').map(({ purpose, algorithm }) => ({ purpose, algorithm }));

/** Each kind once. */
export const uniteKinds = (...kinds: readonly (readonly KeyKind[])[]): readonly KeyKind[] => [...new Map(kinds.flat().map((kind) => [`${kind.purpose}/${kind.algorithm}`, kind])).values()];

/** Makes the planned keys; the rows go into one registry change, computed against the version the plan was. */
export const carryOut = async (plan: KeyPlan, encryption: Pick<KeyEncryption, 'seal'>): Promise<readonly NewKeyRow[]> =>
  [...plan.change, ...await Promise.all(plan.create.map((spec) => generateSigningKey(spec, encryption)))];

const ownRows = (domainId: DomainId, rows: readonly KeyRow[]): readonly KeyRow[] => newestVersions(rows.filter((row) => row.domainId === domainId));

const isOf = ({ purpose, algorithm }: KeyKind) => (row: KeyRow): boolean => row.purpose === purpose && row.algorithm === algorithm;

const rotateOne = (kind: KeyKind & Pick<KeySpec, 'domainId'>, rows: readonly KeyRow[], now: number, schedule: KeySchedule): KeyPlan => {
  const [current, ...surplus] = rows.filter((row) => row.status === 'current').sort((a, b) => b.notBefore - a.notBefore);
  const [next] = rows.filter((row) => row.status === 'next').sort((a, b) => a.notBefore - b.notBefore);
  const tidied = surplus.map((row) => retire(row, now, schedule));
  if (current === undefined) {
    return next === undefined ? { change: [], create: [{ ...kind, status: 'current', notBefore: now }] } : { change: [promote(next, now)], create: [] };
  }
  if (next !== undefined) return { change: next.notBefore <= now ? [...tidied, retire(current, now, schedule), promote(next, now)] : tidied, create: [] };
  const due = current.notBefore + schedule.period;
  if (now < due - schedule.lead) return { change: tidied, create: [] };
  return { change: tidied, create: [{ ...kind, status: 'next', notBefore: Math.max(due, now + schedule.lead) }] };
};

/** `notBefore` becomes the moment it began to sign: the period counts from there. */
const promote = (row: KeyRow, now: number): NewKeyRow => changeKeyRow(row, { status: 'current', notBefore: now });

/** It signs no more, and stays published until the last thing it signed is over. */
const retire = (row: KeyRow, now: number, schedule: KeySchedule): NewKeyRow => changeKeyRow(row, { status: 'retired', notAfter: now + schedule.retention[row.purpose] });

const erase = (row: KeyRow): NewKeyRow => changeKeyRow(row, { status: 'gone', sealed: '' });

/** A next key never signed anything, so nothing waits for it. */
const endUnwanted = (row: KeyRow, now: number, schedule: KeySchedule): NewKeyRow | undefined => {
  if (row.status === 'current') return retire(row, now, schedule);
  return row.status === 'next' ? erase(row) : undefined;
};

const join = (plans: readonly KeyPlan[]): KeyPlan => ({ change: plans.flatMap((plan) => plan.change), create: plans.flatMap((plan) => plan.create) });
