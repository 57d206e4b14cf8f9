import type { JWTPayload } from 'jose';
import { z } from 'zod';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import type { AttributeSpec, Attributes } from '../attributes.ts';
import type { Attestor } from '../attestor.ts';
import { problemOfIssuerUrl } from '../issuer-url.ts';
import { isPlatformId, platformId } from '../platform-id.ts';
import { claimAt, readAttributes, readingsOf } from '../read-attributes.ts';

/**
 * Pipeline sources whose code is that of the ref they name. Not merge requests, which may run a fork's code in the target
 * project, and not `parent_pipeline`, behind which a merge request's child pipeline hides (evidence.md A2).
 */
const DEFAULT_SOURCES = ['push', 'web', 'schedule', 'api', 'trigger', 'pipeline'];

export interface GitlabCiOptions {
  /** Only projects directly in this group or user namespace; undefined: any project of the instance. */
  readonly namespace_id?: string | undefined;
  readonly pipeline_sources: readonly string[];
  /** Seconds. GitLab's tokens live as long as the job's timeout. */
  readonly max_lifetime: number;
}

const options = z.strictObject({
  namespace_id: platformId.optional().describe('Numeric id of the group or user namespace (claim namespace_id)'),
  pipeline_sources: z.array(z.string().regex(/^[a-z_]+$/, 'must be a pipeline source such as push')).min(1).default(DEFAULT_SOURCES).describe('Values of pipeline_source that are accepted'),
  max_lifetime: z.int().min(60).max(86_400).default(3_600).describe('Longest exp - iat in seconds; GitLab uses the job timeout'),
});

const text = (required: boolean, doc: string): AttributeSpec => ({ immutable: false, type: 'String', required, doc });
const id = (required: boolean, doc: string): AttributeSpec => ({ immutable: true, type: 'String', required, doc });

const CLAIMS = {
  project_id: id(true, 'id of the project; survives renames and is never reused'),
  namespace_id: id(true, 'id of the group or user namespace that holds the project'),
  project_path: text(true, 'path of the project; paths can be given again'),
  namespace_path: text(true, 'path of the namespace'),
  project_visibility: text(false, 'public, internal or private'),
  pipeline_id: id(true, 'id of the pipeline'),
  job_id: id(true, 'id of the job'),
  pipeline_source: text(true, 'what started the pipeline; always one of the entry\'s pipeline_sources'),
  ref: text(true, 'branch or tag that was built; see ref_type, a branch can be called v1'),
  ref_type: text(true, 'branch or tag'),
  ref_path: text(false, 'full ref, such as refs/heads/main'),
  ref_protected: { immutable: false, type: 'Bool', required: true, doc: 'whether the ref is protected' },
  sha: text(false, 'commit that was built; forks share it'),
  environment_action: text(false, 'start, prepare, stop, verify or access'),
  deployment_tier: text(false, 'tier of the environment the job names'),
  runner_id: { immutable: false, type: 'Long', required: false, doc: 'id of the runner' },
  runner_environment: text(false, 'gitlab-hosted or self-hosted'),
  ci_config_ref_uri: text(false, 'file and ref of the pipeline\'s configuration'),
  ci_config_sha: text(false, 'commit of the configuration; absent when it is in another project'),
  job_source: text(false, 'where the job\'s definition comes from'),
  user_id: text(false, 'id of whoever started the job; it says who pressed the button, not what runs, and so identifies no workload'),
  user_login: text(false, 'name of that user, who can change it'),
  user_access_level: text(false, 'that user\'s role in the project'),
  groups_direct: { immutable: false, type: 'Set<String>', required: false, doc: 'paths of the groups that user is a direct member of' },
} as const satisfies Record<string, AttributeSpec>;

const ENVIRONMENTS = {
  environment: text(false, 'protected environment the job names; never an unprotected one'),
  unprotected_environment: text(false, 'environment the job names when it is not protected: any developer can name it'),
} as const satisfies Record<string, AttributeSpec>;

const TABLE = { ...CLAIMS, ...ENVIRONMENTS } as const;
const READINGS = readingsOf(CLAIMS);
const IDS = ['project_id', 'namespace_id', 'pipeline_id', 'job_id'] as const;

/** ID tokens of GitLab CI jobs (evidence.md A2), of gitlab.com or one self-managed instance per entry. */
export const gitlabCi = {
  kind: 'gitlab-ci',
  options,
  defaultIssuer: 'https://gitlab.com',
  issuerAllowed: (issuer) => (issuer.endsWith('/') ? 'must be the URL of the GitLab instance without a slash at the end' : problemOfIssuerUrl(issuer)),
  attributeTable: () => TABLE,
  // GitLab hands a job its one token at the start, so later uses join the session of the first.
  profile: ({ max_lifetime }) => ({ algorithms: ['RS256'], types: ['jwt'], requiredClaims: IDS, maxLifetime: max_lifetime, replay: 'within-session', replayKey: 'hash' }),
  discriminator: ({ namespace_id }) => (namespace_id === undefined ? undefined : { claim: 'namespace_id', value: namespace_id }),

  attributes(claims, { namespace_id, pipeline_sources }) {
    if (isDefaultAudience(claims)) return err(refusal('evidence_audience_wrong', 'aud is the GitLab host itself, which every token without a chosen audience has'));
    const read = readAttributes(claims, READINGS);
    if (!read.ok) return read;
    const attributes = read.value;
    const badId = IDS.find((name) => !isPlatformId(attributes[name]));
    if (badId !== undefined) return err(refusal('evidence_claim_invalid', `${badId} is not a number in a string`));
    if (namespace_id !== undefined && attributes['namespace_id'] !== namespace_id) return err(refusal('evidence_organization_wrong', 'namespace_id is not the entry\'s'));
    const refused = checkFork(claims, attributes) ?? checkSource(attributes, pipeline_sources) ?? checkSubject(String(claims.sub), attributes);
    return refused === undefined ? ok({ ...attributes, ...environmentOf(claims) }) : err(refused);
  },

  anchor: (attributes) => `${String(attributes['project_id'])}/${String(attributes['pipeline_id'])}/${String(attributes['job_id'])}`,
} as const satisfies Attestor<GitlabCiOptions>;

const isDefaultAudience = ({ aud, iss }: JWTPayload): boolean => {
  const values = Array.isArray(aud) ? aud : [aud];
  return iss !== undefined && values.some((value) => value === iss || value === `${iss}/` || value === new URL(iss).host);
};

/** Since 2025 a fork's merge request describes the fork as project and the target as job_project; before, both as the target (then pipeline_source tells). */
const checkFork = (claims: JWTPayload, { project_id }: Attributes): Refusal | undefined => {
  const jobProject = claimAt(claims, 'job_project_id');
  return jobProject === undefined || jobProject === project_id ? undefined : refusal('evidence_fork', 'job_project_id is not project_id: the pipeline of a fork');
};

const checkSource = ({ pipeline_source }: Attributes, allowed: readonly string[]): Refusal | undefined =>
  allowed.includes(String(pipeline_source)) ? undefined : refusal('evidence_event_not_allowed', `pipeline_source is ${JSON.stringify(pipeline_source)}, and none of ${allowed.join(', ')}`);

/** A `sub` of the default form must say what the discrete claims say; a reshaped one is opaque. */
const checkSubject = (sub: string, attributes: Attributes): Refusal | undefined => {
  const parts = /^project_path:(?<path>[^:]+):ref_type:(?<type>[^:]+):ref:(?<ref>.+)$/s.exec(sub)?.groups;
  if (parts === undefined) return undefined;
  const agrees = parts['path'] === attributes['project_path'] && parts['type'] === attributes['ref_type'] && parts['ref'] === attributes['ref'];
  return agrees ? undefined : refusal('evidence_subject_mismatch', 'sub disagrees with project_path, ref_type or ref');
};

/** An unprotected environment proves nothing, so it must not satisfy a rule that asks for `environment`. */
const environmentOf = (claims: JWTPayload): Attributes => {
  const environment = claimAt(claims, 'environment');
  if (typeof environment !== 'string' || environment === '') return {};
  return claimAt(claims, 'environment_protected') === 'true' ? { environment } : { unprotected_environment: environment };
};
