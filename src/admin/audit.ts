import { setImmediate } from 'node:timers/promises';
import { createVerifyCheckpoint } from '../audit/checkpoint.ts';
import { verifyAudit } from '../audit/verify.ts';
import type { AuditReport } from '../audit/verify.ts';
import type { AuditCodes } from '../core/audit-code.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import type { AuditRow, KeyRow } from '../store/rows.ts';
import type { StoreReads } from '../store/store.ts';
import type { Admin, Authorize } from './access.ts';

export interface AuditAdminDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'auditChains' | 'audit' | 'checkpoints' | 'keys'>;
  readonly authorize: Authorize;
  /** Opens a key's sealed half; throws when it is not one of ours. */
  readonly openKey: (row: KeyRow) => SigningKey;
  readonly codes: Pick<AuditCodes, 'proves'>;
}

const PAGE = 1000;

export const createAuditAdmin = (deps: AuditAdminDeps) => {
  async function* readChains(chain: string | undefined, after: number): AsyncGenerator<AuditRow> {
    for (const name of chain === undefined ? await deps.store.auditChains() : [chain]) {
      let from = chain === undefined ? 0 : after;
      let page: readonly AuditRow[];
      do {
        page = await deps.store.audit(name, from, PAGE);
        yield* page;
        from = page.at(-1)?.n ?? from;
        // Reading a page waits for nothing on SQLite; others get their turn here.
        await setImmediate();
      } while (page.length === PAGE);
    }
  }
  return {
    /** The whole log spans all domains, so it is the installation's to read. */
    async export(chain: string | undefined, after: number, admin: Admin): Promise<Result<AsyncIterable<AuditRow>, Refusal>> {
      const permitted = await deps.authorize(admin, 'audit', undefined);
      if (!permitted.ok) return permitted;
      if (chain !== undefined && !(await deps.store.auditChains()).includes(chain)) return err(refusal('not_found', `no chain ${chain}`));
      return ok(readChains(chain, after));
    },
    async verify(outside: readonly string[], admin: Admin): Promise<Result<AuditReport, Refusal>> {
      const permitted = await deps.authorize(admin, 'audit', undefined);
      if (!permitted.ok) return permitted;
      const { keys } = await deps.store.keys();
      return ok(await verifyAudit({ reads: deps.store, verifyCheckpoint: createVerifyCheckpoint(keys, deps.openKey), codes: deps.codes, outside, now: deps.clock.now() }));
    },
  };
};
export type AuditAdmin = ReturnType<typeof createAuditAdmin>;
