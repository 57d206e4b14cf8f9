import { parseDatabase } from './database.ts';
import type { Engine } from './database.ts';
import { migrate } from './migrate.ts';
import { openPrisma } from './open.ts';

export interface PreparedDatabase {
  readonly engine: Engine;
  /** Signing keys are stored already: a key-encryption key that is missing was lost, and another would open none of them. */
  readonly holdsKeys: boolean;
}

/** Brings the database to this build's schema and looks what it holds, before anything that needs the key-encryption key is opened. */
export const prepareDatabase = async (url: string): Promise<PreparedDatabase> => {
  const database = parseDatabase(url);
  await migrate(database);
  const prisma = await openPrisma(database, 1);
  try {
    return { engine: database.engine, holdsKeys: (await prisma.signingKey.findFirst({ select: { kid: true } })) !== null };
  } finally {
    await prisma.$disconnect();
  }
};
