import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import type { SpiffeId } from '../core/ids.ts';
import { DOMAIN_PROVIDER } from '../credentials/providers/domain.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import type { Aim } from './aim.ts';
import type { Caller } from './caller.ts';

/** Proof of possession where the caller's own token or registration demands it (design section 5; RFC 9449 section 5). */
export const checkCallerBinding = (caller: Caller, binding: DpopBinding | undefined): Refusal | undefined => {
  if (caller.jkt !== null && binding === undefined) return refusal('token_binding_required', 'the presented token is bound to a key: send a DPoP proof by it');
  if (caller.jkt !== null && binding?.jkt !== caller.jkt) return refusal('token_binding_mismatch', 'the DPoP proof is by another key than the presented token is bound to');
  if (caller.workload.bound && binding === undefined) return refusal('dpop_required', `workload ${caller.workload.name} is registered as bound`);
  return undefined;
};

/** What the target demands beyond a permission. Asked after the decision: who may not have it must not learn that it exists. */
export const checkTargetTerms = (aimed: Aim, terms: { readonly tokenTypes: readonly string[] }, asked: { readonly binding: DpopBinding | undefined; readonly tokenType: string | undefined; readonly actor: SpiffeId | undefined }): Refusal | undefined => {
  const asks = aimed.kind === 'resource' ? [aimed.ask] : aimed.asks;
  const bound = asks.find((ask) => ask.resource.bound);
  if (bound !== undefined && asked.binding === undefined) return refusal('dpop_required', `${bound.resource.audience} is registered as bound`);
  if (aimed.kind === 'resource') {
    const leaves = aimed.ask.resource.provider === DOMAIN_PROVIDER;
    if (leaves && asked.actor === undefined) return refusal('crossing_unnamed', 'requested_actor is missing');
    if (!leaves && asked.actor !== undefined) return refusal('actor_unexpected', 'what is handed on is a session token, not a token for a resource');
  }
  if (asked.tokenType !== undefined && !terms.tokenTypes.includes(asked.tokenType)) return refusal('token_type_unsupported', 'the target does not issue the requested token type');
  return undefined;
};
