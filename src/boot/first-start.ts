import { newId } from '../core/ids.ts';
import type { DomainId } from '../core/ids.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import type { Clock } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/random.ts';
import type { NewKeyRow } from '../keys/signing-key.ts';
import { systemDomainBody } from '../registry/settle-domain.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { RegistryChange, RegistryOutcome } from '../store/store.ts';
import { StartRefused } from './refused.ts';

export interface FirstStartDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly externalUrl: string;
  readonly snapshot: Snapshot;
  firstKeys(domain: DomainId): Promise<readonly NewKeyRow[]>;
  change(change: RegistryChange): Promise<RegistryOutcome>;
}

/** The domain a laptop starts with: there alone something can be tried without writing anything first. */
export const DEVELOPMENT_DOMAIN = 'dev';

interface DomainBody extends JsonObject { readonly name: string; readonly owner: string }

const developmentDomainBody = (externalUrl: string): DomainBody => ({
  name: DEVELOPMENT_DOMAIN, stage: 'development', issuer: `${externalUrl}/${DEVELOPMENT_DOMAIN}`, spiffe: `${DEVELOPMENT_DOMAIN}.${new URL(externalUrl).hostname.replaceAll(/[^a-z0-9._-]/g, '-')}`, owner: 'local',
});

const change = (deps: FirstStartDeps, id: DomainId, body: DomainBody, keys: readonly NewKeyRow[], basedOn: number): RegistryChange => {
  const at = deps.clock.now();
  return {
    at, by: 'first-start', basedOn, keys,
    entries: [{ id, version: 1, kind: 'domain', domainId: id, name: body.name, body, owner: body.owner, expiresAt: null, ended: false }],
    audit: [{ at, action: 'registry.create', domainId: id, body: { by: 'first-start', kind: 'domain', id, name: body.name, body } }],
  };
};

/**
 * Makes the reserved domain, and without an https external URL a development domain to begin with. Several nodes may start on
 * one empty database: whoever comes second finds the registry moved and reads what the first one wrote.
 */
export const prepareFirstStart = async (deps: FirstStartDeps): Promise<void> => {
  const wanted: DomainBody[] = [{ ...systemDomainBody(deps.externalUrl), name: SYSTEM_DOMAIN, owner: 'mayfly' }];
  if (!deps.externalUrl.startsWith('https:')) wanted.push(developmentDomainBody(deps.externalUrl));
  const empty = deps.snapshot.domain(SYSTEM_DOMAIN) === undefined;
  for (const body of empty ? wanted : []) {
    const id = newId('domain', deps.clock, deps.random);
    const outcome = await deps.change(change(deps, id, body, await deps.firstKeys(id), deps.snapshot.version));
    if (outcome.status === 'conflict') return;
  }
};

/** An issuer URL is in every token ever issued: a server that answers elsewhere would be a stranger to them. */
export const checkExternalUrl = (externalUrl: string, snapshot: Pick<Snapshot, 'domains'>): void => {
  const strangers = snapshot.domains().map(({ domain }) => domain).filter(({ name, issuer }) => issuer !== `${externalUrl}/${name}`);
  const [first] = strangers;
  if (first === undefined) return;
  const made = first.issuer.slice(0, -first.name.length - 1);
  // On a laptop there is mostly nothing to lose; where callers come over https every token names the URL.
  const anew = made.startsWith('https:') ? '' : ', or begin anew in another data_dir';
  throw new StartRefused([{
    path: 'external_url', message: `${strangers.length === 1 ? 'domain' : 'domains'} ${strangers.map(({ name }) => name).join(', ')} were made as ${first.issuer} and the like, but this server would answer at ${externalUrl}/${first.name}`,
    mend: `set external_url to ${made}${anew}`,
  }]);
};
