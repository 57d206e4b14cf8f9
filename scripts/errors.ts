import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MENDS } from '../src/admin/mends.ts';
import { REFUSAL_CODES } from '../src/core/refusal.ts';
import { PUBLIC_REFUSALS, retryAfterOf } from '../src/http/problem.ts';

/** `node scripts/errors.ts` writes the table of docs/errors.md from the code; test/docs.test.ts sees that it was run. */
const START = '<!-- written by scripts/errors.ts -->';

export const errorsTable = (): string => [
  '| code | status and OAuth error | what the caller reads | what an admin does |',
  '|---|---|---|---|',
  ...REFUSAL_CODES.map((code) => {
    const { status, error, sentence } = PUBLIC_REFUSALS[code];
    const retry = retryAfterOf(code);
    return `| \`${code}\` | ${status} \`${error}\`${retry === undefined ? '' : `, retry after ${retry} s`} | ${cell(sentence)} | ${cell(MENDS[code])} |`;
  }),
].join('\n');

/** The page with everything after the mark replaced. */
export const withTable = (page: string): string => `${page.slice(0, page.indexOf(START))}${START}\n\n${errorsTable()}\n`;

/** Angle brackets would be read as HTML. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

if (import.meta.main) {
  const file = join(import.meta.dirname, '..', 'docs', 'errors.md');
  writeFileSync(file, withTable(readFileSync(file, 'utf8')));
}
