import { CommanderError } from 'commander';
import type { ShellContext } from './context.ts';
import { tell } from './context.ts';
import { printable } from './output.ts';

/** Exit codes: 0 done, 1 refused or failed, 2 bad input. */
export const EXIT = { ok: 0, failed: 1, badInput: 2 } as const;

/** An end of a command that a person has to read: what happened, and what to do next. */
export class CliError extends Error {
  readonly mend: string;
  readonly exitCode: number;
  /** Further lines, such as the single problems of a manifest. */
  readonly notes: readonly string[];
  constructor(message: string, mend: string, exitCode: number, notes: readonly string[] = [], options?: ErrorOptions) {
    super(message, options);
    this.name = 'CliError';
    this.mend = mend;
    this.exitCode = exitCode;
    this.notes = notes;
  }
}

export const failed = (message: string, mend: string, notes: readonly string[] = []): CliError => new CliError(message, mend, EXIT.failed, notes);
export const badInput = (message: string, mend: string, notes: readonly string[] = []): CliError => new CliError(message, mend, EXIT.badInput, notes);

const SHOWN_BY_COMMANDER = new Set(['commander.helpDisplayed', 'commander.version']);

/** Prints what ended a command and gives its exit code. Commander has printed its own errors, with usage and the nearest match. */
export const report = (context: Pick<ShellContext, 'stderr'>, fault: unknown): number => {
  if (fault instanceof CommanderError) return SHOWN_BY_COMMANDER.has(fault.code) ? EXIT.ok : EXIT.badInput;
  if (fault instanceof CliError) {
    tell(context, [`error: ${printable(fault.message)}`, ...fault.notes.map((note) => `  ${printable(note)}`), `  next: ${printable(fault.mend)}`].join('\n'));
    return fault.exitCode;
  }
  const message = fault instanceof Error ? fault.message : String(fault);
  tell(context, `error: ${printable(message)}\n  next: run the command again; if it stays, report it with this text (see SECURITY.md if it could be a weakness)`);
  return EXIT.failed;
};
