import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MENDS } from '../src/admin/mends.ts';
import { REFUSAL_CODES } from '../src/core/refusal.ts';
import { PUBLIC_REFUSALS, retryAfterOf } from '../src/http/problem.ts';
import { LINT_RULES } from '../src/registry/lint-rules.ts';

/** `npm run doc-tables` writes the tables of docs/ that follow from the code; test/docs.test.ts sees that it was run. */
export const docTables = (): ReadonlyMap<string, string> => new Map([['errors.md', errorsTable()], ['lint.md', lintTable()]]);

/** The page with everything after the mark replaced. */
export const withTable = (page: string, table: string): string => `${page.slice(0, page.indexOf(START))}${START}\n\n${table}\n`;

const START = '<!-- written by scripts/doc-tables.ts -->';

const errorsTable = (): string => [
  '| code | status and OAuth error | what the caller reads | what an admin does |',
  '|---|---|---|---|',
  ...REFUSAL_CODES.map((code) => {
    const { status, error, sentence } = PUBLIC_REFUSALS[code];
    const retry = retryAfterOf(code);
    return `| \`${code}\` | ${status} \`${error}\`${retry === undefined ? '' : `, retry after ${retry} s`} | ${cell(sentence)} | ${cell(MENDS[code])} |`;
  }),
].join('\n');

const lintTable = (): string => [
  '| rule | severity | why |',
  '|---|---|---|',
  ...Object.entries(LINT_RULES).map(([rule, { severity, why }]) => `| \`${rule}\` | ${severity} | ${cell(why)} |`),
].join('\n');

/** Angle brackets would be read as HTML. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

if (import.meta.main) {
  for (const [name, table] of docTables()) {
    const file = join(import.meta.dirname, '..', 'docs', name);
    writeFileSync(file, withTable(readFileSync(file, 'utf8'), table));
  }
}
