import { approvalStatements } from './approvals.ts';
import { auditStatements } from './audit.ts';
import { cascadeStatements } from './cascade.ts';
import type { Dialect } from './dialect.ts';
import { issueStatements } from './issue.ts';
import { registryStatements } from './registry.ts';
import { retentionStatements } from './retention.ts';
import { statusStatements } from './status.ts';
import { signalStatements } from './signals.ts';

/** Every hand-written statement, in one engine's spelling. */
export const buildStatements = (dialect: Dialect) => ({
  issue: issueStatements(dialect),
  approvals: approvalStatements(dialect),
  registry: registryStatements(dialect),
  audit: auditStatements(dialect),
  cascade: cascadeStatements(dialect),
  retention: retentionStatements(dialect),
  status: statusStatements(dialect),
  signals: signalStatements(dialect),
});
export type Statements = ReturnType<typeof buildStatements>;
