import type { Command } from 'commander';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { findListed, segment } from '../domain.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, show } from '../listing.ts';
import { column, timeColumn } from '../output.ts';

interface Options extends ServerOptions, ListingOptions { readonly domain?: string; readonly workload?: string; readonly session?: string; readonly active?: boolean }

const COLUMNS = [
  column('lease', 'id'), column('kind'), column('domain'), column('workload'), column('issuer'), column('audience'), column('scope'), column('owner'), timeColumn('issued', 'issued_at'), timeColumn('expires', 'expires_at'), column('status'),
];

/** `mayfly lease list|show`. */
export const registerLease = (program: Command, context: CliContext): void => {
  const group = program.command('lease').description('issued credentials: by whom, for whom, on whose authority, until when');
  addListingOptions(
    group.command('list').description('list leases, newest first')
      .option('-d, --domain <name>', 'of this trust domain').option('--workload <name>', 'of this workload').option('--session <id>', 'of this session').option('--active', 'only those that are active now'),
  ).action(async (_options: unknown, command: Command) => {
    const options = command.optsWithGlobals<Options>();
    const { workload, session, active } = options;
    await withAdmin(context, options, async (admin) => list(context, admin, 'leases', { domain: await findListed(context, admin, options), workload, session, active }, COLUMNS, options));
  });
  group.command('show').description('one lease with its decision').argument('<lease>').option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => show(context, await admin.get(`leases/${segment(id)}`), options.json));
    });
};
