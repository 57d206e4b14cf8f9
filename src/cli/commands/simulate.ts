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
  readonly issuer?: string; readonly attributesFile?: string; readonly attribute?: readonly string[];
  readonly person?: string; readonly group?: readonly string[]; readonly actor?: readonly string[]; readonly handsOnTo?: string; readonly purpose?: string; readonly json?: boolean;
}

const answerSchema = z.looseObject({ allow: z.boolean() });

/** `mayfly simulate`: the decision a request would get; nothing is issued and nothing consumed. Exit 1 when it would be denied. */
export const registerSimulate = (program: Command, context: CliContext): void => {
  program
    .command('simulate')
    .description('the decision that evidence, a set of attributes or a chain of agents would get; nothing is issued')
    .requiredOption('--audience <audience>', 'the resource asked for')
    .option('--scope <scopes>', 'scopes asked for, separated by spaces')
    .option('--evidence-file <file>', 'file with a platform\'s token; - for standard input')
    .option('--issuer <name>', 'with attributes: the trusted issuer they would come from')
    .option('--attributes-file <file>', 'attributes in YAML')
    .option('--attribute <name=value...>', 'one attribute; the value is YAML')
    .option('--actor <workload...>', 'instead of evidence: each agent of a chain, from the first to the one that asks; attributes given are the last one\'s, beyond its match rule')
    .option('--person <issuer/sub>', 'with --actor: whom the first one acts for, such as corp/00u1a2b3')
    .option('--group <name...>', 'groups of that person')
    .option('--hands-on-to <workload>', 'the agent that the last one hands on to')
    .option('--purpose <text>', 'of an autonomous workload: what its task is for')
    .option('-d, --domain <name>', 'the trust domain (or MAYFLY_DOMAIN)')
    .option('--json', 'JSON instead of text')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const shown = await readShown(context, options);
      await withAdmin(context, options, async (admin) => {
        const domain = await findDomain(context, admin, options.domain);
        const { audience, scope, purpose, handsOnTo: hands_on_to } = options;
        const asked = { domain, audience, scope, purpose, hands_on_to };
        const answer = read(answerSchema, await admin.post('simulate', { ...asked, ...shown }));
        show(context, answer, options.json);
        context.finish(answer.allow ? EXIT.ok : EXIT.failed);
      });
    });
};

const readShown = async (context: CliContext, options: Options): Promise<object> => {
  const { evidenceFile, issuer, attributesFile, attribute, actor, person, group } = options;
  if (actor !== undefined) return readChain(context, options, actor);
  if (person !== undefined || group !== undefined) throw badInput('a person acts through an agent, and none is named', 'give --actor WORKLOAD, the first agent first');
  const hasAttributes = attributesFile !== undefined || attribute !== undefined;
  if ((evidenceFile !== undefined) === hasAttributes) throw badInput('simulate needs a token or attributes, and not both', 'give --evidence-file FILE, or --issuer NAME with --attribute name=value');
  if (evidenceFile !== undefined) return { token: (await readInput(context, evidenceFile)).trim() };
  if (issuer === undefined) throw badInput('attributes come from an issuer, and none is named', 'give --issuer NAME (see `mayfly issuer list`)');
  return { issuer, attributes: await readAttributes(context, options) };
};

const readAttributes = async (context: CliContext, { attributesFile, attribute }: Options): Promise<Record<string, unknown>> => {
  const attributes = attributesFile === undefined ? {} : await readYaml(context, attributesFile);
  for (const assignment of attribute ?? []) assign(attributes, assignment);
  return attributes;
};

const readChain = async (context: CliContext, options: Options, names: readonly string[]): Promise<object> => {
  const { evidenceFile, issuer, person, group } = options;
  if (evidenceFile !== undefined || issuer !== undefined) throw badInput('--actor is instead of evidence', 'leave out --evidence-file and --issuer');
  if (person === undefined && group !== undefined) throw badInput('--group is of a person, and none is named', 'give --person ISSUER/SUB');
  const attributes = await readAttributes(context, options);
  const actors = names.map((workload, at) => ({ workload, ...(at === names.length - 1 && Object.keys(attributes).length > 0 ? { attributes } : {}) }));
  return { actors, ...(person === undefined ? {} : { person: { ...readPerson(person), groups: group ?? [] } }) };
};

/** Names of issuers hold no slash; a sub may. */
const readPerson = (text: string): { readonly issuer: string; readonly sub: string } => {
  const [, issuer, sub] = /^([^/]+)\/(.+)$/su.exec(text) ?? [];
  if (issuer === undefined || sub === undefined) throw badInput(`--person ${text} is not an issuer and a sub`, 'give --person ISSUER/SUB, such as --person corp/00u1a2b3');
  return { issuer, sub };
};
