import type { Command } from 'commander';
import { Argument } from 'commander';
import { z } from 'zod';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { say, tell } from '../context.ts';
import { fallenSchema, leasesOf, sayHonoured } from '../fallen.ts';
import { read } from '../listing.ts';
import { asTime, printable, printJson } from '../output.ts';
import { findTarget } from '../target.ts';
import type { Named } from '../target.ts';

interface Options extends ServerOptions, Named { readonly reason: string; readonly json?: boolean }

const answerSchema = fallenSchema.extend({ revoked: z.string(), at: z.union([z.string(), z.number()]), leases: z.number(), revocation: z.number().optional() });

/** `mayfly revoke`: takes authority back, with everything that grew out of it. */
export const registerRevoke = (program: Command, context: CliContext): void => {
  program
    .command('revoke')
    .description('take authority back, with all that grew out of it; when this returns, nothing more is issued on it')
    .addArgument(new Argument('<kind>', 'what to revoke').choices(['lease', 'hop', 'session', 'workload', 'person', 'issuer', 'domain']))
    .argument('[id]', 'its id; a workload, an issuer or a trust domain also by name, a person by URN: urn:mayfly:DOMAIN:person:ISSUER:SUB, the sub percent-encoded')
    .requiredOption('--reason <text>', 'why, for the audit log')
    .option('-d, --domain <name>', 'trust domain of the name, or of the person (or MAYFLY_DOMAIN)')
    .option('--issuer <name>', 'of a person, instead of the URN: the trusted issuer that proves them')
    .option('--sub <sub>', 'and their sub there')
    .option('--json', 'JSON instead of text')
    .action(async (kind: string, id: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => {
        const target = await findTarget(context, admin, kind, id, options);
        const answer = read(answerSchema, await admin.post('revocations', { ...target, reason: options.reason }));
        if (options.json === true) return printJson(context, answer);
        say(context, `revoked ${printable(answer.revoked)} at ${printable(asTime(answer.at))}: ${leasesOf(answer)} ended`);
        sayHonoured(context, answer);
        if (answer.revocation !== undefined) tell(context, `what follows at the targets: mayfly revocation show ${answer.revocation}`);
      });
    });
};
