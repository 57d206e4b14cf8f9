import type { Refusal } from '../core/refusal.ts';
import { refusal } from '../core/refusal.ts';
import { err } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { IssuedCredential, Order, Provider } from '../credentials/provider.ts';
import type { CeilingPair } from '../store/rows.ts';
import type { Aim } from './aim.ts';

/** All of an order but what it is for. */
export type Ticket = Omit<Order, 'resource' | 'scopes'>;

/** How one aim becomes a credential: which lifetime it may have, and the one call that makes it. */
export interface Mint {
  /** Seconds; undefined when the target does not issue the requested token type. */
  lifetime(aim: Aim, requestedTokenType: string | undefined): number | undefined;
  issue(ticket: Ticket, aim: Aim, decided: readonly CeilingPair[]): Promise<Result<IssuedCredential, Refusal>>;
}

export interface MintPorts {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly sessionTokenLifetime: number;
  signSessionToken(ticket: Ticket, ceiling: readonly CeilingPair[]): Result<IssuedCredential, Refusal>;
}

export const createMint = (ports: MintPorts): Mint => ({
  lifetime(aim, requestedTokenType) {
    if (aim.kind === 'session') return ports.sessionTokenLifetime;
    const provider = ports.providers.get(aim.ask.resource.provider);
    if (provider === undefined) return undefined;
    if (requestedTokenType !== undefined && !provider.tokenTypes.includes(requestedTokenType)) return undefined;
    return Math.min(aim.ask.resource.lifetime ?? provider.lifetime.default, provider.lifetime.maximum);
  },
  async issue(ticket, aim, decided) {
    if (aim.kind === 'session') return ports.signSessionToken(ticket, decided);
    const { resource } = aim.ask;
    const provider = ports.providers.get(resource.provider);
    if (provider === undefined) return err(refusal('provider_misconfigured', `no provider ${resource.provider}`));
    return provider.issue({ ...ticket, resource, scopes: decided[0]?.scopes ?? [] }, resource.options);
  },
});
