import { quote } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import type { ColumnType } from './tables.ts';

export const postgresqlDialect: Dialect = {
  engine: 'postgresql',
  rows: (parameter, columns) => `jsonb_to_recordset(${parameter}::text::jsonb) AS x(${columns.map((column) => `${quote(column.name)} ${TYPES[column.type]}`).join(', ')})`,
  strings: (expression, alias) => `jsonb_array_elements_text((${expression})::text::jsonb) AS ${alias}(value)`,
  objects: (expression, alias, columns) => `jsonb_to_recordset((${expression})::text::jsonb) AS ${alias}(${columns.map((column) => `${quote(column.name)} ${TYPES[column.type]}`).join(', ')})`,
  // Not a join with the array's members, which may turn out the other way round.
  among: (column, expression) => `${column} = ANY (ARRAY(SELECT jsonb_array_elements_text((${expression})::text::jsonb)))`,
  // PostgreSQL takes a limit it does not know for a tenth of what there is, and as a join walks the whole table.
  amongThose: (column, query) => `${column} = ANY (ARRAY(${query}))`,
  arrays: (expressions) => `coalesce(json_agg(json_build_array(${expressions.join(', ')})), '[]')::text`,
  parameters: (sql) => sql,
};

const TYPES: Record<ColumnType, string> = { text: 'text', json: 'text', integer: 'integer', bigint: 'bigint', boolean: 'boolean', time: 'timestamptz' };
