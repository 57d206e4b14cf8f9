import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictRole, StrictSts } from '../../demo/strict-sts.ts';
import type { IamPolicy } from '../../demo/iam-policy.ts';

export const ROLE_ARN = 'arn:aws:iam::123456789012:role/deploy';

/** The trust policy of docs/providers/aws-sts.md, for one issuer and one subject. */
export const trustPolicy = (issuerUrl: string, subject: string, actions: readonly string[] = ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'], audience = 'sts.amazonaws.com'): IamPolicy => {
  const host = issuerUrl.replace(/^https?:\/\//, '');
  return {
    Version: '2012-10-17',
    Statement: [{
      Effect: 'Allow',
      Principal: { Federated: `arn:aws:iam::123456789012:oidc-provider/${host}` },
      Action: actions,
      Condition: { StringEquals: { [`${host}:aud`]: audience, [`${host}:sub`]: subject } },
    }],
  };
};

/** A strict STS that takes the issuer's documents from memory. */
export const startStrictSts = (options: {
  readonly issuerUrl: string;
  readonly clock: { now(): number };
  readonly documents: () => ReadonlyMap<string, unknown>;
  readonly roles: readonly StrictRole[];
  readonly clientIds?: readonly string[];
}): Promise<StrictSts> =>
  createStrictSts({
    ...options,
    fetchJson: (url) => {
      const document = options.documents().get(url);
      return document === undefined ? Promise.reject(new Error('http 404')) : Promise.resolve(structuredClone(document));
    },
  });
