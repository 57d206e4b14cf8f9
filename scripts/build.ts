import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readModuleReferences } from './module-references.ts';

/**
 * Writes `dist/` for the npm package: node strips types itself in a checkout, but refuses to under node_modules.
 * Types become blanks, so lines and columns in stack traces are those of the source. Everything that is not TypeScript
 * (the generated clients' WebAssembly, for one) is copied as it is.
 */
export const build = async (from: string, to: string): Promise<number> => {
  await rm(to, { recursive: true, force: true });
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).filter((file) => !LEFT_OUT.test(file));
  for (const file of files) await buildFile(file, join(to, file.slice(from.length)));
  return files.length;
};

/** What scripts/generate.ts leaves beside the generated clients, and declarations, which say nothing at run time. */
const LEFT_OUT = /\/generated\/(?:\.staging\/.*|stamp|lock\.db.*|[^/]+\.prisma)$|\.d\.ts$/;

/** The JavaScript of one TypeScript module, naming the `.js` files that will stand beside it. */
export const toJavaScript = (typescript: string, fileName: string): string => {
  const stripped = stripTypeScriptTypes(typescript, { mode: 'strip' });
  let built = stripped;
  // From the end, so that earlier positions stay true.
  for (const reference of readModuleReferences(stripped, fileName).toReversed()) {
    if (!isOwnModule(reference.specifier)) continue;
    built = `${built.slice(0, reference.start)}${reference.specifier.replace(/\.ts$/, '.js')}${built.slice(reference.end)}`;
  }
  return built;
};

const isOwnModule = (specifier: string): boolean => /^\.{1,2}\/.*\.ts$/.test(specifier);

const buildFile = async (source: string, target: string): Promise<void> => {
  await mkdir(dirname(target), { recursive: true });
  if (!source.endsWith('.ts')) return cp(source, target);
  await writeFile(target.replace(/\.ts$/, '.js'), toJavaScript(await readFile(source, 'utf8'), source));
};

if (import.meta.main) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const count = await build(join(root, 'src'), join(root, 'dist'));
  console.error(`dist/: ${count} files`);
}
