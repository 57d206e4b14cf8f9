import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { ApprovalAdmin, ApprovalCaller, Denied } from '../../admin/approvals.ts';
import { refusal } from '../../core/refusal.ts';
import type { Result } from '../../core/result.ts';
import { InvalidCursor } from '../../store/cursor.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { localAdmin } from '../admin-caller.ts';
import type { FindAdmin } from '../admin-caller.ts';
import { approvalsQuery, approveBody, denyBody } from '../admin-schemas.ts';
import type { FindApprover, Unknown } from '../approver.ts';
import { sendProblem, sendUnrecognised } from '../problem-json.ts';
import { handler } from '../route.ts';
import type { Identify, Route } from '../route.ts';

export interface ApprovalRouteDeps {
  readonly findAdmin: FindAdmin;
  readonly findApprover: FindApprover;
  readonly approvals: ApprovalAdmin;
}

type Params = Readonly<Record<string, string>>;
type Work = (request: Request<Params>, caller: ApprovalCaller, response: Response) => Promise<void>;

/** Requests that wait for people. Whoever decides on one shows a token of their own, through the socket too: to be able to open it makes nobody a person. */
export const approvalRoutes = (deps: ApprovalRouteDeps): readonly Route[] => {
  const callers = new WeakMap<object, ApprovalCaller>();
  const isSocket = deps.findAdmin === localAdmin;

  const find = async (request: Request): Promise<Result<{ readonly caller: ApprovalCaller; readonly nonce: string | undefined }, Unknown>> => {
    const shown = request.headersDistinct['authorization'] !== undefined;
    if (!shown) {
      const admin = await deps.findAdmin(request);
      return admin.ok ? { ok: true, value: { caller: { admin: admin.value.admin, known: undefined }, nonce: admin.value.nonce } } : admin;
    }
    const person = await deps.findApprover(request);
    if (!person.ok) return person;
    const { admin, known, nonce } = person.value;
    return { ok: true, value: { caller: { admin: isSocket ? { kind: 'local' } : admin, known }, nonce } };
  };

  const identify: Identify = async (request, response) => {
    try {
      const found = await find(request);
      if (!found.ok) {
        if ('decisionId' in found.error) {
          response.locals['decision'] = found.error.decisionId;
          sendProblem(response, found.error.refusal, { decision_id: found.error.decisionId });
        } else sendUnrecognised(response, found.error);
        return false;
      }
      callers.set(request, found.value.caller);
      response.set('Cache-Control', 'no-store');
      if (found.value.nonce !== undefined) response.set('DPoP-Nonce', found.value.nonce);
      return true;
    } catch (cause) {
      told(response, cause);
      return false;
    }
  };

  const route = (method: 'get' | 'post', path: string, name: string, work: Work): Route => ({
    method, path: `/admin/v1/${path}`, caller: 'admin', identify, limit: 'none', name: `admin:${name}`, body: method === 'get' ? 'none' : 'json',
    handle: handler<Params>(async (request, response) => {
      const caller = callers.get(request);
      // INVARIANT: the application asks who calls before it comes here (http/app.ts).
      if (caller === undefined) throw new Error('an approval route was reached without its caller');
      try {
        await work(request, caller, response);
      } catch (cause) {
        told(response, cause);
      }
    }),
  });

  return [
    route('get', 'approvals', 'approvals', async (request, caller, response) => {
      const query = read(approvalsQuery, request.query, response);
      if (query !== undefined) send(response, await deps.approvals.list({ domain: query.domain, workload: query.workload, status: query.status, limit: query.limit, after: query.after }, caller));
    }),
    route('get', 'approvals/:id', 'approval', async (request, caller, response) => send(response, await deps.approvals.show(request.params['id'] ?? '', caller))),
    route('post', 'approvals/:id/approve', 'approval-approve', async (request, caller, response) => {
      const body = read(approveBody, request.body, response);
      if (body !== undefined) send(response, await deps.approvals.approve(request.params['id'] ?? '', body.reason ?? null, caller));
    }),
    route('post', 'approvals/:id/deny', 'approval-deny', async (request, caller, response) => {
      const body = read(denyBody, request.body, response);
      if (body !== undefined) send(response, await deps.approvals.deny(request.params['id'] ?? '', body.reason, caller));
    }),
  ];
};

const read = <S extends z.ZodType>(schema: S, value: unknown, response: Response): z.output<S> | undefined => {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  sendProblem(response, refusal('parameter_invalid', parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')));
  return undefined;
};

const send = (response: Response, result: Result<unknown, Denied>): void => {
  if (result.ok) {
    response.json(result.value);
    return;
  }
  const { refusal: refused, decisionId } = result.error;
  if (decisionId !== undefined) response.locals['decision'] = decisionId;
  sendProblem(response, refused, decisionId === undefined ? {} : { decision_id: decisionId });
};

const told = (response: Response, cause: unknown): void => {
  if (cause instanceof InvalidCursor) return sendProblem(response, refusal('parameter_invalid', `after: ${cause.message}`));
  if (!(cause instanceof StoreUnavailable)) throw cause;
  sendProblem(response, refusal('store_unavailable', cause.message));
};
