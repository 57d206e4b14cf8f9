import type { Command } from 'commander';
import { z } from 'zod';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import { parseBudget } from '../budget.ts';
import { renderSession, sessionSchema } from '../chain-tree.ts';
import type { CliContext } from '../context.ts';
import { say } from '../context.ts';
import { parseDeadline } from '../deadline.ts';
import { findDomain, findListed, segment } from '../domain.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, read, show } from '../listing.ts';
import { asTime, column, printable, printJson, timeColumn } from '../output.ts';

interface Options extends ServerOptions, ListingOptions { readonly domain?: string; readonly workload?: string }
interface OpenOptions extends ServerOptions {
  readonly domain?: string; readonly purpose: string; readonly deadline?: string; readonly json?: boolean;
  readonly maxTokens?: number; readonly maxAgents?: number; readonly maxResources?: number; readonly maxSpend?: number;
}
interface EndOptions extends ServerOptions { readonly reason: string; readonly json?: boolean }

const COLUMNS = [
  column('session', 'id'), column('domain'), { title: 'of', value: (item: Record<string, unknown>) => item['person'] ?? item['workload'] },
  column('issuer'), column('model'), column('principal'), timeColumn('started', 'started_at'), timeColumn('expires', 'expires_at'), column('status'),
];
const endedSchema = z.looseObject({ session: z.string(), ended: z.boolean(), at: z.union([z.string(), z.number()]) });

/** `mayfly session list|show|open|end`. */
export const registerSession = (program: Command, context: CliContext): void => {
  const group = program.command('session').description('exercises of authority: every credential belongs to one and falls with it');
  addListingOptions(group.command('list').description('list sessions, newest first').option('-d, --domain <name>', 'of this trust domain').option('--workload <name>', 'of this workload'))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => list(context, admin, 'sessions', { domain: await findListed(context, admin, options), workload: options.workload }, COLUMNS, options));
    });
  group.command('show').description('one session: its state, and the chain of its actors as a tree, each with owner, decision, ceiling, end and uses')
    .argument('<session>', 'its id, the sid of its tokens').option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const answer = await withAdmin(context, options, (admin) => admin.get(`sessions/${segment(id)}`));
      if (options.json === true) return printJson(context, answer);
      say(context, renderSession(read(sessionSchema, answer)));
    });
  registerOpen(group, context);
  registerEnd(group, context);
};

const registerOpen = (group: Command, context: CliContext): void => {
  group.command('open').description('open a task of an autonomous workload: what it may work towards, until when, and with how much')
    .argument('<workload>', 'the workload, by name or id')
    .requiredOption('--purpose <text>', 'what the task is for, in one line; policies and approvers see it')
    .option('--deadline <when>', 'when it ends: RFC 3339, or a span such as 90m, 8h or 2d (default: as late as the domain allows)')
    .option('--max-tokens <n>', 'credentials it may be issued, over all its agents', parseBudget)
    .option('--max-agents <n>', 'agents that may take part', parseBudget)
    .option('--max-resources <n>', 'resources it may have credentials for', parseBudget)
    .option('--max-spend <n>', 'what it may spend, in whatever unit it tells; without it, nothing', parseBudget)
    .option('-d, --domain <name>', 'trust domain of the workload (or MAYFLY_DOMAIN)')
    .option('--json', 'JSON instead of text')
    .action(async (workload: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<OpenOptions>();
      const { purpose, maxTokens: tokens, maxAgents: agents, maxResources: resources, maxSpend: spend } = options;
      const deadline = options.deadline === undefined ? undefined : parseDeadline(options.deadline, context.clock.now());
      await withAdmin(context, options, async (admin) => {
        const domain = await findDomain(context, admin, options.domain);
        show(context, await admin.post('sessions', { domain, workload, purpose, deadline, budgets: { tokens, agents, resources, spend } }), options.json);
      });
    });
};

const registerEnd = (group: Command, context: CliContext): void => {
  group.command('end').description('end a session before its time, with all that rests on it; nothing can reopen it')
    .argument('<session>')
    .requiredOption('--reason <text>', 'why, for the audit log')
    .option('--json', 'JSON instead of text')
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<EndOptions>();
      const answer = read(endedSchema, await withAdmin(context, options, (admin) => admin.post(`sessions/${segment(id)}/end`, { reason: options.reason })));
      if (options.json === true) return printJson(context, answer);
      say(context, answer.ended ? `session ${printable(answer.session)} ended at ${printable(asTime(answer.at))}` : `session ${printable(answer.session)} had been ended before: nothing changed`);
    });
};
