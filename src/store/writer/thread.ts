import { parentPort, workerData } from 'node:worker_threads';
import { createAuditCodes } from '../../core/audit-code.ts';
import type { AuditCodeKeys } from '../../core/audit-code.ts';
import type { Database } from '../database.ts';
import { createExecute } from './execute.ts';
import type { Answers, Batch } from './operations.ts';
import { createPostgresConnection } from './postgresql-connection.ts';
import { createSqliteConnection } from './sqlite-connection.ts';

/** The writer thread: the only place that commits. libsql is synchronous and would stop the event loop it runs on. */
export interface WriterData { readonly chain: string; readonly database: Database; readonly codeKeys: AuditCodeKeys; readonly transactionMs: number }

const { chain, database, codeKeys, transactionMs } = workerData as WriterData;
const connection = database.engine === 'sqlite' ? createSqliteConnection(database.path, { busyMs: transactionMs }) : createPostgresConnection(database.url, { transactionMs });
const execute = createExecute(chain, connection, createAuditCodes(codeKeys));

const answer = async (batch: Batch): Promise<void> => {
  const answers: Answers = { id: batch.id, answers: await execute(batch.operations) };
  parentPort?.postMessage(answers);
};

parentPort?.on('message', (message: Batch | 'close') => {
  // Closing the port ends the thread once nothing else is open.
  if (message === 'close') void connection.close().finally(() => parentPort?.close());
  else void answer(message);
});
