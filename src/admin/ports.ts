import type { Clock } from '../core/clock.ts';
import type { RegistryChange, RegistryOutcome } from '../store/store.ts';

/** Commits a registry change and, before it resolves, brings this process's snapshot up to date with it. */
export type ChangeRegistry = (change: RegistryChange) => Promise<RegistryOutcome>;

export interface AdminPorts {
  readonly clock: Clock;
  readonly change: ChangeRegistry;
}
