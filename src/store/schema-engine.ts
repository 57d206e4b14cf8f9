import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import type { DiffTarget, SchemaEngine } from '@prisma/schema-engine-wasm';

/** Runs `use` with Prisma's schema engine on the database the adapter reaches. In-process: nothing is fetched or spawned. */
export const withSchemaEngine = async <T>(adapter: SqlMigrationAwareDriverAdapterFactory, use: (engine: SchemaEngine) => Promise<T>): Promise<T> => {
  const engine = await bindings.SchemaEngine.new({ datamodels: undefined }, ignoreLog, bindMigrationAwareSqlAdapterFactory(adapter));
  try {
    return await use(engine);
  } finally {
    engine.free();
  }
};

/** The SQL that leads from one schema text to another; undefined is the empty database, an empty result means no difference. */
export const diffSchemas = async (engine: SchemaEngine, from: string | undefined, to: string): Promise<string> => {
  const { stdout } = await engine.diff({ from: datamodel(from), to: datamodel(to), script: true, exitCode: null, filters: NO_FILTERS });
  const script = stdout ?? '';
  return script.includes(EMPTY_MIGRATION) ? '' : script;
};

export const NO_FILTERS = { externalTables: [], externalEnums: [] };
const EMPTY_MIGRATION = 'This is an empty migration';

const ignoreLog = (): void => undefined;
const datamodel = (schema: string | undefined): DiffTarget =>
  schema === undefined ? { tag: 'empty' } : { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] };

/** What is used of the platform's WebAssembly; its types come with the DOM library only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: Record<string, object>) => { readonly exports: Record<string, unknown> };
};

// The package's own entry imports the .wasm file as a module, which node warns about and jest and older nodes cannot do.
// Once per process: the bindings know one instance only.
const start = (): void => {
  const path = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg').replace(/\.js$/, '.wasm');
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)), { './schema_engine_bg.js': withIdleTimers(bindings) });
  const begin = instance.exports.__wbindgen_start;
  if (typeof begin !== 'function') throw new Error('the schema engine has no start function');
  bindings.__wbg_set_wasm(instance.exports);
  Reflect.apply(begin, undefined, []);
};

/** The engine never clears the ten seconds it gives its own lock; a process that is done must not wait for them. */
const withIdleTimers = (imports: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(imports).map(([name, value]) =>
    [name, name.startsWith('__wbg_setTimeout_') ? (callback: () => void, delay: number) => setTimeout(callback, delay).unref() : value]));

start();
