import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { ATTESTORS, attestorCatalogue, createAttestorCatalogue } from '../../src/attestation/catalogue.ts';
import type { AttributeSpec } from '../../src/attestation/attributes.ts';
import { oidc } from '../../src/attestation/attestors/oidc.ts';

/** Fields every issuer entry has, whatever its kind. */
const SHARED_FIELDS = new Set(['domain', 'name', 'kind', 'proves', 'issuer', 'replay', 'owner', 'expires']);

const pageOf = (kind: string): string => readFileSync(`docs/attestors/${kind}.md`, 'utf8');
/** The entry that the kind's page shows first. */
const entryOf = (kind: string): Readonly<Record<string, unknown>> => {
  const { issuers: [entry] } = parse(/```yaml\n(issuers:\n[^]*?)```/.exec(pageOf(kind))?.[1] ?? '') as { readonly issuers: readonly [Readonly<Record<string, unknown>>] };
  return entry;
};
/** Its fields that are the kind's own. */
const ownBlock = (kind: string): object => Object.fromEntries(Object.entries(entryOf(kind)).filter(([field]) => !SHARED_FIELDS.has(field)));

describe('attestor catalogue', () => {
  test('throws when a kind is listed twice, before anything is configured', () => {
    expect(() => createAttestorCatalogue([...ATTESTORS, { ...oidc }])).toThrow('listed twice: oidc');
    expect(createAttestorCatalogue(ATTESTORS).kinds).toEqual(expect.arrayContaining(['oidc', 'github-actions', 'gitlab-ci']));
  });

  test.each(['aws-iid', 'OIDC', '', 'constructor', '__proto__'])('knows no kind %j', (kind) => {
    expect(attestorCatalogue.find(kind)).toBeUndefined();
    expect(attestorCatalogue.find('oidc')?.kind).toBe('oidc');
  });

  test.each(ATTESTORS.map(({ kind }) => ({ kind })))('$kind has its file, test and page', ({ kind }) => {
    for (const path of [`src/attestation/attestors/${kind}.ts`, `test/attestation/attestors/${kind}.test.ts`, `docs/attestors/${kind}.md`]) expect([path, existsSync(path)]).toEqual([path, true]);
  });

  test.each(ATTESTORS.map((attestor) => ({ attestor })))('$attestor.kind has options that OpenAPI can show and that parse to themselves', ({ attestor }) => {
    const once = attestor.options.parse(ownBlock(attestor.kind));
    expect(z.toJSONSchema(attestor.options, { io: 'output' })).toMatchObject({ type: 'object' });
    expect(attestor.options.parse(once)).toEqual(once);
  });

  test.each(ATTESTORS.map((attestor) => ({ attestor })))('$attestor.kind allows no symmetric algorithm and caps lifetimes', ({ attestor }) => {
    const options = attestor.options.parse(ownBlock(attestor.kind));
    const { algorithms, maxLifetime } = attestorCatalogue.find(attestor.kind)?.profile(options) ?? { algorithms: ['none'], maxLifetime: Infinity };
    expect(algorithms.filter((alg) => /^(?:HS|none)/i.test(alg))).toEqual([]);
    expect(maxLifetime).toBeLessThanOrEqual(3600);
  });
});

describe('attestor pages', () => {
  const rowOf = (name: string, { type, immutable, required, doc }: AttributeSpec): string => `| \`${name}\` | ${type} | ${immutable ? 'yes' : 'no'} | ${required ? 'yes' : 'no'} | ${doc} |`;

  // What `oidc` yields follows from each entry's mapping; a token of another domain yields a chain, and no attributes.
  test.each(ATTESTORS.map(({ kind }) => ({ kind })).filter(({ kind }) => kind !== 'oidc' && kind !== 'mayfly'))('the page of $kind lists every attribute as the table has it', ({ kind }) => {
    const attestor = attestorCatalogue.find(kind);
    const rows = Object.entries(attestor?.attributeTable(attestor.options.parse(ownBlock(kind))) ?? {}).map(([name, spec]) => rowOf(name, spec));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => !pageOf(kind).includes(row))).toEqual([]);
  });

  test.each(ATTESTORS.map((attestor) => ({ kind: attestor.kind, fields: Object.keys(attestor.options.shape) })))('the page of $kind tells of each field', ({ kind, fields }) => {
    const page = pageOf(kind);
    expect(fields.filter((field) => !page.includes(`| \`${field}\` |`))).toEqual([]);
  });

  test.each(ATTESTORS.map((attestor) => ({ attestor })))('the entry on the page of $attestor.kind is one its schema takes', ({ attestor }) => {
    const { issuer } = entryOf(attestor.kind);
    expect(attestor.options.safeParse(ownBlock(attestor.kind))).toMatchObject({ success: true });
    expect(attestor.issuerAllowed(typeof issuer === 'string' ? issuer : attestorCatalogue.find(attestor.kind)?.defaultIssuer ?? '')).toBeUndefined();
  });
});
