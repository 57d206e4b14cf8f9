import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { adminRoutes } from '../../src/http/routes/admin.ts';
import type { AdminRouteDeps } from '../../src/http/routes/admin.ts';
import { approvalRoutes } from '../../src/http/routes/approvals.ts';
import type { ApprovalRouteDeps } from '../../src/http/routes/approvals.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Mayfly } from '../support/mayfly.ts';

interface Operation { readonly responses?: object; readonly parameters?: readonly { readonly name: string; readonly in: string }[]; readonly requestBody?: unknown }
interface Document { readonly openapi: string; readonly info: { readonly title: string; readonly version: string }; readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>; readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>> }

let mayfly: Mayfly;
let document: Document;
beforeAll(async () => {
  mayfly = await startMayfly();
  document = await (await fetch(`${mayfly.url}/openapi.json`)).json() as Document;
});
afterAll(async () => { await mayfly.close(); });

const operations = () => Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
/** A path as a pattern: whatever stands in braces, or behind a colon, is one segment. */
const patternOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/\{[^}]+\}|:[a-z]+/g, '[^/]+')}$`);
const SAMPLE: Readonly<Record<string, readonly string[]>> = { ':section': ['domains', 'issuers', 'resources', 'workloads', 'policies'] };
const routes = () => [...approvalRoutes({} as ApprovalRouteDeps), ...adminRoutes({} as AdminRouteDeps)].flatMap(({ method, path }) =>
  (path.includes(':section') ? SAMPLE[':section'] ?? [] : ['']).map((section) => ({ method, path: path.replace(':section', section) })))
  // Domains are in no domain and are never removed; all other entries are in one.
  .filter(({ path, method }) => (path.startsWith('/admin/v1/domains/') ? path === '/admin/v1/domains/:domain' && method !== 'delete' : !/^\/admin\/v1\/(?:issuers|resources|workloads|policies)\/:domain$/.test(path)));

describe('the OpenAPI document', () => {
  test('is of 3.1, with a title, a version, and answers for every operation', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: 'Mayfly', version: expect.stringMatching(/^\d/) });
    for (const { operation } of operations()) expect(Object.keys(operation.responses ?? {})).toContain('200');
  });

  test('names every parameter of a path, and no other', () => {
    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      expect((operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => name).toSorted()).toEqual(inPath.toSorted());
    }
  });

  test('refers only to what it holds', () => {
    for (const [, section, name] of JSON.stringify(document).matchAll(/"#\/components\/([^/"]+)\/([^/"]+)"/g)) expect(document.components[section ?? '']).toHaveProperty([name ?? '']);
  });

  test('tells the options of every kind of issuer and resource beside the fields they share', () => {
    const bodyOf = (path: string): string => JSON.stringify(document.paths[path]?.['put']?.requestBody);
    const resource = bodyOf('/admin/v1/resources/{domain}/{audience}');
    for (const field of ['served_by', 'algorithm', 'session_policy']) expect(resource).toContain(`"${field}":{`);
    expect(resource).toContain('"enum":["ES256","RS256"]');
    const issuer = bodyOf('/admin/v1/issuers/{domain}/{name}');
    for (const field of ['proves', 'organization_id', 'claims']) expect(issuer).toContain(`"${field}":{`);
  });

  test('holds every admin route', () => {
    const missing = routes().filter(({ method, path }) => !operations().some((each) => each.method === method && patternOf(path).test(each.path)));
    expect(missing).toEqual([]);
  });

  test('holds no admin path that is no route', () => {
    const extra = operations().filter(({ path }) => path.startsWith('/admin/')).filter(({ method, path }) => !routes().some((each) => each.method === method && patternOf(each.path).test(path)));
    expect(extra.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  });
});
