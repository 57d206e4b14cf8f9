import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { ATTESTORS, attestorCatalogue, createAttestorCatalogue } from '../../src/attestation/catalogue.ts';
import type { AttributeSpec } from '../../src/attestation/attributes.ts';
import { githubActions } from '../../src/attestation/attestors/github-actions.ts';
import { gitlabCi } from '../../src/attestation/attestors/gitlab-ci.ts';
import { oidc } from '../../src/attestation/attestors/oidc.ts';

describe('attestor catalogue', () => {
  test('throws when a kind is listed twice, before anything is configured', () => {
    expect(() => createAttestorCatalogue([...ATTESTORS, { ...oidc }])).toThrow('listed twice: oidc');
    expect(createAttestorCatalogue(ATTESTORS).kinds).toEqual(['oidc', 'github-actions', 'gitlab-ci']);
  });

  test.each(['aws-iid', 'OIDC', '', 'constructor', '__proto__'])('knows no kind %j', (kind) => {
    expect(attestorCatalogue.find(kind)).toBeUndefined();
    expect(attestorCatalogue.find('oidc')?.kind).toBe('oidc');
  });

  test.each(ATTESTORS.map(({ kind }) => ({ kind })))('$kind has its file, test and page', ({ kind }) => {
    for (const path of [`src/attestation/attestors/${kind}.ts`, `test/attestation/attestors/${kind}.test.ts`, `docs/attestors/${kind}.md`]) expect([path, existsSync(path)]).toEqual([path, true]);
  });

  test.each(ATTESTORS.map((attestor) => ({ attestor })))('$attestor.kind has options that OpenAPI can show and that parse to themselves', ({ attestor }) => {
    const once = attestor.options.parse(attestor.kind === 'github-actions' ? { organization_id: '1' } : {});
    expect(z.toJSONSchema(attestor.options, { io: 'output' })).toMatchObject({ type: 'object' });
    expect(attestor.options.parse(once)).toEqual(once);
  });

  test.each(ATTESTORS.map((attestor) => ({ attestor })))('$attestor.kind allows no symmetric algorithm and caps lifetimes', ({ attestor }) => {
    const options = attestor.options.parse(attestor.kind === 'github-actions' ? { organization_id: '1' } : {});
    const { algorithms, maxLifetime } = attestorCatalogue.find(attestor.kind)?.profile(options) ?? { algorithms: ['none'], maxLifetime: Infinity };
    expect(algorithms.filter((alg) => /^(?:HS|none)/i.test(alg))).toEqual([]);
    expect(maxLifetime).toBeLessThanOrEqual(3600);
  });
});

/** Fields every issuer entry has, whatever its kind. */
const SHARED_FIELDS = new Set(['domain', 'name', 'kind', 'proves', 'issuer', 'replay', 'owner', 'expires']);

describe('attestor pages', () => {
  const rowOf = (name: string, { type, immutable, required, doc }: AttributeSpec): string => `| \`${name}\` | ${type} | ${immutable ? 'yes' : 'no'} | ${required ? 'yes' : 'no'} | ${doc} |`;

  test.each([
    { kind: 'github-actions', table: githubActions.attributeTable() },
    { kind: 'gitlab-ci', table: gitlabCi.attributeTable() },
  ])('the page of $kind lists every attribute as the table has it', ({ kind, table }) => {
    const page = readFileSync(`docs/attestors/${kind}.md`, 'utf8');
    const missing = Object.entries(table).map(([name, spec]) => rowOf(name, spec)).filter((row) => !page.includes(row));
    expect(missing).toEqual([]);
  });

  test.each(ATTESTORS.map((attestor) => ({ kind: attestor.kind, fields: Object.keys(attestor.options.shape) })))('the page of $kind tells of each field', ({ kind, fields }) => {
    const page = readFileSync(`docs/attestors/${kind}.md`, 'utf8');
    expect(fields.filter((field) => !page.includes(`| \`${field}\` |`))).toEqual([]);
  });

  test.each(ATTESTORS.map((attestor) => ({ attestor })))('the entry on the page of $attestor.kind is one its schema takes', ({ attestor }) => {
    const example = /```yaml\n(issuers:\n[^]*?)```/.exec(readFileSync(`docs/attestors/${attestor.kind}.md`, 'utf8'))?.[1] ?? '';
    const { issuers: [entry] } = parse(example);
    const block = Object.fromEntries(Object.entries(entry as object).filter(([field]) => !SHARED_FIELDS.has(field)));
    expect(attestor.options.safeParse(block)).toMatchObject({ success: true });
    expect(attestor.issuerAllowed(entry.issuer ?? attestorCatalogue.find(attestor.kind)?.defaultIssuer)).toBeUndefined();
  });
});
