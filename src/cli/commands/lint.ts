import type { Command } from 'commander';
import { z } from 'zod';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { say, tell, terminalWidth } from '../context.ts';
import { EXIT } from '../errors.ts';
import { read } from '../listing.ts';
import { column, printJson, renderTable } from '../output.ts';
import { isBlocking } from '../problem.ts';

interface Options extends ServerOptions { readonly domain?: string; readonly json?: boolean }

const answerSchema = z.looseObject({ findings: z.array(z.looseObject({ rule: z.string(), severity: z.string(), accepted: z.unknown().optional() })) });
const COLUMNS = [column('severity'), column('rule'), column('domain'), column('kind'), column('name'), column('why'), column('mend')];

/** `mayfly lint`: trust that is broader than it needs to be. Exit 1 when an error is not accepted. */
export const registerLint = (program: Command, context: CliContext): void => {
  program
    .command('lint')
    .description('find over-broad trust in the registry; exit 1 on errors')
    .option('-d, --domain <name>', 'of this trust domain only')
    .option('--json', 'JSON instead of a table')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const answer = read(answerSchema, await withAdmin(context, options, (admin) => admin.get('lint', { domain: options.domain ?? context.env['MAYFLY_DOMAIN'] })));
      const errors = answer.findings.filter(isBlocking);
      context.finish(errors.length === 0 ? EXIT.ok : EXIT.failed);
      if (options.json === true) return printJson(context, answer);
      if (answer.findings.length === 0) return tell(context, 'no findings');
      say(context, renderTable(COLUMNS, answer.findings, terminalWidth(context)));
      tell(context, `${answer.findings.length} ${answer.findings.length === 1 ? 'finding' : 'findings'}, ${errors.length} that must be mended or accepted`);
    });
};
