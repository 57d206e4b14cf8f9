/** What decides before a container credentials endpoint in an AWS SDK's chain; left alone, another identity would win in silence. */
const AWS_OTHER_SOURCES = [
  'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_CREDENTIAL_EXPIRATION', 'AWS_PROFILE', 'AWS_DEFAULT_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN', 'AWS_ROLE_SESSION_NAME', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_CONTAINER_AUTHORIZATION_TOKEN',
] as const;

export interface EnvironmentPlan {
  /** Variables that would let the command be this job. */
  readonly evidence: readonly string[];
  readonly keepEvidence: boolean;
  readonly givesAws: boolean;
  readonly added: Readonly<Record<string, string>>;
}

/** The environment of a command started by `mayfly exec`: the caller's, less what it must not or would wrongly use, plus what it was started for. */
export const commandEnvironment = (env: Readonly<Record<string, string | undefined>>, { evidence, keepEvidence, givesAws, added }: EnvironmentPlan): Record<string, string> => {
  const removed = new Set<string>([...(keepEvidence ? [] : evidence), ...(givesAws ? AWS_OTHER_SOURCES : []), 'MAYFLY_TOKEN', 'MAYFLY_TOKEN_FILE']);
  const kept = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && !removed.has(entry[0]));
  return { ...Object.fromEntries(kept), ...added };
};
