import type { Attestor } from '../attestation/attestor.ts';
import type { Provider } from '../credentials/provider.ts';
import type { PolicyProblem } from '../policy/decision.ts';
import type { Domain } from './entries.ts';

/** What the registry needs to know of other rooms' plug-ins; handed in, never imported. */
export type AttestorPort = Pick<Attestor, 'kind' | 'options' | 'defaultIssuer' | 'issuerAllowed' | 'attributeTable' | 'profile' | 'discriminator'>;
export type ProviderPort = Pick<Provider, 'kind' | 'options' | 'check' | 'lifetime'>;

export interface Catalogues {
  readonly attestors: ReadonlyMap<string, AttestorPort>;
  readonly providers: ReadonlyMap<string, ProviderPort>;
}

/** Validates one statement against the domain's schema; without problems the effect is known. */
export type ValidatePolicy = (name: string, cedar: string, domain: Domain) => { readonly effect: 'permit' | 'forbid' | undefined; readonly problems: readonly PolicyProblem[] };
