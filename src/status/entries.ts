import { base64url } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../core/duration.ts';
import type { DomainId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { shuffle } from '../core/shuffle.ts';
import type { Domain } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { MAX_TOKEN_SECONDS } from '../tokens/claims.ts';
import { statusListUri } from '../tokens/status-list.ts';
import type { StatusEntry } from '../tokens/status-list.ts';

/** Entries that one process claims by one write; it alone gives them away, and nobody after it. */
export const BLOCK_ENTRIES = 4_096;
/** Blocks of a list: 1,048,576 entries of two bits are 256 KiB, of which compression leaves some hundred bytes while nobody is revoked (docs/status-lists.md). */
const LIST_BLOCKS = 256;
/** How long a block is given from. So a list is known to be over some time after its last block was claimed, whatever became of who claimed it. */
export const BLOCK_LIFE = DAY;
/** The last token of a block, and a margin for nodes whose clocks differ. */
const TOKENS_ARE_OVER = MAX_TOKEN_SECONDS * SECOND + 10 * MINUTE;

/** The next block is claimed while there is enough of this one for the exchanges that come meanwhile. */
const LOW = BLOCK_ENTRIES / 4;
const LATE = HOUR;

export interface StatusEntriesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Pick<StoreWrites, 'claimStatusBlock'>;
  readonly log: Log;
}

interface Block { readonly list: string; readonly left: number[]; readonly until: number }
interface Supply { readonly blocks: Block[]; claiming: Promise<void> | undefined }

/** Entries of status lists for the tokens of this process, each given once, in an order that tells nothing. */
export const createStatusEntries = ({ clock, random, store, log }: StatusEntriesDeps) => {
  const supplies = new Map<DomainId, Supply>();

  const supplyOf = (domain: DomainId): Supply => {
    const known = supplies.get(domain) ?? { blocks: [], claiming: undefined };
    supplies.set(domain, known);
    return known;
  };

  const claim = async (domainId: DomainId, supply: Supply): Promise<void> => {
    const at = clock.now();
    const claimed = await store.claimStatusBlock({
      // A list's name tells neither its age nor how many came before it.
      domainId, list: base64url(random.bytes(16)), order: shuffle(numbers(0, LIST_BLOCKS), random), until: at + BLOCK_LIFE + TOKENS_ARE_OVER,
    });
    supply.blocks.push({ list: claimed.list, left: shuffle(numbers(claimed.block * BLOCK_ENTRIES, BLOCK_ENTRIES), random), until: at + BLOCK_LIFE });
  };

  /** However many wait for a block, one is claimed. */
  const replenish = (domainId: DomainId, supply: Supply): Promise<void> => {
    supply.claiming ??= claim(domainId, supply).finally(() => { supply.claiming = undefined; });
    return supply.claiming;
  };

  const dropUsedUp = ({ blocks }: Supply): Block | undefined => {
    while (blocks[0] !== undefined && (blocks[0].left.length === 0 || blocks[0].until <= clock.now())) blocks.shift();
    return blocks[0];
  };

  const runsLow = ({ blocks }: Supply): boolean => {
    const usable = blocks.filter(({ until }) => until > clock.now() + LATE);
    return usable.reduce((sum, { left }) => sum + left.length, 0) < LOW;
  };

  return {
    /** Waits for the database only where no block is at hand; rejects with its fault when it gives none: then nothing may be issued. */
    async take({ id, issuer }: Pick<Domain, 'id' | 'issuer'>): Promise<StatusEntry> {
      const supply = supplyOf(id);
      for (;;) {
        const block = dropUsedUp(supply);
        const index = block?.left.pop();
        if (block === undefined || index === undefined) {
          await replenish(id, supply);
          continue;
        }
        if (runsLow(supply)) replenish(id, supply).catch((cause: unknown) => { log.warn({ domain: id, err: cause }, 'no new block of a status list yet; the present one still lasts'); });
        return { list: block.list, index, uri: statusListUri(issuer, block.list) };
      }
    },

    /** Has a block at hand for every domain, before anybody asks: one after the other, so that exchanges never queue behind many claims. */
    async keepAhead(views: readonly Pick<DomainView, 'domain'>[]): Promise<void> {
      const domains = views.filter(({ domain }) => domain.name !== SYSTEM_DOMAIN).map(({ domain }) => domain.id);
      for (const id of supplies.keys()) if (!domains.includes(id)) supplies.delete(id);
      for (const id of domains) {
        const supply = supplyOf(id);
        dropUsedUp(supply);
        if (runsLow(supply)) await replenish(id, supply);
      }
    },
  };
};
export type StatusEntries = ReturnType<typeof createStatusEntries>;

const numbers = (from: number, count: number): readonly number[] => Array.from({ length: count }, (_, index) => from + index);
