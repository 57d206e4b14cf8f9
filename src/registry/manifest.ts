import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { EntryKind } from './entries.ts';
import { EXAMPLES } from './fields.ts';
import { problemsOf, unknownKey, wordIssue } from './problem.ts';
import type { Problem } from './problem.ts';
import { domainSchema, issuerSchema, policySchema, resourceSchema, workloadSchema } from './schemas.ts';
import type { DomainEntry, IssuerEntry, PolicyEntry, ResourceEntry, WorkloadEntry } from './schemas.ts';

/** An entry of a manifest with its place, such as `workloads[0]`. */
export interface Item<E> { readonly path: string; readonly entry: E }

/** An entry whose shape is wrong: known to be there, so that what refers to it is not reported as well. */
export interface BrokenItem { readonly kind: EntryKind; readonly domain: string | undefined; readonly name: string | undefined }

export interface Manifest {
  readonly domains: readonly Item<DomainEntry>[];
  readonly issuers: readonly Item<IssuerEntry>[];
  readonly resources: readonly Item<ResourceEntry>[];
  readonly workloads: readonly Item<WorkloadEntry>[];
  readonly policies: readonly Item<PolicyEntry>[];
  readonly broken: readonly BrokenItem[];
}

/** Shape of a manifest (a parsed YAML or JSON document), with every problem at once. References are checked by resolve.ts. */
export const parseManifest = (value: unknown): Result<Manifest, readonly Problem[]> => {
  const { manifest, problems } = readManifest(value);
  return problems.length === 0 ? ok(manifest) : err(problems);
};

/** The entries that have the right shape, and the problems of those that have not: both are needed to tell all at once. */
export const readManifest = (value: unknown): { readonly manifest: Manifest; readonly problems: readonly Problem[] } => {
  const problems: Problem[] = [];
  const broken: BrokenItem[] = [];
  const root = isObject(value) ? value : {};
  if (!isObject(value)) problems.push({ path: '', message: value === null || value === undefined ? 'the manifest is empty' : 'the manifest is not a mapping', mend: `start it with one of ${SECTIONS.join(', ')}` });
  for (const key of Object.keys(root)) if (!SECTIONS.includes(key)) problems.push(unknownKey('', key, SECTIONS));
  const read = <S extends z.ZodType>(section: string, kind: EntryKind, schema: S): Item<z.output<S>>[] => {
    const list = Object.hasOwn(root, section) ? root[section] : undefined;
    if (list === undefined || list === null) return [];
    if (!Array.isArray(list)) {
      problems.push({ path: section, message: 'must be a list', mend: `start each entry of ${section} with a hyphen` });
      return [];
    }
    return list.flatMap((member: unknown, index) => {
      const path = `${section}[${index}]`;
      const parsed = schema.safeParse(member, { error: wordIssue });
      if (parsed.success) return [{ path, entry: parsed.data }];
      problems.push(...problemsOf(parsed.error.issues, path, knownFields(schema), kind === 'issuer' ? ISSUER_EXAMPLES : EXAMPLES));
      broken.push(brokenItem(kind, member));
      return [];
    });
  };
  const manifest: Manifest = {
    domains: read('domains', 'domain', domainSchema),
    issuers: read('issuers', 'issuer', issuerSchema),
    resources: read('resources', 'resource', resourceSchema),
    workloads: read('workloads', 'workload', workloadSchema),
    policies: read('policies', 'policy', policySchema),
    broken,
  };
  return { manifest, problems };
};

const MAX_YAML_LENGTH = 32 * 1024 * 1024;
const MAX_ALIASES = 100;

/** A YAML 1.2 document as plain values; syntax errors with line and column, duplicate keys refused, alias bombs capped. */
export const parseManifestYaml = (text: string): Result<unknown, readonly Problem[]> => {
  if (text.length > MAX_YAML_LENGTH) return err([{ path: '', message: `the manifest is larger than ${MAX_YAML_LENGTH / 1024 / 1024} MiB`, mend: 'split it by trust domain' }]);
  const document = parseDocument(text, { version: '1.2', uniqueKeys: true, merge: false, prettyErrors: true, stringKeys: true });
  // An unresolved tag is only a warning to the library, but its value is not what was written.
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) return err(faults.map((fault) => ({ path: position(fault.linePos), message: firstLine(fault.message), mend: 'correct the YAML at this place' })));
  try {
    return ok(document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown);
  } catch (cause) {
    return err([{ path: '', message: `the YAML cannot be read: ${cause instanceof Error ? firstLine(cause.message) : 'unknown fault'}`, mend: 'write entries out instead of using aliases' }]);
  }
};

const SECTIONS: readonly string[] = ['domains', 'issuers', 'resources', 'workloads', 'policies'];

/** Workloads have these fields too, and mean something else by them. */
const ISSUER_EXAMPLES: ReadonlyMap<string, string> = new Map([...EXAMPLES, ['kind', 'github-actions'], ['issuer', 'https://login.acme.example']]);

const knownFields = (schema: z.ZodType): readonly string[] => [...('shape' in schema && isObject(schema.shape) ? Object.keys(schema.shape) : []), 'rule', 'reason', 'until'];

const brokenItem = (kind: EntryKind, member: unknown): BrokenItem => {
  const field = (name: string): string | undefined => {
    const value = isObject(member) && Object.hasOwn(member, name) ? member[name] : undefined;
    return typeof value === 'string' ? value : undefined;
  };
  return { kind, domain: kind === 'domain' ? undefined : field('domain'), name: field(kind === 'resource' ? 'audience' : 'name') };
};

const position = (at: readonly [{ readonly line: number; readonly col: number }, ...unknown[]] | undefined): string => (at === undefined ? '' : `line ${at[0].line}, column ${at[0].col}`);
const firstLine = (message: string): string => (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
