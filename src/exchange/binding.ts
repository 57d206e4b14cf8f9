import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import type { Aim } from './aim.ts';
import type { Caller } from './caller.ts';

/** Proof of possession where the token, the workload or the target demands it (design section 5; RFC 9449 section 5). */
export const checkBinding = (caller: Caller, aimed: Aim, binding: DpopBinding | undefined): Refusal | undefined => {
  if (caller.jkt !== null && binding === undefined) return refusal('token_binding_required', 'the session token is bound to a key: send a DPoP proof by it');
  if (caller.jkt !== null && binding?.jkt !== caller.jkt) return refusal('token_binding_mismatch', 'the DPoP proof is by another key than the session token');
  if (binding !== undefined) return undefined;
  const asks = aimed.kind === 'resource' ? [aimed.ask] : aimed.asks;
  if (caller.workload.bound) return refusal('dpop_required', `workload ${caller.workload.name} is registered as bound`);
  if (asks.some((ask) => ask.resource.bound)) return refusal('dpop_required', 'the resource is registered as bound');
  return undefined;
};
