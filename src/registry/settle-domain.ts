import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { TRUST_DOMAIN_PATTERN } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Domain } from './entries.ts';
import { DOMAIN_NAME_PATTERN } from './fields.ts';
import type { Report } from './problem.ts';
import type { PlannerDeps } from './scene.ts';
import type { DomainEntry } from './schemas.ts';
import { settleCommon } from './settle-common.ts';

/** Root paths the server itself answers; a domain of that name would be hidden by them, or hide them. */
const RESERVED_NAMES = new Set([SYSTEM_DOMAIN, 'admin', 'healthz', 'readyz', 'metrics']);

/** A domain's body. `stored`: the domain as it is; its SPIFFE name and issuer URL are in every id and token it ever gave. */
export const settleDomain = (entry: DomainEntry, stored: Domain | undefined, deps: Pick<PlannerDeps, 'externalUrl' | 'clock'>, report: Report): JsonObject => {
  const external = new URL(deps.externalUrl);
  if (!DOMAIN_NAME_PATTERN.test(entry.name)) report('name', `"${entry.name}" cannot be a trust domain's name`, 'use a lower-case letter, then up to 30 lower-case letters, digits or hyphens, such as prod');
  if (RESERVED_NAMES.has(entry.name)) report('name', `"${entry.name}" is reserved`, 'choose another name');
  if (external.protocol !== 'https:' && entry.stage !== 'development') {
    report('stage', `a ${entry.stage} domain needs an external URL with https, and this server's is ${deps.externalUrl}`, 'configure an https external URL, or use stage: development');
  }
  const served = `${deps.externalUrl}/${entry.name}`;
  const spiffe = entry.spiffe ?? stored?.spiffe ?? `${entry.name}.${external.hostname}`;
  const issuer = entry.issuer ?? stored?.issuer ?? served;
  if (stored !== undefined && spiffe !== stored.spiffe) report('spiffe', `is fixed as ${stored.spiffe} since the domain was created`, 'remove this line, or create a new domain');
  if (stored !== undefined && issuer !== stored.issuer) report('issuer', `is fixed as ${stored.issuer} since the domain was created`, 'remove this line, or create a new domain');
  if (stored === undefined && issuer !== served) report('issuer', `this server answers at ${served}`, 'remove this line, or change the external URL of the server');
  if (entry.spiffe === undefined && !TRUST_DOMAIN_PATTERN.test(spiffe)) report('spiffe', `cannot be derived from the external URL ${deps.externalUrl}`, 'write it, such as spiffe: prod.acme.example');
  return { name: entry.name, stage: entry.stage, spiffe, issuer, ...(entry.limits === undefined ? {} : { limits: entry.limits as JsonObject }), ...settleCommon(entry, deps.clock.now(), report) };
};

/** Body of the reserved domain, which the server creates for itself at its first start. */
export const systemDomainBody = (externalUrl: string): JsonObject => {
  const external = new URL(externalUrl);
  return {
    name: SYSTEM_DOMAIN, stage: external.protocol === 'https:' ? 'production' : 'development', issuer: `${externalUrl}/${SYSTEM_DOMAIN}`,
    spiffe: `${SYSTEM_DOMAIN}.${external.hostname.replaceAll(/[^a-z0-9._-]/g, '-')}`, owner: 'mayfly',
  };
};
