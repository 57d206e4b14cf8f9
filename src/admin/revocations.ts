import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { findFalling, findFallingWith, honouredEntries, tellFallen } from '../exchange/falling.ts';
import type { Fallen, Falling, HonouredNote } from '../exchange/falling.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { StoreReads } from '../store/store.ts';
import { nameOf } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import type { AdminPorts } from './ports.ts';
import { createFinder, notFound } from './revocable.ts';
import type { EnableRequest, FinderDeps, Found, RevocationRequest } from './revocable.ts';

/** What became of it. Active leases fall with the commit. */
export interface Revoked {
  readonly revoked: string;
  readonly at: number;
  /** By which it can be asked for later. */
  readonly revocation: number;
  readonly fallen: Fallen;
}

export interface RevocationAdminDeps extends AdminPorts {
  readonly store: FinderDeps['store'] & Pick<StoreReads, 'leases' | 'sessionsWith' | 'instances'>;
  readonly snapshot: FinderDeps['snapshot'] & Pick<Snapshot, 'revokedBy' | 'version' | 'refresh'>;
  readonly authorize: Authorize;
  readonly honouredNote: HonouredNote;
}

export const createRevocationAdmin = (deps: RevocationAdminDeps) => {
  const { find, findBlocked, domainAsked } = createFinder(deps);

  /** Those that fall with it: of a lease on which nothing else rests, itself alone. */
  const fallingOf = async ({ falls, revocation }: Found, now: number): Promise<Falling> => {
    if (falls.kind === 'entry') return findFallingWith(deps.store, [revocation], now);
    if (falls.kind === 'found') return findFalling(deps.store, falls.searches, now);
    const { standing } = falls;
    return { standings: standing.revokedBy !== undefined || standing.lease.expiresAt <= now ? [] : [standing], more: false };
  };

  return {
    async revoke(request: RevocationRequest, admin: Admin): Promise<Result<Revoked, Refusal>> {
      const found = await find(request, admin);
      const permitted = await deps.authorize(admin, 'revoke', found.ok ? found.value.view : domainAsked(request, admin));
      if (!permitted.ok) return permitted;
      if (!found.ok) return found;
      const { view, revocation } = found.value;
      const at = deps.clock.now();
      const by = nameOf(admin);
      // Counted before the commit, which is the moment they fell: what joined them in between fell too and is not in the figure.
      const falling = await fallingOf(found.value, at);
      const body = { target: revocation.target, by, reason: request.reason, ...honouredEntries(falling, deps.honouredNote) };
      // A change of one row brings its version with it.
      const { version } = await deps.change({ at, by, revocations: [revocation], audit: [{ at, action: 'revocation.made', domainId: view.domain.id, body }] });
      return ok({ revoked: revocation.target, at, revocation: version, fallen: tellFallen(falling, deps.honouredNote) });
    },

    /** Blocks no longer; what ended stays ended (design section 7). A domain is let in again by the installation's admins alone: its own are shut out with it. */
    async enable(request: EnableRequest, admin: Admin): Promise<Result<{ readonly enabled: string }, Refusal>> {
      // Another node may have revoked it a moment ago.
      await deps.snapshot.refresh();
      const blocked = findBlocked(request, admin);
      const permitted = await deps.authorize(admin, 'enable', request.kind === 'domain' ? undefined : blocked?.view ?? domainAsked(request, admin));
      if (!permitted.ok) return permitted;
      if (blocked === undefined) return err(notFound(request));
      const { view, target } = blocked;
      if (deps.snapshot.revokedBy([target], deps.snapshot.version) === undefined) return err(refusal('parameter_invalid', `${request.kind} ${request.id} is not revoked`));
      const at = deps.clock.now();
      const by = nameOf(admin);
      await deps.change({ at, by, enable: [target], audit: [{ at, action: 'revocation.lifted', domainId: view.domain.id, body: { target, by } }] });
      return ok({ enabled: target });
    },
  };
};
export type RevocationAdmin = ReturnType<typeof createRevocationAdmin>;
