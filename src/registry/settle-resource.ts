import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import type { JsonObject } from '../core/json.ts';
import type { Domain } from './entries.ts';
import type { ProviderPort } from './catalogues.ts';
import { EXAMPLES } from './fields.ts';
import { nearest, problemsOf, wordIssue } from './problem.ts';
import type { Report } from './problem.ts';
import type { Scene, Settle } from './scene.ts';
import { closeOptions, resourceOptions } from './schemas.ts';
import type { ResourceEntry } from './schemas.ts';
import { checkWorkloadExists, settleCommon, settleSet } from './settle-common.ts';
import { ACCESS_TOKEN, settleDetails } from './settle-details.ts';

const DOMAIN_PROVIDER = 'domain';

/** A resource's body: an audience nobody else means, a provider that can serve it, workloads that exist. */
export const settleResource: Settle<ResourceEntry> = (entry, domain, scene, report) => {
  if (domain.name === SYSTEM_DOMAIN) report('domain', 'the system domain issues nothing', 'register the resource in another domain');
  const common = settleCommon(entry, scene.now, report);
  const scopes = settleSet(entry.scopes, 'scopes', report);
  const servedBy = settleSet(entry.served_by, 'served_by', report);
  const isReserved = checkAudience(entry, domain, scene, report);
  checkServers(entry, domain, scene, report);
  const details = settleDetails(entry.details ?? [], entry.provider, report);
  const provider = scene.deps.providers.get(entry.provider);
  if (provider === undefined) {
    const meant = nearest(entry.provider, scene.deps.providers.keys());
    report('provider', `there is no provider kind "${entry.provider}"`, meant === undefined ? `choose one of ${[...scene.deps.providers.keys()].join(', ')}` : `did you mean "${meant}"?`);
    return undefined;
  }
  const options = resourceOptions(entry);
  const parsed = parseOptions(entry, options, provider, report);
  if (parsed !== undefined && !isReserved) checkProviderRules({ ...entry, options: parsed }, provider, domain, report);
  return {
    audience: entry.audience, provider: entry.provider, scopes, ...(details.length === 0 ? {} : { details }), served_by: servedBy, bound: entry.bound, ...common,
    ...(entry.lifetime === undefined ? {} : { lifetime: entry.lifetime }),
    ...(options as JsonObject),
  };
};

/** The provider's own rules for a resource, which may depend on the domain's stage. */
export const checkProviderRules = (resource: { readonly audience: string; readonly scopes: readonly string[]; readonly options: unknown }, provider: ProviderPort, domain: Domain, report: Report): void => {
  const refused = provider.check({ audience: resource.audience, scopes: resource.scopes, options: resource.options }, domain);
  if (refused !== undefined) report('', refused, `correct this entry, or choose another provider than ${provider.kind}`);
};

/** Audiences with a meaning of our own: session tokens, introspection and admin callers, and the JWTs we show to providers. True when it is one. */
const checkAudience = ({ audience, provider }: ResourceEntry, domain: Domain, scene: Scene, report: Report): boolean => {
  const own = [...scene.domains.values()].find(({ issuer }) => audience === issuer || audience.startsWith(`${issuer}/`));
  const isProviders = provider === ACCESS_TOKEN && scene.deps.reservedAudiences.has(audience);
  // Another domain's issuer URL is the target of chains that leave for it, and of nothing else.
  if (provider === DOMAIN_PROVIDER && own !== undefined && own.id !== domain.id && audience === own.issuer && own.name !== SYSTEM_DOMAIN) return false;
  if (own !== undefined) report('audience', `is reserved for trust domain ${own.name} itself`, 'use the URL of the API the credentials are for');
  else if (isProviders) {
    report('audience', 'is the audience of a credential provider, which must never get an access token', 'name the target itself and its provider, such as arn:aws:iam::123456789012:role/deploy with provider: aws-sts');
  }
  return own !== undefined || isProviders;
};

const checkServers = (entry: ResourceEntry, domain: Domain, scene: Scene, report: Report): void => {
  for (const [index, name] of entry.served_by.entries()) checkWorkloadExists(name, domain, scene, `served_by[${index}]`, report);
};

const parseOptions = (entry: ResourceEntry, options: Record<string, unknown>, provider: ProviderPort, report: Report): unknown => {
  const { minimum, maximum } = provider.lifetime;
  if (entry.lifetime !== undefined && (entry.lifetime < minimum || entry.lifetime > maximum)) {
    report('lifetime', `${entry.lifetime} seconds is outside what ${entry.provider} can give`, `choose ${minimum} to ${maximum} seconds`);
  }
  const { schema, known } = closeOptions(provider.options);
  const parsed = schema.safeParse(options, { error: wordIssue });
  if (parsed.success) return parsed.data;
  for (const { path, message, mend } of problemsOf(parsed.error.issues, '', [...known, ...RESOURCE_FIELD_NAMES], EXAMPLES)) report(path, message, mend);
  return undefined;
};

const RESOURCE_FIELD_NAMES = ['scopes', 'details', 'served_by', 'bound', 'lifetime', 'provider', 'accept', 'expires', 'owner'];
