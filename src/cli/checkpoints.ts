import { isObject } from '../core/json.ts';
import { badInput } from './errors.ts';

const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Checkpoints (compact JWS) out of what was kept outside the server: one a line, or log lines with the checkpoint in
 * `jws` or `checkpoint.jws`. Other log lines are passed over; a file without any checkpoint is refused, for comparing with nothing proves nothing.
 */
export const readCheckpoints = (file: string, text: string): readonly string[] => {
  const found = text.split('\n').map((line) => line.trim()).filter((line) => line !== '').flatMap((line) => checkpointOf(line) ?? []);
  if (found.length === 0) throw badInput(`${file} holds no checkpoint`, 'give the server\'s log, or a file with one checkpoint (a compact JWS) a line');
  return found;
};

const checkpointOf = (line: string): string | undefined => {
  if (COMPACT_JWS.test(line)) return line;
  const entry = readObject(line);
  const holder = isObject(entry?.['checkpoint']) ? entry['checkpoint'] : entry;
  const jws = typeof entry?.['checkpoint'] === 'string' ? entry['checkpoint'] : holder?.['jws'];
  return typeof jws === 'string' && COMPACT_JWS.test(jws) ? jws : undefined;
};

const readObject = (line: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};
