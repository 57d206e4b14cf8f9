/** Limits that are checked for every request and never reached. */
export const BENCH_LIMITS = { per_address: 1_000_000, per_workload: 1_000_000, in_flight: 1000 } as const;
