import type { IamPolicy } from './iam-policy.ts';
import { createStrictSts } from './strict-sts.ts';

/**
 * The stand-in for AWS as a process of its own: `node demo/aws.ts ISSUER ROLE_ARN SUBJECT`. It trusts one issuer, has one role, and gives
 * it to one subject. One line of JSON says where it is; then it serves until it is told to end.
 */
const [issuer = '', role = '', subject = ''] = process.argv.slice(2);

/** The trust policy of docs/providers/aws-sts.md. */
const trust: IamPolicy = {
  Version: '2012-10-17',
  Statement: [{
    Effect: 'Allow',
    Principal: { Federated: `arn:aws:iam::${role.split(':')[4] ?? ''}:oidc-provider/${hostOf(issuer)}` },
    Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'],
    Condition: { StringEquals: { [`${hostOf(issuer)}:aud`]: 'sts.amazonaws.com', [`${hostOf(issuer)}:sub`]: subject } },
  }],
};

const sts = await createStrictSts({ issuerUrl: issuer, roles: [{ arn: role, trust }], clock: { now: () => Date.now() } });
console.log(JSON.stringify({ url: sts.url }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sts.close());

function hostOf(url: string): string {
  return url.replace(/^https?:\/\//, '');
}
