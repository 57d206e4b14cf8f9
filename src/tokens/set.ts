import { seconds } from '../core/clock.ts';
import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Result } from '../core/result.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { KeyAlgorithm } from '../keys/signing-key.ts';
import { ClaimsFault } from './claims.ts';
import { signAs } from './sign.ts';
import type { SignedToken } from './sign.ts';

/** One event about one subject. */
export interface SetFacts {
  readonly issuer: string;
  readonly audience: string;
  readonly jti: string;
  /** Milliseconds: when the event was put in line, not when it leaves, so that sending it again says the same. */
  readonly issuedAt: number;
  readonly txn: string | null;
  /** RFC 9493, or a complex subject of SSF 1.0 section 3. */
  readonly subject: JsonObject;
  readonly type: string;
  readonly payload: JsonObject;
}

/**
 * A security event token (RFC 8417) of the profile of SSF 1.0: exactly one event, `sub_id` beside it, and neither `sub` nor
 * `exp`. With a `typ` and a key of its own it is no access token, and without `exp` and `client_id` it could never be read as one.
 */
export const signSet = (facts: SetFacts, ring: Pick<KeyRing, 'current'>, algorithm: KeyAlgorithm = 'ES256'): Result<SignedToken, Refusal> => {
  const problem = findProblem(facts);
  if (problem !== undefined) throw new ClaimsFault(problem);
  return signAs('set', {
    iss: facts.issuer, jti: facts.jti, iat: seconds(facts.issuedAt), aud: facts.audience, ...(facts.txn === null ? {} : { txn: facts.txn }),
    sub_id: facts.subject, events: { [facts.type]: facts.payload },
  }, ring, algorithm);
};

const findProblem = ({ issuer, audience, jti, subject, type, payload }: SetFacts): string | undefined => {
  if ([issuer, audience, jti].includes('')) return 'iss, aud or jti is empty';
  if (!URL.canParse(type)) return 'the event type is no URI';
  if (!isObject(payload)) return 'the event is no object';
  return typeof subject['format'] === 'string' ? undefined : 'the subject has no format';
};
