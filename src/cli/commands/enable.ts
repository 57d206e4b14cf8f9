import type { Command } from 'commander';
import { Argument } from 'commander';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { tell } from '../context.ts';
import { findTarget } from '../target.ts';

interface Options extends ServerOptions { readonly domain?: string }

/** `mayfly enable`: lifts the block of a revoked workload, issuer or trust domain; what began before stays revoked. */
export const registerEnable = (program: Command, context: CliContext): void => {
  program
    .command('enable')
    .description('let a revoked workload, issuer or trust domain begin anew; nothing that was revoked comes back')
    .addArgument(new Argument('<kind>', 'what to enable').choices(['workload', 'issuer', 'domain']))
    .argument('<id>', 'its id or name')
    .option('-d, --domain <name>', 'trust domain of the name (or MAYFLY_DOMAIN)')
    .action(async (kind: string, id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => admin.post('enable', await findTarget(context, admin, kind, id, options.domain)));
      tell(context, `${kind} ${id} enabled`);
    });
};
