import { quote } from './dialect.ts';
import type { Dialect } from './dialect.ts';

export const sqliteDialect: Dialect = {
  engine: 'sqlite',
  // Materialized: json_each renders a row's text anew for every column that asks for it, which was half the cost of a row.
  rows: (parameter, columns) =>
    `(WITH source(value) AS MATERIALIZED (SELECT value FROM json_each(${parameter})) SELECT ${columns.map((column) => `value->>'$.${column.name}' AS ${quote(column.name)}`).join(', ')} FROM source) AS x`,
  strings: (expression, alias) => `json_each(${expression}) AS ${alias}`,
  objects: (expression, alias, columns) => `(SELECT ${columns.map((column) => `value->>'$.${column.name}' AS ${quote(column.name)}`).join(', ')} FROM json_each(${expression})) AS ${alias}`,
  among: (column, expression) => `${column} IN (SELECT value FROM json_each(${expression}))`,
  amongThose: (column, query) => `${column} IN (${query})`,
  arrays: (expressions) => `json_group_array(json_array(${expressions.join(', ')}))`,
  parameters: (sql) => sql.replaceAll(/\$(\d)/g, '?$1'),
};
