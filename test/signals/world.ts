import type { DomainId, IssuerId } from '../../src/core/ids.ts';
import type { Signals } from '../../src/registry/entries.ts';
import { SIGNAL_DEFAULTS } from '../../src/registry/signals-schema.ts';
import type { SignallingIssuer } from '../../src/signals/received-set.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';

export const IDP = 'https://idp.acme.example';

/** An issuer that proves people, with a transmitter whose events are pushed. */
export const makeSignalling = (signals: Partial<Signals> = {}, more: Partial<SignallingIssuer> = {}): SignallingIssuer => ({
  kind: 'issuer', id: 'iss_corp' as IssuerId, version: 1, owner: 'iam@acme.example', domainId: 'dom_dev' as DomainId, name: 'corp', attestor: 'oidc', proves: 'people', issuer: IDP,
  audience: 'https://sts.acme.example/dev', algorithms: undefined, replay: undefined, jwks: undefined, allowAddresses: [], options: {}, expires: Number.MAX_SAFE_INTEGER, ...more,
  signals: {
    transmitter: IDP, audience: 'https://sts.acme.example/dev/ssf/events/corp', jwksUri: undefined, jwks: undefined, algorithms: ['ES256'], poll: undefined, authorized: false, effects: SIGNAL_DEFAULTS, ...signals,
  },
});

/** As much of a domain as events are received for. */
export const viewNamed = (name: string, issuers: readonly SignallingIssuer[] = []): DomainView => ({
  domain: { id: `dom_${name}`, name, issuer: `https://sts.acme.example/${name}`, stage: 'production' }, problems: [],
  issuer: (named: string) => issuers.find((issuer) => issuer.name === named), entries: () => ({ issuers, resources: [], workloads: [], policies: [] }),
}) as unknown as DomainView;
