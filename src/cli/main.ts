import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { registerApproval } from './commands/approval.ts';
import { registerApply } from './commands/apply.ts';
import { registerAudit } from './commands/audit.ts';
import { registerEnable } from './commands/enable.ts';
import { registerEntries } from './commands/entries.ts';
import { registerExec } from './commands/exec.ts';
import { registerExplain } from './commands/explain.ts';
import { registerKeys } from './commands/keys.ts';
import { registerLease } from './commands/lease.ts';
import { registerLint } from './commands/lint.ts';
import { registerRevocation } from './commands/revocation.ts';
import { registerRevoke } from './commands/revoke.ts';
import { registerServe } from './commands/serve.ts';
import { registerSession } from './commands/session.ts';
import { registerSimulate } from './commands/simulate.ts';
import { registerToken } from './commands/token.ts';
import type { CliContext, ShellContext } from './context.ts';
import { EXIT, report } from './errors.ts';

export { shellContext } from './context.ts';

/** Every command, in the order of the help text: one file each in commands/. */
const COMMANDS: readonly ((program: Command, context: CliContext) => void)[] = [
  registerServe, registerApply, registerEntries, registerSession, registerLease, registerApproval, registerRevoke, registerEnable, registerRevocation,
  registerToken, registerExec, registerExplain, registerSimulate, registerLint, registerAudit, registerKeys,
];

/** Runs `mayfly` with these arguments; resolves with its exit code (0 done, 1 refused or failed, 2 bad input). */
export const run = async (args: readonly string[], shell: ShellContext): Promise<number> => {
  let exitCode: number = EXIT.ok;
  const context: CliContext = { ...shell, finish: (code) => { exitCode = code; } };
  try {
    await createProgram(context).parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (fault) {
    return report(context, fault);
  }
};

const createProgram = (context: CliContext): Command => {
  const program = new Command('mayfly')
    .description('Secure token service and credential broker: workloads show attestation and get credentials that die within minutes')
    .version(readVersion(), '-V, --version')
    .option('--server <where>', 'the server: unix:///path/admin.sock or an https URL (MAYFLY_SERVER; default: the socket in ./data)')
    .option('--token-file <file>', 'file with your OIDC token, for a server over HTTP and to approve (or MAYFLY_ADMIN_TOKEN)')
    .option('--dpop-key <file>', 'the P-256 private key that token is bound to, JWK or PKCS#8 PEM, if it is bound (or MAYFLY_ADMIN_DPOP_KEY)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ writeOut: (text) => { context.stdout.write(text); }, writeErr: (text) => { context.stderr.write(text); } });
  for (const register of COMMANDS) register(program, context);
  program.addHelpText('after', AFTER_HELP);
  shortenErrors(program);
  return program;
};

const AFTER_HELP = `
Environment:
  MAYFLY_SERVER       as --server
  MAYFLY_ADMIN_TOKEN  the token itself, instead of --token-file
  MAYFLY_DOMAIN       as --domain
  MAYFLY_ISSUER       as --issuer of token and exec
  MAYFLY_ID_TOKEN     the platform's token, for token and exec

Exit codes:
  0  done, or the answer is yes
  1  refused, failed, or the answer is no (lint, simulate, audit verify)
  2  bad input: nothing was done
  exec ends as the command it ran: 126 it could not be run, 127 it was not
  found, 128 + n it was ended by signal n; 128 + n as well for token and exec
  that signal n ended while they waited for a person (--deferred)`;

/** After an error its command's usage alone: the whole help would push the error off the screen. */
const shortenErrors = (command: Command): void => {
  const usage = command.createHelp().commandUsage(command);
  command.showHelpAfterError(`Usage: ${usage}\n  next: see \`${usage.replace(/ [[<-].*$/, '')} --help\``);
  for (const inner of command.commands) shortenErrors(inner);
};

/** From src/cli and from dist/cli alike the package's own file is two folders up. */
const readVersion = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
};
