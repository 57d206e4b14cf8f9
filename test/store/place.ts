import { createSecretKey } from 'node:crypto';
import { afterAll } from '@jest/globals';
import { CompactSign } from 'jose';
import { createAuditCodes } from '../../src/core/audit-code.ts';
import type { AuditCodeKeys } from '../../src/core/audit-code.ts';
import type { Clock } from '../../src/core/clock.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createVerifyCheckpoint } from '../../src/audit/checkpoint.ts';
import type { VerifyCheckpoint } from '../../src/audit/checkpoint.ts';
import { createStore } from '../../src/store/create-store.ts';
import type { OwnStore, StoreOptions } from '../../src/store/create-store.ts';
import { prepareDatabase } from '../../src/store/prepare.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import type { SignCheckpoint, UnprovenTail } from '../../src/store/store.ts';
import { makeEncryption, makeRow } from '../keys/make-ring.ts';
import { DOMAIN, NOW } from './make-rows.ts';

/** One empty database of one engine, and the ways a test may harm it. */
export interface Place {
  readonly engine: 'sqlite' | 'postgresql';
  readonly url: string;
  /** Past the store: as somebody who holds the database. */
  sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Until the returned function is called, nothing can be committed. */
  breakWrites(): Promise<() => Promise<void>>;
  drop(): Promise<void>;
}

export type MakePlace = () => Promise<Place>;

export const fixedClock: Clock = { now: () => NOW };

/** Keys of the one installation all stores of a test belong to, unless it says otherwise. */
export const makeCodeKeys = (): AuditCodeKeys => [createSecretKey(systemRandom.bytes(32))];
const CODE_KEYS = makeCodeKeys();
export const codes = createAuditCodes(CODE_KEYS);

/** Tests hold transactions up on purpose; only those about the limits wait for one. */
const PATIENT = { waitMs: 60_000, transactionMs: 50_000 };

export const openStore = async (place: Pick<Place, 'url'>, options: Partial<StoreOptions> = {}): Promise<OwnStore> => {
  await prepareDatabase(place.url);
  const store = await createStore({ url: place.url, clock: fixedClock, random: systemRandom, codeKeys: CODE_KEYS, ...options, limits: { ...PATIENT, ...options.limits } });
  const close = (): Promise<void> => (opened.delete(store) ? store.close() : Promise.resolve());
  opened.add(store);
  return { ...store, close };
};

/** A test that fails before it closes its store would otherwise keep the run from ending: the writer is a thread. */
const opened = new Set<OwnStore>();
afterAll(async () => { await Promise.all([...opened].map((store) => store.close())); });

/** For where nobody forged anything. */
export const noTail = (tail: UnprovenTail): never => { throw new Error(`told of entries of others: ${JSON.stringify(tail)}`); };

export interface Sealer { readonly sign: SignCheckpoint; readonly key: KeyRow; readonly verify: VerifyCheckpoint }

/** A real checkpoint key, sealed under a key-encryption key of its own. */
export const makeSealer = async (): Promise<Sealer> => {
  const encryption = makeEncryption();
  const key = await makeRow(encryption, { domainId: DOMAIN, purpose: 'checkpoint', notBefore: NOW });
  const open = (row: KeyRow): SigningKey => openSigningKey(row, encryption);
  const { kid, privateKey } = open(key);
  const sign: SignCheckpoint = async (statement) => ({
    kid, jws: await new CompactSign(Buffer.from(JSON.stringify(statement))).setProtectedHeader({ alg: 'ES256', typ: 'mayfly-checkpoint+jwt', kid }).sign(privateKey),
  });
  return { sign, key, verify: createVerifyCheckpoint([key], open) };
};
