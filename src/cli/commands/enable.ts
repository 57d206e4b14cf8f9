import type { Command } from 'commander';
import { Argument } from 'commander';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { tell } from '../context.ts';
import { findTarget } from '../target.ts';
import type { Named } from '../target.ts';

interface Options extends ServerOptions, Named {}

/** `mayfly enable`: lifts the block of a revoked workload, person, issuer or trust domain; what began before stays revoked. */
export const registerEnable = (program: Command, context: CliContext): void => {
  program
    .command('enable')
    .description('let a revoked workload, person, issuer or trust domain begin anew; nothing that was revoked comes back')
    .addArgument(new Argument('<kind>', 'what to enable').choices(['workload', 'person', 'issuer', 'domain']))
    .argument('[id]', 'its id or name; of a person their URN')
    .option('-d, --domain <name>', 'trust domain of the name, or of the person (or MAYFLY_DOMAIN)')
    .option('--issuer <name>', 'of a person, instead of the URN: the trusted issuer that proves them')
    .option('--sub <sub>', 'and their sub there')
    .action(async (kind: string, id: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => {
        const target = await findTarget(context, admin, kind, id, options);
        await admin.post('enable', target);
        tell(context, `${kind} ${target.id} enabled`);
      });
    });
};
