import type { Response } from 'express';
import type { DecisionId } from '../core/ids.ts';
import type { Refusal } from '../core/refusal.ts';
import { PUBLIC_REFUSALS, describeRefusal, retryAfterOf } from './problem.ts';

/** RFC 6749 section 5.1: nothing of these endpoints may be kept by caches. */
export const noStore = (response: Response): Response => response.set({ 'Cache-Control': 'no-store', Pragma: 'no-cache' });

/** RFC 6749 section 5.2: the error, one sentence with the mend, and the id an admin can ask about. */
export const sendRefusal = (response: Response, refused: Refusal, decisionId?: DecisionId, more: object = {}): void => {
  const { error, status: own } = PUBLIC_REFUSALS[refused.code];
  // RFC 6749 section 5.2: whoever tried the Authorization header is answered in kind.
  const status = response.hasHeader('WWW-Authenticate') ? 401 : own;
  const retryAfter = refused.retryAfter ?? retryAfterOf(refused.code);
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  if (decisionId !== undefined) response.locals['decision'] = decisionId;
  noStore(response).status(status).json({ error, error_description: describeRefusal(refused), ...(decisionId === undefined ? {} : { decision_id: decisionId }), ...more });
};

const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, '')}"`;

/** RFC 6750 section 3, RFC 9449 section 7.1: what to send instead, and unless that is not to be told what was wrong with what was sent. */
export const challengesFor = (realm: string, algorithms: readonly string[], refused: Refusal | undefined): string[] => {
  const aboutProof = isAboutProof(refused);
  const detail = refused === undefined ? '' : `, error=${quote(errorOf(refused))}, error_description=${quote(PUBLIC_REFUSALS[refused.code].sentence)}`;
  return [`Bearer realm=${quote(realm)}${aboutProof ? '' : detail}`, `DPoP algs=${quote(algorithms.join(' '))}${detail}`];
};

const isAboutProof = (refused: Refusal | undefined): boolean => refused?.code.startsWith('dpop_') === true;
const errorOf = (refused: Refusal | undefined): string => (refused !== undefined && isAboutProof(refused) ? PUBLIC_REFUSALS[refused.code].error : 'invalid_token');

/** The answer to whoever did not show a token that counts here. Without any credential the challenge names no error. */
export const sendChallenge = (response: Response, algorithms: readonly string[], refused: Refusal | undefined, more: { readonly nonce?: string | undefined; readonly decisionId?: DecisionId } = {}): void => {
  if (more.nonce !== undefined) response.set('DPoP-Nonce', more.nonce);
  if (more.decisionId !== undefined) response.locals['decision'] = more.decisionId;
  response.set('WWW-Authenticate', challengesFor('mayfly', algorithms, refused));
  noStore(response).status(401).json({ error: errorOf(refused), error_description: PUBLIC_REFUSALS[refused?.code ?? 'token_missing'].sentence, ...(more.decisionId === undefined ? {} : { decision_id: more.decisionId }) });
};
