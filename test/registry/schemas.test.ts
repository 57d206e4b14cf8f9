import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { ATTESTORS } from '../../src/attestation/catalogue.ts';
import { issuerSchemaFor, manifestSchema, resourceSchemaFor } from '../../src/registry/schemas.ts';
import { manifest, providers } from './world.ts';

const json = (schema: z.ZodType): string => JSON.stringify(z.toJSONSchema(schema, { io: 'input' }));

describe('schemas of manifest entries', () => {
  test('can be published as JSON Schema, each field with a description and an example', () => {
    const { $defs: published = {} } = z.toJSONSchema(manifestSchema, { io: 'input' });
    expect(Object.keys(published['Manifest']?.properties ?? {})).toEqual(['domains', 'issuers', 'resources', 'workloads', 'policies']);
    const entries = ['DomainEntry', 'IssuerEntry', 'ResourceEntry', 'WorkloadEntry', 'PolicyEntry'].map((id) => published[id]);
    const fields = entries.flatMap((entry) => Object.entries(entry?.properties ?? {}));
    expect(fields.length).toBeGreaterThan(30);
    expect(fields.filter(([, field]) => typeof field !== 'object' || field.description === undefined || field.examples === undefined).map(([name]) => name)).toEqual([]);
  });

  test.each(ATTESTORS.map(({ kind, options }) => ({ kind, options })))('of an issuer of kind $kind hold its options and nothing unknown', ({ kind, options }) => {
    const schema = issuerSchemaFor(kind, options);
    for (const name of Object.keys(options.shape)) expect(json(schema)).toContain(`"${name}"`);
    expect(schema.safeParse({ ...manifest().issuers[0], kind, issuer: 'https://x.example', organization_id: undefined, unknown: 1 }).success).toBe(false);
  });

  test('of one kind take an entry of that kind only', () => {
    const github = issuerSchemaFor('github-actions', ATTESTORS[1].options);
    expect(github.safeParse(manifest().issuers[0]).success).toBe(true);
    expect(github.safeParse({ ...manifest().issuers[0], kind: 'gitlab-ci' }).success).toBe(false);
  });

  test('of access-token resources need not name the provider', () => {
    const options = z.strictObject({});
    expect(resourceSchemaFor('access-token', options).safeParse(manifest().resources[0]).success).toBe(true);
    expect(resourceSchemaFor('aws-sts', providers.get('aws-sts')?.options ?? options).safeParse(manifest().resources[0]).success).toBe(false);
  });
});
