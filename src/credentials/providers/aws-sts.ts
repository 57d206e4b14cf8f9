import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { SECOND } from '../../core/duration.ts';
import type { DomainId } from '../../core/ids.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { GuardedFetch } from '../../outbound/fetch.ts';
import { parseOutboundUrl } from '../../outbound/url.ts';
import type { AwsTokenFacts } from '../../tokens/aws.ts';
import type { SignedToken } from '../../tokens/sign.ts';
import { STS_TIMEOUT, createAssumeRole } from '../aws-call.ts';
import type { AwsKeys, StsFailure, StsTarget } from '../aws-call.ts';
import { refuseStsError } from '../aws-errors.ts';
import { parseRoleArn, roleSessionName, sessionTags, sourceIdentity, stsEndpoint } from '../aws-names.ts';
import { readSessionPolicy, sessionPolicySchema, writeSessionPolicy } from '../aws-session-policy.ts';
import type { IssuedCredential, Order, Provider } from '../provider.ts';
import { AWS_AUDIENCE_PREFIX, AWS_DEFAULT_AUDIENCE } from '../reserved-audiences.ts';

/** Port: signs a JWT for AWS with the domain's current key of purpose `aws`. */
export type SignAwsToken = (domainId: DomainId, facts: AwsTokenFacts) => Result<SignedToken, Refusal>;

export interface AwsStsDeps {
  readonly clock: Clock;
  readonly fetch: GuardedFetch;
  readonly signAwsToken: SignAwsToken;
}

const LEASE_KIND = 'aws-credentials';
export const AWS_TOKEN_TYPE = 'urn:mayfly:token-type:aws-credentials';

/** AWS's floor (STS API reference, DurationSeconds). */
const FLOOR = 900;
/** An order with at least this much beyond the floor is ended by AWS itself; with less, by the session policy. */
const MARGIN = STS_TIMEOUT / SECOND;

/** Attributes that become session tags where evidence has them: they tell repositories, projects and runs apart. */
const DEFAULT_TAGS = ['repository_id', 'repository_owner_id', 'ref', 'environment', 'run_id', 'project_id', 'namespace_id', 'pipeline_id'];

const options = z.strictObject({
  region: z.string().regex(/^[a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2}$/, 'must be an AWS region such as eu-central-1').optional().describe('Region whose STS is called; us-east-1, or the first region of the role\'s partition'),
  token_audience: z.string().max(255).optional().describe(`Audience of our JWT, a client id of the IAM provider; ${AWS_DEFAULT_AUDIENCE}`),
  session_policy: sessionPolicySchema.optional().describe('IAM session policy, which narrows what the role may do; at most 2048 characters'),
  session_tags: z.array(z.string().regex(/^[a-z][a-z0-9_]{0,63}$/)).max(40).default(DEFAULT_TAGS).describe('Evidence attributes that become session tags beside domain, workload and lease_id'),
  endpoint: z.string().max(255).optional().describe('Another STS, in development domains only'),
});
type Options = z.output<typeof options>;

/** AWS keys for a role, with this domain as the OIDC issuer AWS trusts: no AWS secret is needed (AssumeRoleWithWebIdentity). */
export const createAwsStsProvider = ({ clock, fetch, signAwsToken }: AwsStsDeps): Provider<Options> => {
  const assumeRole = createAssumeRole(fetch);

  /** A new JWT each time: it lives 60 seconds, and a second try must not show an expired one again. */
  const tryOnce = async (order: Order, given: Options, target: StsTarget): Promise<Result<IssuedCredential, Refusal | StsFailure>> => {
    const now = clock.now();
    const endsAt = Math.min(order.expiresAt, order.hopExpiresAt);
    if (endsAt - now < SECOND) return err(refusal('lifetime_exhausted', 'the hop ends within a second'));
    const policy = given.session_policy === undefined ? ok(undefined) : readSessionPolicy(given.session_policy);
    if (!policy.ok) return err(refusal('provider_misconfigured', policy.error));
    const signed = signAwsToken(order.domain.id, tokenFacts(order, given, now));
    if (!signed.ok) return signed;

    // INVARIANT: keys never outlive the order. What AWS cannot end in time, the policy in the session ends.
    const available = Math.floor((endsAt - now) / SECOND) - MARGIN;
    const endedByPolicy = available < FLOOR;
    const keys = await assumeRole(target, {
      RoleArn: order.resource.audience,
      RoleSessionName: roleSessionName(order.workload.name, order.leaseId),
      WebIdentityToken: signed.value.token,
      DurationSeconds: Math.max(FLOOR, available),
      ...(endedByPolicy || policy.value !== undefined ? { Policy: writeSessionPolicy(policy.value, endedByPolicy ? endsAt : undefined) } : {}),
    });
    return keys.ok ? ok(describe(keys.value, order.leaseId, endsAt, signed.value.kid)) : keys;
  };

  return {
    kind: 'aws-sts',
    leaseKind: LEASE_KIND,
    tokenTypes: [AWS_TOKEN_TYPE],
    options,
    callsTarget: true,
    // 20 minutes: SDKs ask for new keys when 5 to 15 minutes are left, and AWS can end it without help of a policy.
    lifetime: { default: 1200, minimum: FLOOR, maximum: 3600 },
    check: (resource, domain) => check(resource, domain.stage),

    async issue(order, given) {
      const unfit = check({ audience: order.resource.audience, scopes: order.resource.scopes, options: given }, order.domain.stage);
      const target = targetOf(order.resource.audience, given);
      if (unfit !== undefined || target === undefined) return err(refusal('provider_misconfigured', unfit ?? 'no target'));
      const first = await tryOnce(order, given, target);
      const expired = !first.ok && 'kind' in first.error && first.error.kind === 'refused' && first.error.error.code === 'ExpiredToken';
      const outcome = expired ? await tryOnce(order, given, target) : first;
      if (outcome.ok) return outcome;
      return err('kind' in outcome.error ? refuse(outcome.error) : outcome.error);
    },

    revoke: (_handle, lease) => Promise.resolve({
      kind: 'recorded', honouredUntil: lease.expiresAt, note: `recorded; AWS honours these keys until ${isoSeconds(lease.expiresAt)}`,
    }),
  };
};

const check = ({ audience, scopes, options: given }: { readonly audience: string; readonly scopes: readonly string[]; readonly options: Options }, stage: string): string | undefined => {
  const role = parseRoleArn(audience);
  if (role === undefined) return `"${audience}" is not the ARN of an IAM role: write arn:aws:iam::<12 digits>:role/<name>`;
  if (given.region !== undefined && !role.partition.regions.test(given.region)) return `region ${given.region} is not in the role's partition ${role.partition.name}: choose one such as ${role.partition.defaultRegion}`;
  if (scopes.length > 0) return 'an AWS role has no scopes, so none would narrow anything: leave scopes out and use session_policy';
  if (given.token_audience !== undefined && given.token_audience !== AWS_DEFAULT_AUDIENCE && !OWN_AUDIENCE.test(given.token_audience)) return `token_audience must be ${AWS_DEFAULT_AUDIENCE} or begin with ${AWS_AUDIENCE_PREFIX}, so that no access token can ever carry it`;
  const policy = given.session_policy === undefined ? undefined : readSessionPolicy(given.session_policy);
  if (policy?.ok === false) return policy.error;
  if (given.endpoint === undefined) return undefined;
  if (stage !== 'development') return 'endpoint is for development domains only: leave it out, and AWS\'s own regional STS is called';
  return parseOutboundUrl(given.endpoint, true).ok && new URL(given.endpoint).protocol === 'http:' ? undefined : 'endpoint must be plain http on this machine, such as http://127.0.0.1:4566';
};

const OWN_AUDIENCE = new RegExp(`^${AWS_AUDIENCE_PREFIX}[A-Za-z0-9._:-]{1,200}$`);

const targetOf = (audience: string, { region, endpoint }: Options): StsTarget | undefined => {
  const partition = parseRoleArn(audience)?.partition;
  if (partition === undefined) return undefined;
  const chosen = region ?? partition.defaultRegion;
  return { region: chosen, endpoint: endpoint ?? stsEndpoint(partition, chosen), loopbackHttp: endpoint !== undefined };
};

const tokenFacts = (order: Order, given: Options, now: number): AwsTokenFacts => ({
  issuer: order.domain.issuer,
  subject: order.workload.spiffeId,
  audience: given.token_audience ?? AWS_DEFAULT_AUDIENCE,
  jti: order.leaseId,
  issuedAt: now,
  principalTags: sessionTags({ domain: order.domain.name, workload: order.workload.name, lease_id: order.leaseId }, order.attributes, given.session_tags),
  // Not transitive: a role chained to would have to allow sts:TagSession. The source identity goes along by itself.
  transitiveTagKeys: [],
  sourceIdentity: sourceIdentity(order.workload.name),
});

/** The output format of `credential_process` (AWS SDKs and Tools reference), which every AWS SDK reads. */
const describe = (keys: AwsKeys, leaseId: Order['leaseId'], endsAt: number, kid: string): IssuedCredential => {
  const expiresAt = Math.min(keys.expiration, endsAt);
  return {
    kind: LEASE_KIND,
    issuedTokenType: AWS_TOKEN_TYPE,
    tokenType: 'N_A',
    // SDKs pass over LeaseId; whoever holds the keys can revoke the lease by it (RFC 7009).
    credential: JSON.stringify({ Version: 1, LeaseId: leaseId, AccessKeyId: keys.accessKeyId, SecretAccessKey: keys.secretAccessKey, SessionToken: keys.sessionToken, Expiration: isoSeconds(expiresAt) }),
    kid,
    expiresAt,
    handle: undefined,
  };
};

const refuse = (failure: StsFailure): Refusal => {
  if (failure.kind === 'refused') return refuseStsError(failure.error);
  return failure.kind === 'garbled'
    ? refusal('provider_unavailable', 'sts answered something that is no sts reply', 10)
    : refusal('provider_unavailable', `sts could not be called: ${failure.failure.detail}`, 10);
};

const isoSeconds = (milliseconds: number): string => new Date(Math.floor(milliseconds / SECOND) * SECOND).toISOString().replace('.000Z', 'Z');
