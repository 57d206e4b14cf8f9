import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { isObject } from '../../core/json.ts';
import type { ServerOptions } from '../admin-client.ts';
import { withPerson } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { say } from '../context.ts';
import { findListed, segment } from '../domain.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, read, show } from '../listing.ts';
import type { Column } from '../output.ts';
import { column, printable, printJson, timeColumn } from '../output.ts';

interface Options extends ServerOptions, ListingOptions { readonly domain?: string; readonly workload?: string; readonly status?: string; readonly reason?: string }

const WORKLOAD: Column = { title: 'workload', value: ({ who }) => (isObject(who) ? who['workload'] : undefined) };
const COLUMNS = [
  column('approval', 'id'), column('status'), column('domain'), WORKLOAD, column('on behalf of', 'on_behalf_of'), column('principal'), column('names', 'approval_names'), column('waits for', 'waits_for'),
  timeColumn('asked', 'asked_at'), timeColumn('expires', 'expires_at'),
];

const answerSchema = z.looseObject({ id: z.string(), status: z.string(), waits_for: z.array(z.string()).default([]) });

/** `mayfly approval list|show|approve|deny`. */
export const registerApproval = (program: Command, context: CliContext): void => {
  const group = program.command('approval').description('requests that wait for a person to agree: who asks, on whose behalf, for what, until when');
  addListingOptions(
    group.command('list').description('list them, newest first; with --token-file of a person, those they may decide on')
      .option('-d, --domain <name>', 'of this trust domain').option('--workload <name>', 'of this workload')
      .addOption(new Option('--status <status>', 'of this status alone').choices(['pending', 'approved', 'denied', 'redeemed', 'expired', 'cancelled'])),
  ).action(async (_options: unknown, command: Command) => {
    const options = command.optsWithGlobals<Options>();
    await withPerson(context, options, async (admin) => list(context, admin, 'approvals', { domain: await findListed(context, admin, options), workload: options.workload, status: options.status }, COLUMNS, options));
  });
  group.command('show').description('all of one, as it was frozen when it was asked').argument('<approval>').option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withPerson(context, options, async (admin) => show(context, await admin.get(`approvals/${segment(id)}`), options.json));
    });
  const answer = (verb: 'approve' | 'deny') => async (id: string, _options: unknown, command: Command): Promise<void> => {
    const options = command.optsWithGlobals<Options>();
    await withPerson(context, options, async (admin) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      const answered = read(answerSchema, await admin.post(`approvals/${segment(id)}/${verb}`, body));
      if (options.json === true) return printJson(context, answered);
      const waits = answered.waits_for.length === 0 ? '' : `, waits for ${answered.waits_for.map(printable).join(' and ')}`;
      say(context, `${printable(answered.id)} is ${printable(answered.status)}${waits}`);
    });
  };
  group.command('approve').description('agree, as the person --token-file says you are').argument('<approval>')
    .option('--reason <text>', 'why, for the audit log').option('--json', 'JSON instead of text').action(answer('approve'));
  group.command('deny').description('say no, as the person --token-file says you are; final').argument('<approval>')
    .requiredOption('--reason <text>', 'why, for the audit log').option('--json', 'JSON instead of text').action(answer('deny'));
};
