import type { Request } from 'express';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { OneTime, StoreWrites } from '../store/store.ts';
import { checkDpop } from '../tokens/dpop.ts';
import type { Nonces } from '../tokens/nonce.ts';

/** A token from the Authorization header (RFC 6750 section 2.1, RFC 9449 section 7.1). */
export interface PresentedToken { readonly scheme: 'Bearer' | 'DPoP'; readonly token: string }

/** Undefined: no credential was sent at all. */
export const readAuthorization = (request: Request): Result<PresentedToken | undefined, Refusal> => {
  const values = request.headersDistinct['authorization'] ?? [];
  if (values.length > 1) return err(refusal('token_malformed', 'more than one Authorization header'));
  const [value] = values;
  if (value === undefined) return ok(undefined);
  const match = /^(Bearer|DPoP) +([A-Za-z0-9._~+/=-]+)$/i.exec(value);
  if (match?.[1] === undefined || match[2] === undefined) return err(refusal('token_malformed', 'Authorization is neither Bearer nor DPoP'));
  return ok({ scheme: match[1].toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', token: match[2] });
};

/** A bound token needs a proof by its key, an unbound one must not pretend (RFC 9449 section 7.1, 7.2); the proof is used up. Without a known `url` no proof holds. */
export const createPossessionCheck = (deps: { readonly clock: Clock; readonly store: Pick<StoreWrites, 'consume'> }) =>
  async (request: Request, presented: PresentedToken, jkt: string | undefined, url: string | undefined, nonces: Nonces): Promise<Result<undefined, Refusal>> => {
    if (jkt === undefined) return presented.scheme === 'Bearer' ? ok(undefined) : err(refusal('token_scheme_wrong', 'an unbound token was sent as DPoP'));
    if (presented.scheme === 'Bearer') return err(refusal('token_scheme_wrong', 'a bound token was sent as Bearer'));
    if (url === undefined) return err(refusal('dpop_htu_mismatch', 'this request has no URL that a proof could name: admin.external_url says where the listener is reached, and the path must be a URI path'));
    const binding = await checkDpop({ headers: request.headersDistinct['dpop'] ?? [], method: request.method, url, presented: { token: presented.token, jkt } }, { now: deps.clock.now(), nonces });
    if (!binding.ok) return binding;
    const proof: OneTime = { key: binding.value.replayKey, until: binding.value.replayUntil };
    return (await deps.store.consume([proof])) ? ok(undefined) : err(refusal('dpop_replayed', 'this proof was used before'));
  };
export type PossessionCheck = ReturnType<typeof createPossessionCheck>;
