import type { Command } from 'commander';
import type { AdminClient, ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { tell } from '../context.ts';
import { appliedSentence, applyAnswerSchema, finishApply, showPlan } from '../apply-answer.ts';
import type { ApplyAnswer } from '../apply-answer.ts';
import { EXIT } from '../errors.ts';
import { readYaml } from '../input.ts';
import { read } from '../listing.ts';
import { isBlocking } from '../problem.ts';

interface Options extends ServerOptions { readonly file: string; readonly dryRun?: boolean; readonly prune?: boolean; readonly json?: boolean }

/** `mayfly apply`: makes the registry what a manifest says; shows the difference before anything is changed. */
export const registerApply = (program: Command, context: CliContext): void => {
  program
    .command('apply')
    .description('register domains, issuers, resources, workloads and policies from YAML; the same file twice changes nothing')
    .requiredOption('-f, --file <file>', 'the manifest, or - for standard input')
    .option('--dry-run', 'show the difference and change nothing; exit 2 if it would be refused')
    .option('--prune', 'end what the domains of the manifest\'s `domains` section have and it does not name, and revoke what hangs on it')
    .option('--json', 'JSON instead of text')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const manifest = await readYaml(context, options.file);
      if (options.prune === true && manifest['domains'] === undefined) tell(context, 'warning: --prune ends nothing here: it looks at the domains the manifest lists under `domains`, and there is no such section');
      await withAdmin(context, options, (admin) => apply(context, admin, manifest, options));
    });
};

const apply = async (context: CliContext, admin: AdminClient, manifest: Record<string, unknown>, { dryRun = false, prune = false, json = false }: Options): Promise<void> => {
  const request = { manifest, prune };
  const planned = read(applyAnswerSchema, await admin.post('apply', { ...request, dry_run: true }));
  if (!json) showPlan(context, planned);
  if (planned.changes.length === 0) return finishApply(context, planned, json, 'nothing to change');
  if (dryRun) return finishDryRun(context, planned, json);
  const done = read(applyAnswerSchema, await admin.post('apply', { ...request, dry_run: false }));
  // Someone may have applied in between: what was done is what counts.
  if (!json && done.text.join('\n') !== planned.text.join('\n')) showPlan(context, done);
  finishApply(context, done, json, appliedSentence(done));
};

/** A pipeline that tries a manifest before it is merged has to hear that it would be refused. */
const finishDryRun = (context: CliContext, planned: ApplyAnswer, json: boolean): void => {
  const blocking = planned.findings.filter(isBlocking).length;
  if (blocking > 0) context.finish(EXIT.badInput);
  const verdict = blocking === 0 ? '' : `; applying it would be refused: ${blocking} ${blocking === 1 ? 'finding' : 'findings'} must be mended or accepted`;
  finishApply(context, planned, json, `dry run: nothing was changed${verdict}`);
};
