import { personUrn } from '../attestation/person.ts';
import { parseId } from '../core/ids.ts';
import type { AdminClient } from './admin-client.ts';
import type { CliContext } from './context.ts';
import { findDomain } from './domain.ts';
import { badInput } from './errors.ts';

/** `id` is an id, a person's URN, or a name within `domain`. */
export interface Target { readonly kind: string; readonly id: string; readonly domain?: string }

/** What the command line says of it: one argument, or of a person the two that their URN is made of. */
export interface Named { readonly domain?: string; readonly issuer?: string; readonly sub?: string }

/** What a command names: workloads and issuers by id or by name within a domain, people by URN or by issuer and sub, trust domains by id or name, leases, hops and sessions by id. */
export const findTarget = async (context: CliContext, admin: AdminClient, kind: string, idOrName: string | undefined, { domain, issuer, sub }: Named): Promise<Target> => {
  if (issuer !== undefined || sub !== undefined) {
    if (kind !== 'person' || idOrName !== undefined || issuer === undefined || sub === undefined) throw badInput('--issuer and --sub together name a person, and nothing else', 'give `person --issuer NAME --sub SUB`, or the id alone');
    return { kind, id: urnOf(await findDomain(context, admin, domain), issuer, sub) };
  }
  if (idOrName === undefined) throw badInput(`which ${kind} is not said`, kind === 'person' ? 'give their URN, or --issuer NAME --sub SUB' : 'give its id');
  const isNamed = (kind === 'workload' || kind === 'issuer') && parseId(kind, idOrName) === undefined;
  return { kind, id: idOrName, ...(isNamed ? { domain: await findDomain(context, admin, domain) } : {}) };
};

const urnOf = (domain: string, issuer: string, sub: string): string => {
  // Half a surrogate pair has no percent-encoding, and no person has it in their sub.
  if (!sub.isWellFormed()) throw badInput('--sub is not well-formed Unicode', 'give the sub as the issuer writes it');
  return personUrn(domain, issuer, sub);
};
