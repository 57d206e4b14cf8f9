import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { isObject } from '../core/json.ts';
import type { CliContext } from './context.ts';
import { badInput } from './errors.ts';
import { readText } from './http.ts';

const INPUT_LIMIT = 16 * 1024 * 1024;

/** A file's text, or stdin's for `-`. */
export const readInput = async (context: CliContext, file: string): Promise<string> => {
  if (file === '-') return readText(context.stdin, INPUT_LIMIT);
  try {
    return await readFile(file, 'utf8');
  } catch (fault) {
    const why = isObject(fault) && typeof fault['code'] === 'string' ? fault['code'] : String(fault);
    throw badInput(`cannot read ${file}: ${why}`, 'name a file that exists and that you may read, or - for standard input');
  }
};

/** One YAML (or JSON) document that is a mapping. All syntax errors at once; a doubled key is one of them. */
export const readYaml = async (context: CliContext, file: string): Promise<Record<string, unknown>> => {
  const document = parseDocument(await readInput(context, file), { uniqueKeys: true, strict: true });
  if (document.errors.length > 0) throw badInput(`${nameOf(file)} is not YAML that can be read`, 'mend these places; nothing was changed', document.errors.map(({ message }) => (message.split('\n', 1)[0] ?? message).replace(/:$/, '')));
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (isObject(value)) return value;
  throw badInput(`${nameOf(file)} is empty or not a mapping`, 'write sections such as `workloads:` at its top');
};

const nameOf = (file: string): string => (file === '-' ? 'standard input' : file);

/** Sets `path.to.member=value`; the value is read as YAML, so `[a, b]`, `true` and `"815"` mean what they look like. */
export const assign = (target: Record<string, unknown>, assignment: string): void => {
  const at = assignment.indexOf('=');
  if (at < 1) throw badInput(`--set ${assignment} has no =`, 'write --set name=value, such as --set match.issuer=github');
  const path = assignment.slice(0, at).split('.');
  const document = parseDocument(assignment.slice(at + 1));
  if (document.errors.length > 0) throw badInput(`--set ${assignment}: the value is not YAML`, 'quote the value');
  const last = path.pop() ?? '';
  let holder = target;
  for (const name of path) holder = enter(holder, name, assignment);
  define(holder, last, document.toJS());
};

const enter = (holder: Record<string, unknown>, name: string, assignment: string): Record<string, unknown> => {
  const inner = Object.hasOwn(holder, name) ? holder[name] : define(holder, name, {});
  if (isObject(inner)) return inner;
  throw badInput(`--set ${assignment}: ${name} is not a mapping`, 'set the whole value at once');
};

/** `__proto__` becomes an ordinary member, which the server then refuses by name. */
const define = (holder: Record<string, unknown>, name: string, value: unknown): unknown => {
  Object.defineProperty(holder, name, { value, enumerable: true, writable: true, configurable: true });
  return value;
};
