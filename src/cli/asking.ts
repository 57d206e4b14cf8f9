import type { Command } from 'commander';
import type { CryptoKeyPair } from 'oauth4webapi';
import type { CliContext } from './context.ts';
import { badInput } from './errors.ts';
import { withoutAdminApi } from './no-admin-api.ts';
import type { EvidenceOptions } from './platform-token.ts';
import { createProofKey, loadProofKey } from './proof-key.ts';

/** Flags `token` and `exec` share: whom to ask, and what to show. */
export interface AskingOptions extends EvidenceOptions { readonly issuer?: string; readonly evidenceAudience?: string; readonly clientId?: string; readonly dpop?: string; readonly deferred?: boolean }

/** These commands speak for a job, not for an admin. */
export const addAskingOptions = (command: Command): Command =>
  withoutAdminApi(command, 'name the trust domain to ask with --issuer, and the platform\'s token with --subject-token-file')
    .option('--issuer <url>', 'the trust domain to ask (or MAYFLY_ISSUER)')
    .option('--subject-token-file <file>', 'file with the platform\'s token')
    .option('--subject-token-env <name>', 'variable with the platform\'s token (GitLab CI: MAYFLY_ID_TOKEN is found by itself)')
    .option('--evidence-audience <audience>', 'what GitHub is to make its token out to (default: the issuer)')
    .option('--client-id <spiffe-id>', 'the workload to be, where the evidence fits several')
    .option('--deferred', 'where a person has to agree first, ask for it and wait until they did (completion_mode=deferred); a token takes --dpop as well');

/** The key that is proven, if one is: the named one, or where nothing but the waiting takes one, since AWS keys are bound to none, one for as long as the command runs. */
export const findProofKey = async ({ dpop, deferred }: AskingOptions, wantsToken: boolean): Promise<CryptoKeyPair | undefined> => {
  if (dpop !== undefined) return loadProofKey(dpop);
  if (deferred !== true) return undefined;
  if (wantsToken) throw badInput('a token that people agreed to is bound to a key, and none is named', 'give --dpop KEY-FILE, too (made if the file does not exist): whoever uses the token needs it');
  return createProofKey();
};

export const findIssuer = (context: Pick<CliContext, 'env'>, given: string | undefined): string => {
  const issuer = given ?? context.env['MAYFLY_ISSUER'];
  if (issuer !== undefined && issuer !== '') return issuer;
  throw badInput('no trust domain is named', 'give --issuer URL or set MAYFLY_ISSUER (`mayfly domain list` shows it)');
};

const ROLE_ARN = /^arn:aws[a-z-]*:iam::\d{12}:role\//;

/** A role's ARN as audience asks for that role's keys. */
export const isRoleArn = (audience: string | undefined): boolean => audience !== undefined && ROLE_ARN.test(audience);
