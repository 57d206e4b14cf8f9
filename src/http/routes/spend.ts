import type { Request, Response } from 'express';
import type { DecisionId, WorkloadId } from '../../core/ids.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { Denials } from '../../exchange/denials.ts';
import type { Spend } from '../../exchange/spend.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { PROOF_ALGORITHMS } from '../../tokens/dpop-key.ts';
import { readAuthorization } from '../caller.ts';
import type { PossessionCheck } from '../caller.ts';
import { findDomain, findUnready } from '../domain-endpoints.ts';
import type { NoncesOf } from '../domain-endpoints.ts';
import { one, readForm } from '../form.ts';
import { noStore, sendChallenge, sendRefusal } from '../reply.ts';

export interface SpendRouteDeps {
  readonly snapshot: Pick<Snapshot, 'domain' | 'age'>;
  readonly spend: Spend;
  readonly checkPossession: PossessionCheck;
  readonly denials: Pick<Denials, 'record'>;
  readonly nonces: NoncesOf;
}

/** `POST {domain}/session/spend`: a task says what it used up. Ours; authenticated like a resource (RFC 6750, RFC 9449) by a session token. */
export const createSpendRoute = (deps: SpendRouteDeps) => async (request: Request<{ domain: string }>, response: Response): Promise<void> => {
  const found = findDomain(deps.snapshot, request.params.domain);
  if (!found.ok) return sendRefusal(response, found.error);
  const view = found.value;
  const { rs } = deps.nonces(view);
  let workloadId: WorkloadId | null = null;
  const record = (refused: Refusal): Promise<DecisionId> => deps.denials.record(refused, { domainId: view.domain.id, workloadId, verified: workloadId !== null, facts: { endpoint: 'spend' } });
  const refuse = async (refused: Refusal): Promise<void> => { sendRefusal(response, refused, await record(refused)); };
  const challenge = async (refused: Refusal): Promise<void> => {
    const nonce = refused.code.startsWith('dpop_nonce') ? rs.issue() : undefined;
    sendChallenge(response, PROOF_ALGORITHMS, refused.code === 'token_missing' ? undefined : refused, { nonce, decisionId: await record(refused) });
  };
  const unready = findUnready(deps.snapshot, view);
  if (unready !== undefined) return refuse(unready);

  const presented = readAuthorization(request);
  if (!presented.ok) return challenge(presented.error);
  if (presented.value === undefined) return challenge(refusal('token_missing', 'no Authorization header'));
  const amount = readAmount(request);
  if (!amount.ok) return refuse(amount.error);
  try {
    const caller = await deps.spend.authenticate(presented.value.token, view);
    if (!caller.ok) return challenge(caller.error);
    const possession = await deps.checkPossession(request, presented.value, caller.value.token.jkt, `${view.domain.issuer}/session/spend`, rs);
    if (!possession.ok) return challenge(possession.error);
    workloadId = caller.value.standing.lease.workloadId;
    const spent = await deps.spend.spend(caller.value.standing, amount.value);
    if (!spent.ok) return refuse(spent.error);
    noStore(response).json({ spent: spent.value.used, most: spent.value.most, left: spent.value.most - spent.value.used });
  } catch (cause) {
    if (!(cause instanceof StoreUnavailable)) throw cause;
    await refuse(refusal('store_unavailable', cause.message));
  }
};

/** A whole number from 1: what is spent never comes back. */
const AMOUNT = /^[1-9]\d{0,14}$/;

const readAmount = (request: Request): Result<number, Refusal> => {
  const form = readForm(request);
  if (!form.ok) return form;
  const amount = one(form.value, 'amount');
  if (!amount.ok) return amount;
  if (amount.value === undefined) return err(refusal('parameter_missing', 'amount'));
  return AMOUNT.test(amount.value) ? ok(Number(amount.value)) : err(refusal('parameter_invalid', 'amount is not a whole number from 1'));
};
