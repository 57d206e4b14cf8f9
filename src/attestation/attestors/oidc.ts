import { z } from 'zod';
import { refusal } from '../../core/refusal.ts';
import { err } from '../../core/result.ts';
import type { AttributeSpec, AttributeTable } from '../attributes.ts';
import type { Attestor } from '../attestor.ts';
import { problemOfIssuerUrl } from '../issuer-url.ts';
import { claimAt, readAttributes } from '../read-attributes.ts';
import type { ClaimPath, Reading } from '../read-attributes.ts';

const TYPES = { string: 'String', number: 'Long', boolean: 'Bool', list: 'Set<String>' } as const satisfies Record<string, AttributeSpec['type']>;

interface Mapping { readonly claim: ClaimPath; readonly immutable: boolean; readonly type: keyof typeof TYPES; readonly required: boolean }
type Scalar = string | number | boolean;

export interface OidcOptions {
  readonly claims: Readonly<Record<string, Mapping>>;
  readonly require: Readonly<Record<string, readonly Scalar[]>>;
  readonly discriminator?: { readonly claim: string; readonly value: string } | undefined;
  readonly anchor?: ClaimPath | undefined;
  readonly types: readonly string[];
  readonly replay_key: 'jti' | 'hash';
  readonly max_lifetime: number;
}

const claimName = z.string().min(1).max(256);
const claimPath = z.union([claimName, z.array(claimName).min(1).max(8)]).describe('A literal claim name, or a list of member names leading into nested claims');
const scalar = z.union([z.string(), z.int(), z.boolean()]);

const mapping = z.strictObject({
  claim: claimPath,
  immutable: z.boolean().default(false).describe('The issuer never gives this value to anybody else'),
  type: z.enum(['string', 'number', 'boolean', 'list']).default('string'),
  required: z.boolean().default(false).describe('Refuse tokens without it'),
});

/** `issuer` is the word a match rule names the entry with. */
const attributeName = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be lower case letters, digits and _').refine((name) => name !== 'issuer', 'issuer is taken: match rules name the trusted issuer with it');

const options = z.strictObject({
  claims: z.record(attributeName, mapping).default({}).describe('Attributes and the claims they are read from'),
  require: z.record(claimName, z.array(scalar).min(1)).default({}).describe('Claims that must have one of these values; of a list, one member must'),
  discriminator: z.strictObject({ claim: claimName, value: z.string().min(1) }).optional().describe('Tells entries with one issuer URL apart'),
  anchor: claimPath.optional().describe('The claim that names the run a session stands for'),
  types: z.array(z.string().max(64)).min(1).default(['', 'jwt']).describe('Accepted typ headers; the empty string means absent'),
  replay_key: z.enum(['jti', 'hash']).default('hash').describe('jti: tokens without one are refused'),
  max_lifetime: z.int().min(30).max(86_400).default(3_600).describe('Longest exp - iat in seconds'),
});

/** Platforms whose tokens need rules this kind does not have. */
const OWN_KINDS: readonly (readonly [RegExp, string])[] = [
  [/^https:\/\/token\.actions\.(?:githubusercontent\.com|[a-z0-9-]+\.ghe\.com)(?:\/|$)/, 'github-actions'],
  [/^https:\/\/gitlab\.com(?:\/|$)/, 'gitlab-ci'],
];

/** Any OpenID provider whose tokens need no rules but those written down in the entry: mapping and requirements are data. */
export const oidc = {
  kind: 'oidc',
  options,
  issuerAllowed: (issuer) => {
    const kind = OWN_KINDS.find(([pattern]) => pattern.test(issuer))?.[1];
    return kind === undefined ? problemOfIssuerUrl(issuer) : `must be an entry of kind ${kind}, which knows the rules of this platform`;
  },
  attributeTable: ({ claims }): AttributeTable => Object.fromEntries(Object.entries(claims).map(([name, mapped]) => [name, specOf(mapped)])),
  profile: ({ types, max_lifetime, replay_key }) => ({ algorithms: ['RS256'], types: types.map((type) => type.toLowerCase()), requiredClaims: [], maxLifetime: max_lifetime, replay: 'once', replayKey: replay_key }),
  discriminator: ({ discriminator }) => discriminator,

  attributes(verified, { claims, require }) {
    const unmet = Object.entries(require).find(([name, allowed]) => !holdsOneOf(claimAt(verified, name), allowed));
    if (unmet !== undefined) return err(refusal('evidence_rule_failed', `${unmet[0]} has none of the required values`));
    return readAttributes(verified, readingsOf(claims));
  },

  /** A token without the claim gets a session of its own (its replay key). */
  anchor(_attributes, verified, { anchor }) {
    const value = anchor === undefined ? undefined : claimAt(verified, anchor);
    return (typeof value === 'string' && value !== '') || typeof value === 'number' ? String(value) : undefined;
  },
} as const satisfies Attestor<OidcOptions>;

const specOf = ({ claim, immutable, type, required }: Mapping): AttributeSpec =>
  ({ immutable, type: TYPES[type], required, doc: `claim ${typeof claim === 'string' ? claim : claim.join(' > ')}` });

const readingsOf = (claims: OidcOptions['claims']): readonly Reading[] => Object.entries(claims).map(([name, mapped]) => ({ name, claim: mapped.claim, spec: specOf(mapped) }));

/** Same type, same value; a missing claim holds nothing. */
const holdsOneOf = (value: unknown, allowed: readonly Scalar[]): boolean => (Array.isArray(value) ? value : [value]).some((member) => allowed.some((wanted) => wanted === member));
