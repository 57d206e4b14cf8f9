import { createHash } from 'node:crypto';
import type { LeaseId } from '../core/ids.ts';

/** What an IAM role's ARN tells: its partition, and from it where STS answers. */
export interface RoleArn { readonly partition: Partition; readonly account: string }
export interface Partition {
  readonly name: string;
  readonly dnsSuffix: string;
  readonly defaultRegion: string;
  readonly regions: RegExp;
}

/** `arn:<partition>:iam::<account>:role/<path and name>` (IAM reference, "IAM identifiers"); undefined for anything else. */
export const parseRoleArn = (arn: string): RoleArn | undefined => {
  const parts = ROLE_ARN.exec(arn)?.groups;
  const partition = PARTITIONS.find(({ name }) => name === parts?.['partition']);
  return partition === undefined || parts === undefined ? undefined : { partition, account: parts['account'] ?? '' };
};

/** Regional, because the global endpoint is one region for everybody and its tokens are not valid everywhere. */
export const stsEndpoint = (partition: Partition, region: string): string => `https://sts.${region}.${partition.dnsSuffix}`;

/** CloudTrail shows it beside every call, so it leads to the lease. 2-64 of `[\w+=,.@-]` (STS API reference). */
export const roleSessionName = (workload: string, leaseId: LeaseId): string => `${shorten(spell(workload), 64 - leaseId.length - 1)}@${leaseId}`;

/** Stays with the session through role chaining. Differing workloads get differing values, so that policies may match it. */
export const sourceIdentity = (workload: string): string => shorten(spell(workload), 64).padEnd(2, '=');

/** Session tags (at most 50; key 128, value 256 characters). A value AWS cannot carry is left out, never altered: an altered one might be somebody else's. */
export const sessionTags = (fixed: Readonly<Record<string, string>>, attributes: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, string> => {
  const chosen = names.flatMap((name) => {
    const value = attributes[name];
    return Object.hasOwn(attributes, name) && ['string', 'number', 'boolean'].includes(typeof value) ? [[name, String(value)] as const] : [];
  });
  // Fixed tags last: no attribute may pass itself off as one of them, in whatever case (AWS compares keys without it).
  const reserved = new Set(Object.keys(fixed).map((name) => name.toLowerCase()));
  const tags = [...chosen.filter(([name]) => !reserved.has(name.toLowerCase())), ...Object.entries(fixed)];
  return Object.fromEntries(tags.filter(([name, value]) => TAG_KEY.test(name) && TAG_VALUE.test(value)));
};

const PARTITIONS: readonly Partition[] = [
  { name: 'aws', dnsSuffix: 'amazonaws.com', defaultRegion: 'us-east-1', regions: /^(?!cn-|us-gov-|us-iso|eusc-)[a-z]{2}(?:-[a-z]+){1,2}-\d{1,2}$/ },
  { name: 'aws-cn', dnsSuffix: 'amazonaws.com.cn', defaultRegion: 'cn-north-1', regions: /^cn-[a-z]+-\d{1,2}$/ },
  { name: 'aws-us-gov', dnsSuffix: 'amazonaws.com', defaultRegion: 'us-gov-west-1', regions: /^us-gov-[a-z]+-\d{1,2}$/ },
  { name: 'aws-eusc', dnsSuffix: 'amazonaws.eu', defaultRegion: 'eusc-de-east-1', regions: /^eusc-[a-z]+-[a-z]+-\d{1,2}$/ },
];
const ROLE_ARN = /^arn:(?<partition>aws(?:-[a-z]+)*):iam::(?<account>\d{12}):role\/(?:[!-~]{1,510}\/)?[\w+=,.@-]{1,64}$/;
const TAG_KEY = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u;
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,256}$/u;

/** SPIFFE path characters fit but for the slash; `=` cannot occur in a path, so no two names are spelled alike. */
const spell = (workload: string): string => workload.replace(/\//g, '=').replace(/[^\w+=,.@-]/g, '_');

/** Too long: the beginning for the eye, a hash for the difference. */
const shorten = (name: string, length: number): string =>
  name.length <= length ? name : `${name.slice(0, length - 13)}+${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
