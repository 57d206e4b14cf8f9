import type { Command } from 'commander';
import type { AdminClient, ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import { appliedSentence, applyAnswerSchema, finishApply, showPlan } from '../apply-answer.ts';
import type { CliContext } from '../context.ts';
import { tell } from '../context.ts';
import { findDomain, segment } from '../domain.ts';
import { badInput } from '../errors.ts';
import { anyFell, fallenSchema, leasesOf, sayHonoured } from '../fallen.ts';
import { assign, readYaml } from '../input.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, read, show } from '../listing.ts';
import type { Column } from '../output.ts';
import { column, printable } from '../output.ts';

/** One kind of registry entry: same commands, other columns. */
interface Noun {
  readonly noun: string;
  /** In the API's path. */
  readonly path: string;
  /** The member that names an entry within its domain. */
  readonly key: 'name' | 'audience';
  /** False for domains, which are in none. */
  readonly inDomain: boolean;
  readonly about: string;
  readonly columns: readonly Column[];
}

const NOUNS: readonly Noun[] = [
  { noun: 'domain', path: 'domains', key: 'name', inDomain: false, about: 'trust domains; `mayfly revoke domain` ends one', columns: [column('name'), column('stage'), column('issuer'), column('spiffe'), column('owner'), column('status')] },
  { noun: 'issuer', path: 'issuers', key: 'name', inDomain: true, about: 'trusted issuers of evidence', columns: [column('domain'), column('name'), column('kind'), column('proves'), column('issuer'), column('owner'), column('expires'), column('status')] },
  { noun: 'resource', path: 'resources', key: 'audience', inDomain: true, about: 'what credentials are for', columns: [column('domain'), column('audience'), column('provider'), column('scopes'), column('owner'), column('expires'), column('status')] },
  { noun: 'workload', path: 'workloads', key: 'name', inDomain: true, about: 'registered non-human identities', columns: [column('domain'), column('name'), column('kind'), column('authority'), column('spiffe id', 'spiffe_id'), column('live', 'live_instances'), column('owner'), column('expires'), column('status')] },
  { noun: 'policy', path: 'policies', key: 'name', inDomain: true, about: 'Cedar policies', columns: [column('domain'), column('name'), column('version'), column('effect'), column('owner'), column('expires'), column('status')] },
];

interface Options extends ServerOptions { readonly domain?: string; readonly json?: boolean }
interface AddOptions extends Options { readonly file?: string; readonly set?: readonly string[] }

/** `mayfly domain|issuer|resource|workload|policy list|show|add|rm`. */
export const registerEntries = (program: Command, context: CliContext): void => {
  for (const noun of NOUNS) registerNoun(program, context, noun);
};

const registerNoun = (program: Command, context: CliContext, noun: Noun): void => {
  const group = program.command(noun.noun).description(noun.about);
  const withDomain = (command: Command): Command => (noun.inDomain ? command.option('-d, --domain <name>', 'its trust domain (or MAYFLY_DOMAIN; needed where there are several)') : command);

  addListingOptions(withDomain(group.command('list').description(`list ${noun.about.split(';')[0] ?? ''}`))).action(async (_options: unknown, command: Command) => {
    const options = command.optsWithGlobals<Options & ListingOptions>();
    await withAdmin(context, options, (admin) => list(context, admin, noun.path, { domain: options.domain ?? (noun.inDomain ? context.env['MAYFLY_DOMAIN'] : undefined) }, noun.columns, options));
  });

  withDomain(group.command('show').description('one entry, whole').argument(`<${noun.key}>`).option('--json', 'JSON instead of text')).action(async (name: string, _options: unknown, command: Command) => {
    const options = command.optsWithGlobals<Options>();
    await withAdmin(context, options, async (admin) => show(context, await admin.get(await pathOf(context, admin, noun, name, options.domain)), options.json));
  });

  withDomain(group.command('add').description('add an entry, or replace the one of that name: what is not given here is as if new').argument(`<${noun.key}>`))
    .option('-f, --file <file>', 'the entry in YAML, as under its section of a manifest; - for standard input')
    .option('--set <member=value...>', 'one member, such as owner=platform@acme.example or match.issuer=github; the value is YAML')
    .option('--json', 'JSON instead of text')
    .action(async (name: string, _options: unknown, command: Command) => add(context, noun, name, command.optsWithGlobals<AddOptions>()));

  // A domain is revoked; its name is in what it issued, and never free again.
  if (noun.inDomain) withDomain(group.command('rm').description('end an entry and revoke what hangs on it; its history stays').argument(`<${noun.key}>`))
    .requiredOption('--reason <text>', 'why, for the audit log')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options & { readonly reason: string }>();
      const answer = read(fallenSchema, await withAdmin(context, options, async (admin) => admin.delete(await pathOf(context, admin, noun, name, options.domain), { reason: options.reason })));
      tell(context, `${noun.noun} ${name} ended${anyFell(answer) ? `, ${leasesOf(answer)} with it` : ''}`);
      sayHonoured(context, answer);
    });
};

const pathOf = async (context: CliContext, admin: AdminClient, noun: Noun, name: string, domain: string | undefined): Promise<string> =>
  noun.inDomain ? `${noun.path}/${segment(await findDomain(context, admin, domain))}/${segment(name)}` : `${noun.path}/${segment(name)}`;

const add = async (context: CliContext, noun: Noun, name: string, options: AddOptions): Promise<void> => {
  if (options.file === undefined && options.set === undefined) throw badInput('the entry is empty', 'give it with -f FILE or --set member=value');
  const entry = options.file === undefined ? {} : await readYaml(context, options.file);
  for (const assignment of options.set ?? []) assign(entry, assignment);
  refuseOther(entry, noun.key, name);
  if (noun.inDomain && options.domain !== undefined) refuseOther(entry, 'domain', options.domain);
  const domain = typeof entry['domain'] === 'string' ? entry['domain'] : options.domain;
  await withAdmin(context, options, async (admin) => {
    const path = await pathOf(context, admin, noun, name, domain);
    const whole = noun.inDomain ? { ...entry, [noun.key]: name, domain: domain ?? (await findDomain(context, admin, undefined)) } : { ...entry, [noun.key]: name };
    const answer = read(applyAnswerSchema, await admin.put(path, whole));
    if (options.json !== true) showPlan(context, answer);
    finishApply(context, answer, options.json === true, appliedSentence(answer));
  });
};

const refuseOther = (entry: Record<string, unknown>, member: string, said: string): void => {
  const inside = entry[member];
  if (inside !== undefined && inside !== said) throw badInput(`the entry says ${member}: ${printable(inside)}, the command says ${said}`, 'let both say the same');
};
