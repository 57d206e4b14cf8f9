import type { Command } from 'commander';
import type { ServerOptions } from './admin-client.ts';
import { badInput } from './errors.ts';

const ADMIN_FLAGS = [['server', '--server'], ['tokenFile', '--token-file'], ['dpopKey', '--dpop-key']] as const;

/**
 * For commands that do not ask the admin API: its flags are not shown, and refused where they are given, since whoever
 * gives them means something else. `mend` says what to give instead.
 */
export const withoutAdminApi = (command: Command, mend: string): Command =>
  command.configureHelp({ showGlobalOptions: false }).hook('preAction', (_hooked, action) => {
    const options = action.optsWithGlobals<ServerOptions>();
    const [given] = ADMIN_FLAGS.flatMap(([name, flag]) => (options[name] === undefined ? [] : [flag]));
    if (given !== undefined) throw badInput(`${given} is for commands that ask the admin API`, mend);
  });
