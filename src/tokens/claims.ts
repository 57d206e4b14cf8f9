import { seconds } from '../core/clock.ts';
import { parseId, parseSessionId, parseSpiffeId } from '../core/ids.ts';
import type { LeaseId, SessionId, SpiffeId } from '../core/ids.ts';
import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { StatusClaim } from './status-list.ts';
import type { CeilingPair } from '../store/rows.ts';

/** One link of the actor chain, outermost first (RFC 8693 section 4.1). */
export interface ActClaim { readonly iss: string; readonly sub: string; readonly act?: ActClaim }

/** Who may take this token over (RFC 8693 section 4.4). */
export interface MayActClaim { readonly iss: string; readonly sub: string }

/** The one private claim: whose authority it is and how far it was handed on. */
export interface AuthorityClaim {
  readonly model: string;
  readonly principal: string;
  readonly depth: number;
  /** Only where authority leaves for another domain: those it has passed, the first one first, with their stages. */
  readonly domains?: readonly DomainClaim[];
}
export interface DomainClaim { readonly iss: string; readonly stage: string }

/** The claims of every access token of ours (RFC 9068 section 2.2). */
export interface TokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string;
  readonly exp: number;
  readonly iat: number;
  readonly jti: LeaseId;
  readonly client_id: SpiffeId;
  readonly scope?: string;
  readonly act?: ActClaim;
  readonly may_act?: MayActClaim;
  readonly cnf?: { readonly jkt: string };
  readonly authorization_details?: readonly JsonObject[];
  readonly auth_time?: number;
  readonly acr?: string;
  /** Where a verifier that stays offline learns what became of it; every token that is signed has one. */
  readonly status?: StatusClaim;
  readonly sid: SessionId;
  readonly authority: AuthorityClaim;
}

/** What both kinds of token are built from. Times are milliseconds; undefined members leave no claim. */
export interface TokenFacts {
  readonly issuer: string;
  readonly leaseId: LeaseId;
  readonly sessionId: SessionId;
  readonly clientId: SpiffeId;
  readonly subject: string;
  readonly act: ActClaim | undefined;
  readonly mayAct: MayActClaim | undefined;
  readonly jkt: string | undefined;
  readonly authorizationDetails: readonly JsonObject[] | undefined;
  readonly authTime?: number | undefined;
  readonly acr?: string | undefined;
  readonly status: StatusClaim;
  readonly authority: AuthorityClaim;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export const MAX_TOKEN_SECONDS = 3600;
export const MAX_ACT_DEPTH = 5;
export const CEILING_TYPE = 'urn:mayfly:ceiling';

/** A ceiling as `authorization_details`, in tokens and in answers (RFC 9396 sections 7 and 9). */
export const ceilingDetails = (ceiling: readonly CeilingPair[]): readonly JsonObject[] =>
  ceiling.map(({ audience, scopes, details }) => ({ type: CEILING_TYPE, audience, scopes, ...(details === undefined ? {} : { details }) }));

/** A token's claims contradict themselves or RFC 9068: a bug in what built them, never the caller's doing. */
export class ClaimsFault extends Error {
  constructor(problem: string) {
    super(`claims not signed: ${problem}`);
    this.name = 'ClaimsFault';
  }
}

/** Claims of a resource token: for one resource, its scopes, worth nothing in an exchange. */
export const buildResourceClaims = (facts: TokenFacts, target: { readonly audience: string; readonly scopes: readonly string[] }): TokenClaims =>
  build(facts, target.audience, target.scopes.length === 0 ? undefined : target.scopes.join(' '));

/** Claims of a session token: for this domain's own issuer alone, without scope. */
export const buildSessionClaims = (facts: TokenFacts): TokenClaims => build(facts, facts.issuer, undefined);

/** Throws {@link ClaimsFault} unless the claims may be signed. */
export const lintClaims = (claims: TokenClaims): TokenClaims => {
  const unknown = Object.keys(claims).find((name) => !CLAIMS.has(name));
  // Tokens of an earlier version, which are verified still, had no status; none is signed without it any more.
  const lacking = claims.status === undefined ? 'status is missing' : undefined;
  const problem = unknown === undefined ? findClaimsProblem(claims) ?? lacking : `unknown claim ${unknown}`;
  if (problem !== undefined) throw new ClaimsFault(problem);
  return claims;
};

/** What is wrong with a claim set as a token of ours, or undefined: then it is a {@link TokenClaims}. Verification asks the same of tokens presented back. */
export const findClaimsProblem = (claims: Readonly<Record<string, unknown>> | TokenClaims): string | undefined => {
  const set: Readonly<Record<string, unknown>> = { ...claims };
  for (const [name, holds] of RULES) {
    const value = set[name];
    if (value === undefined ? REQUIRED.has(name) : !holds(value)) return `${name} is missing or not as it must be`;
  }
  return RELATIONS.find(([, holds]) => !holds(set as unknown as TokenClaims))?.[0];
};

/** True for a token that may only be exchanged. */
export const isSessionToken = (claims: TokenClaims): boolean => claims.aud === claims.iss;

const build = (facts: TokenFacts, audience: string, scope: string | undefined): TokenClaims => ({
  iss: facts.issuer,
  sub: facts.subject,
  aud: audience,
  exp: seconds(facts.expiresAt),
  iat: seconds(facts.issuedAt),
  jti: facts.leaseId,
  client_id: facts.clientId,
  ...(scope === undefined ? {} : { scope }),
  ...(facts.act === undefined ? {} : { act: facts.act }),
  ...(facts.mayAct === undefined ? {} : { may_act: facts.mayAct }),
  ...(facts.jkt === undefined ? {} : { cnf: { jkt: facts.jkt } }),
  ...(facts.authorizationDetails === undefined || facts.authorizationDetails.length === 0 ? {} : { authorization_details: facts.authorizationDetails }),
  ...(facts.authTime === undefined ? {} : { auth_time: seconds(facts.authTime) }),
  ...(facts.acr === undefined ? {} : { acr: facts.acr }),
  status: facts.status,
  sid: facts.sessionId,
  authority: facts.authority,
});

const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0 && value.length <= 2048;
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const onlyMembers = (value: Record<string, unknown>, names: readonly string[]): boolean => Object.keys(value).every((name) => names.includes(name));
const isParty = (value: unknown): boolean => isObject(value) && isText(value['iss']) && isText(value['sub']) && onlyMembers(value, ['iss', 'sub']);
const isAct = (value: unknown, depth = 1): boolean =>
  depth <= MAX_ACT_DEPTH && isObject(value) && isText(value['iss']) && isText(value['sub']) && onlyMembers(value, ['iss', 'sub', 'act']) && (value['act'] === undefined || isAct(value['act'], depth + 1));
/** RFC 6749 section 3.3, each scope once. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
const isScope = (value: unknown): boolean => typeof value === 'string' && SCOPE.test(value) && new Set(value.split(' ')).size === value.split(' ').length;
const isDetails = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every((detail) => isObject(detail) && isText(detail['type']));
const isAuthority = (value: unknown): boolean =>
  isObject(value) && onlyMembers(value, ['model', 'principal', 'depth', 'domains']) && isText(value['model']) && isText(value['principal']) && isWhole(value['depth'])
  && (value['domains'] === undefined || isDomains(value['domains']));
/** No more domains than a chain can have actors. */
const isDomains = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.length <= MAX_ACT_DEPTH + 1
  && value.every((domain) => isObject(domain) && onlyMembers(domain, ['iss', 'stage']) && isText(domain['iss']) && isText(domain['stage']));

const isStatusList = (value: unknown): boolean => isObject(value) && onlyMembers(value, ['idx', 'uri']) && isWhole(value['idx']) && isText(value['uri']);
const isStatus = (value: unknown): boolean => isObject(value) && onlyMembers(value, ['status_list']) && isStatusList(value['status_list']);

const RULES: readonly (readonly [keyof TokenClaims, (value: unknown) => boolean])[] = [
  ['iss', isText], ['sub', isText], ['aud', isText], ['exp', isWhole], ['iat', isWhole],
  ['jti', (value) => isText(value) && parseId('lease', value) !== undefined],
  ['client_id', (value) => isText(value) && parseSpiffeId(value) !== undefined],
  ['scope', isScope], ['act', isAct], ['may_act', isParty],
  ['cnf', (value) => isObject(value) && onlyMembers(value, ['jkt']) && typeof value['jkt'] === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value['jkt'])],
  ['authorization_details', isDetails], ['auth_time', isWhole], ['acr', isText], ['status', isStatus],
  ['sid', (value) => isText(value) && parseSessionId(value) !== undefined],
  ['authority', isAuthority],
];
const CLAIMS: ReadonlySet<string> = new Set(RULES.map(([name]) => name));
const REQUIRED: ReadonlySet<string> = new Set(['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'sid', 'authority']);

const holdsCeiling = (claims: TokenClaims): boolean => claims.authorization_details?.some((detail) => detail['type'] === CEILING_TYPE) ?? false;

const RELATIONS: readonly (readonly [string, (claims: TokenClaims) => boolean])[] = [
  ['exp is not after iat', ({ exp, iat }) => exp > iat],
  ['lives longer than 60 minutes', ({ exp, iat }) => exp - iat <= MAX_TOKEN_SECONDS],
  // RFC 8693 section 4.1: the outermost actor is who acts now. Without one the workload acts for itself, so nobody is impersonated.
  ['client_id is not who acts', ({ act, sub, client_id: client }) => (act?.sub ?? sub) === client],
  ['a delegated token names no actor', ({ act, authority }) => authority.model !== 'delegated' || act !== undefined],
  ['a session token has a scope', (claims) => !isSessionToken(claims) || claims.scope === undefined],
  ['the last domain passed is not the issuer', ({ iss, authority: { domains } }) => domains === undefined || domains.at(-1)?.iss === iss],
  ['a resource token has a ceiling', (claims) => isSessionToken(claims) || !holdsCeiling(claims)],
];
