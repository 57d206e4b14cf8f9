import { join } from 'node:path';
import Libsql from 'libsql';
import type { Lab } from './lab.ts';

/** What an upgrade, a restored copy or somebody at the file leaves behind. */
export const alterDatabase = ({ mayfly }: Pick<Lab, 'mayfly'>, sql: string): void => {
  const database = new Libsql(join(mayfly.folder, 'mayfly.db'), { timeout: 10_000 });
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
};
