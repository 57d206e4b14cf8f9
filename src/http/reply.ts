import type { Response } from 'express';
import type { DecisionId } from '../core/ids.ts';
import type { Refusal } from '../core/refusal.ts';
import { PUBLIC_REFUSALS, retryAfterOf } from './problem.ts';

/** RFC 6749 section 5.1: nothing of these endpoints may be kept by caches. */
export const noStore = (response: Response): Response => response.set({ 'Cache-Control': 'no-store', Pragma: 'no-cache' });

/** RFC 6749 section 5.2: the error, one sentence with the mend, and the id an admin can ask about. */
export const sendRefusal = (response: Response, refused: Refusal, decisionId?: DecisionId): void => {
  const { error, sentence } = PUBLIC_REFUSALS[refused.code];
  // RFC 6749 section 5.2: whoever tried the Authorization header is answered in kind.
  const status = response.hasHeader('WWW-Authenticate') ? 401 : PUBLIC_REFUSALS[refused.code].status;
  const retryAfter = refused.retryAfter ?? retryAfterOf(refused.code);
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  if (decisionId !== undefined) response.locals['decision'] = decisionId;
  noStore(response).status(status).json({ error, error_description: sentence, ...(decisionId === undefined ? {} : { decision_id: decisionId }) });
};

const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, '')}"`;

/** RFC 6750 section 3, RFC 9449 section 7.1: what to send instead. Without any credential the challenge names no error. */
export const sendChallenge = (response: Response, algorithms: readonly string[], refused: Refusal | undefined, more: { readonly nonce?: string | undefined; readonly decisionId?: DecisionId } = {}): void => {
  if (more.nonce !== undefined) response.set('DPoP-Nonce', more.nonce);
  if (more.decisionId !== undefined) response.locals['decision'] = more.decisionId;
  const shown = refused === undefined ? undefined : PUBLIC_REFUSALS[refused.code];
  const error = refused?.code.startsWith('dpop_') === true ? shown?.error : 'invalid_token';
  const detail = shown === undefined ? '' : `, error=${quote(error ?? 'invalid_token')}, error_description=${quote(shown.sentence)}`;
  response.set('WWW-Authenticate', [`Bearer realm="mayfly"${refused?.code.startsWith('dpop_') === true ? '' : detail}`, `DPoP algs=${quote(algorithms.join(' '))}${detail}`]);
  noStore(response).status(401).json({ error: error ?? 'invalid_token', error_description: shown?.sentence ?? PUBLIC_REFUSALS.token_missing.sentence, ...(more.decisionId === undefined ? {} : { decision_id: more.decisionId }) });
};
