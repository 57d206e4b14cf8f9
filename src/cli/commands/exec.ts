import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { AskingOptions } from '../asking.ts';
import { addAskingOptions, findIssuer, findProofKey, isRoleArn } from '../asking.ts';
import { credentialVariables } from '../aws-credentials.ts';
import { commandEnvironment } from '../command-environment.ts';
import type { CliContext } from '../context.ts';
import { tell } from '../context.ts';
import { badInput } from '../errors.ts';
import { createExchangeClient } from '../exchange-client.ts';
import type { ExchangeClient, Issued } from '../exchange-client.ts';
import { giveAwsKeys, giveToken } from '../give.ts';
import type { Given } from '../give.ts';
import { evidenceVariables, findEvidence } from '../platform-token.ts';
import { createPrivateFolder } from '../private-folder.ts';
import { createSignalRelay, runCommand } from '../run-command.ts';

interface Options extends AskingOptions {
  readonly audience?: string; readonly scope?: string; readonly awsRole?: string; readonly env?: boolean; readonly keepEvidence?: boolean;
}

/** `mayfly exec -- CMD`: runs a command with credentials that are renewed while it runs and revoked when it ends. */
export const registerExec = (program: Command, context: CliContext): void => {
  addAskingOptions(program.command('exec').description('run a command with credentials that are renewed while it runs and revoked when it ends'))
    .usage('[options] -- <command...>')
    .argument('<command...>', 'the command, after --')
    .option('--audience <audience>', 'a token for this; its file is named by MAYFLY_TOKEN_FILE')
    .option('--scope <scopes>', 'scopes of the token, separated by spaces')
    .option('--aws-role <arn>', 'keys of this AWS role, through the container credentials endpoint every AWS SDK knows')
    .option('--dpop <key-file>', 'bind the token to this P-256 key (PKCS#8 PEM; made if the file does not exist), which MAYFLY_DPOP_KEY_FILE names to the command')
    .option('--env', 'plain variables as well (MAYFLY_TOKEN, AWS_ACCESS_KEY_ID, ...): these are not renewed')
    .option('--keep-evidence', 'leave the platform\'s own token variables in the command\'s environment')
    .action(async (words: readonly string[], _options: unknown, command: Command) => exec(context, words, command.optsWithGlobals<Options>()));
};

const exec = async (context: CliContext, words: readonly string[], options: Options): Promise<void> => {
  const issuer = findIssuer(context, options.issuer);
  const { audience, awsRole } = targetsOf(options);
  const evidence = findEvidence(context, options, options.evidenceAudience ?? issuer);
  const key = await findProofKey(options, audience !== undefined);
  const relay = createSignalRelay(context);
  const folder = await createPrivateFolder();
  const given: Given[] = [];
  let client: ExchangeClient | undefined;
  try {
    client = await createExchangeClient(issuer, key);
    const giving = { context, client, evidence, folder, clientId: options.clientId, deferred: options.deferred === true };
    if (audience !== undefined) given.push(await giveToken(giving, audience, options.scope));
    if (awsRole !== undefined) given.push(await giveAwsKeys(giving, awsRole, options.env === true));
    const added = Object.assign({}, options.dpop === undefined ? {} : { MAYFLY_DPOP_KEY_FILE: resolve(options.dpop) }, ...given.map(({ variables }) => variables), ...(options.env === true ? plainVariables(context, given) : [])) as Record<string, string>;
    const env = commandEnvironment(context.env, { evidence: evidenceVariables(options), keepEvidence: options.keepEvidence === true, givesAws: awsRole !== undefined, added });
    context.finish(await runCommand(context, words, env, relay));
  } finally {
    const left = (await Promise.all(given.map((each) => each.stop()))).flat();
    if (client !== undefined) await revokeAll(context, client, left);
    await folder.remove();
    relay.stop();
  }
};

const targetsOf = ({ audience, awsRole, deferred }: Options): { readonly audience: string | undefined; readonly awsRole: string | undefined } => {
  if (awsRole !== undefined && !isRoleArn(awsRole)) throw badInput(`--aws-role ${awsRole} is no role's ARN`, 'write arn:aws:iam::ACCOUNT:role/NAME');
  if (audience === undefined && awsRole === undefined) throw badInput('nothing is asked for', 'give --audience (mostly with --scope), --aws-role, or both');
  // What was there first would be over before people agreed to the other.
  if (deferred === true && audience !== undefined && awsRole !== undefined) throw badInput('--deferred waits for one credential, and two are asked for', 'run two commands');
  if (!isRoleArn(audience)) return { audience, awsRole };
  if (awsRole === undefined) return { audience: undefined, awsRole: audience };
  throw badInput('two AWS roles are asked for', 'run two commands');
};

const plainVariables = (context: CliContext, given: readonly Given[]): readonly Record<string, string>[] => {
  const endings = given.map(({ kind, first }) => `${kind === 'aws' ? 'AWS keys' : 'MAYFLY_TOKEN'} at ${new Date(context.clock.now() + first.expiresIn * 1000).toISOString()}`);
  tell(context, `warning: plain variables are not renewed; these end: ${endings.join(', ')}`);
  return given.map(({ kind, first }) => (kind === 'aws' ? { ...credentialVariables(first.credential) } : { MAYFLY_TOKEN: first.credential }));
};

/** What it obtained and nothing else; a credential that cannot be revoked ends by itself. */
const revokeAll = async (context: CliContext, client: ExchangeClient, left: readonly Issued[]): Promise<void> => {
  const outcomes = await Promise.allSettled(left.map(({ credential }) => client.revoke(credential)));
  const faults = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason)] : []));
  if (faults.length > 0) tell(context, `warning: ${faults.length} of ${left.length} credentials could not be revoked and end by themselves: ${[...new Set(faults)].join('; ')}`);
};
