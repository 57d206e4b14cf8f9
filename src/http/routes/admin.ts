import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Admin, Authorize } from '../../admin/access.ts';
import type { AuditAdmin } from '../../admin/audit.ts';
import type { Explain } from '../../admin/explain.ts';
import type { KeyAdmin } from '../../admin/keys.ts';
import type { LintAdmin } from '../../admin/lint.ts';
import type { RecordAdmin } from '../../admin/records.ts';
import type { Applied, ApplyFailure, RegistryAdmin } from '../../admin/registry.ts';
import type { RevocationRecords } from '../../admin/revocation-records.ts';
import type { RevocationAdmin } from '../../admin/revocations.ts';
import type { Simulate, SimulateRequest } from '../../admin/simulate.ts';
import type { TaskAdmin } from '../../admin/tasks.ts';
import { isObject } from '../../core/json.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { Result } from '../../core/result.ts';
import type { Fallen } from '../../exchange/falling.ts';
import type { EntryKind } from '../../registry/entries.ts';
import { blocking } from '../../registry/lint.ts';
import { InvalidCursor } from '../../store/cursor.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { applyBody, auditQuery, enableBody, endSessionBody, entriesQuery, keysQuery, lintQuery, openTaskBody, recordsQuery, removeQuery, revocationBody, revocationsQuery, revokeKeyBody, rotateBody, simulateBody, verifyBody } from '../admin-schemas.ts';
import type { FindAdmin } from '../admin-caller.ts';
import { sendLines } from '../lines.ts';
import { sendProblem, sendUnrecognised } from '../problem-json.ts';
import { handler } from '../route.ts';
import type { Identify, Route } from '../route.ts';

export interface AdminRouteDeps {
  readonly findAdmin: FindAdmin;
  readonly authorize: Authorize;
  readonly registry: RegistryAdmin;
  readonly records: RecordAdmin;
  readonly revocations: RevocationAdmin;
  readonly revocationRecords: RevocationRecords;
  readonly explain: Explain;
  readonly simulate: Simulate;
  readonly lint: LintAdmin;
  readonly keys: KeyAdmin;
  readonly audit: AuditAdmin;
  readonly tasks: TaskAdmin;
}

/** Admin path of each kind of entry, and the member of a manifest it belongs to. */
export const SECTIONS: ReadonlyMap<string, EntryKind> = new Map([['domains', 'domain'], ['issuers', 'issuer'], ['resources', 'resource'], ['workloads', 'workload'], ['policies', 'policy']]);

type Params = Readonly<Record<string, string>>;
type Work = (request: Request<Params>, admin: Admin, response: Response) => Promise<void>;

/** Reads the body or query by its schema; every problem of it is told with its place. */
const read = <S extends z.ZodType>(schema: S, value: unknown, response: Response): z.output<S> | undefined => {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message, mend: 'see /openapi.json for what this call takes' }));
  sendProblem(response, refusal('parameter_invalid', problems.map(({ path, message }) => `${path}: ${message}`).join('; ')), { problems });
  return undefined;
};

/** What a simulation is of: exactly one way to say who asks. */
const shownIn = ({ token, issuer, attributes, actors, person }: z.output<typeof simulateBody>): SimulateRequest['shown'] | undefined => {
  if (actors !== undefined) return token === undefined && issuer === undefined && attributes === undefined ? { kind: 'chain', person, actors } : undefined;
  if (person !== undefined || (token !== undefined && attributes !== undefined)) return undefined;
  if (token !== undefined) return { kind: 'token', token };
  return issuer === undefined || attributes === undefined ? undefined : { kind: 'attributes', issuer, attributes };
};

const withoutUndefined = <K extends string>(given: Readonly<Partial<Record<K, number | undefined>>>): Partial<Record<K, number>> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<Record<K, number>>;

const send = (response: Response, result: Result<unknown, Refusal>): void => {
  if (result.ok) response.set('Cache-Control', 'no-store').json(result.value);
  else sendProblem(response, result.error);
};

const showFailure = (response: Response, failure: ApplyFailure): void => {
  if (failure.kind === 'refused') sendProblem(response, failure.refusal);
  else if (failure.kind === 'problems') sendProblem(response, refusal('manifest_invalid', count(failure.problems, 'problem')), { problems: failure.problems });
  else sendProblem(response, refusal('lint_error', `${count(blocking(failure.findings), 'finding')} to be mended or accepted`), { findings: failure.findings.map(showFinding) });
};

const count = (things: readonly unknown[], noun: string): string => `${things.length} ${noun}${things.length === 1 ? '' : 's'}`;

type Finding = Applied['findings'][number];
export const showFinding = ({ rule, severity, entry, why, mend, acceptedUntil }: Finding): object => ({
  rule, severity, domain: entry.domain, kind: entry.kind, name: entry.name, why, mend, ...(acceptedUntil === undefined ? {} : { accepted: new Date(acceptedUntil).toISOString() }),
});

const showFallen = ({ leases, more, endsByItself }: Fallen): object =>
  ({ leases, ...(more ? { more } : {}), ends_by_itself: endsByItself.map(({ until, ...rest }) => ({ ...rest, until: new Date(until).toISOString() })) });

const showApplied = (applied: Applied): object => ({
  changes: applied.changes.map(({ action, kind, domain, name, fields }) => ({ action, kind, domain, name, ...(fields.length === 0 ? {} : { fields: fields.map(({ field }) => field) }) })),
  text: applied.text, findings: applied.findings.map(showFinding), applied: applied.applied, version: applied.version,
  ...(applied.fallen === undefined ? {} : showFallen(applied.fallen)),
});

export const adminRoutes = (deps: AdminRouteDeps): readonly Route[] => {
  /** Who was found to send a request, before its body was read. */
  const callers = new WeakMap<object, Admin>();
  /** What the caller or the database is to blame for is told; every other fault is ours. */
  const told = (response: Response, cause: unknown): void => {
    if (cause instanceof InvalidCursor) return sendProblem(response, refusal('parameter_invalid', `after: ${cause.message}`));
    if (!(cause instanceof StoreUnavailable)) throw cause;
    sendProblem(response, refusal('store_unavailable', cause.message));
  };
  const identify: Identify = async (request, response) => {
    try {
      const caller = await deps.findAdmin(request);
      if (!caller.ok) {
        sendUnrecognised(response, caller.error);
        return false;
      }
      const { admin: found, nonce } = caller.value;
      callers.set(request, found);
      response.set('Cache-Control', 'no-store');
      if (nonce !== undefined) response.set('DPoP-Nonce', nonce);
      return true;
    } catch (cause) {
      told(response, cause);
      return false;
    }
  };
  const admin = (work: Work) => handler<Params>(async (request, response) => {
    const caller = callers.get(request);
    // INVARIANT: the application asks who calls before it comes here (http/app.ts).
    if (caller === undefined) throw new Error('an admin route was reached without its caller');
    try {
      await work(request, caller, response);
    } catch (cause) {
      told(response, cause);
    }
  });
  const route = (method: Route['method'], path: string, name: string, work: Work): Route =>
    ({ method, path: `/admin/v1/${path}`, caller: 'admin', identify, limit: 'none', name: `admin:${name}`, body: method === 'get' || method === 'delete' ? 'none' : 'json', handle: admin(work) });

  const section = (request: Request<Params>, response: Response): { readonly section: string; readonly kind: EntryKind } | undefined => {
    const name = request.params['section'] ?? '';
    const kind = SECTIONS.get(name);
    if (kind === undefined) sendProblem(response, refusal('not_found', `no section ${name}`));
    return kind === undefined ? undefined : { section: name, kind };
  };

  /** PUT and GET of one entry: domains are in no domain, and their path has one segment less. */
  const putEntry: Work = async (request, caller, response) => {
    const found = section(request, response);
    if (found === undefined) return;
    const { domain, name } = request.params;
    const named = found.kind === 'domain' ? { name: domain } : { domain, [found.kind === 'resource' ? 'audience' : 'name']: name };
    const body: unknown = request.body;
    if (!isObject(body)) return sendProblem(response, refusal('parameter_invalid', 'the body is not one entry, as JSON'));
    const other = Object.entries(named).find(([field, value]) => body[field] !== undefined && body[field] !== value)?.[0];
    if (other !== undefined) return sendProblem(response, refusal('parameter_invalid', `${other} in the body is not that of the path`));
    const outcome = await deps.registry.put(found.section, { ...body, ...named }, caller);
    if (outcome.ok) response.json(showApplied(outcome.value));
    else showFailure(response, outcome.error);
  };
  const showEntry: Work = async (request, caller, response) => {
    const found = section(request, response);
    if (found === undefined) return;
    const domain = request.params['domain'] ?? '';
    send(response, await deps.registry.show(found.kind, domain, request.params['name'] ?? domain, caller));
  };

  return [
    route('post', 'apply', 'apply', async (request, caller, response) => {
      const body = read(applyBody, request.body, response);
      if (body === undefined) return;
      const outcome = await deps.registry.apply(body.manifest, { dryRun: body.dry_run, prune: body.prune }, caller);
      if (outcome.ok) response.json(showApplied(outcome.value));
      else showFailure(response, outcome.error);
    }),
    route('get', 'sessions', 'sessions', async (request, caller, response) => {
      const query = read(recordsQuery, request.query, response);
      if (query !== undefined) send(response, await deps.records.sessions({ domain: query.domain, workload: query.workload, session: query.session, active: false, limit: query.limit, after: query.after }, caller));
    }),
    route('get', 'sessions/:id', 'session', async (request, caller, response) => send(response, await deps.records.session(request.params['id'] ?? '', caller))),
    route('post', 'sessions', 'session-open', async (request, caller, response) => {
      const body = read(openTaskBody, request.body, response);
      if (body === undefined) return;
      const { domain, workload, purpose, deadline, budgets } = body;
      const opened = await deps.tasks.open({ domain, workload, purpose, deadline: deadline === undefined ? undefined : Date.parse(deadline), budgets: withoutUndefined(budgets) }, caller);
      if (opened.ok) response.status(201);
      send(response, opened);
    }),
    route('post', 'sessions/:id/end', 'session-end', async (request, caller, response) => {
      const body = read(endSessionBody, request.body, response);
      if (body !== undefined) send(response, await deps.tasks.end(request.params['id'] ?? '', body.reason, caller));
    }),
    route('get', 'leases', 'leases', async (request, caller, response) => {
      const query = read(recordsQuery, request.query, response);
      if (query !== undefined) send(response, await deps.records.leases({ domain: query.domain, workload: query.workload, session: query.session, active: query.active === 'true', limit: query.limit, after: query.after }, caller));
    }),
    route('get', 'leases/:id', 'lease', async (request, caller, response) => send(response, await deps.records.lease(request.params['id'] ?? '', caller))),
    route('post', 'revocations', 'revoke', async (request, caller, response) => {
      const body = read(revocationBody, request.body, response);
      if (body === undefined) return;
      const outcome = await deps.revocations.revoke({ kind: body.kind, id: body.id, domain: body.domain, reason: body.reason }, caller);
      if (!outcome.ok) return sendProblem(response, outcome.error);
      const { revoked, at, revocation, fallen } = outcome.value;
      response.json({ revoked, at: new Date(at).toISOString(), revocation, ...showFallen(fallen) });
    }),
    route('get', 'revocations', 'revocations', async (request, caller, response) => {
      const query = read(revocationsQuery, request.query, response);
      if (query !== undefined) send(response, await deps.revocationRecords.list({ domain: query.domain, target: query.target, limit: query.limit, after: query.after }, caller));
    }),
    route('get', 'revocations/:id', 'revocation', async (request, caller, response) => send(response, await deps.revocationRecords.show(request.params['id'] ?? '', caller))),
    route('post', 'enable', 'enable', async (request, caller, response) => {
      const body = read(enableBody, request.body, response);
      if (body !== undefined) send(response, await deps.revocations.enable({ kind: body.kind, id: body.id, domain: body.domain }, caller));
    }),
    route('get', 'decisions/:id', 'explain', async (request, caller, response) => send(response, await deps.explain(request.params['id'] ?? '', caller))),
    route('post', 'simulate', 'simulate', async (request, caller, response) => {
      const body = read(simulateBody, request.body, response);
      if (body === undefined) return;
      const shown = shownIn(body);
      if (shown === undefined) return sendProblem(response, refusal('parameter_invalid', 'send one of token, issuer with attributes, and actors; person goes with actors'));
      const scopes = body.scope === undefined || body.scope === '' ? [] : body.scope.split(' ');
      const outcome = await deps.simulate({ domain: body.domain, shown, clientId: body.client_id, audience: body.audience, scopes, purpose: body.purpose, handsOnTo: body.hands_on_to }, caller);
      if (!outcome.ok) return sendProblem(response, outcome.error);
      const { stoppedBy, nearestWorkloads: near = [], ...rest } = outcome.value;
      response.json({ ...rest, ...(near.length === 0 ? {} : { nearest_workloads: near }), ...(stoppedBy === undefined ? {} : { stopped_by: { code: stoppedBy.code, detail: stoppedBy.detail } }) });
    }),
    route('get', 'lint', 'lint', async (request, caller, response) => {
      const query = read(lintQuery, request.query, response);
      if (query === undefined) return;
      const findings = await deps.lint(query.domain, caller);
      if (findings.ok) response.json({ findings: findings.value.map(showFinding) });
      else sendProblem(response, findings.error);
    }),
    route('get', 'audit', 'audit', async (request, caller, response) => {
      const query = read(auditQuery, request.query, response);
      if (query === undefined) return;
      const entries = await deps.audit.export(query.chain, query.after, caller);
      if (!entries.ok) return sendProblem(response, entries.error);
      response.set('Cache-Control', 'no-store');
      await sendLines(response, entries.value);
    }),
    route('post', 'audit/verify', 'audit-verify', async (request, caller, response) => {
      const body = read(verifyBody, request.body, response);
      if (body !== undefined) send(response, await deps.audit.verify(body.checkpoints, caller));
    }),
    route('get', 'keys', 'keys', async (request, caller, response) => {
      const query = read(keysQuery, request.query, response);
      if (query === undefined) return;
      const keys = await deps.keys.list(query.domain, caller);
      if (keys.ok) response.json({ items: keys.value });
      else sendProblem(response, keys.error);
    }),
    route('post', 'keys/rotate', 'keys-rotate', async (request, caller, response) => {
      const body = read(rotateBody, request.body, response);
      if (body === undefined) return;
      const keys = await deps.keys.rotate({ domain: body.domain, purpose: body.purpose, algorithm: body.algorithm }, caller);
      if (keys.ok) response.json({ items: keys.value });
      else sendProblem(response, keys.error);
    }),
    route('post', 'keys/rewrap', 'keys-rewrap', async (_request, caller, response) => {
      const done = await deps.keys.rewrap(caller);
      if (done.ok) response.json({ rewrapped: done.value });
      else sendProblem(response, done.error);
    }),
    route('post', 'keys/:kid/revoke', 'keys-revoke', async (request, caller, response) => {
      const body = read(revokeKeyBody, request.body, response);
      if (body === undefined) return;
      const revoked = await deps.keys.revoke(request.params['kid'] ?? '', body.reason, caller);
      if (revoked.ok) response.json({ items: revoked.value.keys, ...showFallen(revoked.value.fallen) });
      else sendProblem(response, revoked.error);
    }),
    route('get', ':section', 'entries', async (request, caller, response) => {
      const found = section(request, response);
      const query = found === undefined ? undefined : read(entriesQuery, request.query, response);
      if (found !== undefined && query !== undefined) send(response, await deps.registry.list(found.kind, { domain: query.domain, limit: query.limit, after: query.after }, caller));
    }),
    route('get', ':section/:domain', 'entry', showEntry),
    route('get', ':section/:domain/:name', 'entry', showEntry),
    route('put', ':section/:domain', 'entry-put', putEntry),
    route('put', ':section/:domain/:name', 'entry-put', putEntry),
    route('delete', ':section/:domain/:name', 'entry-remove', async (request, caller, response) => {
      const found = section(request, response);
      const query = found === undefined ? undefined : read(removeQuery, request.query, response);
      if (found === undefined || query === undefined) return;
      const { domain = '', name = '' } = request.params;
      if (found.kind === 'domain') return sendProblem(response, refusal('parameter_invalid', 'a domain is never removed; revoke it'));
      const outcome = await deps.registry.remove({ kind: found.kind, domain, name }, query.reason, caller);
      if (outcome.ok) response.json(showApplied(outcome.value));
      else showFailure(response, outcome.error);
    }),
  ];
};
