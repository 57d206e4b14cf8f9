/**
 * The SQLite variant of prisma/schema.prisma: another provider, no PostgreSQL column types. Nothing else may differ, so that
 * one set of rows, readers and writers serves both engines.
 */
export const deriveSqliteSchema = (postgresql: string): string =>
  replaceOnce(postgresql, /provider = "postgresql"/, 'provider = "sqlite"').replace(/[ \t]+@db\.\w+(?:\([^)]*\))?/g, '');

/** The schema with the folder its client is generated into, relative to the schema file. */
export const withOutput = (schema: string, output: string): string =>
  replaceOnce(schema, /output(\s*)= "[^"]*"/, `output$1= "${output}"`);

const replaceOnce = (text: string, pattern: RegExp, replacement: string): string => {
  const found = text.match(new RegExp(pattern, 'g'))?.length ?? 0;
  if (found !== 1) throw new Error(`prisma/schema.prisma has ${found} lines that match ${String(pattern)}; exactly one is expected`);
  return text.replace(pattern, replacement);
};
