import { setImmediate } from 'node:timers/promises';
import type { StoredRow } from '../registry/decode.ts';
import type { RegistryView } from '../registry/scene.ts';
import type { StoreReads } from '../store/store.ts';

/** Rows read in one go: on SQLite nothing else is done meanwhile. */
const PAGE = 500;

/** The registry as it stood at a version, for plans: each of its reads is of that version, whatever others write between them. */
export const viewAt = (store: Pick<StoreReads, 'entriesAt'>, version: number): RegistryView => ({
  all: (kind) => store.entriesAt(version, { kind }),
  async named(kind, domainId, names) {
    const rows: StoredRow[] = [];
    for (let from = 0; from < names.length; from += PAGE) {
      if (from > 0) await setImmediate();
      rows.push(...await store.entriesAt(version, { kind, domainId, names: names.slice(from, from + PAGE) }));
    }
    return rows;
  },
  async *pages(kind, domainId) {
    for (let after: string | undefined; ;) {
      const page = await store.entriesAt(version, { kind, domainId }, { limit: PAGE, after });
      yield page;
      if (page.length < PAGE) return;
      after = page.at(-1)?.name;
      await setImmediate();
    }
  },
});
