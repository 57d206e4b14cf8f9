import { z } from 'zod';
import { parseId } from '../core/ids.ts';
import type { AdminClient } from './admin-client.ts';
import type { CliContext } from './context.ts';
import { badInput } from './errors.ts';
import { read } from './listing.ts';

const SYSTEM_DOMAIN = 'system';
const domainsSchema = z.object({ items: z.array(z.object({ name: z.string() })) });

/** The trust domain a name belongs to: `--domain`, MAYFLY_DOMAIN, or the only one there is. */
export const findDomain = async (context: CliContext, admin: AdminClient, given: string | undefined): Promise<string> => {
  const named = given ?? context.env['MAYFLY_DOMAIN'];
  if (named !== undefined) return named;
  const { items } = read(domainsSchema, await admin.get('domains', { limit: 100 }));
  const names = items.map(({ name }) => name).filter((name) => name !== SYSTEM_DOMAIN);
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) return only;
  throw badInput(
    only === undefined ? 'there is no trust domain yet' : `a name alone is not enough: there are ${names.length} trust domains`,
    only === undefined ? 'register one with `mayfly apply -f FILE`' : `give --domain (${names.join(', ')}) or set MAYFLY_DOMAIN`,
  );
};

/** The trust domain a listing is of: all of them unless one is said, but a workload's name means one. */
export const findListed = async (context: CliContext, admin: AdminClient, { domain, workload }: { readonly domain?: string; readonly workload?: string }): Promise<string | undefined> =>
  (workload === undefined || parseId('workload', workload) !== undefined ? (domain ?? context.env['MAYFLY_DOMAIN']) : findDomain(context, admin, domain));

/** Names hold slashes and colons: one path segment each. */
export const segment = (name: string): string => encodeURIComponent(name);
