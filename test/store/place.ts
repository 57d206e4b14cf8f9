import { CompactSign } from 'jose';
import type { Clock } from '../../src/core/clock.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createVerifyCheckpoint } from '../../src/audit/checkpoint.ts';
import type { VerifyCheckpoint } from '../../src/audit/checkpoint.ts';
import { createStore } from '../../src/store/create-store.ts';
import type { OwnStore, StoreOptions } from '../../src/store/create-store.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import type { SignCheckpoint } from '../../src/store/store.ts';
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

export const openStore = (place: Pick<Place, 'url'>, options: Partial<StoreOptions> = {}): Promise<OwnStore> =>
  createStore({ url: place.url, clock: fixedClock, random: systemRandom, ...options });

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
