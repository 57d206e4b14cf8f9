import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { readModuleReferences } from '../scripts/module-references.ts';

/** Which folder may know which. A folder that is missing here is a breach by itself. */
const RANKS: Readonly<Record<string, number>> = {
  core: 0,
  config: 1, keys: 1, tokens: 1, outbound: 1, telemetry: 1,
  attestation: 2, registry: 2, authority: 2, policy: 2, credentials: 2, revocation: 2, audit: 2, store: 2,
  snapshot: 3, exchange: 4, signals: 4, admin: 5, jobs: 5, status: 5,
  http: 6,
  boot: 7,
  'main.ts': 8,
  cli: 9,
};

/** Lower ranks that take a type, and only a type, from a higher one: contracts of the core data model. Each with its reason; the list may only shrink. */
const TYPE_EXCEPTIONS: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [
  { from: 'keys', to: 'store/rows.ts', why: 'a signing key is what its row says; rows.ts is data without code, and a second declaration would have to be kept in step' },
  { from: 'tokens', to: 'store/rows.ts', why: 'a token carries ceilings and names key purposes as the registry keeps them; the same' },
];

interface SourceFile { readonly path: string; readonly text: string }
type Rule = (file: SourceFile) => readonly string[];

const folderOf = (path: string): string => path.split('/')[0] ?? path;
/** Path below src/ of a relative import; undefined for packages. */
const resolved = (from: string, specifier: string): string | undefined => (specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)) : undefined);

const direction: Rule = ({ path, text }) =>
  readModuleReferences(text, path).flatMap(({ specifier, typeOnly }) => {
    const target = resolved(path, specifier);
    if (target === undefined || target.startsWith('../')) return [];
    const [from, to] = [folderOf(path), folderOf(target)];
    if (from === to) return [];
    const [own, other] = [RANKS[from], RANKS[to]];
    if (own === undefined || other === undefined) return [`${path}: ${own === undefined ? from : to} has no rank`];
    if (other < own || (typeOnly && other === own)) return [];
    if (typeOnly && TYPE_EXCEPTIONS.some((exception) => exception.from === from && exception.to === target)) return [];
    return [`${path} takes ${typeOnly ? 'a type' : 'a value'} from ${target}`];
  });

/** Each place where the syntax tree has a node that `test` likes. */
const nodesWhere = (file: SourceFile, test: (node: ts.Node) => boolean, what: string): readonly string[] => {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (test(node)) found.push(`${file.path} ${what}: ${node.getText().slice(0, 60)}`);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true));
  return found;
};

const isMember = (node: ts.Node, object: string, property: string): boolean =>
  (ts.isPropertyAccessExpression(node) && node.expression.getText() === object && node.name.text === property) ||
  (ts.isElementAccessExpression(node) && node.expression.getText() === object && ts.isStringLiteralLike(node.argumentExpression) && node.argumentExpression.text === property);

/** `within` names folders or files that may. */
const wall = (within: readonly string[], rule: Rule): Rule => (file) => (within.some((allowed) => file.path === allowed || file.path.startsWith(`${allowed}/`)) ? [] : rule(file));

const importsPackage = (names: RegExp): Rule => ({ path, text }) =>
  readModuleReferences(text, path).filter(({ specifier, typeOnly }) => !typeOnly && names.test(specifier)).map(({ specifier }) => `${path} imports ${specifier}`);

const readsEnvironment: Rule = (file) => nodesWhere(file, (node) => isMember(node, 'process', 'env'), 'reads the environment');

const readsClockOrChance: Rule = (file) =>
  nodesWhere(file, (node) => isMember(node, 'Date', 'now') || isMember(node, 'Math', 'random') || (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0), 'reads the clock or draws chance');

const callsFetch: Rule = (file) => nodesWhere(file, (node) => ts.isCallExpression(node) && /^(?:globalThis\.)?fetch$/.test(node.expression.getText()), 'dials');

const usesGeneratedClient: Rule = ({ path, text }) =>
  readModuleReferences(text, path).filter(({ specifier }) => /^@prisma\/client/.test(specifier) || resolved(path, specifier)?.startsWith('store/generated/') === true).map(({ specifier }) => `${path} imports ${specifier}`);

/** aws-call.ts is the one AWS client the providers share; it calls STS through the guarded fetch it is given. */
const DIALERS = ['outbound', 'credentials/providers', 'credentials/aws-call.ts', 'cli'];
/** These answer; none of them dials an address it was given. */
const LISTENERS = ['http', 'boot/listen.ts'];
const DIALING_PACKAGES = /^(?:undici|node:https?|https?|node:http2|node:tls|oauth4webapi|openid-client|@aws-sdk\/.*)$/;

/** node:net also holds the functions that only read addresses; those are anybody's. */
const opensSockets: Rule = (file) =>
  nodesWhere(file, (node) => ts.isImportDeclaration(node) && ts.isStringLiteralLike(node.moduleSpecifier) && node.moduleSpecifier.text === 'node:net' && !readsAddressesOnly(node.importClause), 'opens sockets');

const readsAddressesOnly = (clause: ts.ImportClause | undefined): boolean => {
  if (clause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause?.namedBindings;
  return clause?.name === undefined && bindings !== undefined && ts.isNamedImports(bindings) && bindings.elements.every(({ name, propertyName }) => /^(?:isIP|isIPv4|isIPv6|BlockList)$/.test((propertyName ?? name).text));
};

/** A policy decision is a function of what it is given: nothing of it waits, dials, reads or stores. */
const POLICY_MAY_IMPORT = /^(?:core|policy|registry|attestation)\//;
const policyStaysPure: Rule = (file) => {
  if (!file.path.startsWith('policy/')) return [];
  const taken = readModuleReferences(file.text, file.path).filter(({ typeOnly }) => !typeOnly);
  const foreign = taken.filter(({ specifier }) => {
    const target = resolved(file.path, specifier);
    return target === undefined ? !/^(?:@cedar-policy\/cedar-wasm(?:\/.*)?|lru-cache|node:crypto|node:module)$/.test(specifier) : !/^(?:core|policy)\//.test(target);
  });
  const typed = readModuleReferences(file.text, file.path).filter(({ specifier, typeOnly }) => typeOnly && resolved(file.path, specifier) !== undefined && !POLICY_MAY_IMPORT.test(resolved(file.path, specifier) ?? ''));
  return [...foreign, ...typed].map(({ specifier }) => `${file.path} imports ${specifier}`);
};

const RULES: Readonly<Record<string, Rule>> = {
  'imports point down': direction,
  'only store uses the generated client': wall(['store'], usesGeneratedClient),
  'only config and cli read the environment': wall(['config', 'cli'], readsEnvironment),
  'only core reads the clock and draws chance': wall(['core'], readsClockOrChance),
  'only outbound, providers and cli call fetch': wall(DIALERS, callsFetch),
  'only outbound, providers and cli hold clients': wall([...DIALERS, ...LISTENERS], importsPackage(DIALING_PACKAGES)),
  'only outbound, providers, cli and http open sockets': wall([...DIALERS, ...LISTENERS], opensSockets),
  'policy imports nothing that waits': policyStaysPure,
};

const readSources = (): readonly SourceFile[] => {
  const root = fileURLToPath(new URL('../src', import.meta.url));
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts') && !path.startsWith('store/generated/'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
};

describe('the source', () => {
  const sources = readSources();
  test('is read at all', () => {
    expect(sources.map(({ path }) => path)).toEqual(expect.arrayContaining(['core/result.ts', 'cli/main.ts', 'store/store.ts']));
  });
  test.each(Object.entries(RULES))('%s', (_name, rule) => {
    expect(sources.flatMap(rule)).toEqual([]);
  });
  test('needs every exception it claims', () => {
    const unused = TYPE_EXCEPTIONS.filter(({ from, to }) => !sources.some(({ path, text }) => folderOf(path) === from && readModuleReferences(text, path).some(({ specifier }) => resolved(path, specifier) === to)));
    expect(unused).toEqual([]);
  });
});

describe('a planted breach is caught', () => {
  const planted: readonly { readonly name: string; readonly rule: string; readonly path: string; readonly bad: string; readonly good: string }[] = [
    { name: 'a value from a higher rank', rule: 'imports point down', path: 'core/x.ts', bad: `import { a } from '../store/a.ts';`, good: `import { a } from './a.ts';` },
    { name: 'a value in double quotes', rule: 'imports point down', path: 'tokens/x.ts', bad: `import { a } from "../http/a.ts";`, good: `import { a } from "../core/a.ts";` },
    { name: 'a value by import()', rule: 'imports point down', path: 'tokens/x.ts', bad: `const a = await import('../exchange/a.ts');`, good: `const a = await import('../core/a.ts');` },
    { name: 'a value by export from', rule: 'imports point down', path: 'registry/x.ts', bad: `export { a } from '../store/a.ts';`, good: `export { a } from '../core/a.ts';` },
    { name: 'everything by export *', rule: 'imports point down', path: 'registry/x.ts', bad: `export * from '../http/a.ts';`, good: `export * from './a.ts';` },
    { name: 'a bare import for its effects', rule: 'imports point down', path: 'keys/x.ts', bad: `import '../store/a.ts';`, good: `import '../core/a.ts';` },
    { name: 'a value from a neighbour of the same rank', rule: 'imports point down', path: 'registry/x.ts', bad: `import { a } from '../policy/a.ts';`, good: `import type { A } from '../policy/a.ts';` },
    { name: 'an inline type, which stays a run-time import', rule: 'imports point down', path: 'registry/x.ts', bad: `import { type A } from '../policy/a.ts';`, good: `import type { A } from '../policy/a.ts';` },
    { name: 'a type from a higher rank', rule: 'imports point down', path: 'tokens/x.ts', bad: `import type { A } from '../store/a.ts';`, good: `import type { A } from '../keys/a.ts';` },
    { name: 'an import type from a higher rank', rule: 'imports point down', path: 'tokens/x.ts', bad: `type A = import('../http/a.ts').A;`, good: `type A = import('../core/a.ts').A;` },
    { name: 'a worker of a higher rank', rule: 'imports point down', path: 'keys/x.ts', bad: `new Worker(new URL('../store/a.ts', import.meta.url));`, good: `new Worker(new URL('./a.ts', import.meta.url));` },
    { name: 'a folder without a rank', rule: 'imports point down', path: 'helpers/x.ts', bad: `import { a } from '../core/a.ts';`, good: `import { a } from './a.ts';` },
    { name: 'the generated client outside store', rule: 'only store uses the generated client', path: 'http/x.ts', bad: `import { PrismaClient } from '../store/generated/sqlite/client.ts';`, good: `import { createStore } from '../store/a.ts';` },
    { name: 'a row type of the generated client outside store', rule: 'only store uses the generated client', path: 'http/x.ts', bad: `import type { Lease } from '../store/generated/sqlite/client.ts';`, good: `import type { LeaseRow } from '../store/rows.ts';` },
    { name: 'the environment', rule: 'only config and cli read the environment', path: 'http/x.ts', bad: `const a = process.env.HOME;`, good: `const a = process.pid;` },
    { name: 'the environment by a quoted name', rule: 'only config and cli read the environment', path: 'http/x.ts', bad: `const a = process["env"];`, good: `const a = process["pid"];` },
    { name: 'the clock', rule: 'only core reads the clock and draws chance', path: 'tokens/x.ts', bad: `const a = Date.now();`, good: `const a = clock.now();` },
    { name: 'a new Date() of now', rule: 'only core reads the clock and draws chance', path: 'tokens/x.ts', bad: `const a = new Date();`, good: `const a = new Date(at);` },
    { name: 'chance', rule: 'only core reads the clock and draws chance', path: 'tokens/x.ts', bad: `const a = Math.random();`, good: `const a = Math.floor(b);` },
    { name: 'fetch', rule: 'only outbound, providers and cli call fetch', path: 'attestation/x.ts', bad: `await fetch(url);`, good: `await ports.fetch(url);` },
    { name: 'a client library', rule: 'only outbound, providers and cli hold clients', path: 'attestation/x.ts', bad: `import { request } from 'undici';`, good: `import type { Dispatcher } from 'undici';` },
    { name: 'an SDK loaded late', rule: 'only outbound, providers and cli hold clients', path: 'registry/x.ts', bad: `await import("@aws-sdk/client-sts");`, good: `await import("jose");` },
    { name: 'a socket', rule: 'only outbound, providers, cli and http open sockets', path: 'config/x.ts', bad: `import { isIP, connect as isIPv4 } from 'node:net';`, good: `import { isIP } from 'node:net';` },
    { name: 'policy asking the store', rule: 'policy imports nothing that waits', path: 'policy/x.ts', bad: `import type { Store } from '../store/store.ts';`, good: `import type { Policy } from '../registry/entries.ts';` },
    { name: 'policy reading files', rule: 'policy imports nothing that waits', path: 'policy/x.ts', bad: `import { readFile } from 'node:fs/promises';`, good: `import { ok } from '../core/result.ts';` },
  ];
  test.each(planted)('$name', ({ rule, path, bad, good }) => {
    expect(RULES[rule]?.({ path, text: bad })).toHaveLength(1);
    expect(RULES[rule]?.({ path, text: good })).toEqual([]);
  });
  test('a comment and a string are no breach', () => {
    const text = `// import { a } from '../http/a.ts';\nconst say = "import { a } from '../http/a.ts'; Date.now()";`;
    expect(Object.values(RULES).flatMap((rule) => rule({ path: 'core/x.ts', text }))).toEqual([]);
  });
});
