import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { isObject } from '../../core/json.ts';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { badInput, EXIT } from '../errors.ts';
import { readCheckpoints } from '../checkpoints.ts';
import { readInput } from '../input.ts';
import { read, show } from '../listing.ts';

interface VerifyOptions extends ServerOptions { readonly checkpoints?: string; readonly json?: boolean }
interface ExportOptions extends ServerOptions { readonly chain?: string; readonly after?: string; readonly output?: string }

const answerSchema = z.looseObject({ ok: z.boolean() });

/** `mayfly audit verify|export`. */
export const registerAudit = (program: Command, context: CliContext): void => {
  const group = program.command('audit').description('the hash-chained log of everything that was decided and changed');
  group.command('verify')
    .description('report edits, invented entries, reordering and deletions, and how much is not sealed yet; exit 1 if anything is wrong')
    .option('--checkpoints <file>', 'checkpoints that were kept outside (the server\'s log lines do), to compare with; - for standard input')
    .option('--json', 'JSON instead of text')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<VerifyOptions>();
      const outside = options.checkpoints === undefined ? {} : { checkpoints: readCheckpoints(options.checkpoints, await readInput(context, options.checkpoints)) };
      const answer = read(answerSchema, await withAdmin(context, options, (admin) => admin.post('audit/verify', outside)));
      show(context, answer, options.json);
      context.finish(answer.ok ? EXIT.ok : EXIT.failed);
    });
  group.command('export')
    .description('the entries as JSON lines')
    .option('--chain <chain>', 'of this chain only')
    .option('--after <n>', 'entries above this number; needs --chain')
    .option('-o, --output <file>', 'write there instead of standard output')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ExportOptions>();
      if (options.after !== undefined && options.chain === undefined) throw badInput('--after counts the entries of one chain, and none is named', 'name it with --chain (`mayfly audit verify` lists them)');
      await withAdmin(context, options, async (admin) => {
        const entries = await admin.stream('audit', { chain: options.chain, after: options.after });
        if (options.output === undefined) return pipeline(entries, context.stdout, { end: false });
        await pipeline(entries, createWriteStream(options.output, { mode: 0o600 })).catch((fault: unknown) => { throw unwritable(options.output ?? '', fault); });
      });
    });
};

const unwritable = (file: string, fault: unknown): unknown =>
  (isObject(fault) && (fault['syscall'] === 'open' || fault['syscall'] === 'write') ? badInput(`cannot write ${file}: ${String(fault['code'])}`, 'name a file in a folder that exists and that you may write') : fault);
