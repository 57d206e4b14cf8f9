import type { Command } from 'commander';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { segment } from '../domain.ts';
import { show } from '../listing.ts';

interface Options extends ServerOptions { readonly json?: boolean }

/** `mayfly explain`: why a decision was what it was. */
export const registerExplain = (program: Command, context: CliContext): void => {
  program
    .command('explain')
    .description('why something was issued or denied: policies, attributes and the nearest miss')
    .argument('<decision>', 'the decision id, as in the error or in `mayfly lease show`')
    .option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => show(context, await admin.get(`decisions/${segment(id)}`), options.json));
    });
};
