import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { docTables, withTable } from '../scripts/doc-tables.ts';
import { ATTESTORS } from '../src/attestation/catalogue.ts';
import { loadServerConfig } from '../src/config/load.ts';
import { parseServerConfig, serverConfigSchema } from '../src/config/server-config.ts';
import { LINT_RULES } from '../src/registry/lint-rules.ts';
import { domainSchema, issuerSchema, policySchema, resourceSchema, workloadSchema } from '../src/registry/schemas.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { runCli } from './cli/harness.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const filesIn = (folder: string, ending: string): readonly string[] => readdirSync(join(root, folder), { recursive: true }).map(String).filter((name) => name.endsWith(ending)).map((name) => join(folder, name)).sort();
const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...filesIn('docs', '.md')];

interface Block { readonly page: string; readonly language: string; readonly text: string }
const blocks: readonly Block[] = pages.flatMap((page) => [...read(page).matchAll(/^( *)```(\w*)[^\n]*\n([^]*?)^ *```$/gm)].map(([, indent = '', language = '', text = '']) => ({ page, language, text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), '') })));
const blocksOf = (...languages: readonly string[]): readonly Block[] => blocks.filter(({ language }) => languages.includes(language));

/** As GitHub names the headings of a page. */
const anchors = (page: string): readonly string[] => [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));

describe.each(pages.map((page) => ({ page })))('$page', ({ page }) => {
  test('links to pages and headings that exist', () => {
    const prose = read(page).replaceAll(/^ *```[^]*?^ *```$/gm, '');
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target));
    const broken = links.filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      return !existsSync(join(root, file)) || (anchor !== undefined && !anchors(file).includes(anchor));
    });
    expect(broken).toEqual([]);
  });
});

test('every page of docs/ can be reached from the README', () => {
  const reached = new Set<string>(['README.md']);
  for (const page of reached) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s#]+\.md)/g)) if (!/^[a-z]+:/.test(target)) reached.add(join(dirname(page), target));
  }
  // Decisions are found by those who look for them, beside the one the README names.
  expect(pages.filter((page) => page.startsWith('docs/') && !page.startsWith('docs/decisions/') && !reached.has(page))).toEqual([]);
});

describe('docs/exchange.md', () => {
  const page = read('docs/exchange.md');

  test('has the steps of exchange.ts, by their names and in their order', () => {
    const steps = [...read('src/exchange/exchange.ts').matchAll(/^ {2,4}\/\/ (.+)$/gm)].map(([, step]) => step);
    const headings = [...page.matchAll(/^### \d+\. (.+)$/gm)].map(([, heading]) => heading);
    expect(steps.length).toBeGreaterThan(5);
    expect(headings).toEqual(steps);
  });

  test('names files that exist, and every file of the exchange', () => {
    const named = [...page.matchAll(/`(src\/[^`]+)`/g)].map(([, path = '']) => path);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(filesIn('src/exchange', '.ts').filter((path) => !named.includes(path))).toEqual([]);
  });

  test('lists every cache that is made', () => {
    const caches = filesIn('src', '.ts').filter((path) => !path.includes('generated') && read(path).includes('new LRUCache'));
    expect(caches.filter((path) => !page.includes(`\`${path}\``))).toEqual([]);
  });
});

test.each([...docTables()].map(([name, table]) => ({ name, table })))('docs/$name has the table that follows from the code (npm run doc-tables)', ({ name, table }) => {
  const page = read(`docs/${name}`);
  expect(page).toBe(withTable(page, table));
});

test('docs tell of every attestor by a page of its own', () => {
  expect(ATTESTORS.map(({ kind }) => `docs/attestors/${kind}.md`).filter((page) => !existsSync(join(root, page)))).toEqual([]);
});

describe('docs/operations.md', () => {
  const page = read('docs/operations.md');
  const rows = new Map([...page.matchAll(/^\| `([a-z_.]+)` \| ([^|]+) \|/gm)].map(([, field = '', value = '']) => [field, value.trim()]));
  const fieldsOf = (schema: z.core.$ZodType, path = ''): readonly string[] => {
    const { properties } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as { properties: Record<string, { properties?: Record<string, unknown> }> };
    return Object.entries(properties).flatMap(([name, field]) => (field.properties === undefined ? [path + name] : Object.keys(field.properties).map((inner) => `${path}${name}.${inner}`)));
  };
  const fields = fieldsOf(serverConfigSchema);

  test('tells of every field of the configuration, and of no other', () => {
    expect([...rows.keys()].filter((field) => !field.startsWith('mayfly_'))).toEqual(fields);
  });

  test('tells the defaults as they are', () => {
    const parsed = parseServerConfig({});
    if (!parsed.ok) throw new Error('the empty configuration is refused');
    const shown = [...rows].filter(([, value]) => /^`[^`/]+`$/.test(value) && !value.includes(':')).map(([field, value]) => [field, value.slice(1, -1)] as const);
    const actual = (field: string): unknown => field.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], parsed.value);
    expect(shown.length).toBeGreaterThanOrEqual(7);
    expect(shown.map(([field]) => [field, String(actual(field))])).toEqual(shown.map(([field, value]) => [field, value]));
    expect(parsed.value.listen).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 8420 });
  });

  test('tells of every variable the server reads', () => {
    const variables = [...read('src/config/load.ts').matchAll(/'(MAYFLY_[A-Z_]+|DATABASE_URL)'/g)].map(([, name = '']) => name);
    expect(variables.length).toBeGreaterThan(8);
    expect(variables.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
  });

  test('tells of every metric', async () => {
    const metrics = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name).filter((name) => name.startsWith('mayfly_'));
    expect(metrics.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
    expect([...page.matchAll(/mayfly_[a-z_]+/g)].map(([name]) => name).filter((name) => !metrics.includes(name))).toEqual([]);
  });
});

describe('config/', () => {
  test.each(readdirSync(join(root, 'config')).filter((name) => name.startsWith('server-')).map((name) => ({ name })))('$name is a configuration the server takes', ({ name }) => {
    expect(loadServerConfig({ file: join(root, 'config', name), env: {} })).toMatchObject({ ok: true });
  });
});

describe('examples', () => {
  const SECTIONS = { domains: domainSchema, issuers: issuerSchema, resources: resourceSchema, workloads: workloadSchema, policies: policySchema };
  const entries = [...blocksOf('yaml'), ...filesIn('config/examples', '.yaml').map((page) => ({ page, text: read(page) }))].flatMap(({ page, text }) => parseAllDocuments(text, { uniqueKeys: false }).flatMap((document) => {
    expect({ page, errors: document.errors.map(({ message }) => message) }).toEqual({ page, errors: [] });
    const value = document.toJS() as unknown;
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(SECTIONS).flatMap(([section, schema]) => ((value as Record<string, readonly unknown[]>)[section] ?? []).map((entry) => ({ page, section, schema, entry })));
  }));

  test('in YAML can be registered', () => {
    expect(entries.length).toBeGreaterThan(20);
    const refused = entries.flatMap(({ page, section, schema, entry }) => {
      const parsed = schema.safeParse(entry);
      return parsed.success ? [] : [`${page} ${section}: ${z.prettifyError(parsed.error)}`];
    });
    expect(refused).toEqual([]);
  });

  test('in JSON are JSON', () => {
    expect(blocksOf('json').length).toBeGreaterThan(2);
    for (const { text } of blocksOf('json')) JSON.parse(text);
  });

  test('accept lint rules that exist', () => {
    const accepted = entries.flatMap(({ entry }) => (entry as { accept?: readonly { rule: string }[] }).accept ?? []).map(({ rule }) => rule);
    expect(accepted.length).toBeGreaterThan(0);
    expect(accepted.filter((rule) => !(rule in LINT_RULES))).toEqual([]);
  });

  test('of commands name commands and flags that exist', async () => {
    const prose = pages.flatMap((page) => [...read(page).matchAll(/`(mayfly [^`]+)`/g)].map(([, line = '']) => ({ page, line })));
    const scripts = blocksOf('sh', 'yaml').flatMap(({ page, text }) => [...text.replaceAll('\\\n', ' ').matchAll(/(?:^|[=(] ?|run: |- )(mayfly [a-z-][^\n]*)/gm)].map(([, line = '']) => ({ page, line })));
    const helps = new Map<string, string>();
    const helpOf = async (path: readonly string[]): Promise<string> => {
      const key = path.join(' ');
      const known = helps.get(key) ?? (await runCli([...path, '--help'])).out;
      helps.set(key, known);
      return known;
    };
    const wrong: string[] = [];
    for (const { page, line } of [...prose, ...scripts]) {
      const [own = ''] = line.split(' -- ');
      const words = own.replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT').split(/[\s)|;>]+/).slice(1);
      const path: string[] = [];
      let help = await helpOf([]);
      for (const word of words.filter((candidate, at) => /^[a-z][a-z-]*$/.test(candidate) && !/^--?[a-z-]+$/.test(words[at - 1] ?? ''))) {
        if (!new RegExp(`^ {2}${word}\\b`, 'm').test(help.split('Commands:')[1] ?? '')) break;
        path.push(word);
        help = await helpOf(path);
      }
      const flags = words.filter((word) => /^--?[a-z]/.test(word)).map((flag) => flag.split('=')[0] ?? flag);
      const unfinished = help.includes('Commands:') && !flags.includes('--version');
      if (unfinished) wrong.push(`${page}: ${line}: no such command`);
      for (const flag of flags) if (!new RegExp(`(^|[ ,])${flag}\\b`, 'm').test(help)) wrong.push(`${page}: ${line}: no ${flag}`);
    }
    expect(prose.length + scripts.length).toBeGreaterThan(60);
    expect(wrong).toEqual([]);
  });
});

test('no page names this machine', () => {
  const folders = [root.replace(/\/$/, ''), process.env['HOME'] ?? root].filter((folder) => folder.length > 2 && folder !== '/root');
  expect(pages.filter((page) => folders.some((folder) => read(page).includes(folder))).map((page) => relative(root, page))).toEqual([]);
});
