import { resolve } from 'node:path';
import type { Command } from 'commander';
import { localSocket } from '../admin-client.ts';
import type { CliContext } from '../context.ts';
import { tell } from '../context.ts';
import { failed } from '../errors.ts';
import { parseCount } from '../listing.ts';
import { withoutAdminApi } from '../no-admin-api.ts';
import { printable } from '../output.ts';
import { explainStart } from '../start-fault.ts';

interface Options { readonly config?: string; readonly listen?: string; readonly workers?: number }

/** `mayfly serve`: the server, until a signal asks it to end. */
export const registerServe = (program: Command, context: CliContext): void => {
  withoutAdminApi(program.command('serve'), 'tell the server where to be with --listen or --config')
    .description('run the server (with no configuration: SQLite in ./data, on loopback, a development domain)')
    .option('-c, --config <file>', 'configuration file (YAML)')
    .option('--listen <host:port>', 'where to listen, instead of the configuration\'s')
    .option('--workers <n>', 'processes that answer requests', parseCount)
    .action(async (options: Options) => serve(context, options));
};

const serve = async (context: CliContext, { config, listen, workers }: Options): Promise<void> => {
  if (process.platform === 'win32') throw failed('the server runs on Linux and macOS', 'run it there, or in a container; the other commands work here');
  let stopListening = (): void => undefined;
  const ended = new Promise<void>((end) => { stopListening = context.onSignal(() => end()); });
  try {
    // Loaded here alone: the other commands neither need nor wait for the server's libraries.
    const { startServer } = await import('../../main.ts');
    const server = await startServer({
      ...(config === undefined ? {} : { configFile: config }), ...(listen === undefined ? {} : { listen }), ...(workers === undefined ? {} : { workers }),
    });
    const { problems, adminSocket } = server;
    const where = `at ${server.externalUrl}; its admin API is at ${adminSocket}`;
    if (problems.length > 0) tell(context, [`mayfly is not ready ${where}`, ...problems.map(printable).map((problem) => `  ${problem}`), '  next: mend this and restart; until then /readyz answers 503 and these domains issue nothing'].join('\n'));
    else tell(context, `mayfly is ready ${where}\n  next: ${commandName(context)} domain list${isWhereCommandsLook(context, adminSocket) ? '' : ` --server ${adminSocket}`}`);
    await ended;
    await server.close();
  } catch (fault) {
    throw explainStart(fault);
  } finally {
    stopListening();
  }
};

/** Who typed `npm start` stands in a checkout, where no `mayfly` is on the path. */
const commandName = (context: CliContext): string => (context.env['npm_lifecycle_event'] === 'start' ? 'node bin/mayfly.js' : 'mayfly');

const isWhereCommandsLook = (context: CliContext, socket: string): boolean => {
  const given = context.env['MAYFLY_SERVER'] ?? localSocket(context.env);
  return given.startsWith('unix://') && resolve(given.slice('unix://'.length)) === socket.slice('unix://'.length);
};
