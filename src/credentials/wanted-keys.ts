import { DEFAULT_SCHEDULE, uniteKinds } from '../keys/key-plan.ts';
import type { KeyKind } from '../keys/key-plan.ts';
import type { Resource } from '../registry/entries.ts';
import type { Provider } from './provider.ts';

/** The signing keys a domain must have at a time: those of every domain, and what its live resources want beside them. */
export type WantedKeys = (resources: readonly WantingResource[], now: number) => readonly KeyKind[];
export type WantingResource = Pick<Resource, 'provider' | 'options' | 'expires'>;

/** An expired resource wants nothing: nothing is issued for it (exchange/aim.ts). */
export const createWantedKeys = (providers: ReadonlyMap<string, Pick<Provider, 'signsWith'>>): WantedKeys => (resources, now) => {
  const live = resources.filter(({ expires }) => expires > now);
  return uniteKinds(DEFAULT_SCHEDULE.wanted, live.flatMap(({ provider, options }) => providers.get(provider)?.signsWith?.(options) ?? []));
};
