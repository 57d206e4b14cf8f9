import { createHmac } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sameSecret } from './bytes.ts';
import type { ChainHead } from './hash-chain.ts';

/**
 * What shows that this installation wrote an entry (docs/decisions/0004-audit-codes.md). Hashes link, so a code at one entry
 * speaks for all before it. Here for the reason hash-chain.ts is: the store's writer makes codes and audit/ checks them.
 */
export interface AuditCodes {
  make(chain: string, head: ChainHead): string;
  proves(chain: string, head: ChainHead, code: string): boolean;
}

/** The key that makes codes, and those of former days, whose codes still count. */
export type AuditCodeKeys = readonly [KeyObject, ...KeyObject[]];

export const createAuditCodes = (keys: AuditCodeKeys): AuditCodes => {
  const [current] = keys;
  return {
    make: (chain, head) => codeOf(current, chain, head),
    proves: (chain, head, code) => keys.some((key) => sameSecret(codeOf(key, chain, head), code)),
  };
};

// INVARIANT: nothing we make a code for holds a line feed, and the first line names the use: no other statement has these bytes.
const codeOf = (key: KeyObject, chain: string, { n, hash }: ChainHead): string =>
  createHmac('sha256', key).update(`mayfly-audit-code-1\n${chain}\n${n}\n${hash}`).digest('base64url');
