import { readNamedCheckpoint } from '../../core/hash-chain.ts';
import type { NamedCheckpoint } from '../../core/hash-chain.ts';
import type { Statements } from '../sql/statements.ts';
import { decodeTime } from '../sql/tables.ts';
import type { Query } from './connection.ts';

/** The newest checkpoint of the whole installation, for what is written next to name it: so a chain that vanishes whole is missed. */
export const readNewestCheckpoint = async (query: Query, statements: Statements['audit']): Promise<NamedCheckpoint | null> => {
  const [row] = await query(statements.newestCheckpoint);
  return (row === undefined ? undefined : readNamedCheckpoint({ chain: row.chain, n: Number(row.n), hash: row.hash, at: decodeTime(row.at) })) ?? null;
};
