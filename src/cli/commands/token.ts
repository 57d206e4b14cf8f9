import type { Command } from 'commander';
import { Option } from 'commander';
import type { AskingOptions } from '../asking.ts';
import { addAskingOptions, findIssuer, findProofKey, isRoleArn } from '../asking.ts';
import { credentialVariables } from '../aws-credentials.ts';
import type { CliContext } from '../context.ts';
import { say } from '../context.ts';
import { badInput } from '../errors.ts';
import { AWS_TYPE, createExchangeClient } from '../exchange-client.ts';
import type { Asked, Issued } from '../exchange-client.ts';
import { findEvidence } from '../platform-token.ts';
import { obtainAgreed } from '../wait-for-approval.ts';

interface Options extends AskingOptions {
  readonly audience?: string; readonly resource?: string; readonly scope?: string; readonly requestedTokenType?: string;
  readonly authorizationDetails?: string; readonly output: 'token' | 'json' | 'env';
}

/** `mayfly token`: the platform's token for one of Mayfly's (RFC 8693). */
export const registerToken = (program: Command, context: CliContext): void => {
  addAskingOptions(program.command('token').description('exchange the platform\'s token for a credential; finds it by itself in GitHub Actions and GitLab CI'))
    .option('--audience <audience>', 'what the credential is for; the ARN of an AWS role gives its keys as credential_process JSON')
    .option('--resource <uri>', 'the same as a URI (RFC 8707)')
    .option('--scope <scopes>', 'scopes, separated by spaces')
    .option('--requested-token-type <urn>', 'the kind of credential, where the resource has several')
    .option('--authorization-details <json>', 'RFC 9396: what its types allow to be asked of the audience; without audience, the ceiling of a session token (type urn:mayfly:ceiling)')
    .option('--dpop <key-file>', 'bind the token to this P-256 key (PKCS#8 PEM; made if the file does not exist)')
    .addOption(new Option('-o, --output <form>', 'bare token, whole response, or shell variables').choices(['token', 'json', 'env']).default('token'))
    .action(async (_options: unknown, command: Command) => getToken(context, command.optsWithGlobals<Options>()));
};

const getToken = async (context: CliContext, options: Options): Promise<void> => {
  const issuer = findIssuer(context, options.issuer);
  const evidence = findEvidence(context, options, options.evidenceAudience ?? issuer);
  const asked = askedFor(options);
  const client = await createExchangeClient(issuer, await findProofKey(options, asked.requestedTokenType !== AWS_TYPE));
  const issued = options.deferred === true ? (await obtainAgreed(context, client, await evidence(), asked)).issued : await client.exchange(await evidence(), asked);
  say(context, render(issued, options.output));
};

const askedFor = ({ audience, resource, scope, requestedTokenType, authorizationDetails, clientId }: Options): Asked => {
  if (audience === undefined && resource === undefined && authorizationDetails === undefined) throw badInput('nothing is asked for', 'give --audience (what the credential is for), mostly with --scope');
  return { audience, resource, scope, authorizationDetails, clientId, requestedTokenType: requestedTokenType ?? (isRoleArn(audience) ? AWS_TYPE : undefined) };
};

/** As the standards write them; oauth4webapi gives them in lower case. */
const TOKEN_TYPES: ReadonlyMap<string, string> = new Map([['bearer', 'Bearer'], ['dpop', 'DPoP'], ['n_a', 'N_A']]);

const render = ({ credential, response }: Issued, output: Options['output']): string => {
  if (output === 'json') return JSON.stringify({ ...response, token_type: TOKEN_TYPES.get(response.token_type) ?? response.token_type }, null, 2);
  if (output === 'token') return credential;
  const variables = response['issued_token_type'] === AWS_TYPE ? credentialVariables(credential) : { MAYFLY_TOKEN: credential };
  return Object.entries(variables).map(([name, value]) => `export ${name}='${value.replaceAll('\'', '\'\\\'\'')}'`).join('\n');
};
