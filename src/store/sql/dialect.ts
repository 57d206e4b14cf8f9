import { shape } from './tables.ts';
import type { Column, ColumnType } from './tables.ts';

/**
 * The little in which the two engines' SQL differs. Statements are written once, in PostgreSQL's spelling, with every
 * value arriving in a JSON text parameter, and take these pieces from the engine's dialect.
 */
export interface Dialect {
  readonly engine: 'sqlite' | 'postgresql';
  /** A JSON array of objects, as the table `x` with these columns, in the array's order. */
  rows(parameter: Parameter, columns: readonly Column[]): string;
  /** A JSON array of strings (an expression), as the table `alias` with the column `value`. */
  strings(expression: string, alias: string): string;
  /** A JSON array of objects in an expression, as the table `alias` with these columns; no rows where it is null. */
  objects(expression: string, alias: string, columns: readonly Column[]): string;
  /** Whether a column's value is among a JSON array of strings: by the column's index, whatever the planner thinks of the array. */
  among(column: string, expression: string): string;
  /** Whether a column's value is among the few a query gives: likewise. */
  amongThose(column: string, query: string): string;
  /** All rows as one JSON text: an array of arrays of these expressions. */
  arrays(expressions: readonly string[]): string;
  /** Spells `$1` as the engine wants it. */
  parameters(sql: string): string;
}
export type Parameter = '$1' | '$2' | '$3';

/** One prepared statement; `name` is unique per text. */
export interface Statement { readonly name: string; readonly sql: string }

export const statement = (dialect: Dialect, name: string, sql: string): Statement => ({ name, sql: dialect.parameters(sql) });

/** `INSERT` of a JSON array of rows, in its order. `extra` columns take an SQL expression over `x`. */
export const insertRows = (dialect: Dialect, table: { readonly name: string; readonly columns: readonly Column[] }, rest = '', extra: Readonly<Record<string, string>> = {}): string => {
  const names = [...table.columns.map((column) => quote(column.name)), ...Object.keys(extra).map(quote)].join(', ');
  const values = [...table.columns.map((column) => `x.${quote(column.name)}`), ...Object.values(extra)].join(', ');
  // SQLite needs a WHERE to tell an upsert's ON from a join's.
  return `INSERT INTO ${quote(table.name)} (${names}) SELECT ${values} FROM ${dialect.rows('$1', table.columns)} WHERE true ${rest}`;
};

/** The one row of a JSON parameter `[{...}]`, for statements that need a handful of values. */
export const values = (dialect: Dialect, columns: Record<string, ColumnType>, parameter: Parameter = '$1'): string => dialect.rows(parameter, shape(columns));

export const quote = (name: string): string => `"${name}"`;
