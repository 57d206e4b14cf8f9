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
import type { KeyAlgorithm, KeySpec, NewKeyRow } from './signing-key.ts';

/** What shall be done to one domain's keys: data, carried out by {@link carryOut} and one registry change. */
export interface KeyPlan {
  readonly change: readonly NewKeyRow[];
  readonly create: readonly KeySpec[];
}

export interface KeySchedule {
  /** The keys a domain has. */
  readonly wanted: readonly { readonly purpose: KeyPurpose; readonly algorithm: KeyAlgorithm }[];
  /** How long a key signs. 0 for one call means: rotate now. */
  readonly period: number;
  /** How long a key is published before it signs: at least what verifiers cache JWKS for. */
  readonly lead: number;
  /** How long a key stays published after it last signed: the longest life of what it signed, and a margin for nodes that lag behind. */
  readonly retention: Readonly<Record<KeyPurpose, number>>;
}

const TOKENS_ARE_OVER = 60 * MINUTE + 10 * MINUTE;

/** Checkpoints are verified as long as audit entries are kept (400 days). */
export const DEFAULT_SCHEDULE: KeySchedule = {
  wanted: [{ purpose: 'access', algorithm: 'ES256' }, { purpose: 'aws', algorithm: 'ES256' }, { purpose: 'checkpoint', algorithm: 'ES256' }],
  period: 30 * DAY,
  lead: HOUR,
  retention: { access: TOKENS_ARE_OVER, aws: TOKENS_ARE_OVER, status: TOKENS_ARE_OVER, set: DAY, checkpoint: 430 * DAY },
};

/** What is due now: first keys, publishing the next one, promoting it, and erasing what nothing rests on any more. Calling it often changes nothing. */
export const planRotation = (domainId: DomainId, rows: readonly KeyRow[], now: number, schedule: KeySchedule): KeyPlan => {
  const own = newestVersions(rows.filter((row) => row.domainId === domainId));
  const over = own.filter((row) => row.status === 'retired' && row.notAfter !== null && row.notAfter <= now);
  const plans = schedule.wanted.map(({ purpose, algorithm }) => rotateOne({ domainId, purpose, algorithm }, own.filter((row) => row.purpose === purpose && row.algorithm === algorithm), now, schedule));
  return join([...plans, { change: over.map((row) => changeKeyRow(row, { status: 'gone', sealed: '' })), create: [] }]);
};

/** Takes a key out at once and erases it. The next key signs in its place, or a new one does: waiting would mean not issuing. */
export const planKeyRevocation = (domainId: DomainId, rows: readonly KeyRow[], kid: string, now: number): Result<KeyPlan, Refusal> => {
  const own = newestVersions(rows.filter((row) => row.domainId === domainId));
  const row = own.find((candidate) => candidate.kid === kid);
  if (row === undefined) return err(refusal('not_found', 'no such key in this domain'));
  if (row.status === 'gone' || row.status === 'revoked') return err(refusal('conflict', `the key is ${row.status} already`));
  const revoked = changeKeyRow(row, { status: 'revoked', sealed: '', notAfter: now });
  if (row.status !== 'current') return ok({ change: [revoked], create: [] });
  const { purpose, algorithm } = row;
  const replacement = own.find((candidate) => candidate.status === 'next' && candidate.purpose === purpose && candidate.algorithm === algorithm);
  if (replacement === undefined) return ok({ change: [revoked], create: [{ domainId, purpose, algorithm, status: 'current', notBefore: now }] });
  return ok({ change: [revoked, promote(replacement, now)], create: [] });
};

/** Seals every private key anew that is not under the current KEK. */
export const planRewrap = (rows: readonly KeyRow[], encryption: KeyEncryption): KeyPlan => ({
  change: newestVersions(rows).flatMap((row) => rewrapSigningKey(row, encryption) ?? []),
  create: [],
});

/** Makes the planned keys; the rows go into one registry change, computed against the version the plan was. */
export const carryOut = async (plan: KeyPlan, encryption: Pick<KeyEncryption, 'seal'>): Promise<readonly NewKeyRow[]> =>
  [...plan.change, ...await Promise.all(plan.create.map((spec) => generateSigningKey(spec, encryption)))];

const rotateOne = (kind: Pick<KeySpec, 'domainId' | 'purpose' | 'algorithm'>, rows: readonly KeyRow[], now: number, schedule: KeySchedule): KeyPlan => {
  const [current, ...surplus] = rows.filter((row) => row.status === 'current').sort((a, b) => b.notBefore - a.notBefore);
  const [next] = rows.filter((row) => row.status === 'next').sort((a, b) => a.notBefore - b.notBefore);
  const retire = (row: KeyRow): NewKeyRow => changeKeyRow(row, { status: 'retired', notAfter: now + schedule.retention[kind.purpose] });
  const tidied = surplus.map(retire);
  if (current === undefined) {
    return next === undefined ? { change: [], create: [{ ...kind, status: 'current', notBefore: now }] } : { change: [promote(next, now)], create: [] };
  }
  if (next !== undefined) return { change: next.notBefore <= now ? [...tidied, retire(current), promote(next, now)] : tidied, create: [] };
  const due = current.notBefore + schedule.period;
  if (now < due - schedule.lead) return { change: tidied, create: [] };
  return { change: tidied, create: [{ ...kind, status: 'next', notBefore: Math.max(due, now + schedule.lead) }] };
};

/** `notBefore` becomes the moment it began to sign: the period counts from there. */
const promote = (row: KeyRow, now: number): NewKeyRow => changeKeyRow(row, { status: 'current', notBefore: now });

const join = (plans: readonly KeyPlan[]): KeyPlan => ({ change: plans.flatMap((plan) => plan.change), create: plans.flatMap((plan) => plan.create) });
