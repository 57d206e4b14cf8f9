import type { Dialect, Statement } from '../sql/dialect.ts';

/**
 * The committing connection, as the writer thread uses it. `registry` names how the transaction stands to the registry
 * lock (docs/decisions/0002): what issues shares it, what changes the registry holds it alone.
 */
export interface Connection {
  readonly dialect: Dialect;
  /** Resolves after the commit was confirmed. `work` must not catch what its queries throw: PostgreSQL has aborted by then. */
  transaction<T>(registry: RegistryLock, work: (query: Query) => Promise<T>): Promise<T>;
  /** The settings on which durability rests, as the committing connection reports them. */
  durability(): Promise<Durability>;
  close(): Promise<void>;
}
export type RegistryLock = 'shared' | 'exclusive' | 'none';
export type Query = (statement: Statement, ...parameters: readonly string[]) => Promise<readonly Row[]>;
export type Row = Readonly<Record<string, unknown>>;
export type Durability = Readonly<Record<string, string | number>>;

/**
 * `rejected`: the database refused what one of the rows says, the transaction was rolled back, and the same rows would
 * be refused again. `failed`: it could not be done now. `unknown`: the answer to COMMIT never came.
 */
export type TransactionFault = 'rejected' | 'failed' | 'unknown';

export class TransactionFailed extends Error {
  readonly fault: TransactionFault;
  constructor(fault: TransactionFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TransactionFailed';
    this.fault = fault;
  }
}
