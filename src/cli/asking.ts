import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import { badInput } from './errors.ts';
import { withoutAdminApi } from './no-admin-api.ts';
import type { EvidenceOptions } from './platform-token.ts';

/** Flags `token` and `exec` share: whom to ask, and what to show. */
export interface AskingOptions extends EvidenceOptions { readonly issuer?: string; readonly evidenceAudience?: string; readonly clientId?: string }

/** These commands speak for a job, not for an admin. */
export const addAskingOptions = (command: Command): Command =>
  withoutAdminApi(command, 'name the trust domain to ask with --issuer, and the platform\'s token with --subject-token-file')
    .option('--issuer <url>', 'the trust domain to ask (or MAYFLY_ISSUER)')
    .option('--subject-token-file <file>', 'file with the platform\'s token')
    .option('--subject-token-env <name>', 'variable with the platform\'s token (GitLab CI: MAYFLY_ID_TOKEN is found by itself)')
    .option('--evidence-audience <audience>', 'what GitHub is to make its token out to (default: the issuer)')
    .option('--client-id <spiffe-id>', 'the workload to be, where the evidence fits several');

export const findIssuer = (context: Pick<CliContext, 'env'>, given: string | undefined): string => {
  const issuer = given ?? context.env['MAYFLY_ISSUER'];
  if (issuer !== undefined && issuer !== '') return issuer;
  throw badInput('no trust domain is named', 'give --issuer URL or set MAYFLY_ISSUER (`mayfly domain list` shows it)');
};

const ROLE_ARN = /^arn:aws[a-z-]*:iam::\d{12}:role\//;

/** A role's ARN as audience asks for that role's keys. */
export const isRoleArn = (audience: string | undefined): boolean => audience !== undefined && ROLE_ARN.test(audience);
