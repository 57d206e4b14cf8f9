import { sha256url } from './bytes.ts';
import { canonicalJson, isObject } from './json.ts';
import type { Json } from './json.ts';

/**
 * How audit entries are chained. Here because the store's writer links entries and audit/ verifies them, and neither
 * may import the other.
 */
export interface ChainHead { readonly n: number; readonly hash: string }

/** A checkpoint, as other checkpoints and the first entries of chains name it. */
export interface NamedCheckpoint extends ChainHead { readonly chain: string; readonly at: number }

/** INVARIANT: short, whoever wrote the row it is read from: a checkpoint that names it must not grow past what is taken for one. */
export const readNamedCheckpoint = (value: unknown): NamedCheckpoint | undefined => {
  if (!isObject(value)) return undefined;
  const { chain, n, hash, at } = value;
  return isShort(chain) && isShort(hash) && isWhole(n) && isWhole(at) ? { chain, n, hash, at } : undefined;
};

/** Before the first entry: its `prev` is empty. */
export const CHAIN_START: ChainHead = { n: 0, hash: '' };
export const CHAIN_OPENED = 'chain.opened';

/** The text an entry's hash covers: the columns `action`, `at` and `domain_id` repeat what it says and prove nothing by themselves. */
export const auditText = (event: { readonly at: number; readonly action: string; readonly domainId: string; readonly body: { readonly [name: string]: Json | undefined } }): string =>
  canonicalJson({ action: event.action, at: event.at, body: event.body, domain: event.domainId });

// INVARIANT: no field before the text can hold a line feed, so no two entries share the bytes that are hashed.
export const linkHash = (chain: string, n: number, prev: string, text: string): string => sha256url(`mayfly-audit-1\n${chain}\n${n}\n${prev}\n${text}`);

const isShort = (value: unknown): value is string => typeof value === 'string' && value.length <= 64;
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
