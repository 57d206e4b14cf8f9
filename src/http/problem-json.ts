import type { Response } from 'express';
import type { Refusal } from '../core/refusal.ts';
import { PROOF_ALGORITHMS } from '../tokens/dpop-key.ts';
import type { Unrecognised } from './admin-caller.ts';
import { PUBLIC_REFUSALS, retryAfterOf } from './problem.ts';
import { challengesFor } from './reply.ts';

/** RFC 9457. Admins see the detail of a refusal; on this plane it tells them nothing they may not ask for. */
export const sendProblem = (response: Response, refused: Refusal, more: Readonly<Record<string, unknown>> = {}, status: number = PUBLIC_REFUSALS[refused.code].status): void => {
  const retryAfter = refused.retryAfter ?? retryAfterOf(refused.code);
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  response.set('Cache-Control', 'no-store').status(status).type('application/problem+json').send(JSON.stringify({
    type: 'about:blank', title: PUBLIC_REFUSALS[refused.code].sentence, status, code: refused.code, detail: refused.detail, request_id: response.getHeader('X-Request-Id'), ...more,
  }));
};

/** Nobody was recognised: which credentials are taken (RFC 6750 section 3), and what a proof lacks (RFC 9449 section 7.1). What is merely down keeps its status. */
export const sendUnrecognised = (response: Response, { refusal: refused, possession }: Unrecognised): void => {
  if (possession === undefined && PUBLIC_REFUSALS[refused.code].status !== 401) return sendProblem(response, refused);
  response.set('WWW-Authenticate', challengesFor('mayfly-admin', PROOF_ALGORITHMS, possession === undefined ? undefined : refused));
  if (possession?.nonce !== undefined) response.set('DPoP-Nonce', possession.nonce);
  if (possession !== undefined) response.locals['decision'] = possession.decisionId;
  sendProblem(response, refused, possession === undefined ? {} : { decision_id: possession.decisionId }, 401);
};
