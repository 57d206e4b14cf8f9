import type { Response } from 'express';
import type { Refusal } from '../core/refusal.ts';
import { PUBLIC_REFUSALS, retryAfterOf } from './problem.ts';

/** RFC 9457. Admins see the detail of a refusal; on this plane it tells them nothing they may not ask for. */
export const sendProblem = (response: Response, refused: Refusal, more: Readonly<Record<string, unknown>> = {}): void => {
  const { status, sentence } = PUBLIC_REFUSALS[refused.code];
  const retryAfter = refused.retryAfter ?? retryAfterOf(refused.code);
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  // An admin's refused token is 401 with a challenge; the rest of the codes keep their status, evidence codes too.
  if (status === 401) response.set('WWW-Authenticate', 'Bearer realm="mayfly-admin"');
  response.set('Cache-Control', 'no-store').status(status).type('application/problem+json').send(JSON.stringify({
    type: 'about:blank', title: sentence, status, code: refused.code, detail: refused.detail, request_id: response.getHeader('X-Request-Id'), ...more,
  }));
};
