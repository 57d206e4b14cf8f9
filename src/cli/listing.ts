import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import type { AdminClient, Query } from './admin-client.ts';
import type { CliContext } from './context.ts';
import { say, tell, terminalWidth } from './context.ts';
import { failed } from './errors.ts';
import type { Column } from './output.ts';
import { printJson, renderDetails, renderTable } from './output.ts';

/** Flags of every listing. */
export interface ListingOptions { readonly json?: boolean; readonly limit: number; readonly after?: string; readonly all?: boolean }

export const addListingOptions = (command: Command): Command =>
  command
    .option('--limit <n>', 'entries on one page', parseCount, 100)
    .option('--after <cursor>', 'start behind this entry (as the page before said)')
    .option('--all', 'every page')
    .option('--json', 'JSON instead of a table');

/** Whole number from 1, or commander's usage error. */
export const parseCount = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('give a whole number from 1 to 999999');
  return Number(text);
};

const recordSchema = z.record(z.string(), z.unknown());
const pageSchema = z.object({ items: z.array(recordSchema), next: z.string().nullish() });

/** Prints one page of a listing, or all of them. */
export const list = async (context: CliContext, admin: AdminClient, path: string, query: Query, columns: readonly Column[], options: ListingOptions): Promise<void> => {
  const items: Record<string, unknown>[] = [];
  let next = options.after;
  do {
    const page = read(pageSchema, await admin.get(path, { ...query, limit: options.limit, after: next }));
    items.push(...page.items);
    next = page.next ?? undefined;
  } while (options.all === true && next !== undefined);
  if (options.json === true) return printJson(context, next === undefined ? { items } : { items, next });
  if (items.length > 0) say(context, renderTable(columns, items, terminalWidth(context)));
  else tell(context, next === undefined ? 'nothing found' : 'nothing found so far');
  if (next !== undefined) tell(context, `more: --after ${next}, or --all`);
};

/** Prints things a command made or changed, in the form of their listing. */
export const showItems = (context: CliContext, answer: unknown, columns: readonly Column[], json: boolean | undefined): void => {
  const page = read(pageSchema, answer);
  if (json === true) return printJson(context, page);
  say(context, renderTable(columns, page.items, terminalWidth(context)));
};

/** Prints one object with all its members. */
export const show = (context: CliContext, value: unknown, json: boolean | undefined): void => {
  if (json === true) return printJson(context, value);
  say(context, renderDetails(read(recordSchema, value)));
};

/** The server's answer in the shape a command needs; a server of another version is a failure with a name. */
export const read = <T>(schema: z.ZodType<T>, answer: unknown): T => {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw failed(`the server's answer is not what this version of mayfly expects: ${z.prettifyError(parsed.error)}`, 'use the same version of mayfly as the server (`mayfly --version`)');
};
