import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A disk that can be full for a server and for nobody else. */
export interface SmallDisk {
  /** Starts a command on it. */
  readonly under: readonly string[];
  fill(pid: number): void;
  free(pid: number): void;
}

/**
 * A file system in memory that only the server sees, where the system lets us mount one in a namespace of our own;
 * else a limit on the size of the server's files. One says ENOSPC and the other EFBIG, both when a file should grow.
 */
export const makeSmallDisk = (folder: string): SmallDisk => {
  mkdirSync(folder, { recursive: true });
  for (const unshare of [['unshare', '-m'], ['unshare', '-rm']]) {
    const mount = [...unshare, 'sh', '-c', `mount -t tmpfs -o size=24m,mode=700 tmpfs "${folder}" && exec "$@"`, 'sh'];
    const [command = '', ...args] = [...mount, 'true'];
    if (spawnSync(command, args).status === 0) return tmpfs(folder, mount);
  }
  return fileLimit(folder);
};

const BLOCK = 4096;

const tmpfs = (folder: string, under: readonly string[]): SmallDisk => {
  // The server's mounts are found below its root.
  const ballast = (pid: number): string => join(`/proc/${pid}/root`, folder, 'ballast');
  return {
    under,
    fill(pid) {
      const file = openSync(ballast(pid), 'w');
      try {
        for (;;) writeSync(file, Buffer.alloc(BLOCK));
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
      } finally {
        closeSync(file);
      }
    },
    free(pid) { rmSync(ballast(pid)); },
  };
};

/** prlimit(1) of util-linux; the soft limit alone, so that it can be raised again by whoever owns the process. */
const fileLimit = (folder: string): SmallDisk => {
  const limit = (pid: number, bytes: string): void => {
    const { status, stderr, error } = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`this system lets nobody fill a disk for one process alone: ${error?.message ?? stderr}`);
  };
  return {
    under: [],
    fill(pid) {
      const sizes = ['mayfly.db', 'mayfly.db-wal'].map((name) => join(folder, name)).filter(existsSync).map((file) => statSync(file).size);
      limit(pid, String(Math.max(...sizes)));
    },
    free(pid) { limit(pid, 'unlimited'); },
  };
};
