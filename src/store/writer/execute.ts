import type { AuditCodes } from '../../core/audit-code.ts';
import { buildStatements } from '../sql/statements.ts';
import { createChainWriter } from './chain-writer.ts';
import { TransactionFailed } from './connection.ts';
import type { Connection } from './connection.ts';
import { isRegistry, isShared } from './operations.ts';
import type { Answer, Operation, Reply } from './operations.ts';
import { runRegistry } from './run-registry.ts';
import { runShared } from './run-shared.ts';
import { runSingle } from './run-single.ts';

/** Runs one batch of one lane in one transaction and answers each operation. */
export type Execute = (operations: readonly Operation[]) => Promise<readonly Answer[]>;

export const createExecute = (chain: string, connection: Connection, codes: AuditCodes): Execute => {
  const statements = buildStatements(connection.dialect);
  const chainWriter = createChainWriter(chain, connection, statements.audit, codes);
  const notifies = connection.dialect.engine === 'postgresql';

  const runTogether = async (operations: readonly Operation[]): Promise<readonly Reply[]> => {
    if (operations.every(isShared)) return chainWriter.transaction('shared', (query, append) => runShared(query, append, statements, operations));
    if (operations.every(isRegistry)) return chainWriter.transaction('exclusive', (query, append) => runRegistry(query, append, statements, operations, notifies));
    const replies: Reply[] = [];
    for (const operation of operations) {
      if (isShared(operation) || isRegistry(operation)) throw new TypeError('a batch holds operations of one lane');
      replies.push(await runSingle({ chain, chainWriter, connection, statements, codes }, operation));
    }
    return replies;
  };

  const execute: Execute = async (operations) => {
    try {
      return (await runTogether(operations)).map((reply) => ({ reply }));
    } catch (cause) {
      // A row the database cannot take must not harm those it shared the transaction with.
      if (operations.length > 1 && cause instanceof TransactionFailed && cause.fault === 'rejected') return oneByOne(operations);
      return operations.map(() => ({ unavailable: describe(cause) }));
    }
  };

  const oneByOne = async (operations: readonly Operation[]): Promise<readonly Answer[]> => {
    const answers: Answer[] = [];
    for (const operation of operations) answers.push(...(await execute([operation])));
    return answers;
  };

  return execute;
};

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : 'unknown fault');
