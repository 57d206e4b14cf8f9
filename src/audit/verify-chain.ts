import type { AuditCodes } from '../core/audit-code.ts';
import { CHAIN_OPENED, auditText, linkHash, readNamedCheckpoint } from '../core/hash-chain.ts';
import type { NamedCheckpoint } from '../core/hash-chain.ts';
import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { AuditRow } from '../store/rows.ts';

/**
 * `edited`: an entry's hash is not that of what it says. `moved`: its content was written as another entry. `unlinked`: it does
 * not follow the entry before it, one of the two is not what was written. `missing`: entries or checkpoints that were there are
 * gone. `contradicted`: a checkpoint says another hash. `forged`: a checkpoint or a code proves nothing, or nothing shows that
 * this installation wrote the entries.
 */
export type FindingKind = 'edited' | 'moved' | 'unlinked' | 'missing' | 'contradicted' | 'forged';
/** `n` to `to`, for missing and invented entries; else `to` is `n`. */
export interface Finding { readonly kind: FindingKind; readonly chain: string; readonly n: number; readonly to: number; readonly detail: string }

export interface ChainReport {
  readonly chain: string;
  readonly entries: number;
  readonly last: number;
  /** Up to here edits, insertions, reordering and deletions would show. */
  readonly sealedTo: number;
  /** Entries after it: a deletion of the last of them would not show. */
  readonly unsealed: number;
  readonly findings: readonly Finding[];
  /** The checkpoint the chain's first entry names. */
  readonly names: NamedCheckpoint | undefined;
}

export interface ChainToVerify {
  readonly chain: string;
  /** In order. */
  readonly entries: AsyncIterable<AuditRow>;
  /** Whose signature was verified; from the database and from outside. */
  readonly seals: readonly NamedCheckpoint[];
  readonly codes: Pick<AuditCodes, 'proves'>;
  /** Entries sealed before this time may have been purged. */
  readonly purgedBefore: number;
}

/** Reads one chain from its first entry to its last. Needs no database. */
export const verifyChain = async ({ chain, entries, seals, codes, purgedBefore }: ChainToVerify): Promise<ChainReport> => {
  const findings: Finding[] = [];
  const find = (kind: FindingKind, n: number, detail: string, to: number = n): void => {
    if (findings.length < MOST_FINDINGS) findings.push({ kind, chain, n, to, detail });
  };
  const sealed = indexSeals(seals, find);
  const mismatched: AuditRow[] = [];
  const noteMismatch = (entry: AuditRow): void => {
    if (mismatched.length < MOST_COMPARED) mismatched.push(entry);
    else find('edited', entry.n, 'its hash is not that of what it says');
  };
  const wrongCodes: number[] = [];
  let before: AuditRow | undefined;
  let count = 0;
  let codedTo = 0;
  let names: ChainReport['names'];

  for await (const entry of entries) {
    count += 1;
    const { n, prev, hash } = entry;
    if (before === undefined) checkStart(entry, sealed, purgedBefore, find);
    else if (n !== before.n + 1) find('missing', before.n + 1, 'entries are gone', n - 1);
    else if (prev !== before.hash) find('unlinked', n, 'it does not follow the entry before it');
    if (linkHash(chain, n, prev, entry.body) !== hash) noteMismatch(entry);
    else if (!repeatsBody(entry)) find('edited', n, 'its columns are not what its body says');
    const seal = sealed.get(n);
    if (seal !== undefined && seal.hash !== hash) find('contradicted', n, 'a checkpoint says another hash');
    if (entry.mac !== null) {
      if (codes.proves(chain, entry, entry.mac)) codedTo = n;
      else if (wrongCodes.length < MOST_FINDINGS) wrongCodes.push(n);
    }
    if (n === 1) names = namedCheckpoint(entry.body);
    before = entry;
  }

  for (const entry of mismatched) {
    const origin = mismatched.find((other) => other.n !== entry.n && linkHash(chain, other.n, entry.prev, entry.body) === entry.hash);
    if (origin === undefined) find('edited', entry.n, 'its hash is not that of what it says');
    else find('moved', entry.n, `it was written as entry ${origin.n}`);
  }
  const last = before?.n ?? 0;
  checkEnd(last, sealed, purgedBefore, find);
  const sealedTo = largest([...sealed.keys()].filter((n) => n <= last));
  checkOrigin({ wrongCodes, codedTo, sealedTo, last }, find);
  return { chain, entries: count, last, sealedTo, unsealed: Math.max(0, last - sealedTo), findings, names };
};

type Find = (kind: FindingKind, n: number, detail: string, to?: number) => void;
type Seals = ReadonlyMap<number, NamedCheckpoint>;

const MOST_FINDINGS = 1_000;
/** Moved entries are looked for among so few only: each is hashed under every other's number. */
const MOST_COMPARED = 200;

const indexSeals = (seals: readonly NamedCheckpoint[], find: Find): Seals => {
  const index = new Map<number, NamedCheckpoint>();
  for (const seal of seals) {
    const known = index.get(seal.n);
    if (known !== undefined && known.hash !== seal.hash) find('contradicted', seal.n, 'two checkpoints say different hashes');
    index.set(seal.n, known ?? seal);
  }
  return index;
};

/** A chain begins with entry 1, or where a purge left off: right after an entry sealed so long ago that it may be gone. */
const checkStart = (first: AuditRow, sealed: Seals, purgedBefore: number, find: Find): void => {
  if (first.n === 1) {
    if (first.prev !== '') find('unlinked', 1, 'a first entry follows none');
    return;
  }
  const seal = sealed.get(first.n - 1);
  if (seal === undefined || seal.at >= purgedBefore) find('missing', 1, 'entries are gone', first.n - 1);
  else if (seal.hash !== first.prev) find('unlinked', first.n, 'it does not follow the checkpoint before it');
};

const checkEnd = (last: number, sealed: Seals, purgedBefore: number, find: Find): void => {
  const beyond = [...sealed.values()].filter((seal) => seal.n > last && seal.at >= purgedBefore).map((seal) => seal.n);
  if (beyond.length > 0) find('missing', last + 1, 'entries that a checkpoint sealed are gone', largest(beyond));
};

/**
 * Who holds the database can link entries as well as we can; codes and checkpoints they cannot make. One process makes all codes of
 * a chain under one key, so where none is right it was made under a key that is not loaded any more, and its seals alone count.
 */
const checkOrigin = ({ wrongCodes, codedTo, sealedTo, last }: { readonly wrongCodes: readonly number[]; readonly codedTo: number; readonly sealedTo: number; readonly last: number }, find: Find): void => {
  const proven = Math.max(codedTo, sealedTo);
  if (codedTo > 0) for (const n of wrongCodes.filter((wrong) => wrong <= proven)) find('forged', n, 'its code is not one of this installation');
  if (proven < last) find('forged', proven + 1, 'nothing shows that this installation wrote them', last);
};

const largest = (numbers: readonly number[]): number => numbers.reduce((most, number) => Math.max(most, number), 0);

/** The columns are there to search by; what counts is the body. */
const repeatsBody = (entry: AuditRow): boolean => {
  const body = parse(entry.body);
  return body !== undefined && body.at === entry.at && body.action === entry.action && body.domain === entry.domainId
    && isObject(body.body) && auditText({ at: entry.at, action: entry.action, domainId: entry.domainId, body: body.body as JsonObject }) === entry.body;
};

const namedCheckpoint = (text: string): ChainReport['names'] => {
  const body = parse(text);
  return body?.action === CHAIN_OPENED && isObject(body.body) ? readNamedCheckpoint(body.body.checkpoint) : undefined;
};

const parse = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};
