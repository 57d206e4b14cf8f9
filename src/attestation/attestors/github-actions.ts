import { z } from 'zod';
import { refusal } from '../../core/refusal.ts';
import { err } from '../../core/result.ts';
import type { AttributeSpec } from '../attributes.ts';
import type { Attestor } from '../attestor.ts';
import { isLoopbackIssuer, problemOfIssuerUrl } from '../issuer-url.ts';
import { isPlatformId, platformId } from '../platform-id.ts';
import { readAttributes, readingsOf } from '../read-attributes.ts';
import { checkGithubSubject } from './github-subject.ts';

/** Events whose workflow file and code are those of the ref they name. Pull requests and comments are not (evidence.md A1, trap 1). */
const DEFAULT_EVENTS = ['push', 'release', 'workflow_dispatch', 'schedule', 'merge_group'];

export interface GithubActionsOptions {
  /** `repository_owner_id`: the organisation or user whose repositories this entry is for. */
  readonly organization_id: string;
  readonly events: readonly string[];
}

const options = z.strictObject({
  organization_id: platformId.describe('Numeric id of the organization or user that owns the repositories (claim repository_owner_id)'),
  events: z.array(z.string().regex(/^[a-z_]+$/, 'must be an event name such as push')).min(1).default(DEFAULT_EVENTS).describe('Values of event_name that are accepted'),
});

const text = (required: boolean, doc: string): AttributeSpec => ({ immutable: false, type: 'String', required, doc });
const id = (required: boolean, doc: string): AttributeSpec => ({ immutable: true, type: 'String', required, doc });

const TABLE = {
  repository_id: id(true, 'id of the repository whose workflow runs; survives renames and is never reused'),
  repository_owner_id: id(true, 'id of the organization or user that owns the repository'),
  repository: text(true, 'owner/name of the repository; names can be given again after a rename or deletion'),
  repository_owner: text(true, 'name of the owner'),
  repository_visibility: text(false, 'public, private or internal'),
  enterprise_id: id(false, 'id of the enterprise'),
  enterprise: text(false, 'slug of the enterprise'),
  event_name: text(true, 'what started the run; always one of the entry\'s events'),
  ref: text(true, 'full ref that was built, such as refs/heads/main'),
  ref_type: text(false, 'branch or tag'),
  ref_protected: { immutable: false, type: 'Bool', required: false, doc: 'whether branch protection or a ruleset covers the ref' },
  sha: text(false, 'commit that was built; forks share it'),
  head_ref: text(false, 'source branch of a pull request; text of the author\'s choosing'),
  base_ref: text(false, 'target branch of a pull request'),
  environment: text(false, 'environment the job names; one that does not exist yet is created unprotected'),
  environment_node_id: id(false, 'node id of the environment'),
  workflow: text(false, 'display name of the workflow; free text'),
  workflow_ref: text(false, 'file and ref of the workflow that was started'),
  workflow_sha: text(false, 'commit of the workflow that was started'),
  job_workflow_ref: text(false, 'file and ref of the workflow that holds the job; for a reusable workflow the called one, whoever calls it'),
  job_workflow_sha: text(false, 'commit of the workflow that holds the job'),
  runner_environment: text(false, 'github-hosted or self-hosted'),
  run_id: id(true, 'id of the workflow run'),
  run_number: text(false, 'number of the run within its workflow'),
  run_attempt: text(true, 'attempt of the run, from 1'),
  check_run_id: id(false, 'id of the job\'s check run'),
  actor: text(false, 'login of whoever started the run'),
  actor_id: text(false, 'id of whoever started the run; it says who pressed the button, not what runs, and so identifies no workload'),
} as const satisfies Record<string, AttributeSpec>;

const READINGS = readingsOf(TABLE);
const IDS = ['repository_id', 'repository_owner_id', 'run_id', 'run_attempt'] as const;

/** Issuers of GitHub, exactly: public, with an enterprise's slug, with data residency, Enterprise Server (evidence.md A1). */
const ISSUERS = [
  /^https:\/\/token\.actions\.githubusercontent\.com(?:\/[A-Za-z0-9][A-Za-z0-9_-]{0,99})?$/,
  /^https:\/\/token\.actions\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.ghe\.com(?:\/[A-Za-z0-9][A-Za-z0-9_-]{0,99})?$/,
  /^https:\/\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?\/_services\/token$/,
];

/** OIDC tokens of GitHub Actions jobs (evidence.md A1). The subject is opaque: a repository's admin can reshape it, but not the other claims. */
export const githubActions = {
  kind: 'github-actions',
  options,
  defaultIssuer: 'https://token.actions.githubusercontent.com',
  issuerAllowed: (issuer) =>
    ISSUERS.some((pattern) => pattern.test(issuer)) || (isLoopbackIssuer(issuer) && problemOfIssuerUrl(issuer) === undefined)
      ? undefined
      : 'must be https://token.actions.githubusercontent.com, the same followed by /<your enterprise slug>, https://token.actions.<subdomain>.ghe.com, or https://<host>/_services/token of an Enterprise Server',
  attributeTable: () => TABLE,
  profile: () => ({ algorithms: ['RS256'], types: ['jwt'], requiredClaims: IDS, maxLifetime: 900, replay: 'once', replayKey: 'jti' }),
  discriminator: ({ organization_id }) => ({ claim: 'repository_owner_id', value: organization_id }),

  attributes(claims, { organization_id, events }) {
    const read = readAttributes(claims, READINGS);
    if (!read.ok) return read;
    const attributes = read.value;
    const badId = IDS.find((name) => !isPlatformId(attributes[name]));
    if (badId !== undefined) return err(refusal('evidence_claim_invalid', `${badId} is not a number in a string`));
    if (attributes['repository_owner_id'] !== organization_id) return err(refusal('evidence_organization_wrong', 'repository_owner_id is not the entry\'s organization_id'));
    if (!events.includes(String(attributes['event_name']))) {
      return err(refusal('evidence_event_not_allowed', `event_name is ${JSON.stringify(attributes['event_name'])}, and none of ${events.join(', ')}`));
    }
    const mismatch = checkGithubSubject(String(claims.sub), attributes);
    return mismatch === undefined ? read : err(refusal('evidence_subject_mismatch', mismatch));
  },

  anchor: (attributes) => `${String(attributes['repository_id'])}/${String(attributes['run_id'])}/${String(attributes['run_attempt'])}`,
} as const satisfies Attestor<GithubActionsOptions>;

