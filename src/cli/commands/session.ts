import type { Command } from 'commander';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { findListed, segment } from '../domain.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, show } from '../listing.ts';
import { column, timeColumn } from '../output.ts';

interface Options extends ServerOptions, ListingOptions { readonly domain?: string; readonly workload?: string }

const COLUMNS = [column('session', 'id'), column('domain'), column('workload'), column('issuer'), column('model'), column('principal'), timeColumn('started', 'started_at'), timeColumn('expires', 'expires_at'), column('status')];

/** `mayfly session list|show`. */
export const registerSession = (program: Command, context: CliContext): void => {
  const group = program.command('session').description('exercises of authority: every credential belongs to one and falls with it');
  addListingOptions(group.command('list').description('list sessions, newest first').option('-d, --domain <name>', 'of this trust domain').option('--workload <name>', 'of this workload'))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => list(context, admin, 'sessions', { domain: await findListed(context, admin, options), workload: options.workload }, COLUMNS, options));
    });
  group.command('show').description('one session with its hops').argument('<session>').option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => show(context, await admin.get(`sessions/${segment(id)}`), options.json));
    });
};
