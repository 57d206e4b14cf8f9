import type { Command } from 'commander';
import { z } from 'zod';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { findDomain } from '../domain.ts';
import { badInput, EXIT } from '../errors.ts';
import { assign, readInput, readYaml } from '../input.ts';
import { read, show } from '../listing.ts';

interface Options extends ServerOptions {
  readonly domain?: string; readonly audience: string; readonly scope?: string; readonly evidenceFile?: string;
  readonly issuer?: string; readonly attributesFile?: string; readonly attribute?: readonly string[]; readonly json?: boolean;
}

const answerSchema = z.looseObject({ allow: z.boolean() });

/** `mayfly simulate`: the decision a request would get; nothing is issued and nothing consumed. Exit 1 when it would be denied. */
export const registerSimulate = (program: Command, context: CliContext): void => {
  program
    .command('simulate')
    .description('the decision that evidence, or a set of attributes, would get; nothing is issued')
    .requiredOption('--audience <audience>', 'the resource asked for')
    .option('--scope <scopes>', 'scopes asked for, separated by spaces')
    .option('--evidence-file <file>', 'file with a platform\'s token; - for standard input')
    .option('--issuer <name>', 'with attributes: the trusted issuer they would come from')
    .option('--attributes-file <file>', 'attributes in YAML')
    .option('--attribute <name=value...>', 'one attribute; the value is YAML')
    .option('-d, --domain <name>', 'the trust domain (or MAYFLY_DOMAIN)')
    .option('--json', 'JSON instead of text')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const shown = await readShown(context, options);
      await withAdmin(context, options, async (admin) => {
        const domain = await findDomain(context, admin, options.domain);
        const asked = { domain, audience: options.audience, ...(options.scope === undefined ? {} : { scope: options.scope }) };
        const answer = read(answerSchema, await admin.post('simulate', { ...asked, ...shown }));
        show(context, answer, options.json);
        context.finish(answer.allow ? EXIT.ok : EXIT.failed);
      });
    });
};

const readShown = async (context: CliContext, { evidenceFile, issuer, attributesFile, attribute }: Options): Promise<object> => {
  const hasAttributes = attributesFile !== undefined || attribute !== undefined;
  if ((evidenceFile !== undefined) === hasAttributes) throw badInput('simulate needs a token or attributes, and not both', 'give --evidence-file FILE, or --issuer NAME with --attribute name=value');
  if (evidenceFile !== undefined) return { token: (await readInput(context, evidenceFile)).trim() };
  if (issuer === undefined) throw badInput('attributes come from an issuer, and none is named', 'give --issuer NAME (see `mayfly issuer list`)');
  const attributes = attributesFile === undefined ? {} : await readYaml(context, attributesFile);
  for (const assignment of attribute ?? []) assign(attributes, assignment);
  return { issuer, attributes };
};
