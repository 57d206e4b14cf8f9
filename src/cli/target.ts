import { parseId } from '../core/ids.ts';
import type { AdminClient } from './admin-client.ts';
import type { CliContext } from './context.ts';
import { findDomain } from './domain.ts';

/** `id` is an id, or a name within `domain`. */
export interface Target { readonly kind: string; readonly id: string; readonly domain?: string }

/** What a command names: workloads and issuers by id or by name within a domain, trust domains by either, leases and sessions by id. */
export const findTarget = async (context: CliContext, admin: AdminClient, kind: string, idOrName: string, domain: string | undefined): Promise<Target> => {
  const isNamed = (kind === 'workload' || kind === 'issuer') && parseId(kind, idOrName) === undefined;
  return { kind, id: idOrName, ...(isNamed ? { domain: await findDomain(context, admin, domain) } : {}) };
};
