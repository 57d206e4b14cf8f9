import { actorsOf } from '../authority/chain.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { LeaseStanding, StoreReads, StoreWrites } from '../store/store.ts';
import type { OwnToken } from '../tokens/verify.ts';
import { isIssued } from './introspect.ts';
import { SESSION_TOKEN } from './session-token.ts';
import { isActive } from './standing.ts';

export interface SpendDeps {
  readonly clock: Clock;
  verify(token: string, view: DomainView): Promise<Result<OwnToken, Refusal>>;
  readonly store: Pick<StoreReads, 'leaseStanding'> & Pick<StoreWrites, 'spend'>;
}

/** What a task has spent of what it may: whatever unit its budget is counted in, it only rises. */
export interface Spent { readonly used: number; readonly most: number }

export const createSpend = (deps: SpendDeps) => {
  /** The caller: a live session token of a task, or of an actor it handed authority on to. */
  const authenticate = async (credential: string, view: DomainView): Promise<Result<{ readonly token: OwnToken; readonly standing: LeaseStanding }, Refusal>> => {
    const token = await deps.verify(credential, view);
    if (!token.ok) return token;
    const standing = await deps.store.leaseStanding(token.value.jti);
    if (!isIssued(standing, credential) || standing.lease.kind !== SESSION_TOKEN) return err(refusal('token_unknown', 'no lease of this session token'));
    if (!isActive(standing, deps.clock.now(), view.domain.limits)) return err(refusal('revoked', 'the session token is not active'));
    return ok({ token: token.value, standing });
  };

  const spend = async ({ session, hop }: LeaseStanding, amount: number): Promise<Result<Spent, Refusal>> => {
    const at = deps.clock.now();
    const through = actorsOf(session, hop.chain).map(({ sub }) => sub);
    const spent = await deps.store.spend(session.id, amount, { at, action: 'session.spent', domainId: session.domainId, body: { session: session.id, hop: hop.id, actor: hop.actor, amount, ...(through.length === 0 ? {} : { through }) } });
    return spent === undefined ? err(refusal('budget_exhausted', `no room for ${amount} in the spend of session ${session.id}`)) : ok(spent);
  };

  return { authenticate, spend };
};
export type Spend = ReturnType<typeof createSpend>;
