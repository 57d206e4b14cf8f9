import { realpathSync, statSync } from 'node:fs';

/** Tells whether an open SQLite database is still what its path leads to; with `log`, its write-ahead log too. */
export type IsInPlace = (options?: { readonly log?: boolean }) => boolean;

/**
 * SQLite keeps its files open and goes on writing when they were removed or replaced; all of that is
 * gone with the process, so a commit to such a file is none. Compared as SQLite does for rollback journals, by inode.
 */
export const watchSqliteFile = (path: string): IsInPlace => {
  const inode = inodeOf(path);
  if (inode === undefined) return () => false;
  const real = realpathSync(path);
  return ({ log = false } = {}) => inodeOf(path) === inode && (!log || inodeOf(`${real}-wal`) !== undefined);
};

export const FILE_GONE = 'the database file was removed or replaced: put it back, or restart with the one that counts';

const inodeOf = (path: string): bigint | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
