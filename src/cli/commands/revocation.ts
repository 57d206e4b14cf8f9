import type { Command } from 'commander';
import { isObject } from '../../core/json.ts';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { findListed, segment } from '../domain.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, show } from '../listing.ts';
import type { Column } from '../output.ts';
import { column, timeColumn } from '../output.ts';

/** Of what followed; a suspension has nothing of it. */
const carriedOut = (title: string, member: string): Column => ({ title, value: ({ carried_out: all }) => (isObject(all) ? all[member] : undefined) });

interface Options extends ServerOptions, ListingOptions { readonly domain?: string; readonly target?: string }

const COLUMNS = [
  column('revocation', 'id'), column('target'), column('domain'), column('status'), timeColumn('at', 'at'), column('by'),
  carriedOut('leases', 'leases'), carriedOut('carried out', 'status'), column('reason'),
];

/** `mayfly revocation list|show`. */
export const registerRevocation = (program: Command, context: CliContext): void => {
  const group = program.command('revocation').description('authority that was taken back, and what followed: how many fell, and which of them their target goes on honouring');
  addListingOptions(group.command('list').description('list revocations, newest first').option('-d, --domain <name>', 'of this trust domain').option('--target <target>', 'of this target, such as session:ID'))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => list(context, admin, 'revocations', { domain: await findListed(context, admin, options), target: options.target }, COLUMNS, options));
    });
  group.command('show').description('one revocation with what followed').argument('<revocation>', 'its number, as mayfly revoke told it').option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => show(context, await admin.get(`revocations/${segment(id)}`), options.json));
    });
};
