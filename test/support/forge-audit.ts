import { auditText, linkHash } from '../../src/core/hash-chain.ts';
import type { ChainHead } from '../../src/core/hash-chain.ts';

/** Statements of somebody who holds the database, and knows how entries are linked: `count` entries with right hashes after `from`. */
export const forgeEntries = (chain: string, from: ChainHead, count: number, codeOf: (head: ChainHead) => string | null = () => null): readonly string[] => {
  let { n, hash } = from;
  return Array.from({ length: count }, () => {
    const prev = hash;
    n += 1;
    const body = auditText({ at: AT, action: 'exchange.issued', domainId: 'dom_any', body: { lease: `lse_invented_${n}` } });
    hash = linkHash(chain, n, prev, body);
    const code = codeOf({ n, hash });
    return `INSERT INTO audit (chain, n, "at", body, action, domain_id, prev, hash, mac) VALUES ('${chain}', ${n}, '${new Date(AT).toISOString().replace('Z', '+00:00')}', '${body}', 'exchange.issued', 'dom_any', '${prev}', '${hash}', ${code === null ? 'NULL' : `'${code}'`})`;
  });
};

const AT = Date.UTC(2026, 10, 22, 12);
