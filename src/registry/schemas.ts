import { z } from 'zod';
import { AUTHORITY_MODELS, DETAIL_COMPARATORS, ISSUER_PURPOSES, STAGES, WORKLOAD_KINDS } from './entries.ts';
import {
  ALGORITHMS, accept, audience, detailFieldName, detailTypeName, detailValue, domainName, entryName, expires, instancePath, jwks, kindName, match, owner, policyName, scopeToken, trustDomain, url, workloadName,
} from './fields.ts';
import { signalsSchema } from './signals-schema.ts';

/**
 * Manifest entries as they stand in YAML and on the admin API. Issuers and resources carry the options of their kind on
 * the same level; {@link issuerSchemaFor} and {@link resourceSchemaFor} close them for one kind.
 */
const domain = domainName;

const spanOf = (most: number, description: string, example: number) => z.int().min(60).max(most).optional().meta({ description: `${description}, seconds`, examples: [example] });
const DAY_SECONDS = 86_400;
const limitsSchema = z.strictObject({
  depth: z.int().min(0).max(5).optional().meta({ description: 'Hand-overs below the first actor; 5', examples: [3] }),
  session_age: z.strictObject({
    delegated: spanOf(7 * DAY_SECONDS, 'Longest life of a person\'s session; 12 hours', 28_800),
    bounded: spanOf(DAY_SECONDS, 'Longest life of a run\'s session; 12 hours', 43_200),
    autonomous: spanOf(30 * DAY_SECONDS, 'Longest life of a task; 24 hours', 86_400),
  }).optional(),
  fresh_within: z.strictObject({
    delegated: spanOf(DAY_SECONDS, 'How old a person\'s login may be; 12 hours', 28_800),
    autonomous: spanOf(DAY_SECONDS, 'How old the last evidence of an autonomous workload may be; 1 hour', 3_600),
  }).optional(),
}).optional().meta({ description: 'How far and how long authority reaches', examples: [{ depth: 3, fresh_within: { delegated: 28_800 } }] });

export const domainSchema = z.strictObject({
  name: domainName,
  stage: z.enum(STAGES).meta({ description: 'Kind of trust domain; policies can read it. Without an https external URL only development', examples: ['production'] }),
  spiffe: trustDomain.optional(),
  issuer: url('Issuer URL; `<external URL>/<name>`, fixed once stored', 'https://sts.acme.example/prod').optional(),
  limits: limitsSchema,
  owner,
  accept,
}).meta({ id: 'DomainEntry', description: 'Trust domain: a boundary with its own issuer URL, keys, policies and workloads' });

export const issuerSchema = z.looseObject({
  domain,
  name: entryName,
  kind: kindName.meta({ description: 'Attestor kind', examples: ['github-actions'] }),
  proves: z.enum(ISSUER_PURPOSES).default('workloads').meta({ description: 'Whom its tokens stand for', examples: ['workloads'] }),
  issuer: url('Exact `iss` of its tokens; each attestor kind has its default', 'https://token.actions.githubusercontent.com').optional(),
  audience: z.string().min(1).max(1024).regex(/^[!-~]+$/).optional().meta({ description: 'The one `aud` its tokens must have; the domain\'s issuer URL, `<issuer>/admin` for admins', examples: ['https://sts.acme.example/prod'] }),
  audiences: z.array(z.strictObject({
    client_id: z.string().min(1).max(512).regex(/^[!-~]+$/).meta({ description: 'Application at the issuer whose tokens count', examples: ['coding-agent-app'] }),
    presenters: z.array(workloadName).min(1).max(200).meta({ description: 'Workloads that may act with its tokens', examples: [['agents/coder']] }),
  })).min(1).max(100).optional().meta({ description: 'For proves: people. Applications whose tokens count, and who may act with them', examples: [[{ client_id: 'coding-agent-app', presenters: ['agents/coder'] }]] }),
  approver_clients: z.array(z.string().min(1).max(512).regex(/^[!-~]+$/)).min(1).max(20).optional().meta({ description: 'For proves: people. Applications where people log in who approve requests; no workload may hold their tokens', examples: [['approvals-app']] }),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).optional().meta({ description: 'JWS algorithms, fewer than the kind allows', examples: [['RS256']] }),
  replay: z.enum(['once', 'within-session']).optional().meta({ description: 'Whether a token pays for one credential or opens a session that later uses join', examples: ['once'] }),
  jwks,
  signals: signalsSchema,
  allow_addresses: z.array(z.string().min(1).max(64)).max(50).default([]).meta({ description: 'CIDRs beyond public addresses where its keys, and events, may be fetched', examples: [['10.20.0.0/24']] }),
  owner,
  expires,
  accept,
}).meta({ id: 'IssuerEntry', description: 'Trusted issuer: a party whose evidence a trust domain accepts; options of its attestor kind stand beside these fields' });

const detailFieldSchema = z.strictObject({
  compare: z.enum(DETAIL_COMPARATORS).optional().meta({ description: 'How a child\'s value is held against its parent\'s: the same text, some of a list, no larger a number, no higher a path. The common fields of RFC 9396 have their own', examples: ['max'] }),
  values: z.array(detailValue).min(1).max(100).optional().meta({ description: 'The only values there are, for exact and subset', examples: [['EUR', 'USD']] }),
  optional: z.boolean().optional().meta({ description: 'A detail may leave it out, and is then bounded by nothing there', examples: [true] }),
});
const detailsSchema = z.array(z.strictObject({
  type: detailTypeName,
  fields: z.record(detailFieldName, detailFieldSchema).default({}).meta({ description: 'Its fields, by name; no others are understood', examples: [{ actions: {}, amount: { compare: 'max' } }] }),
})).min(1).max(20);

export const resourceSchema = z.looseObject({
  domain,
  audience,
  provider: kindName.default('access-token').meta({ description: 'Credential provider kind', examples: ['access-token'] }),
  scopes: z.array(scopeToken).max(200).default([]).meta({ description: 'Scopes that can be asked for', examples: [['deploy:read', 'deploy:write']] }),
  details: detailsSchema.optional().meta({ description: 'Types of authorization_details that can be asked for (RFC 9396)', examples: [[{ type: 'payment', fields: { actions: { values: ['initiate', 'status'] }, amount: { compare: 'max' }, currency: { compare: 'exact' } } }]] }),
  served_by: z.array(workloadName).max(200).default([]).meta({ description: 'Workloads that may introspect its tokens', examples: [['svc/deploy']] }),
  bound: z.boolean().default(false).meta({ description: 'Refuse exchanges without a DPoP proof', examples: [true] }),
  lifetime: z.int().min(1).max(43_200).optional().meta({ description: 'Life of its credentials in seconds, within the provider\'s limits', examples: [300] }),
  owner,
  expires,
  accept,
}).meta({ id: 'ResourceEntry', description: 'What credentials are for; options of its provider kind stand beside these fields' });

export const workloadSchema = z.strictObject({
  domain,
  name: workloadName,
  kind: z.enum(WORKLOAD_KINDS).meta({ description: 'What it is', examples: ['pipeline'] }),
  authority: z.enum(AUTHORITY_MODELS).meta({ description: 'On whose authority it acts', examples: ['bounded'] }),
  principal: z.strictObject({
    issuer: entryName.meta({ description: 'Issuer that proves people', examples: ['corp'] }),
    sub: z.string().min(1).max(255).regex(/^[ -~]+$/).meta({ description: 'The person\'s `sub` there', examples: ['00u1a2b3'] }),
  }).optional().meta({ description: 'For authority: autonomous. The person who is accountable for it', examples: [{ issuer: 'corp', sub: '00u1a2b3' }] }),
  template: z.strictObject({
    instance: instancePath,
    max_live: z.int().min(1).max(10_000).default(100).meta({ description: 'Instances that may be live at once', examples: [50] }),
  }).optional().meta({ description: 'Makes it a template: whoever matches and is handed authority becomes an instance with a name of its own', examples: [{ instance: '{pod_uid}', max_live: 50 }] }),
  match,
  bound: z.boolean().default(false).meta({ description: 'Refuse its exchanges without a DPoP proof', examples: [true] }),
  owner,
  expires,
  accept,
}).meta({ id: 'WorkloadEntry', description: 'Workload: a registered non-human identity and the evidence that makes it be this one' });

export const policySchema = z.strictObject({
  domain,
  name: policyName,
  cedar: z.string().min(1).max(20_000).meta({ description: 'One Cedar statement', examples: ['permit(principal == Workload::"spiffe://prod.acme.example/ci/deployer", action == Action::"issue", resource == Scope::"https://deploy.acme.example#deploy:write");'] }),
  owner,
  expires: expires.optional().meta({ description: 'Required for a permit; a forbid may not expire', examples: ['2027-05-01'] }),
  accept,
}).meta({ id: 'PolicyEntry', description: 'Policy: one Cedar statement with a name; default deny' });

/** The whole of a manifest file; the order of entries does not matter. */
export const manifestSchema = z.strictObject({
  domains: z.array(domainSchema).optional(),
  issuers: z.array(issuerSchema).optional(),
  resources: z.array(resourceSchema).optional(),
  workloads: z.array(workloadSchema).optional(),
  policies: z.array(policySchema).optional(),
}).meta({ id: 'Manifest', description: 'Registry entries, as `mayfly apply -f` and PUT of the admin API take them' });

export type DomainEntry = z.output<typeof domainSchema>;
export type IssuerEntry = z.output<typeof issuerSchema>;
export type ResourceEntry = z.output<typeof resourceSchema>;
export type WorkloadEntry = z.output<typeof workloadSchema>;
export type DetailTypeEntry = z.output<typeof detailsSchema>[number];
export type PolicyEntry = z.output<typeof policySchema>;
export type Acceptance = NonNullable<DomainEntry['accept']>[number];

const keysOf = (schema: { readonly shape: object }): ReadonlySet<string> => new Set(Object.keys(schema.shape));
const ISSUER_FIELDS = keysOf(issuerSchema);
const RESOURCE_FIELDS = keysOf(resourceSchema);

/** An issuer entry's fields that belong to its attestor kind. */
export const issuerOptions = (entry: object): Record<string, unknown> => without(entry, ISSUER_FIELDS);
/** A resource entry's fields that belong to its provider kind. */
export const resourceOptions = (entry: object): Record<string, unknown> => without(entry, RESOURCE_FIELDS);

/** A kind's options schema that refuses unknown fields, and the names it knows. */
export const closeOptions = (options: z.ZodType): { readonly schema: z.ZodType; readonly known: readonly string[] } =>
  options instanceof z.ZodObject ? { schema: options.strict(), known: Object.keys(options.shape) } : { schema: options, known: [] };

/** The schema of an issuer entry of one kind, for OpenAPI. */
export const issuerSchemaFor = (kind: string, options: z.ZodType): z.ZodType => closeFor(issuerSchema.shape, { kind: z.literal(kind) }, options);
/** The schema of a resource entry of one provider, for OpenAPI; the provider `access-token` may be left out. */
export const resourceSchemaFor = (kind: string, options: z.ZodType): z.ZodType =>
  closeFor(resourceSchema.shape, { provider: kind === 'access-token' ? z.literal(kind).default(kind) : z.literal(kind) }, options);

const closeFor = (common: z.ZodRawShape, kind: z.ZodRawShape, options: z.ZodType): z.ZodType =>
  z.strictObject({ ...common, ...kind, ...(options instanceof z.ZodObject ? (options.shape as z.ZodRawShape) : {}) });

const without = (entry: object, fields: ReadonlySet<string>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(entry).filter(([name]) => !fields.has(name)));
