import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder only this user can look into, for as long as one command runs. */
export interface PrivateFolder {
  readonly path: string;
  /** Writes a file whole: a reader sees the old or the new content, never half. */
  write(name: string, content: string, mode: number): Promise<string>;
  remove(): Promise<void>;
}

export const createPrivateFolder = async (): Promise<PrivateFolder> => {
  const path = await mkdtemp(join(tmpdir(), 'mayfly-'));
  let written = 0;
  return {
    path,
    async write(name, content, mode) {
      written += 1;
      const draft = join(path, `.${name}.${written}`);
      await writeFile(draft, content, { mode, flag: 'wx' });
      await rename(draft, join(path, name));
      return join(path, name);
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
};
