import { z } from 'zod';
import { failed } from './errors.ts';

const processSchema = z.looseObject({ Version: z.literal(1), AccessKeyId: z.string(), SecretAccessKey: z.string(), SessionToken: z.string(), Expiration: z.iso.datetime({ offset: true }) });

/** AWS keys in the form of a `credential_process` answer, in which Mayfly issues them. */
export type AwsCredentials = z.infer<typeof processSchema>;

export const parseAwsCredentials = (credential: string): AwsCredentials => {
  const parsed = processSchema.safeParse(readJson(credential));
  if (parsed.success) return parsed.data;
  throw failed('what was issued are no AWS keys', 'check that the resource\'s provider is aws-sts (`mayfly resource show`)');
};

/** The variables every AWS SDK reads. */
export const credentialVariables = (credential: string): Readonly<Record<string, string>> => {
  const { AccessKeyId, SecretAccessKey, SessionToken } = parseAwsCredentials(credential);
  return { AWS_ACCESS_KEY_ID: AccessKeyId, AWS_SECRET_ACCESS_KEY: SecretAccessKey, AWS_SESSION_TOKEN: SessionToken };
};

/** The answer of a container credentials endpoint: all four members, under that interface's names. */
export const containerAnswer = ({ AccessKeyId, SecretAccessKey, SessionToken, Expiration }: AwsCredentials): string =>
  JSON.stringify({ AccessKeyId, SecretAccessKey, Token: SessionToken, Expiration });

const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
