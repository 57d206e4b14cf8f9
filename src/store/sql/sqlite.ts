import { quote } from './dialect.ts';
import type { Dialect } from './dialect.ts';

export const sqliteDialect: Dialect = {
  engine: 'sqlite',
  rows: (parameter, columns) => `(SELECT ${columns.map((column) => `value->>'$.${column.name}' AS ${quote(column.name)}`).join(', ')} FROM json_each(${parameter})) AS x`,
  strings: (expression, alias) => `json_each(${expression}) AS ${alias}`,
  parameters: (sql) => sql.replaceAll(/\$(\d)/g, '?$1'),
};
