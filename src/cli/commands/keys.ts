import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { isObject } from '../../core/json.ts';
import { systemRandom } from '../../core/random.ts';
import { parseKek } from '../../keys/kek.ts';
import type { ServerOptions } from '../admin-client.ts';
import { withAdmin } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { say, tell } from '../context.ts';
import { findDomain, segment } from '../domain.ts';
import { badInput } from '../errors.ts';
import { fallenSchema, leasesOf, sayHonoured } from '../fallen.ts';
import type { ListingOptions } from '../listing.ts';
import { addListingOptions, list, read, showItems } from '../listing.ts';
import { withoutAdminApi } from '../no-admin-api.ts';
import { column, printJson, timeColumn } from '../output.ts';

interface Options extends ServerOptions { readonly domain?: string; readonly purpose: string; readonly algorithm?: string; readonly reason: string; readonly json?: boolean }

const COLUMNS = [column('key', 'kid'), column('domain'), column('purpose'), column('algorithm'), column('status'), timeColumn('not before', 'not_before'), timeColumn('not after', 'not_after'), column('kek', 'kek_id')];
const PURPOSES = ['access', 'aws', 'set', 'status', 'checkpoint'];
const ALGORITHMS = ['ES256', 'RS256'];
const rewrapSchema = z.looseObject({ rewrapped: z.number() });

/** `mayfly keys list|rotate|rewrap|revoke|init`. */
export const registerKeys = (program: Command, context: CliContext): void => {
  const group = program.command('keys').description('signing keys and the key-encryption key');
  registerList(group, context);
  registerRotate(group, context);
  registerRewrap(group, context);
  registerRevoke(group, context);
  registerInit(group, context);
};

const registerList = (group: Command, context: CliContext): void => {
  addListingOptions(group.command('list').description('list signing keys').option('-d, --domain <name>', 'of this trust domain')).action(async (_options: unknown, command: Command) => {
    const options = command.optsWithGlobals<Options & ListingOptions>();
    await withAdmin(context, options, (admin) => list(context, admin, 'keys', { domain: options.domain ?? context.env['MAYFLY_DOMAIN'] }, COLUMNS, options));
  });
};

const registerRotate = (group: Command, context: CliContext): void => {
  group.command('rotate').description('publish a new key now; it signs once every verifier had time to see it')
    .option('-d, --domain <name>', 'the trust domain (or MAYFLY_DOMAIN)').addOption(new Option('--purpose <purpose>', 'what the key signs').choices(PURPOSES).default('access'))
    .addOption(new Option('--algorithm <algorithm>', 'of the key, where the domain has two for this purpose').choices(ALGORITHMS)).option('--json', 'JSON instead of text')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      await withAdmin(context, options, async (admin) => showItems(context, await admin.post('keys/rotate', { domain: await findDomain(context, admin, options.domain), purpose: options.purpose, ...(options.algorithm === undefined ? {} : { algorithm: options.algorithm }) }), COLUMNS, options.json));
    });
};

const registerRewrap = (group: Command, context: CliContext): void => {
  group.command('rewrap').description('encrypt every stored key under the current key-encryption key').action(async (_options: unknown, command: Command) => {
    const { rewrapped } = read(rewrapSchema, await withAdmin(context, command.optsWithGlobals<Options>(), (admin) => admin.post('keys/rewrap', {})));
    tell(context, `${rewrapped} rewrapped`);
  });
};

const registerRevoke = (group: Command, context: CliContext): void => {
  group.command('revoke').description('take a key out of the JWKS at once and revoke every lease it signed').argument('<kid>').requiredOption('--reason <text>', 'why, for the audit log').option('--json', 'JSON instead of text')
    .action(async (kid: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const answer = read(fallenSchema, await withAdmin(context, options, (admin) => admin.post(`keys/${segment(kid)}/revoke`, { reason: options.reason })));
      if (options.json === true) return printJson(context, answer);
      showItems(context, answer, COLUMNS, false);
      tell(context, `${leasesOf(answer)} ended`);
      sayHonoured(context, answer);
    });
};

const registerInit = (group: Command, context: CliContext): void => {
  withoutAdminApi(group.command('init'), 'leave it out: the key is made here, and no server is asked').description('make a key-encryption key (32 random bytes in base64, 0600); every node needs the same one')
    .option('-o, --output <file>', 'where to write it; an existing file is never overwritten', './data/kek')
    .action(async ({ output }: { readonly output: string }) => {
      const text = Buffer.from(systemRandom.bytes(32)).toString('base64');
      await writeNew(output, `${text}\n`);
      say(context, `${output}: key-encryption key ${parseKek(text).id}`);
      tell(context, 'next: keep a copy where the database is not; without it no stored key can be opened. Name it with MAYFLY_KEK_FILE or kek.file on every node');
    });
};

const writeNew = async (file: string, content: string): Promise<void> => {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { mode: 0o600, flag: 'wx' });
  } catch (fault) {
    const code = isObject(fault) ? String(fault['code']) : String(fault);
    throw badInput(code === 'EEXIST' ? `${file} exists` : `cannot write ${file}: ${code}`, 'name another file; a key-encryption key in use must not be lost');
  }
};
