import { MINUTE } from '../../core/duration.ts';

/** The job row that says a chain still has its writer. */
export const chainJob = (chain: string): string => `audit:${chain}`;

/** Until when a chain counts as having a writer after its last sign of life. */
export const CHAIN_ALIVE_MS = MINUTE;
