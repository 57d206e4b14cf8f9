import { z } from 'zod';
import { TRUST_DOMAIN_PATTERN } from '../core/ids.ts';

/**
 * The fields of manifest entries. Nothing here transforms: what was checked is what is stored and compared.
 * Descriptions and examples are what the OpenAPI page and the mends of problems show.
 */
const described = <S extends z.ZodType>(schema: S, description: string, example: unknown): S => schema.meta({ description, examples: [example] });

// No control characters: names and owners are printed on terminals and written to logs. No halves of surrogate pairs: they are no text.
const PRINTABLE = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u;
const text = (max: number): z.ZodString => z.string().min(1).max(max).regex(PRINTABLE);

/** Also an attribute of policies and the end of an issuer URL. Undefined shape errors are told by {@link wordIssue}. */
export const domainName = described(z.string().min(1).max(64), 'Trust domain: lower-case letters, digits and hyphens, at most 31 characters', 'prod');
export const DOMAIN_NAME_PATTERN = /^[a-z][a-z0-9-]{0,30}$/;

export const owner = described(text(200), 'Contact for this entry, such as a mail address or a team. Gives no authority', 'platform@acme.example');

const DATE = z.regexes.date;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,3})?Z$/;
const isTime = (written: string): boolean => DATE.test(written.slice(0, 10)) && (written.length === 10 || (written[10] === 'T' && TIME.test(written.slice(11))));
const timeText = z.string().max(24).refine(isTime, { error: 'is not a date of the calendar or a UTC time' });

/** Milliseconds of a checked date (its first moment, UTC) or UTC date-time. */
export const timeOf = (written: string): number => Date.parse(written);

/** One way to write one moment, so that the same time written otherwise is no change: midnight as a date, no empty fractions. */
export const canonicalTime = (written: string): string =>
  written.replace(/\.(\d*?)0*Z$/, (_, fraction: string) => (fraction === '' ? 'Z' : `.${fraction}Z`)).replace(/T00:00:00Z$/, '');

export const expires = described(timeText, 'When the entry stops counting: a date (its first moment, UTC) or a UTC date-time', '2027-11-22');

export const accept = described(
  z.array(z.strictObject({
    rule: described(text(64), 'Lint rule that is accepted for this entry', 'wildcard'),
    reason: described(text(500), 'Why', 'every branch of this repository is protected'),
    until: described(timeText, 'After this moment the finding counts again', '2027-05-01'),
  })).max(20).optional(),
  'Lint findings accepted for this entry, each with a reason and an end',
  [{ rule: 'wildcard', reason: 'every branch of this repository is protected', until: '2027-05-01' }],
);

export const trustDomain = described(z.string().regex(TRUST_DOMAIN_PATTERN), 'SPIFFE trust domain name; fixed once stored', 'prod.acme.example');
export const url = (description: string, example: string): z.ZodString => described(text(1024), description, example);
export const entryName = described(z.string().regex(/^[a-z][a-z0-9-]{0,62}$/), 'Name: lower-case letters, digits and hyphens', 'github');
export const policyName = described(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/), 'Name, also the id that decisions cite: lower-case letters, digits, dots, hyphens', 'deployer-deploys');
// A path of a SPIFFE ID (SPIFFE-ID section 2.2); `.` and `..` segments are refused where the id is made.
export const workloadName = described(z.string().max(200).regex(/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/), 'Name, the path of its SPIFFE ID', 'ci/deployer');
/** Whole segments only: with two attributes in one segment, `a-b` and `c` would be called as `a` and `b-c`. */
export const instancePath = described(z.string().max(200).regex(/^(?:[A-Za-z0-9._-]+|\{[a-z][a-z0-9_]*\})(?:\/(?:[A-Za-z0-9._-]+|\{[a-z][a-z0-9_]*\}))*$/), 'Name of an instance below the template\'s: segments that are words, or in braces an attribute that is immutable', '{namespace}/{pod_uid}');
export const kindName = described(z.string().regex(/^[a-z][a-z0-9-]{0,40}$/), 'Kind of the plug-in', 'github-actions');

// No `#`: a scope's id in policies is `<audience>#<scope>`, and RFC 8707 section 2 forbids a fragment anyway.
export const audience = described(z.string().min(1).max(1024).regex(/^[!-"$-~]+$/), 'Audience, or the provider\'s name of the target: printable ASCII without spaces and "#"', 'https://deploy.acme.example');

/** scope-token of RFC 6749 section 3.3. */
export const scopeToken = described(z.string().max(200).regex(/^[!#-[\]-~]+$/), 'Scope (RFC 6749 section 3.3)', 'deploy:write');

/** Asymmetric JWS algorithms (RFC 7518 section 3.1, RFC 8037, RFC 9864); a symmetric one would make the issuer's public key a secret. */
export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const;

/** A type of `authorization_details` (RFC 9396 section 2.1): text, or a URI. */
export const detailTypeName = described(z.string().max(256).regex(/^[!#-[\]-~]+$/), 'Type of authorization_details', 'payment');
/** Not `__proto__`, and nothing that would have to be quoted. */
export const detailFieldName = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/);
export const detailValue = z.string().max(512).regex(/^(?! )[^\p{C}\p{Zl}\p{Zp}]+(?<! )$/u);

const matchText = z.string().min(1).max(1024);
export const match = z.object({ issuer: entryName })
  .catchall(z.union([matchText, z.array(z.union([matchText, z.number(), z.boolean()])).min(1).max(100), z.number(), z.boolean()]))
  .meta({
    description: 'Which evidence is this workload: the issuer\'s name, then attributes with the allowed value or a list of them. `*` in text stands for anything but "/" and ":"',
    examples: [{ issuer: 'github', repository_id: '815', ref: 'refs/heads/main', event_name: ['push', 'workflow_dispatch'] }],
  });

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'];
const publicJwk = z.looseObject({ kty: z.enum(['EC', 'RSA', 'OKP']) })
  .refine((key) => !PRIVATE_MEMBERS.some((member) => Object.hasOwn(key, member)), { error: 'holds private key members', params: { mend: 'pin public keys only, and treat this private key as leaked' } });

export const jwks = described(z.strictObject({ keys: z.array(publicJwk).min(1).max(50) }).optional(), 'Pinned public keys (RFC 7517 section 5): no network is used for this issuer', { keys: [{ kty: 'EC', crv: 'P-256', kid: '1', x: '...', y: '...' }] });

/** One example per field name, for mends. */
export const EXAMPLES: ReadonlyMap<string, string> = new Map([
  ['domain', 'prod'], ['name', 'ci/deployer'], ['stage', 'production'], ['owner', 'platform@acme.example'], ['expires', '2027-11-22 (or 2027-11-22T10:00:00Z, UTC)'],
  ['until', '2027-05-01 (or 2027-05-01T10:00:00Z, UTC)'], ['rule', 'wildcard'], ['reason', '"every branch is protected"'], ['spiffe', 'prod.acme.example'], ['issuer', 'github'],
  ['audience', 'https://deploy.acme.example'], ['scopes', '[deploy:read, deploy:write]'], ['served_by', '[svc/deploy]'], ['lifetime', '300'], ['bound', 'true'],
  ['transmitter', 'https://idp.acme.example'], ['jwks_uri', 'https://idp.acme.example/ssf/jwks.json'], ['endpoint', 'https://idp.acme.example/ssf/poll'],
  ['provider', 'access-token'], ['template', '{ instance: "{pod_uid}", max_live: 50 }'], ['instance', '"{pod_uid}"'], ['max_live', '50'], ['details', '[{ type: payment, fields: { amount: { compare: max } } }]'], ['fields', '{ amount: { compare: max } }'], ['values', '[EUR, USD]'], ['type', 'payment'], ['allow_addresses', '[10.20.0.0/24]'], ['match', '{ issuer: github, repository_id: "815", ref: refs/heads/main }'],
  ['cedar', '\'permit(principal == Workload::"...", action == Action::"issue", resource == Scope::"...");\''],
]);
