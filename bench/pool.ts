import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MintOrder } from './evidence.ts';
import { run } from './processes.ts';

/** The platform whose tokens the bench uses up. */
export interface Pool {
  readonly jwks: { readonly keys: readonly object[] };
  readonly jwksFile: string;
  readonly publicKeyFile: string;
  readonly key: Pick<MintOrder, 'privateKeyPem' | 'kid'>;
  /** Mints `count` tokens over that many workloads into files of a round each; gives their paths. */
  mint(chunks: number, count: number, workloads: number): Promise<readonly string[]>;
}

export const createPool = (folder: string): Pool => {
  mkdirSync(folder, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = 'bench-platform';
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] };
  const jwksFile = join(folder, 'jwks.json');
  const publicKeyFile = join(folder, 'platform.pem');
  writeFileSync(jwksFile, JSON.stringify(jwks));
  writeFileSync(publicKeyFile, publicKey.export({ format: 'pem', type: 'spki' }));
  const key = { privateKeyPem: String(privateKey.export({ format: 'pem', type: 'pkcs8' })), kid };
  let series = 0;
  return {
    jwks, jwksFile, publicKeyFile, key,
    mint: (chunks, count, workloads) => Promise.all(Array.from({ length: chunks }, async () => {
      series += 1;
      const order: MintOrder = { ...key, file: join(folder, `evidence-${series}.txt`), count, workloads, series: String(100 + series) };
      await run([], [process.execPath, join(import.meta.dirname, 'evidence.ts')], JSON.stringify(order));
      return order.file;
    })),
  };
};
